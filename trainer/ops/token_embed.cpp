#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "spaces/base/config_error.hpp"
#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

/// Where the row of a token begins in the table.
std::int64_t row_of(const graph::TokenEmbed& op, float id) {
  if (!(id >= 0.0F && id < static_cast<float>(op.vocabulary)) || id != std::floor(id)) {
    throw ConfigError(
        "", fmt::format("token id {} is not allowed; allowed: whole numbers from 0 to {}", id, op.vocabulary - 1));
  }
  return static_cast<std::int64_t>(id) * op.width;
}

}  // namespace

Needs needs(const graph::TokenEmbed& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) {
  return {.inputs_in_backward = true};
}

void forward(const graph::TokenEmbed& op, const Geometry& geometry, const Forward& call) {
  for (std::int64_t t = 0; t < call.samples * geometry.output[0]; ++t) {
    std::copy_n(call.weights[0] + row_of(op, call.x[0][t]), op.width, call.y + t * op.width);
  }
}

void backward(const graph::TokenEmbed& op, const Geometry& geometry, const Backward& call) {
  std::fill_n(call.dweights[0], op.vocabulary * op.width, 0.0F);
  for (std::int64_t t = 0; t < call.samples * geometry.output[0]; ++t) {
    float* row = call.dweights[0] + row_of(op, call.x[0][t]);
    kernels::add(op.width, row, call.dy + t * op.width, row);
  }
}

}  // namespace cosearch::ops
