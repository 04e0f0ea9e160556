#include <algorithm>

#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

/// Calls f(i, first, width) for each input: its features are those of the output from `first` on.
template <class F>
void for_each_input(const Geometry& geometry, const F& f) {
  std::int64_t first = 0;
  for (std::size_t i = 0; i < geometry.inputs.size(); ++i) {
    const std::int64_t width = geometry.inputs[i].back();
    f(i, first, width);
    first += width;
  }
}

std::int64_t positions(const Geometry& geometry, std::int64_t samples) {
  return samples * graph::elements(geometry.output) / geometry.output.back();
}

}  // namespace

Needs needs(const graph::Concat& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) { return {}; }

void forward(const graph::Concat& /*op*/, const Geometry& geometry, const Forward& call) {
  for_each_input(geometry, [&](std::size_t i, std::int64_t first, std::int64_t width) {
    for (std::int64_t p = 0; p < positions(geometry, call.samples); ++p) {
      std::copy_n(call.x.at(i) + p * width, width, call.y + p * geometry.output.back() + first);
    }
  });
}

void backward(const graph::Concat& /*op*/, const Geometry& geometry, const Backward& call) {
  for_each_input(geometry, [&](std::size_t i, std::int64_t first, std::int64_t width) {
    if (call.dx.at(i) == nullptr) {
      return;
    }
    for (std::int64_t p = 0; p < positions(geometry, call.samples); ++p) {
      std::copy_n(call.dy + p * geometry.output.back() + first, width, call.dx.at(i) + p * width);
    }
  });
}

}  // namespace cosearch::ops
