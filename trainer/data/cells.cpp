#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/base/rng.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/data/generated.hpp"

namespace cosearch {
namespace {

struct CellsOptions {
  std::int64_t size, cells;
  double blur, noise;
  GeneratedSplits splits;
};

CellsOptions read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"blur", "cells", "name", "noise", "search", "seed", "size", "test", "train"});
  CellsOptions options{
      .size = reader.integer("size", 32, 8, 512),
      .cells = reader.integer("cells", 6, 1, 1000),
      .blur = reader.number("blur", 1.0, {.lower = 0.0, .upper = 16.0}),
      .noise = reader.number("noise", 20.0, {.lower = 0.0, .upper = 255.0}),
      .splits = {},
  };
  options.splits = read_generated_splits(reader, options.size * options.size);
  return options;
}

// Grey levels, and lengths as shares of the image's side. The illumination differs across an image by about as much as
// dim cells stand out, so that no single threshold finds them all.
constexpr double kDarkest = 30.0;
constexpr double kBrightest = 80.0;
constexpr double kIllumination = 50.0;  // largest difference between opposite sides
constexpr double kDimCell = 40.0;       // above the background
constexpr double kBrightCell = 120.0;
constexpr double kShortAxis = 0.06;
constexpr double kLongAxis = 0.18;

double between(double lower, double upper, RngStream& rng) { return lower + (upper - lower) * rng.uniform(); }

/// Row by row; grey levels before blur and noise, and labels.
struct Picture {
  std::vector<double> levels;
  std::vector<std::uint8_t> labels;
};

Picture background(std::int64_t size, RngStream& rng) {
  const double level = between(kDarkest, kBrightest, rng);
  const double down = between(-0.5, 0.5, rng) * kIllumination;
  const double right = between(-0.5, 0.5, rng) * kIllumination;
  Picture picture;
  for (std::int64_t y = 0; y < size; ++y) {
    for (std::int64_t x = 0; x < size; ++x) {
      const double v = (static_cast<double>(y) + 0.5) / static_cast<double>(size) - 0.5;
      const double u = (static_cast<double>(x) + 0.5) / static_cast<double>(size) - 0.5;
      picture.levels.push_back(level + down * v + right * u);
    }
  }
  picture.labels.assign(picture.levels.size(), 0);
  return picture;
}

/// `cell` receives the brightest of the cells at each pixel.
void draw_cell(std::int64_t size, RngStream& rng, std::vector<double>& cell) {
  const auto side = static_cast<double>(size);
  const double centre_y = side * rng.uniform();
  const double centre_x = side * rng.uniform();
  const double axis_a = side * between(kShortAxis, kLongAxis, rng);
  const double axis_b = side * between(kShortAxis, kLongAxis, rng);
  const double angle = std::numbers::pi * rng.uniform();
  const double brightness = between(kDimCell, kBrightCell, rng);
  for (std::int64_t y = 0; y < size; ++y) {
    for (std::int64_t x = 0; x < size; ++x) {
      const double dy = static_cast<double>(y) + 0.5 - centre_y;
      const double dx = static_cast<double>(x) + 0.5 - centre_x;
      const double a = (dx * std::cos(angle) + dy * std::sin(angle)) / axis_a;
      const double b = (dy * std::cos(angle) - dx * std::sin(angle)) / axis_b;
      double& pixel = cell[static_cast<std::size_t>(y * size + x)];
      pixel = a * a + b * b <= 1.0 ? std::max(pixel, brightness) : pixel;
    }
  }
}

/// Convolves the rows with a Gaussian, edges repeated, and turns the picture over its diagonal: twice is a blur.
std::vector<double> blurred_and_transposed(std::int64_t size, double sigma, const std::vector<double>& levels) {
  const auto radius = static_cast<std::int64_t>(std::ceil(3.0 * sigma));
  std::vector<double> kernel;
  for (std::int64_t i = -radius; i <= radius; ++i) {
    kernel.push_back(std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)));
  }
  const double sum = std::accumulate(kernel.begin(), kernel.end(), 0.0);
  std::vector<double> result(levels.size());
  for (std::int64_t y = 0; y < size; ++y) {
    for (std::int64_t x = 0; x < size; ++x) {
      double level = 0.0;
      for (std::int64_t i = -radius; i <= radius; ++i) {
        const std::int64_t source = std::clamp<std::int64_t>(x + i, 0, size - 1);
        level +=
            kernel[static_cast<std::size_t>(i + radius)] / sum * levels[static_cast<std::size_t>(y * size + source)];
      }
      result[static_cast<std::size_t>(x * size + y)] = level;
    }
  }
  return result;
}

Picture make_picture(const CellsOptions& options, RngStream& rng) {
  Picture picture = background(options.size, rng);
  std::vector<double> cell(picture.levels.size(), 0.0);
  // From half to one and a half times as many as asked for on average.
  const std::int64_t fewest = (options.cells + 1) / 2;
  const auto spread = static_cast<std::uint64_t>(2 * (options.cells - fewest) + 1);
  const std::int64_t cells = fewest + static_cast<std::int64_t>(rng.below(spread));
  for (std::int64_t i = 0; i < cells; ++i) {
    draw_cell(options.size, rng, cell);
  }
  for (std::size_t i = 0; i < cell.size(); ++i) {
    picture.levels[i] += cell[i];
    picture.labels[i] = cell[i] > 0.0 ? 1 : 0;
  }
  if (options.blur > 0.0) {
    picture.levels = blurred_and_transposed(options.size, options.blur, picture.levels);
    picture.levels = blurred_and_transposed(options.size, options.blur, picture.levels);
  }
  return picture;
}

}  // namespace

TaskShape cells_shape(const nlohmann::json& config) {
  const CellsOptions options = read_options(config);
  return {.sample = {options.size, options.size, 1}, .classes = 2, .dense = true};
}

TaskData make_cells_data(const nlohmann::json& config) {
  const CellsOptions options = read_options(config);
  // The data's own key, so that subsets drawn with the same seed do not repeat its numbers.
  const std::uint64_t key = Hasher{}.add("cells").add(options.splits.seed).value();
  std::uint64_t stream = 0;
  const auto make_split = [&](std::int64_t count) {
    Dataset split{.sample = {options.size, options.size, 1}, .classes = 2, .pixels = {}, .labels = {}, .dense = true};
    for (std::int64_t i = 0; i < count; ++i) {
      RngStream rng(key, Purpose::split, stream++);
      const Picture picture = make_picture(options, rng);
      for (const double level : picture.levels) {
        const double pixel = std::clamp(std::round(level + options.noise * rng.normal()), 0.0, 255.0);
        split.pixels.push_back(static_cast<std::uint8_t>(pixel));
      }
      split.labels.insert(split.labels.end(), picture.labels.begin(), picture.labels.end());
    }
    return split;
  };
  TaskData data;
  data.name = "cells";
  data.class_names = {"background", "cell"};
  data.train = make_split(options.splits.train);
  data.search = make_split(options.splits.search);
  data.test = make_split(options.splits.test);
  measure(data);
  return data;
}

}  // namespace cosearch
