#include "spaces/ir/interpreter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "spaces/base/rng.hpp"

namespace cosearch::ir {
namespace {

using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Tensors = std::map<std::string, Values>;

Values random_values(std::vector<std::int64_t> shape, std::uint64_t index) {
  RngStream rng{5, Purpose::test, index};
  std::size_t size = 1;
  for (const std::int64_t extent : shape) {
    size *= static_cast<std::size_t>(extent);
  }
  Values values{std::move(shape), std::vector<double>(size)};
  for (double& value : values.data) {
    value = rng.normal();
  }
  return values;
}

Tensors run(const std::string& text, const Tensors& given) {
  auto result = interpret(parse_workload(text), given);
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error());
  return result ? *result : Tensors{};
}

std::string error_of(const std::string& text, const Tensors& given) {
  const auto result = interpret(parse_workload(text), given);
  return result ? "no error" : result.error();
}

void expect_near(const Values& actual, const std::vector<double>& expected, double tolerance = 1e-12) {
  ASSERT_EQ(actual.data.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual.data[i], expected[i], tolerance) << "element " << i;
  }
}

TEST(Interpreter, MultipliesMatrices) {
  const Tensors given{{"a", random_values({3, 4}, 1)}, {"b", random_values({4, 5}, 2)}};
  const Tensors result = run(R"(workload matmul
input a activation fp32 [3,4]
tensor b weight fp32 [4,5]
output y activation fp32 [3,5]
einsum product m<3 n<5 k<4 : y[m,n] += 2 * mul(a[m,k], b[k,n])
)",
                             given);
  std::vector<double> expected(15, 0.0);
  for (std::size_t m = 0; m < 3; ++m) {
    for (std::size_t n = 0; n < 5; ++n) {
      for (std::size_t k = 0; k < 4; ++k) {
        expected[m * 5 + n] += 2.0 * given.at("a").data[m * 4 + k] * given.at("b").data[k * 5 + n];
      }
    }
  }
  expect_near(result.at("y"), expected);
}

TEST(Interpreter, ReadsPaddingOutsideOfAStridedConvolution) {
  const Tensors given{{"x", random_values({5, 6, 2}, 1)}, {"w", random_values({3, 3, 2, 3}, 2)}};
  const Tensors result = run(R"(workload conv
input x activation fp32 [5,6,2]
tensor w weight fp32 [3,3,2,3]
output y activation fp32 [3,3,3]
einsum conv oy<3 ox<3 k<3 ky<3 kx<3 c<2 : y[oy,ox,k] += mul(x[2*oy+ky-1,2*ox+kx-1,c], w[ky,kx,c,k])
)",
                             given);
  std::vector<double> expected;
  for (int oy = 0; oy < 3; ++oy) {
    for (int ox = 0; ox < 3; ++ox) {
      for (int k = 0; k < 3; ++k) {
        double sum = 0.0;
        for (int ky = 0; ky < 3; ++ky) {
          for (int kx = 0; kx < 3; ++kx) {
            const int iy = 2 * oy + ky - 1;
            const int ix = 2 * ox + kx - 1;
            if (iy < 0 || iy >= 5 || ix < 0 || ix >= 6) {
              continue;
            }
            for (int c = 0; c < 2; ++c) {
              sum += given.at("x").data[static_cast<std::size_t>((iy * 6 + ix) * 2 + c)] *
                     given.at("w").data[static_cast<std::size_t>(((ky * 3 + kx) * 2 + c) * 3 + k)];
            }
          }
        }
        expected.push_back(sum);
      }
    }
  }
  expect_near(result.at("y"), expected);
}

TEST(Interpreter, PadsMaximaWithMinusInfinity) {
  Values x = random_values({4, 4}, 1);
  for (double& value : x.data) {
    value -= 100.0;  // zeros as padding would win
  }
  const Tensors result = run(R"(workload pool
input x activation fp32 [4,4]
output y activation fp32 [2,2]
einsum pool oy<2 ox<2 ky<3 kx<3 : y[oy,ox] max= copy(x[2*oy+ky-1,2*ox+kx-1]) padding -inf
)",
                             {{"x", x}});
  std::vector<double> expected;
  for (int oy = 0; oy < 2; ++oy) {
    for (int ox = 0; ox < 2; ++ox) {
      double largest = -kInfinity;
      for (int iy = std::max(0, 2 * oy - 1); iy <= std::min(3, 2 * oy + 1); ++iy) {
        for (int ix = std::max(0, 2 * ox - 1); ix <= std::min(3, 2 * ox + 1); ++ix) {
          largest = std::max(largest, x.data[static_cast<std::size_t>(iy * 4 + ix)]);
        }
      }
      expected.push_back(largest);
    }
  }
  expect_near(result.at("y"), expected);
}

