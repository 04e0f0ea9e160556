#include <gtest/gtest.h>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

using naive::at;

naive::Values naive_softmax(std::int64_t rows, std::int64_t columns, double scale, const naive::Values& x) {
  naive::Values y(x.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < columns; ++c) {
      sum += std::exp(scale * x[at(r * columns + c)]);
    }
    for (std::int64_t c = 0; c < columns; ++c) {
      y[at(r * columns + c)] = std::exp(scale * x[at(r * columns + c)]) / sum;
    }
  }
  return y;
}

TEST(Softmax, MatchesTheDefinitionInPlace) {
  for (const std::int64_t columns : {1, 7, 16, 65}) {
    const naive::Values x = naive::random(9 * columns, 1);
    AlignedFloats values = naive::floats(x);
    softmax(9, columns, 1.7F, values.data(), values.data());
    naive::expect_near(values, naive_softmax(9, columns, static_cast<double>(1.7F), x), 1e-6);
  }
}

TEST(Softmax, LargeInputsDoNotOverflow) {
  AlignedFloats values = naive::floats({1e30, -1e30, 1e30});
  softmax(1, 3, 1.0F, values.data(), values.data());
  naive::expect_near(values, {0.5, 0.0, 0.5}, 1e-6);
}

TEST(Softmax, GradientMatchesFiniteDifferences) {
  const std::int64_t rows = 4;
  const std::int64_t columns = 21;
  constexpr double kScale = 0.5;
  constexpr double kStep = 1e-5;
  naive::Values x = naive::random(rows * columns, 1);
  const naive::Values dy = naive::random(rows * columns, 2);
  naive::Values expected(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i];
    x[i] = kept + kStep;
    const naive::Values up = naive_softmax(rows, columns, kScale, x);
    x[i] = kept - kStep;
    const naive::Values down = naive_softmax(rows, columns, kScale, x);
    x[i] = kept;
    for (std::size_t j = 0; j < x.size(); ++j) {
      expected[i] += dy[j] * (up[j] - down[j]) / (2.0 * kStep);
    }
  }
  const AlignedFloats y = naive::floats(naive_softmax(rows, columns, kScale, x));
  AlignedFloats gradient = naive::floats(dy);
  softmax_backward(rows, columns, static_cast<float>(kScale), y.data(), gradient.data(), gradient.data());
  naive::expect_near(gradient, expected, 1e-5);
}

double naive_cross_entropy(std::int64_t rows, std::int64_t columns, double smoothing, const naive::Values& x,
                           const std::vector<std::uint8_t>& labels) {
  double loss = 0.0;
  const naive::Values p = naive_softmax(rows, columns, 1.0, x);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const double target = (labels[at(r)] == c ? 1.0 - smoothing : 0.0) + smoothing / static_cast<double>(columns);
      loss -= target * std::log(p[at(r * columns + c)]);
    }
  }
  return loss;
}

TEST(CrossEntropy, LossAndGradientMatchTheDefinition) {
  const std::int64_t rows = 5;
  const std::int64_t columns = 10;
  constexpr double kStep = 1e-5;
  const std::vector<std::uint8_t> labels = {0, 9, 3, 3, 7};
  for (const double smoothing : {0.0, 0.125}) {
    naive::Values x = naive::random(rows * columns, 1);
    naive::Values expected(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double kept = x[i];
      x[i] = kept + kStep;
      const double up = naive_cross_entropy(rows, columns, smoothing, x, labels);
      x[i] = kept - kStep;
      expected[i] = 0.25 * (up - naive_cross_entropy(rows, columns, smoothing, x, labels)) / (2.0 * kStep);
      x[i] = kept;
    }
    AlignedFloats values = naive::floats(x);
    const double loss = softmax_cross_entropy(rows, columns, static_cast<float>(smoothing), 0.25F, values.data(),
                                              labels.data(), values.data());
    EXPECT_NEAR(loss, naive_cross_entropy(rows, columns, smoothing, x, labels), 1e-9);
    naive::expect_near(values, expected, 1e-6);
  }
}

