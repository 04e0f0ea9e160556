#include <cmath>

#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

/// The rows of `shared`, each of one float per channel: y = f(a * x + b) and, with g = f'(a * x + b) * dy,
/// dx = a * g + q * (x - mean) + r.
enum Row { kA, kB, kMean, kReciprocal, kQ, kR, kRows };

std::int64_t channels(const Geometry& g) { return g.output.back(); }
std::int64_t rows_per_sample(const Geometry& g) { return graph::elements(g.output) / g.output.back(); }
float* row(float* shared, const Geometry& g, Row which) { return shared + which * channels(g); }
const float* row(const float* shared, const Geometry& g, Row which) { return shared + which * channels(g); }

/// Values of one channel from its mean and variance.
void set_channel(const graph::BatchNorm& op, const Geometry& g, std::int64_t c, double mean, double variance,
                 const float* scale, const float* shift, float* shared) {
  const double reciprocal = 1.0 / std::sqrt(variance + op.epsilon);
  const double a = static_cast<double>(scale[c]) * reciprocal;
  row(shared, g, kA)[c] = static_cast<float>(a);
  row(shared, g, kB)[c] = static_cast<float>(static_cast<double>(shift[c]) - mean * a);
  row(shared, g, kMean)[c] = static_cast<float>(mean);
  row(shared, g, kReciprocal)[c] = static_cast<float>(reciprocal);
}

}  // namespace

Needs needs(const graph::BatchNorm& /*op*/, const Geometry& geometry, std::int64_t /*samples*/) {
  return {.shared = kRows * channels(geometry), .inputs_in_backward = true};
}

void forward(const graph::BatchNorm& /*op*/, const Geometry& geometry, const Forward& call) {
  kernels::affine_activation(geometry.activation, call.samples * rows_per_sample(geometry), channels(geometry),
                             call.x[0], row(call.shared, geometry, kA), row(call.shared, geometry, kB), call.y);
}

void backward(const graph::BatchNorm& /*op*/, const Geometry& geometry, const Backward& call) {
  if (call.dx[0] != nullptr) {
    const float* a = row(call.shared, geometry, kA);
    kernels::affine_activation_backward(geometry.activation, call.samples * rows_per_sample(geometry),
                                        channels(geometry), call.x[0], a, row(call.shared, geometry, kB),
                                        row(call.shared, geometry, kMean), a, row(call.shared, geometry, kQ),
                                        row(call.shared, geometry, kR), call.dy, call.dx[0]);
  }
}

std::int64_t batch_norm_partials(const Geometry& geometry) { return 2 * channels(geometry); }

void batch_norm_statistics(const Geometry& geometry, std::int64_t samples, const float* x, double* partial) {
  kernels::batch_norm_statistics(samples * rows_per_sample(geometry), channels(geometry), x, partial,
                                 partial + channels(geometry));
}

void batch_norm_combine(const graph::BatchNorm& op, const Geometry& geometry, std::span<const std::int64_t> samples,
                        const double* partials, const float* scale, const float* shift, float* running_mean,
                        float* running_variance, float* shared) {
  const std::int64_t width = channels(geometry);
  const auto momentum = static_cast<float>(op.momentum);
  for (std::int64_t c = 0; c < width; ++c) {
    // Chan, Golub and LeVeque's pairwise update of mean and sum of squared deviations.
    double count = 0.0;
    double mean = 0.0;
    double deviation = 0.0;
    const double* partial = partials + c;
    for (const std::int64_t chunk : samples) {
      const auto added = static_cast<double>(chunk * rows_per_sample(geometry));
      const double delta = partial[0] - mean;
      deviation += partial[width] + delta * delta * count * added / (count + added);
      count += added;
      mean += delta * added / count;
      partial += batch_norm_partials(geometry);
    }
    const double variance = deviation / count;
    set_channel(op, geometry, c, mean, variance, scale, shift, shared);
    running_mean[c] += momentum * (static_cast<float>(mean) - running_mean[c]);
    running_variance[c] += momentum * (static_cast<float>(variance) - running_variance[c]);
  }
}

void batch_norm_freeze(const graph::BatchNorm& op, const Geometry& geometry, const float* scale, const float* shift,
                       const float* running_mean, const float* running_variance, float* shared) {
  for (std::int64_t c = 0; c < channels(geometry); ++c) {
    set_channel(op, geometry, c, static_cast<double>(running_mean[c]), static_cast<double>(running_variance[c]), scale,
                shift, shared);
  }
}

void batch_norm_gradient_statistics(const Geometry& geometry, std::int64_t samples, const float* x, const float* dy,
                                    const float* shared, double* partial) {
  kernels::affine_activation_sums(geometry.activation, samples * rows_per_sample(geometry), channels(geometry), x,
                                  row(shared, geometry, kA), row(shared, geometry, kB), row(shared, geometry, kMean),
                                  dy, partial, partial + channels(geometry));
}

void batch_norm_combine_gradients(const Geometry& geometry, std::span<const std::int64_t> samples,
                                  const double* partials, bool frozen, float* shared, float* dscale, float* dshift) {
  const std::int64_t width = channels(geometry);
  double count = 0.0;
  for (const std::int64_t chunk : samples) {
    count += static_cast<double>(chunk * rows_per_sample(geometry));
  }
  for (std::int64_t c = 0; c < width; ++c) {
    double sum = 0.0;
    double weighted = 0.0;
    for (std::size_t chunk = 0; chunk < samples.size(); ++chunk) {
      const double* partial = partials + static_cast<std::int64_t>(chunk) * batch_norm_partials(geometry) + c;
      sum += partial[0];
      weighted += partial[width];
    }
    const auto a = static_cast<double>(row(shared, geometry, kA)[c]);
    const auto reciprocal = static_cast<double>(row(shared, geometry, kReciprocal)[c]);
    dscale[c] = static_cast<float>(weighted * reciprocal);
    dshift[c] = static_cast<float>(sum);
    row(shared, geometry, kQ)[c] = frozen ? 0.0F : static_cast<float>(-a * reciprocal * reciprocal * weighted / count);
    row(shared, geometry, kR)[c] = frozen ? 0.0F : static_cast<float>(-a * sum / count);
  }
}

}  // namespace cosearch::ops
