#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/base/rng.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/data/generated.hpp"

namespace cosearch {
namespace {

struct SyntheticOptions {
  std::int64_t height, width, channels, classes;
  GeneratedSplits splits;
};

SyntheticOptions read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"channels", "classes", "height", "name", "search", "seed", "test", "train", "width"});
  SyntheticOptions options{
      .height = reader.integer("height", 8, 1, 512),
      .width = reader.integer("width", 8, 1, 512),
      .channels = reader.integer("channels", 1, 1, 64),
      .classes = reader.integer("classes", 4, 2, 256),  // labels are bytes
      .splits = {},
  };
  options.splits = read_generated_splits(reader, options.height * options.width * options.channels);
  return options;
}

/// Cells per side of the coarse grid on which a prototype is drawn; between its nodes it is bilinear, so that small
/// kernels and pooled features see something to learn.
constexpr std::int64_t kGrid = 3;
constexpr double kGrey = 110.0;
constexpr double kContrast = 60.0;
constexpr double kNoise = 45.0;

/// (height, width, channels), grey levels.
std::vector<double> make_prototype(const SyntheticOptions& options, RngStream& rng) {
  constexpr std::int64_t kNodes = kGrid + 1;
  std::vector<double> nodes(static_cast<std::size_t>(kNodes * kNodes * options.channels));
  std::generate(nodes.begin(), nodes.end(), [&] { return kGrey + kContrast * rng.normal(); });
  const auto place = [](std::int64_t i, std::int64_t size) {
    return (static_cast<double>(i) + 0.5) * kGrid / static_cast<double>(size);
  };
  std::vector<double> prototype;
  for (std::int64_t y = 0; y < options.height; ++y) {
    const double v = place(y, options.height);
    const auto row = static_cast<std::int64_t>(v);
    for (std::int64_t x = 0; x < options.width; ++x) {
      const double u = place(x, options.width);
      const auto column = static_cast<std::int64_t>(u);
      for (std::int64_t c = 0; c < options.channels; ++c) {
        const auto node = [&](std::int64_t i, std::int64_t j) {
          return nodes[static_cast<std::size_t>(((row + i) * kNodes + column + j) * options.channels + c)];
        };
        const double right = u - static_cast<double>(column);
        const double top = std::lerp(node(0, 0), node(0, 1), right);
        const double bottom = std::lerp(node(1, 0), node(1, 1), right);
        prototype.push_back(std::lerp(top, bottom, v - static_cast<double>(row)));
      }
    }
  }
  return prototype;
}

}  // namespace

TaskShape synthetic_shape(const nlohmann::json& config) {
  const SyntheticOptions options = read_options(config);
  return {{options.height, options.width, options.channels}, options.classes};
}

TaskData make_synthetic_data(const nlohmann::json& config) {
  const SyntheticOptions options = read_options(config);
  // The data's own key, so that subsets drawn with the same seed do not repeat its numbers.
  const std::uint64_t key = Hasher{}.add("synthetic").add(options.splits.seed).value();
  std::uint64_t stream = 0;
  std::vector<std::vector<double>> prototypes;
  for (std::int64_t label = 0; label < options.classes; ++label) {
    RngStream rng(key, Purpose::split, stream++);
    prototypes.push_back(make_prototype(options, rng));
  }
  const auto make_split = [&](std::int64_t count) {
    Dataset split{{options.height, options.width, options.channels}, options.classes, {}, {}};
    split.pixels.reserve(static_cast<std::size_t>(count) * prototypes.front().size());
    for (std::int64_t i = 0; i < count; ++i) {
      RngStream rng(key, Purpose::split, stream++);
      const std::int64_t label = i % options.classes;
      for (const double level : prototypes[static_cast<std::size_t>(label)]) {
        const double pixel = std::clamp(std::round(level + kNoise * rng.normal()), 0.0, 255.0);
        split.pixels.push_back(static_cast<std::uint8_t>(pixel));
      }
      split.labels.push_back(static_cast<std::uint8_t>(label));
    }
    return split;
  };
  TaskData data;
  data.name = "synthetic";
  data.train = make_split(options.splits.train);
  data.search = make_split(options.splits.search);
  data.test = make_split(options.splits.test);
  measure(data);
  return data;
}

}  // namespace cosearch