TEST(Interpreter, DropsWritesOutsideOfATransposedConvolution) {
  // Stride 2, kernel 3, padding 1, output 8 from input 4; the last output element gets one contribution.
  const Tensors given{{"x", random_values({4}, 1)}, {"w", random_values({3}, 2)}};
  const Tensors result = run(R"(workload transposed
input x activation fp32 [4]
tensor w weight fp32 [3]
output y activation fp32 [8]
einsum clear i<8 : y[i] = copy(0)
einsum scatter ix<4 kx<3 : y[2*ix+kx-1] += mul(x[ix], w[kx]) accumulate
)",
                             given);
  std::vector<double> expected(8, 0.0);
  for (int o = 0; o < 8; ++o) {
    for (int kx = 0; kx < 3; ++kx) {
      const int twice = o + 1 - kx;
      if (twice % 2 == 0 && twice / 2 >= 0 && twice / 2 < 4) {
        expected[static_cast<std::size_t>(o)] +=
            given.at("x").data[static_cast<std::size_t>(twice / 2)] * given.at("w").data[static_cast<std::size_t>(kx)];
      }
    }
  }
  expect_near(result.at("y"), expected);
}

TEST(Interpreter, RunsSoftmaxAsACascadeOfThreePasses) {
  const Tensors given{{"x", random_values({3, 7}, 1)}};
  const Tensors result = run(R"(workload softmax
input x activation fp32 [3,7]
tensor largest accumulator fp32 [3]
tensor weight activation fp32 [3,7]
tensor total accumulator fp32 [3]
output y activation fp32 [3,7]
einsum max p<3 m<7 : largest[p] max= copy(x[p,m])
einsum exp p<3 m<7 : weight[p,m] = exp_sub(x[p,m], largest[p])
einsum sum p<3 m<7 : total[p] += copy(weight[p,m])
einsum div p<3 m<7 : y[p,m] = div(weight[p,m], total[p])
)",
                             given);
  std::vector<double> expected;
  for (std::size_t p = 0; p < 3; ++p) {
    double total = 0.0;
    for (std::size_t m = 0; m < 7; ++m) {
      total += std::exp(given.at("x").data[p * 7 + m]);
    }
    for (std::size_t m = 0; m < 7; ++m) {
      expected.push_back(std::exp(given.at("x").data[p * 7 + m]) / total);
    }
  }
  expect_near(result.at("y"), expected);
}

/// Softmax(q k^T) v by its definition. Shapes: q (P, E), k (M, E), v (M, F).
std::vector<double> naive_attention(const Values& q, const Values& k, const Values& v) {
  const auto queries = static_cast<std::size_t>(q.shape[0]);
  const auto keys = static_cast<std::size_t>(k.shape[0]);
  const auto depth = static_cast<std::size_t>(q.shape[1]);
  const auto features = static_cast<std::size_t>(v.shape[1]);
  std::vector<double> output(queries * features, 0.0);
  for (std::size_t p = 0; p < queries; ++p) {
    std::vector<double> weight(keys, 0.0);
    double total = 0.0;
    for (std::size_t m = 0; m < keys; ++m) {
      double score = 0.0;
      for (std::size_t e = 0; e < depth; ++e) {
        score += q.data[p * depth + e] * k.data[m * depth + e];
      }
      weight[m] = std::exp(score);
      total += weight[m];
    }
    for (std::size_t m = 0; m < keys; ++m) {
      for (std::size_t f = 0; f < features; ++f) {
        output[p * features + f] += weight[m] / total * v.data[m * features + f];
      }
    }
  }
  return output;
}

