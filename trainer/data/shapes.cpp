#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/base/rng.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/data/generated.hpp"

namespace cosearch {
namespace {

enum class ShapeTask { classes, edges, depth };

struct ShapesOptions {
  ShapeTask task;
  std::int64_t size, shapes;
  double noise;
  GeneratedSplits splits;
};

ShapesOptions read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"name", "noise", "search", "seed", "shapes", "size", "task", "test", "train"});
  const std::string task = reader.name_of("task", "class", {"class", "depth", "edges"});
  ShapesOptions options{
      .task = task == "class" ? ShapeTask::classes : (task == "edges" ? ShapeTask::edges : ShapeTask::depth),
      .size = reader.integer("size", 32, 8, 512),
      .shapes = reader.integer("shapes", 3, 1, 64),
      .noise = reader.number("noise", 12.0, {.lower = 0.0, .upper = 255.0}),
      .splits = {},
  };
  // A pixel may have a number of four bytes beside it.
  options.splits = read_generated_splits(reader, 5 * options.size * options.size);
  return options;
}

double between(double lower, double upper, RngStream& rng) { return lower + (upper - lower) * rng.uniform(); }

enum class Kind { disc, square, triangle, cross };
constexpr std::int64_t kKinds = 4;
const std::array<const char*, kKinds> kKindNames{"disc", "square", "triangle", "cross"};

// Lengths as shares of the image's side, distances from 0 (at the eye) to 1, grey levels.
constexpr double kNearRadius = 0.22, kNearRadiusEnd = 0.32;
constexpr double kFarRadius = 0.10, kFarRadiusEnd = 0.18;
constexpr double kNearDistance = 0.1, kNearDistanceEnd = 0.4;
constexpr double kFarDistance = 0.45, kFarDistanceEnd = 0.8;
constexpr double kWallDistance = 0.9;
constexpr double kSlant = 0.2;  // largest change of the distance over the image's side
constexpr double kNearLevel = 200.0;
constexpr double kDarkening = 120.0;  // over the whole distance
constexpr double kPaint = 45.0;       // how far a shape may be from the mean of its distance

/// A flat thing in the picture.
struct Shape {
  Kind kind = Kind::disc;
  double centre_y = 0.5, centre_x = 0.5, radius = 0.0;
  double angle = 0.0;
  double distance = kWallDistance;
  double down = 0.0, right = 0.0;  ///< slant
  double paint = 0.0;

  /// The distance at this place of the image.
  [[nodiscard]] double distance_at(double y, double x) const {
    return std::clamp(distance + down * (y - centre_y) + right * (x - centre_x), 0.0, 1.0);
  }
  [[nodiscard]] bool covers(double y, double x) const {
    const double dy = (y - centre_y) / radius;
    const double dx = (x - centre_x) / radius;
    const double a = std::abs(dx * std::cos(angle) + dy * std::sin(angle));
    const double b = dy * std::cos(angle) - dx * std::sin(angle);
    switch (kind) {
      case Kind::disc:
        return a * a + b * b <= 1.0;
      case Kind::square:
        return std::max(a, std::abs(b)) <= 0.85;
      case Kind::triangle:  // equilateral, the corners on the circle
        return b <= 0.5 && a * std::numbers::sqrt3 <= b + 1.0;
      case Kind::cross:
        return std::min(a, std::abs(b)) <= 0.3 && std::max(a, std::abs(b)) <= 1.0;
    }
    return false;
  }
};

Shape slanted(Shape shape, RngStream& rng) {
  shape.down = between(-0.5, 0.5, rng) * kSlant;
  shape.right = between(-0.5, 0.5, rng) * kSlant;
  shape.paint = between(-kPaint, kPaint, rng);
  return shape;
}

Shape draw_shape(bool nearest, RngStream& rng) {
  Shape shape;
  shape.kind = static_cast<Kind>(rng.below(kKinds));
  shape.angle = 2.0 * std::numbers::pi * rng.uniform();
  shape.centre_y = nearest ? between(0.4, 0.6, rng) : rng.uniform();
  shape.centre_x = nearest ? between(0.4, 0.6, rng) : rng.uniform();
  shape.radius = nearest ? between(kNearRadius, kNearRadiusEnd, rng) : between(kFarRadius, kFarRadiusEnd, rng);
  shape.distance =
      nearest ? between(kNearDistance, kNearDistanceEnd, rng) : between(kFarDistance, kFarDistanceEnd, rng);
  return slanted(shape, rng);
}