TEST(CrossEntropy, ConfidentMistakesHaveFiniteLossesAndNanIsSeen) {
  AlignedFloats values = naive::floats({500.0, -500.0});
  const std::uint8_t label = 1;
  EXPECT_NEAR(softmax_cross_entropy(1, 2, 0.0F, 1.0F, values.data(), &label, values.data()), 1000.0, 1e-9);
  values.data()[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(softmax_cross_entropy(1, 2, 0.0F, 1.0F, values.data(), &label, values.data())));
}

naive::Values naive_attention(const AttentionShape& s, const naive::Values& qkv) {
  const std::int64_t features = s.heads * s.head_dim;
  naive::Values y(at(s.batch * s.tokens * features));
  const auto element = [&](std::int64_t n, std::int64_t t, std::int64_t part, std::int64_t h, std::int64_t d) {
    return qkv[at((n * s.tokens + t) * 3 * features + part * features + h * s.head_dim + d)];
  };
  for (std::int64_t n = 0; n < s.batch; ++n) {
    for (std::int64_t h = 0; h < s.heads; ++h) {
      for (std::int64_t t = 0; t < s.tokens; ++t) {
        naive::Values weights(at(s.tokens));
        double sum = 0.0;
        for (std::int64_t u = 0; u < s.tokens; ++u) {
          double dot = 0.0;
          for (std::int64_t d = 0; d < s.head_dim; ++d) {
            dot += element(n, t, 0, h, d) * element(n, u, 1, h, d);
          }
          weights[at(u)] = std::exp(dot / std::sqrt(static_cast<double>(s.head_dim)));
          sum += weights[at(u)];
        }
        for (std::int64_t d = 0; d < s.head_dim; ++d) {
          double value = 0.0;
          for (std::int64_t u = 0; u < s.tokens; ++u) {
            value += weights[at(u)] / sum * element(n, u, 2, h, d);
          }
          y[at((n * s.tokens + t) * features + h * s.head_dim + d)] = value;
        }
      }
    }
  }
  return y;
}

class AttentionTest : public testing::TestWithParam<AttentionShape> {};

TEST_P(AttentionTest, ForwardAndGradientMatchTheDefinition) {
  const AttentionShape s = GetParam();
  const std::int64_t features = s.heads * s.head_dim;
  constexpr double kStep = 1e-5;
  naive::Values qkv = naive::random(s.batch * s.tokens * 3 * features, 1);
  const naive::Values dy = naive::random(s.batch * s.tokens * features, 2);
  naive::Values expected(qkv.size());
  for (std::size_t i = 0; i < qkv.size(); ++i) {
    const double kept = qkv[i];
    qkv[i] = kept + kStep;
    const naive::Values up = naive_attention(s, qkv);
    qkv[i] = kept - kStep;
    const naive::Values down = naive_attention(s, qkv);
    qkv[i] = kept;
    for (std::size_t j = 0; j < dy.size(); ++j) {
      expected[i] += dy[j] * (up[j] - down[j]) / (2.0 * kStep);
    }
  }
  const AlignedFloats qkv_floats = naive::floats(qkv);
  AlignedFloats y = naive::unwritten(s.batch * s.tokens * features);
  AlignedFloats probabilities = naive::unwritten(s.batch * s.heads * s.tokens * s.tokens);
  attention(eigen_dense(), s, qkv_floats.data(), y.data(), probabilities.data());
  naive::expect_near(y, naive_attention(s, qkv), 1e-5);
  AlignedFloats gradient = naive::unwritten(qkv_floats.size());
  AlignedFloats scratch = naive::unwritten(s.tokens * s.tokens);
  attention_backward(eigen_dense(), s, qkv_floats.data(), probabilities.data(), naive::floats(dy).data(),
                     gradient.data(), scratch.data());
  naive::expect_near(gradient, expected, 2e-5);
}
INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest,
                         testing::Values(AttentionShape{2, 5, 2, 4}, AttentionShape{1, 17, 3, 3},
                                         AttentionShape{2, 1, 1, 8}));

}  // namespace
}  // namespace cosearch::kernels