TEST(Interpreter, RunsOnePassAttentionAsAnIterativeCascade) {
  // FuseMax's one-pass cascade: running maximum, denominator and numerator over blocks m1 of m0 keys.
  const Tensors given{
      {"q", random_values({3, 4}, 1)}, {"k", random_values({6, 4}, 2)}, {"v", random_values({6, 5}, 3)}};
  const std::string text = R"(workload one_pass_attention
input q activation fp32 [3,4]
input k activation fp32 [6,4]
input v activation fp32 [6,5]
tensor score activation fp32 [2,3]
tensor local_max accumulator fp32 [3]
tensor running_max accumulator fp32 [4,3]
tensor weight activation fp32 [2,3]
tensor correction activation fp32 [3]
tensor denominator accumulator fp32 [4,3]
tensor local_sum accumulator fp32 [3]
tensor numerator accumulator fp32 [4,3,5]
tensor local_product accumulator fp32 [3,5]
output y activation fp32 [3,5]
iteration m1<3
einsum start_max initial p<3 : running_max[0,p] = copy(-inf)
einsum start_denominator initial p<3 : denominator[0,p] = copy(0)
einsum start_numerator initial p<3 f<5 : numerator[0,p,f] = copy(0)
einsum scores over m1 m1<3 m0<2 p<3 e<4 : score[m0,p] += mul(q[p,e], k[2*m1+m0,e])
einsum block_max over m1 m1<3 m0<2 p<3 : local_max[p] max= copy(score[m0,p])
einsum next_max over m1 m1<3 p<3 : running_max[m1+1,p] = max(running_max[m1,p], local_max[p])
einsum weights over m1 m1<3 m0<2 p<3 : weight[m0,p] = exp_sub(score[m0,p], running_max[m1+1,p])
einsum corrections over m1 m1<3 p<3 : correction[p] = exp_sub(running_max[m1,p], running_max[m1+1,p])
einsum block_sum over m1 m1<3 m0<2 p<3 : local_sum[p] += copy(weight[m0,p])
einsum old_denominator over m1 m1<3 p<3 : denominator[m1+1,p] = mul(denominator[m1,p], correction[p])
einsum next_denominator over m1 m1<3 p<3 : denominator[m1+1,p] += copy(local_sum[p]) accumulate
einsum block_product over m1 m1<3 m0<2 p<3 f<5 : local_product[p,f] += mul(weight[m0,p], v[2*m1+m0,f])
einsum old_numerator over m1 m1<3 p<3 f<5 : numerator[m1+1,p,f] = mul(numerator[m1,p,f], correction[p])
einsum next_numerator over m1 m1<3 p<3 f<5 : numerator[m1+1,p,f] += copy(local_product[p,f]) accumulate
einsum divide final p<3 f<5 : y[p,f] = div(numerator[3,p,f], denominator[3,p])
)";
  const Tensors result = run(text, given);
  expect_near(result.at("y"), naive_attention(given.at("q"), given.at("k"), given.at("v")));
}

TEST(Interpreter, IterationsFoldInPlaceWithAccumulate) {
  const Tensors given{{"x", random_values({4}, 1)}};
  const Tensors result = run(R"(workload horner
input x activation fp32 [4]
output y activation fp32 [1]
iteration i<4
einsum start initial : y[0] = copy(1)
einsum double over i i<4 : y[0] = mul(y[0], 2)
einsum add over i i<4 : y[0] += copy(x[i]) accumulate
)",
                             given);
  double expected = 1.0;
  for (const double value : given.at("x").data) {
    expected = expected * 2.0 + value;
  }
  expect_near(result.at("y"), {expected});
}

TEST(Interpreter, ComputesLayerNorm) {
  const Tensors given{{"x", random_values({2, 6}, 1)}, {"g", random_values({6}, 2)}, {"b", random_values({6}, 3)}};
  const Tensors result = run(R"(workload layer_norm
input x activation fp32 [2,6]
tensor g weight fp32 [6]
tensor b weight fp32 [6]
tensor mean accumulator fp32 [2]
tensor centred activation fp32 [2,6]
tensor variance accumulator fp32 [2]
tensor shifted accumulator fp32 [2]
tensor inverse accumulator fp32 [2]
tensor scaled activation fp32 [2,6]
output y activation fp32 [2,6]
einsum mean t<2 e<6 : mean[t] += 0.16666666666666666 * copy(x[t,e])
einsum centre t<2 e<6 : centred[t,e] = sub(x[t,e], mean[t])
einsum variance t<2 e<6 : variance[t] += 0.16666666666666666 * mul(centred[t,e], centred[t,e])
einsum shift t<2 : shifted[t] = add(variance[t], 1e-6)
einsum inverse t<2 : inverse[t] = rsqrt(shifted[t])
einsum scale t<2 e<6 : scaled[t,e] = mul(centred[t,e], inverse[t], g[e])
einsum add t<2 e<6 : y[t,e] = add(scaled[t,e], b[e])
)",
                             given);
  std::vector<double> expected;
  for (std::size_t t = 0; t < 2; ++t) {
    double mean = 0.0;
    double square = 0.0;
    for (std::size_t e = 0; e < 6; ++e) {
      mean += given.at("x").data[t * 6 + e] / 6.0;
    }
    for (std::size_t e = 0; e < 6; ++e) {
      square += std::pow(given.at("x").data[t * 6 + e] - mean, 2.0) / 6.0;
    }
    for (std::size_t e = 0; e < 6; ++e) {
      expected.push_back((given.at("x").data[t * 6 + e] - mean) / std::sqrt(square + 1e-6) * given.at("g").data[e] +
                         given.at("b").data[e]);
    }
  }
  expect_near(result.at("y"), expected);
}