/// The wall, then shapes from far to near.
std::vector<Shape> draw_scene(std::int64_t shapes, RngStream& rng) {
  std::vector<Shape> scene{slanted({}, rng)};
  for (std::int64_t i = 1; i < shapes; ++i) {
    scene.push_back(draw_shape(false, rng));
  }
  std::sort(scene.begin() + 1, scene.end(), [](const Shape& a, const Shape& b) { return a.distance > b.distance; });
  scene.push_back(draw_shape(true, rng));
  return scene;
}

/// What of the scene each pixel shows, row by row.
std::vector<std::size_t> visible(const std::vector<Shape>& scene, std::int64_t size) {
  std::vector<std::size_t> seen;
  for (std::int64_t y = 0; y < size; ++y) {
    for (std::int64_t x = 0; x < size; ++x) {
      const double v = (static_cast<double>(y) + 0.5) / static_cast<double>(size);
      const double u = (static_cast<double>(x) + 0.5) / static_cast<double>(size);
      std::size_t shape = scene.size() - 1;
      while (shape > 0 && !scene[shape].covers(v, u)) {
        --shape;
      }
      seen.push_back(shape);
    }
  }
  return seen;
}

bool on_edge(const std::vector<std::size_t>& seen, std::int64_t size, std::int64_t y, std::int64_t x) {
  const auto at = [&](std::int64_t i, std::int64_t j) {
    return seen[static_cast<std::size_t>(std::clamp<std::int64_t>(i, 0, size - 1) * size +
                                         std::clamp<std::int64_t>(j, 0, size - 1))];
  };
  const std::size_t here = at(y, x);
  return at(y - 1, x) != here || at(y + 1, x) != here || at(y, x - 1) != here || at(y, x + 1) != here;
}

void add_picture(const ShapesOptions& options, RngStream& rng, Dataset& split) {
  const std::vector<Shape> scene = draw_scene(options.shapes, rng);
  const std::vector<std::size_t> seen = visible(scene, options.size);
  for (std::int64_t y = 0; y < options.size; ++y) {
    for (std::int64_t x = 0; x < options.size; ++x) {
      const Shape& shape = scene[seen[static_cast<std::size_t>(y * options.size + x)]];
      const double distance = shape.distance_at((static_cast<double>(y) + 0.5) / static_cast<double>(options.size),
                                                (static_cast<double>(x) + 0.5) / static_cast<double>(options.size));
      const double level = kNearLevel - kDarkening * distance + shape.paint + options.noise * rng.normal();
      split.pixels.push_back(static_cast<std::uint8_t>(std::clamp(std::round(level), 0.0, 255.0)));
      if (options.task == ShapeTask::depth) {
        split.values.push_back(static_cast<float>(distance));
      } else if (options.task == ShapeTask::edges) {
        split.labels.push_back(on_edge(seen, options.size, y, x) ? 1 : 0);
      }
    }
  }
  if (options.task == ShapeTask::classes) {
    split.labels.push_back(static_cast<std::uint8_t>(scene.back().kind));
  }
}

std::int64_t classes_of(ShapeTask task) {
  return task == ShapeTask::classes ? kKinds : (task == ShapeTask::edges ? 2 : 1);
}

}  // namespace

TaskShape shapes_shape(const nlohmann::json& config) {
  const ShapesOptions options = read_options(config);
  return {.sample = {options.size, options.size, 1},
          .classes = classes_of(options.task),
          .dense = options.task != ShapeTask::classes};
}

TaskData make_shapes_data(const nlohmann::json& config) {
  const ShapesOptions options = read_options(config);
  // The data's own key, so that subsets drawn with the same seed do not repeat its numbers.
  const std::uint64_t key = Hasher{}.add("shapes").add(options.splits.seed).value();
  std::uint64_t stream = 0;
  const auto make_split = [&](std::int64_t count) {
    Dataset split{.sample = {options.size, options.size, 1},
                  .classes = classes_of(options.task),
                  .pixels = {},
                  .labels = {},
                  .dense = options.task != ShapeTask::classes,
                  .regression = options.task == ShapeTask::depth};
    for (std::int64_t i = 0; i < count; ++i) {
      RngStream rng(key, Purpose::split, stream++);
      add_picture(options, rng, split);
    }
    return split;
  };
  TaskData data;
  data.name = "shapes";
  if (options.task == ShapeTask::classes) {
    data.class_names.assign(kKindNames.begin(), kKindNames.end());
  } else if (options.task == ShapeTask::edges) {
    data.class_names = {"surface", "edge"};
  }
  data.train = make_split(options.splits.train);
  data.search = make_split(options.splits.search);
  data.test = make_split(options.splits.test);
  measure(data);
  return data;
}

}  // namespace cosearch
