#include "spaces/graph/ops/op.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace cosearch::graph::ops {
namespace {

constexpr std::int64_t kLimit = std::int64_t{1} << 45;

template <class Factors>
std::optional<std::int64_t> bounded(const Factors& factors) {
  std::int64_t product = 1;
  for (const std::int64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product) || product > kLimit) {
      return std::nullopt;
    }
  }
  return product;
}

}  // namespace

std::string to_string(const Shape& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

std::optional<std::string> not_an_image(const Shape& shape) {
  if (shape.size() == 3) {
    return std::nullopt;
  }
  return fmt::format("its input must be an image (height, width, channels), not {}", to_string(shape));
}

std::optional<std::string> not_a_sequence(const Shape& shape) {
  if (shape.size() == 2) {
    return std::nullopt;
  }
  return fmt::format("its input must be a sequence (tokens, features), not {}", to_string(shape));
}

std::optional<std::int64_t> bounded_product(std::initializer_list<std::int64_t> factors) { return bounded(factors); }
std::optional<std::int64_t> bounded_product(const std::vector<std::int64_t>& factors) { return bounded(factors); }

std::string too_large(const std::string& what) { return fmt::format("it needs more than 2^45 {}", what); }

std::int64_t window_positions(std::int64_t size, std::int64_t before, std::int64_t after, std::int64_t kernel,
                              std::int64_t stride) {
  const std::int64_t room = size + before + after - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

WeightAxis leading_axis(const std::vector<std::int64_t>& factors) {
  AxisSegment segment;
  for (const std::int64_t factor : factors) {
    segment.push_back({factor, SliceRule::leading, {}});
  }
  return {segment};
}

WeightAxis part_axis(const Site& site, std::optional<std::int64_t> outputs) {
  WeightAxis axis;
  for (const std::int64_t width : site.parts) {
    axis.push_back({{width, SliceRule::leading, {}}});
    if (outputs) {
      axis.back().push_back({*outputs, SliceRule::leading, {}});
    }
  }
  return axis;
}

WeightAxis kernel_axis(std::int64_t extent) { return {{{extent, SliceRule::centre, {}}}}; }

WeightSpec feature_vector(const Site& site, const std::string& name, Initializer initializer, WeightAxis axis,
                          bool trainable) {
  WeightSpec spec;
  spec.name = site.name + "." + name;
  spec.axes = {std::move(axis)};
  spec.initializer = initializer;
  spec.fan_in = spec.fan_out = spec.elements();
  spec.trainable = trainable;
  spec.decay = false;
  return spec;
}

}  // namespace cosearch::graph::ops