/// y = combine(a, b) for scalars.
double combined(const std::string& combine, const std::vector<double>& operands) {
  std::string text = "workload w\noutput y activation fp32 []\neinsum e : y[] = " + combine + "(";
  for (std::size_t i = 0; i < operands.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(operands[i]);
  }
  return run(text + ")\n", {}).at("y").data[0];
}

TEST(Interpreter, CombinesByDefinition) {
  EXPECT_DOUBLE_EQ(combined("copy", {3.0}), 3.0);
  EXPECT_DOUBLE_EQ(combined("add", {1.0, 2.0, 4.0}), 7.0);
  EXPECT_DOUBLE_EQ(combined("sub", {1.0, 4.0}), -3.0);
  EXPECT_DOUBLE_EQ(combined("mul", {2.0, 3.0, 4.0}), 24.0);
  EXPECT_DOUBLE_EQ(combined("div", {1.0, 4.0}), 0.25);
  EXPECT_DOUBLE_EQ(combined("max", {1.0, 5.0, 3.0}), 5.0);
  EXPECT_DOUBLE_EQ(combined("min", {4.0, 2.0, 3.0}), 2.0);
  EXPECT_DOUBLE_EQ(combined("exp", {1.5}), std::exp(1.5));
  EXPECT_DOUBLE_EQ(combined("exp_sub", {1.5, 2.0}), std::exp(-0.5));
  EXPECT_DOUBLE_EQ(combined("sqrt", {2.25}), 1.5);
  EXPECT_DOUBLE_EQ(combined("rsqrt", {4.0}), 0.5);
  EXPECT_DOUBLE_EQ(combined("round", {-1.75}), -2.0);
  EXPECT_DOUBLE_EQ(combined("round", {2.5}), 2.0);
  EXPECT_DOUBLE_EQ(combined("relu", {-1.0}), 0.0);
  EXPECT_DOUBLE_EQ(combined("relu", {2.0}), 2.0);
  EXPECT_DOUBLE_EQ(combined("relu6", {7.0}), 6.0);
  EXPECT_DOUBLE_EQ(combined("hard_swish", {1.0}), 4.0 / 6.0);
  EXPECT_DOUBLE_EQ(combined("hard_swish", {-4.0}), 0.0);
  EXPECT_DOUBLE_EQ(combined("hard_swish", {5.0}), 5.0);
  EXPECT_NEAR(combined("gelu", {1.0}), 0.8413447460685429, 1e-15);  // 1 * Phi(1)
  EXPECT_DOUBLE_EQ(combined("sigmoid", {0.0}), 0.5);
  EXPECT_DOUBLE_EQ(combined("tanh", {0.5}), std::tanh(0.5));
  EXPECT_DOUBLE_EQ(combined("equal_select", {2.0, 2.0, 9.0}), 9.0);
  EXPECT_DOUBLE_EQ(combined("equal_select", {2.0, 3.0, 9.0}), 0.0);
}

TEST(Interpreter, GradientsAreThoseOfTheActivations) {
  constexpr double kStep = 1e-4;
  for (const std::string name : {"relu", "relu6", "hard_swish", "gelu"}) {
    for (const double a : {-4.0, -1.5, -0.25, 0.5, 2.0, 4.5, 7.0}) {
      const double slope = (combined(name, {a + kStep}) - combined(name, {a - kStep})) / (2.0 * kStep);
      EXPECT_NEAR(combined(name + "_grad", {a, 3.0}), 3.0 * slope, 2e-3) << name << " at " << a;
    }
  }
}

TEST(Interpreter, ReductionsStartFromTheirNeutralElement) {
  const Tensors result = run(R"(workload w
input x activation fp32 [3]
output low activation fp32 []
output high activation fp32 []
output total activation fp32 []
einsum low i<3 : low[] min= copy(x[i])
einsum high i<3 : high[] max= copy(x[i])
einsum total i<3 : total[] += copy(x[i])
)",
                             {{"x", {{3}, {-5.0, -7.0, -6.0}}}});
  expect_near(result.at("low"), {-7.0});
  expect_near(result.at("high"), {-5.0});
  expect_near(result.at("total"), {-18.0});
}

