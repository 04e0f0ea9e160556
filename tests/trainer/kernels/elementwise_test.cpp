#include <gtest/gtest.h>

#include "tests/trainer/kernels/naive_kernels.hpp"
#include "trainer/kernels/math.hpp"

namespace cosearch::kernels {
namespace {

using naive::at;

constexpr std::array kKinds = {Activation::identity, Activation::relu, Activation::relu6, Activation::hard_swish,
                               Activation::gelu};

/// Values from -12 to 12 that keep away from the kinks at -3, 0, 3 and 6.
naive::Values activation_inputs() {
  naive::Values values;
  for (double x = -12.0; x < 12.0; x += 0.0371) {
    const bool kink = std::abs(x) < 1e-3 || std::abs(std::abs(x) - 3.0) < 1e-3 || std::abs(x - 6.0) < 1e-3;
    if (!kink) {
      values.push_back(static_cast<double>(static_cast<float>(x)));
    }
  }
  return values;
}

TEST(Elementwise, ExponentialHasSinglePrecision) {
  for (double x = -86.9; x < 87.9; x += 0.0173) {
    const auto input = static_cast<float>(x);
    const double expected = std::exp(static_cast<double>(input));
    EXPECT_NEAR(static_cast<double>(exponential(input)) / expected, 1.0, 3e-7) << x;
  }
  EXPECT_EQ(exponential(0.0F), 1.0F);
  EXPECT_GT(exponential(-1000.0F), 0.0F);
  EXPECT_TRUE(std::isfinite(exponential(1000.0F)));
  EXPECT_TRUE(std::isnan(exponential(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Elementwise, ActivationsMatchTheDefinition) {
  const naive::Values x = activation_inputs();
  const auto count = static_cast<std::int64_t>(x.size());
  for (const Activation kind : kKinds) {
    naive::Values expected(x.size());
    std::transform(x.begin(), x.end(), expected.begin(), [&](double v) { return naive::activation(kind, v); });
    AlignedFloats values = naive::floats(x);
    activation(kind, count, values.data(), values.data());
    naive::expect_near(values, expected, 3e-7);
  }
}

TEST(Elementwise, ActivationGradientsMatchFiniteDifferences) {
  const naive::Values x = activation_inputs();
  const auto count = static_cast<std::int64_t>(x.size());
  const naive::Values dy = naive::random(count, 5);
  const AlignedFloats x_floats = naive::floats(x);
  for (const Activation kind : kKinds) {
    naive::Values expected(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      expected[i] = naive::slope(kind, x[i]) * dy[i];
    }
    AlignedFloats gradient = naive::floats(dy);
    activation_backward(kind, count, x_floats.data(), gradient.data(), gradient.data());
    naive::expect_near(gradient, expected, 1e-6);
  }
}

TEST(Elementwise, NanPassesThroughEveryActivation) {
  for (const Activation kind : kKinds) {
    float value = std::numeric_limits<float>::quiet_NaN();
    activation(kind, 1, &value, &value);
    EXPECT_TRUE(std::isnan(value)) << static_cast<int>(kind);
  }
}

TEST(Elementwise, BiasAndItsGradientMatchTheDefinition) {
  const std::int64_t rows = 13;
  const std::int64_t columns = 37;
  const naive::Values y = naive::random(rows * columns, 1);
  const naive::Values bias = naive::random(columns, 2);
  naive::Values sum = y;
  naive::Values db(at(columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      sum[at(r * columns + c)] += bias[at(c)];
      db[at(c)] += y[at(r * columns + c)];
    }
  }
  AlignedFloats y_floats = naive::floats(y);
  AlignedFloats db_floats = naive::unwritten(columns);
  bias_backward(rows, columns, y_floats.data(), db_floats.data());
  add_bias(rows, columns, naive::floats(bias).data(), y_floats.data());
  naive::expect_near(y_floats, sum, 1e-6);
  naive::expect_near(db_floats, db, 1e-6);
}

TEST(Elementwise, AddWorksInPlace) {
  const naive::Values a = naive::random(100, 1);
  const naive::Values b = naive::random(100, 2);
  naive::Values sum(100);
  std::transform(a.begin(), a.end(), b.begin(), sum.begin(), std::plus<>());
  AlignedFloats values = naive::floats(a);
  add(100, values.data(), naive::floats(b).data(), values.data());
  naive::expect_near(values, sum, 1e-7);
}

}  // namespace
}  // namespace cosearch::kernels
