#include <gtest/gtest.h>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

using naive::at;

/// Forward by the definition; used for outputs and, by central differences, for gradients.
naive::Values naive_layer_norm(std::int64_t rows, std::int64_t columns, double epsilon, const naive::Values& x,
                               const naive::Values& scale, const naive::Values& shift) {
  naive::Values y(x.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    double mean = 0.0;
    double variance = 0.0;
    for (std::int64_t c = 0; c < columns; ++c) {
      mean += x[at(r * columns + c)] / static_cast<double>(columns);
    }
    for (std::int64_t c = 0; c < columns; ++c) {
      const double d = x[at(r * columns + c)] - mean;
      variance += d * d / static_cast<double>(columns);
    }
    for (std::int64_t c = 0; c < columns; ++c) {
      y[at(r * columns + c)] =
          (x[at(r * columns + c)] - mean) / std::sqrt(variance + epsilon) * scale[at(c)] + shift[at(c)];
    }
  }
  return y;
}

/// d (sum of dy * f(values)) / d values by central differences.
template <class Function>
naive::Values gradient(naive::Values values, const naive::Values& dy, const Function& function) {
  constexpr double kStep = 1e-5;
  naive::Values result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double kept = values[i];
    values[i] = kept + kStep;
    const naive::Values up = function(values);
    values[i] = kept - kStep;
    const naive::Values down = function(values);
    values[i] = kept;
    for (std::size_t j = 0; j < dy.size(); ++j) {
      result[i] += dy[j] * (up[j] - down[j]) / (2.0 * kStep);
    }
  }
  return result;
}

class LayerNormTest : public testing::TestWithParam<std::int64_t> {};

TEST_P(LayerNormTest, ForwardAndGradientsMatchTheDefinition) {
  const std::int64_t rows = 7;
  const std::int64_t columns = GetParam();
  const double epsilon = 1e-6;
  naive::Values x = naive::random(rows * columns, 1);
  for (double& value : x) {
    value = static_cast<double>(static_cast<float>(value + 2.0));
  }
  const naive::Values scale = naive::random(columns, 2);
  const naive::Values shift = naive::random(columns, 3);
  const naive::Values dy = naive::random(rows * columns, 4);
  const AlignedFloats x_floats = naive::floats(x);
  const AlignedFloats scale_floats = naive::floats(scale);
  AlignedFloats y = naive::unwritten(rows * columns);
  AlignedFloats saved = naive::unwritten(2 * rows);
  layer_norm(rows, columns, static_cast<float>(epsilon), x_floats.data(), scale_floats.data(),
             naive::floats(shift).data(), y.data(), saved.data());
  naive::expect_near(y, naive_layer_norm(rows, columns, epsilon, x, scale, shift), 2e-6);

  AlignedFloats dx = naive::unwritten(rows * columns);
  AlignedFloats dscale = naive::unwritten(columns);
  AlignedFloats dshift = naive::unwritten(columns);
  layer_norm_backward(rows, columns, x_floats.data(), scale_floats.data(), saved.data(), naive::floats(dy).data(),
                      dx.data(), dscale.data(), dshift.data());
  naive::expect_near(
      dx, gradient(x, dy, [&](const auto& v) { return naive_layer_norm(rows, columns, epsilon, v, scale, shift); }),
      2e-5);
  naive::expect_near(
      dscale, gradient(scale, dy, [&](const auto& v) { return naive_layer_norm(rows, columns, epsilon, x, v, shift); }),
      2e-5);
  naive::expect_near(
      dshift, gradient(shift, dy, [&](const auto& v) { return naive_layer_norm(rows, columns, epsilon, x, scale, v); }),
      2e-5);
}
INSTANTIATE_TEST_SUITE_P(Widths, LayerNormTest, testing::Values(3, 16, 50, 150));

TEST(BatchNormKernels, StatisticsKeepTheirDigitsFarFromZero) {
  const std::int64_t rows = 300;
  const std::int64_t channels = 21;
  naive::Values x = naive::random(rows * channels, 1);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < channels; ++c) {
      double& value = x[at(r * channels + c)];
      value = static_cast<double>(static_cast<float>(100.0 * static_cast<double>(c) + 0.5 * value));
    }
  }
  naive::Values mean(at(channels)), deviation(at(channels));
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) {
      mean[at(c)] += x[at(r * channels + c)] / static_cast<double>(rows);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      const double d = x[at(r * channels + c)] - mean[at(c)];
      deviation[at(c)] += d * d;
    }
  }
  naive::Values got_mean(at(channels)), got_deviation(at(channels));
  batch_norm_statistics(rows, channels, naive::floats(x).data(), got_mean.data(), got_deviation.data());
  for (std::int64_t c = 0; c < channels; ++c) {
    EXPECT_NEAR(got_mean[at(c)], mean[at(c)], 1e-6);
    EXPECT_NEAR(got_deviation[at(c)] / deviation[at(c)], 1.0, 1e-6);
  }
}

TEST(BatchNormKernels, FusedActivationsMatchTheDefinition) {
  const std::int64_t rows = 90;
  const std::int64_t channels = 35;
  const naive::Values x = naive::random(rows * channels, 1);
  const naive::Values dy = naive::random(rows * channels, 2);
  std::array<naive::Values, 6> by_channel;  // a, b, centre, p, q, r
  std::array<AlignedFloats, 6> by_channel_floats;
  for (std::size_t i = 0; i < by_channel.size(); ++i) {
    by_channel[i] = naive::random(channels, 10 + i);
    by_channel_floats[i] = naive::floats(by_channel[i]);
  }
  const auto& [a, b, centre, p, q, r] = by_channel;
  const auto& [a_f, b_f, centre_f, p_f, q_f, r_f] = by_channel_floats;
  for (const Activation kind :
       {Activation::identity, Activation::relu, Activation::relu6, Activation::hard_swish, Activation::gelu}) {
    naive::Values y(x.size()), dx(x.size()), sum(at(channels)), weighted(at(channels));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = i % at(channels);
      const double z = a[c] * x[i] + b[c];
      const double g = naive::slope(kind, z) * dy[i];
      y[i] = naive::activation(kind, z);
      sum[c] += g;
      weighted[c] += g * (x[i] - centre[c]);
      dx[i] = p[c] * g + q[c] * (x[i] - centre[c]) + r[c];
    }
    const AlignedFloats x_floats = naive::floats(x);
    AlignedFloats gradient = naive::floats(dy);
    naive::Values got_sum(at(channels)), got_weighted(at(channels));
    affine_activation_sums(kind, rows, channels, x_floats.data(), a_f.data(), b_f.data(), centre_f.data(),
                           gradient.data(), got_sum.data(), got_weighted.data());
    for (std::size_t c = 0; c < sum.size(); ++c) {
      EXPECT_NEAR(got_sum[c], sum[c], 1e-4);
      EXPECT_NEAR(got_weighted[c], weighted[c], 1e-4);
    }
    affine_activation_backward(kind, rows, channels, x_floats.data(), a_f.data(), b_f.data(), centre_f.data(),
                               p_f.data(), q_f.data(), r_f.data(), gradient.data(), gradient.data());
    naive::expect_near(gradient, dx, 1e-5);
    AlignedFloats values = naive::floats(x);
    affine_activation(kind, rows, channels, values.data(), a_f.data(), b_f.data(), values.data());
    naive::expect_near(values, y, 1e-6);
  }
}

}  // namespace
}  // namespace cosearch::kernels