TEST(Interpreter, AnEinsumLeavesElementsThatItDoesNotWrite) {
  const Tensors result = run(R"(workload concatenation
input a activation fp32 [2]
input b activation fp32 [3]
output y activation fp32 [6]
einsum first i<2 : y[i] = copy(a[i])
einsum second i<3 : y[i+2] += copy(b[i])
)",
                             {{"a", {{2}, {1.0, 2.0}}}, {"b", {{3}, {3.0, 4.0, 5.0}}}});
  const std::vector<double>& y = result.at("y").data;
  EXPECT_EQ(std::vector<double>(y.begin(), y.begin() + 5), (std::vector<double>{1.0, 2.0, 3.0, 4.0, 5.0}));
  EXPECT_TRUE(std::isnan(y[5])) << "never written";
}

TEST(Interpreter, StatesMayBeReadAndUpdated) {
  const Tensors result = run(R"(workload running
input x activation fp32 []
output mean state fp32 []
einsum decay : mean[] = mul(mean[], 0.9)
einsum add : mean[] += 0.1 * copy(x[]) accumulate
)",
                             {{"x", {{}, {5.0}}}, {"mean", {{}, {1.0}}}});
  expect_near(result.at("mean"), {1.4});
}

TEST(Interpreter, FindsTheFirstLargestElement) {
  const Tensors result = run(R"(workload argmax
input x activation fp32 [2,4]
output y activation int32 [2]
einsum pick n<2 c<4 : y[n] = opaque argmax(x[n,c]) operations 8 reads 8 writes 2
)",
                             {{"x", {{2, 4}, {1.0, 9.0, 9.0, 2.0, 7.0, 3.0, 5.0, 6.0}}}});
  expect_near(result.at("y"), {1.0, 0.0});
}

TEST(Interpreter, RanksTheLargestElementsAndGathersThem) {
  const Tensors result = run(R"(workload route
input x activation fp32 [2,4]
tensor index activation int32 [2,3]
output value activation fp32 [2,3]
einsum rank n<2 j<3 c<4 : index[n,j] = opaque top_k(x[n,c]) operations 24 reads 8 writes 6
einsum fetch n<2 j<3 c<4 : value[n,j] = opaque gather(index[n,j], x[n,c]) operations 6 reads 12 writes 6
)",
                             {{"x", {{2, 4}, {1.0, 9.0, 9.0, 2.0, 7.0, 3.0, 5.0, 6.0}}}});
  expect_near(result.at("index"), {1.0, 2.0, 3.0, 0.0, 3.0, 2.0});
  expect_near(result.at("value"), {9.0, 9.0, 2.0, 7.0, 6.0, 5.0});
}

TEST(Interpreter, GathersRowsAndPadsWhereThereIsNone) {
  const Tensors result = run(R"(workload embed
input token activation int32 [3]
tensor table weight fp32 [2,2]
output y activation fp32 [3,2]
einsum look_up t<3 e<2 r<2 : y[t,e] = opaque gather(token[t], table[r,e]) operations 0 reads 9 writes 6 padding -1
)",
                             {{"token", {{3}, {1.0, 0.0, 2.0}}}, {"table", {{2, 2}, {1.0, 2.0, 3.0, 4.0}}}});
  expect_near(result.at("y"), {3.0, 4.0, 1.0, 2.0, -1.0, -1.0});
}

TEST(Interpreter, ScatteredRowsAddUpAndRowsThatNobodyNamesAreZero) {
  const Tensors result = run(R"(workload gradient
input token activation int32 [2,2]
input dy gradient fp32 [2,2,2]
output dtable gradient fp32 [4,2]
einsum add r<4 e<2 n<2 t<2 : dtable[r,e] = opaque scatter_add(token[n,t], dy[n,t,e]) operations 8 reads 8 writes 8
)",
                             {{"token", {{2, 2}, {3.0, 0.0, 3.0, 9.0}}},
                              {"dy", {{2, 2, 2}, {1.0, 2.0, 10.0, 20.0, 100.0, 200.0, 1000.0, 2000.0}}}});
  expect_near(result.at("dtable"), {10.0, 20.0, 0.0, 0.0, 0.0, 0.0, 101.0, 202.0});
}

