// The cascades of the library, interpreted on random numbers, against naive forms of what they compute.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"
#include "spaces/cascade/library.hpp"
#include "spaces/ir/interpreter.hpp"

namespace cosearch::cascade {
namespace {

using testing::HasSubstr;
using Numbers = std::vector<double>;
using Sizes = std::map<std::string, std::int64_t>;

constexpr std::size_t kM = 24;
constexpr std::size_t kP = 5;
constexpr std::size_t kE = 7;
constexpr std::size_t kF = 3;

/// Normal numbers; `scale` spreads scores over tens, so that maxima matter.
Numbers random_numbers(std::size_t count, std::uint64_t stream, double scale = 1.0) {
  RngStream rng{20260105, Purpose::test, stream};
  Numbers numbers(count);
  for (double& number : numbers) {
    number = scale * rng.normal();
  }
  return numbers;
}

Numbers run(const std::string& name, const Sizes& sizes, const std::map<std::string, ir::Values>& inputs,
            const std::string& output) {
  const auto result = ir::interpret(cascade(name, sizes), inputs);
  EXPECT_TRUE(result.has_value()) << name << ": " << (result ? "" : result.error());
  return result ? result->at(output).data : Numbers{};
}

void expect_close(const Numbers& actual, const Numbers& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << "element " << i;
  }
}

struct Attention {
  Numbers q = random_numbers(kP * kE, 1, 3.0);
  Numbers k = random_numbers(kM * kE, 2);
  Numbers v = random_numbers(kM * kF, 3);

  [[nodiscard]] std::map<std::string, ir::Values> inputs() const {
    return {{"q", {{kP, kE}, q}}, {"k", {{kM, kE}, k}}, {"v", {{kM, kF}, v}}};
  }

  using Feature = std::function<double(double)>;
  [[nodiscard]] double score(std::size_t p, std::size_t m, const Feature& feature) const {
    double sum = 0.0;
    for (std::size_t e = 0; e < kE; ++e) {
      sum += feature(q[p * kE + e]) * feature(k[m * kE + e]);
    }
    return sum;
  }

  /// Rows of sum over m of weights(scores of the row)[m] * v[m].
  [[nodiscard]] Numbers forward(const Feature& feature, const std::function<void(Numbers&)>& weights) const {
    Numbers result(kP * kF, 0.0);
    for (std::size_t p = 0; p < kP; ++p) {
      Numbers row(kM);
      for (std::size_t m = 0; m < kM; ++m) {
        row[m] = score(p, m, feature);
      }
      weights(row);
      for (std::size_t m = 0; m < kM; ++m) {
        for (std::size_t f = 0; f < kF; ++f) {
          result[p * kF + f] += row[m] * v[m * kF + f];
        }
      }
    }
    return result;
  }
};

void normalize(Numbers& row) {
  double sum = 0.0;
  for (const double value : row) {
    sum += value;
  }
  for (double& value : row) {
    value /= sum;
  }
}

void softmax(Numbers& row) {
  const double largest = *std::max_element(row.begin(), row.end());
  for (double& value : row) {
    value = std::exp(value - largest);
  }
  normalize(row);
}

double same(double value) { return value; }

const Sizes kAttentionSizes{{"M", kM}, {"P", kP}, {"E", kE}, {"F", kF}};

TEST(CascadeLibrary, SoftmaxAttentionsEqualTheNaiveOne) {
  const Attention attention;
  const Numbers expected = attention.forward(same, softmax);
  for (const char* name : {"attention_three_pass", "attention_deferred", "softmax_unstable"}) {
    SCOPED_TRACE(name);
    expect_close(run(name, kAttentionSizes, attention.inputs(), "av"), expected, 1e-12);
  }
  for (const char* name : {"attention_two_pass", "attention_one_pass"}) {
    for (const std::int64_t block : {1, 4, 8, 24}) {
      SCOPED_TRACE(name + std::string(", M0 = ") + std::to_string(block));
      Sizes sizes = kAttentionSizes;
      sizes["M0"] = block;
      expect_close(run(name, sizes, attention.inputs(), "av"), expected, 1e-12);
    }
  }
}

TEST(CascadeLibrary, TheOnePassAttentionKeepsScoresThatOverflowWithoutAMaximum) {
  Attention attention;
  for (double& value : attention.q) {
    value *= 300.0;
  }
  Sizes sizes = kAttentionSizes;
  const Numbers unstable = run("softmax_unstable", sizes, attention.inputs(), "av");
  EXPECT_TRUE(std::any_of(unstable.begin(), unstable.end(), [](double value) { return !std::isfinite(value); }));
  sizes["M0"] = 8;
  expect_close(run("attention_one_pass", sizes, attention.inputs(), "av"), attention.forward(same, softmax), 1e-12);
}

TEST(CascadeLibrary, LinearAndSigmoidAttentionEqualTheirNaiveForms) {
  Attention attention;
  attention.q[0] = 1.0;  // the features of no row are all 0
  for (std::size_t p = 0; p < kP; ++p) {
    attention.q[p * kE] = std::abs(attention.q[p * kE]);
  }
  const auto relu = [](double value) { return std::max(value, 0.0); };
  expect_close(run("attention_linear", kAttentionSizes, attention.inputs(), "av"), attention.forward(relu, normalize),
               1e-12);
  const auto sigmoid = [](Numbers& row) {
    for (double& value : row) {
      value = 1.0 / (1.0 + std::exp(-value));
    }
  };
  expect_close(run("attention_sigmoid", kAttentionSizes, attention.inputs(), "av"), attention.forward(same, sigmoid),
               1e-12);
}

/// `rows` applied to each row of x[p,m].
Numbers by_rows(Numbers x, const std::function<void(Numbers&)>& rows) {
  for (auto begin = x.begin(); begin != x.end(); begin += kM) {
    Numbers row(begin, begin + kM);
    rows(row);
    std::copy(row.begin(), row.end(), begin);
  }
  return x;
}

TEST(CascadeLibrary, SoftmaxesEqualTheNaiveOneWhereverTheRowsLie) {
  Numbers x = random_numbers(kP * kM, 4, 4.0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] += i / kM == 1 ? 2000.0 : i / kM == 2 ? -2000.0 : 0.0;
  }
  for (const char* name : {"softmax_three_pass", "softmax_two_pass"}) {
    SCOPED_TRACE(name);
    const Numbers y = run(name, {{"M", kM}, {"P", kP}}, {{"x", {{kP, kM}, x}}}, "y");
    expect_close(y, by_rows(x, softmax), 1e-12);
  }
}

TEST(CascadeLibrary, LayerNormsEqualTheNaiveOne) {
  const Numbers x = random_numbers(kP * kM, 5, 2.0);
  const Numbers expected = by_rows(x, [](Numbers& row) {
    double mean = 0.0;
    double variance = 0.0;
    for (const double value : row) {
      mean += value / static_cast<double>(kM);
    }
    for (const double value : row) {
      variance += (value - mean) * (value - mean) / static_cast<double>(kM);
    }
    for (double& value : row) {
      value = (value - mean) / std::sqrt(variance + 1e-5);
    }
  });
  for (const char* name : {"layer_norm_three_pass", "layer_norm_two_pass"}) {
    SCOPED_TRACE(name);
    expect_close(run(name, {{"M", kM}, {"P", kP}}, {{"x", {{kP, kM}, x}}}, "y"), expected, 1e-12);
  }
}

TEST(CascadeLibrary, TheExamplesAgree) {
  const Numbers a = random_numbers(kM, 6);
  const Numbers b = random_numbers(kM, 7);
  double product = 0.0;
  double sum = 0.0;
  for (std::size_t m = 0; m < kM; ++m) {
    product += a[m] * b[m];
    sum += a[m];
  }
  for (const char* name : {"example_two_pass", "example_deferred", "example_iterative"}) {
    SCOPED_TRACE(name);
    expect_close(run(name, {{"M", kM}}, {{"a", {{kM}, a}}, {"b", {{kM}, b}}}, "z"), {product * sum}, 1e-11);
  }
}

TEST(CascadeLibrary, EntriesAreSortedNamedLikeTheirWorkloadAndKeepTheConventions) {
  const auto& registry = cascade_registry();
  EXPECT_EQ(registry.size(), 14U);
  EXPECT_TRUE(std::is_sorted(registry.begin(), registry.end(),
                             [](const CascadeEntry& a, const CascadeEntry& b) { return a.name < b.name; }));
  for (const CascadeEntry& entry : registry) {
    SCOPED_TRACE(entry.name);
    EXPECT_TRUE(entry.text.starts_with("# "));
    EXPECT_GT(entry.summary.size(), 20U);
    const ir::Workload workload = cascade(std::string(entry.name));
    EXPECT_EQ(workload.name, entry.name);
    EXPECT_EQ(ir::parse_workload(ir::to_text(workload)), workload);
    for (const ir::Tensor& tensor : workload.tensors) {
      EXPECT_EQ(tensor.kind, ir::TensorKind::activation) << tensor.name;
      EXPECT_EQ(tensor.type, ir::ElementType::fp16) << tensor.name;
    }
  }
}

std::string refusal(const std::string& name, const Sizes& sizes) {
  try {
    (void)cascade(name, sizes);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "parsed";
}

TEST(CascadeLibrary, UnknownNamesAndSizesAreRefused) {
  EXPECT_THAT(refusal("attention_onepass", {}), HasSubstr("did you mean \"attention_one_pass\"?"));
  EXPECT_THAT(refusal("attention_one_pass", {{"N", 3}}), HasSubstr("cascade:attention_one_pass: size N: "));
  EXPECT_THAT(refusal("attention_one_pass", {{"M", 1000}}),
              HasSubstr("cascade:attention_one_pass: line 5: 1000 / 256"));
  EXPECT_THAT(refusal("attention_one_pass", {{"M1", 2}}), HasSubstr("follows from others"));
}

}  // namespace
}  // namespace cosearch::cascade