TEST(Interpreter, AScatterMayAddToWhatIsThere) {
  const Tensors result = run(R"(workload add
input token activation int32 [3]
input dy gradient fp32 [3]
output y gradient fp32 [2]
einsum ones r<2 : y[r] = copy(1)
einsum add r<2 n<3 : y[r] += opaque scatter_add(token[n], dy[n]) operations 3 reads 3 writes 3 accumulate
)",
                             {{"token", {{3}, {1.0, 1.0, -1.0}}}, {"dy", {{3}, {10.0, 20.0, 40.0}}}});
  expect_near(result.at("y"), {1.0, 31.0});
}

TEST(Interpreter, AQueueHoldsTheRowsThatNameAValueInTheirOrder) {
  // Rows are (n, t); the second and the fourth hold a 2, and the fourth twice.
  const Tensors result = run(R"(workload queue
input picks activation int32 [2,2,2]
output y activation int32 [4]
einsum queue i<4 n<2 t<2 j<2 : y[i] = opaque queue(picks[n,t,j], 2) operations 4 reads 8 writes 4
)",
                             {{"picks", {{2, 2, 2}, {0.0, 1.0, 1.0, 2.0, 0.0, 0.0, 2.0, 2.0}}}});
  expect_near(result.at("y"), {1.0, 3.0, -1.0, -1.0});
}

constexpr const char* kCopy = R"(workload w
input x activation fp32 [2,2]
tensor t activation fp32 [2,2]
output y activation fp32 [2,2]
einsum half i<2 : t[0,i] = copy(x[0,i])
einsum all i<2 j<2 : y[i,j] = copy(t[i,j])
)";

TEST(Interpreter, RefusesToReadWhatWasNotWritten) {
  EXPECT_EQ(error_of(kCopy, {{"x", random_values({2, 2}, 1)}}), "einsum \"all\" reads t[1,0] before it is written");
}

TEST(Interpreter, RefusesToAccumulateOntoNothing) {
  EXPECT_EQ(error_of("workload w\noutput y activation fp32 [2]\neinsum s : y[0] = copy(1)\n"
                     "einsum e i<2 : y[i] += copy(1) accumulate\n",
                     {}),
            "einsum \"e\" reads y[1] before it is written");
}

TEST(Interpreter, RefusesTensorsThatDoNotFit) {
  EXPECT_EQ(error_of(kCopy, {}), "tensor \"x\" is missing");
  EXPECT_THAT(error_of(kCopy, {{"x", random_values({4}, 1)}}), HasSubstr("has shape [2,2], given is [4]"));
  EXPECT_THAT(error_of(kCopy, {{"x", {{2, 2}, {1.0}}}}), HasSubstr("with 1 numbers"));
  EXPECT_THAT(error_of(kCopy, {{"x", random_values({2, 2}, 1)}, {"t", random_values({2, 2}, 1)}}),
              HasSubstr("\"t\" is given, but is neither"));
  EXPECT_THAT(error_of(kCopy, {{"x", random_values({2, 2}, 1)}, {"q", random_values({2, 2}, 1)}}),
              HasSubstr("\"q\" is given, but the workload has none"));
}

TEST(Interpreter, RefusesOpaqueKindsThatItDoesNotKnow) {
  EXPECT_EQ(error_of("workload w\noutput y activation fp32 [1]\n"
                     "einsum e : y[0] = opaque sort(1) operations 1 reads 1 writes 1\n",
                     {}),
            "einsum \"e\": opaque kind \"sort\" cannot be executed; known: argmax, gather, queue, scatter_add, top_k");
}

TEST(Interpreter, RefusesToRankMoreThanThereIs) {
  EXPECT_EQ(error_of("workload w\ninput x activation fp32 [2]\noutput y activation fp32 [3]\n"
                     "einsum e j<3 c<2 : y[j] = opaque top_k(x[c]) operations 1 reads 1 writes 1\n",
                     {{"x", {{2}, {1.0, 2.0}}}}),
            "einsum \"e\" asks for value 3 of 2");
}

TEST(Interpreter, RefusesMalformedWorkloads) {
  Workload workload = parse_workload(kCopy);
  workload.einsums[0].loops[0].extent = 0;
  const auto result = interpret(workload, {{"x", random_values({2, 2}, 1)}});
  ASSERT_FALSE(result.has_value());
  EXPECT_THAT(result.error(), HasSubstr("extent 0, allowed: at least 1"));
}

}  // namespace
}  // namespace cosearch::ir
