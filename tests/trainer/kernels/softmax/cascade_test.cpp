// The softmax kernels against the cascades that define them: the same order of passes as extended einsums, those of the
// library or over rows r and elements i, executed by the workload's interpreter in double precision.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "spaces/base/rng.hpp"
#include "spaces/cascade/library.hpp"
#include "spaces/ir/interpreter.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/softmax/softmax_row.hpp"

namespace cosearch::kernels {
namespace {

constexpr std::int64_t kRows = 3;
constexpr std::int64_t kElements = 40;

constexpr const char* kThreePassRecompute = R"(workload three_pass_recompute
input x activation fp32 [3,40]
tensor maximum accumulator fp32 [3]
tensor sum accumulator fp32 [3]
tensor exponential activation fp32 [3,40]
output y activation fp32 [3,40]
einsum maximum r<3 i<40 : maximum[r] max= copy(x[r,i])
einsum sum r<3 i<40 : sum[r] += exp_sub(x[r,i], maximum[r])
einsum exponential r<3 i<40 : exponential[r,i] = exp_sub(x[r,i], maximum[r])
einsum divide r<3 i<40 : y[r,i] = div(exponential[r,i], sum[r])
)";

/// Blocks b of 8 elements j.
constexpr const char* kBlockedOnline = R"(workload blocked_online
input x activation fp32 [3,40]
tensor block_maximum activation fp32 [3]
tensor block_sum activation fp32 [3]
tensor larger activation fp32 [3]
tensor old_factor activation fp32 [3]
tensor block_factor activation fp32 [3]
tensor maximum accumulator fp32 [3]
tensor sum accumulator fp32 [3]
tensor exponential activation fp32 [3,40]
output y activation fp32 [3,40]
iteration b<5
einsum start_maximum initial r<3 : maximum[r] = copy(-inf)
einsum start_sum initial r<3 : sum[r] = copy(0)
einsum block_maximum over b b<5 r<3 j<8 : block_maximum[r] max= copy(x[r,8*b+j])
einsum block_sum over b b<5 r<3 j<8 : block_sum[r] += exp_sub(x[r,8*b+j], block_maximum[r])
einsum larger over b b<5 r<3 : larger[r] = max(maximum[r], block_maximum[r])
einsum old_factor over b b<5 r<3 : old_factor[r] = exp_sub(maximum[r], larger[r])
einsum block_factor over b b<5 r<3 : block_factor[r] = exp_sub(block_maximum[r], larger[r])
einsum rescale over b b<5 r<3 : sum[r] = mul(sum[r], old_factor[r])
einsum add over b b<5 r<3 : sum[r] += mul(block_sum[r], block_factor[r]) accumulate
einsum next_maximum over b b<5 r<3 : maximum[r] = copy(larger[r])
einsum exponential final r<3 i<40 : exponential[r,i] = exp_sub(x[r,i], maximum[r])
einsum divide final r<3 i<40 : y[r,i] = div(exponential[r,i], sum[r])
)";

struct Cascade {
  SoftmaxAlgorithm algorithm;
  ir::Workload workload;
};

std::vector<Cascade> cascades() {
  const std::map<std::string, std::int64_t> sizes{{"P", kRows}, {"M", kElements}};
  return {{SoftmaxAlgorithm::three_pass_recompute, ir::parse_workload(kThreePassRecompute)},
          {SoftmaxAlgorithm::three_pass_reload, cascade::cascade("softmax_three_pass", sizes)},
          {SoftmaxAlgorithm::two_pass, cascade::cascade("softmax_two_pass", sizes)},
          {SoftmaxAlgorithm::blocked_online, ir::parse_workload(kBlockedOnline)}};
}

/// Rows around 0, around 500 and around -500: the exponentials of the last two do not exist in single precision.
std::vector<float> random_rows() {
  RngStream rng(20260103, Purpose::test, 0);
  std::vector<float> x;
  for (const float centre : {0.0F, 500.0F, -500.0F}) {
    for (std::int64_t i = 0; i < kElements; ++i) {
      x.push_back(centre + 4.0F * static_cast<float>(rng.normal()));
    }
  }
  return x;
}

std::vector<double> interpreted(const ir::Workload& workload, const std::vector<float>& x) {
  const auto result = ir::interpret(workload, {{"x", {{kRows, kElements}, std::vector<double>(x.begin(), x.end())}}});
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error());
  return result ? result->at("y").data : std::vector<double>(x.size());
}

void expect_close(const std::vector<float>& actual, const std::vector<double>& expected) {
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], 4e-6 * expected[i]) << "element " << i;
  }
}

TEST(SoftmaxCascade, TheInterpretedCascadeEqualsTheKernel) {
  const std::vector<float> x = random_rows();
  for (const Cascade& cascade : cascades()) {
    const std::vector<double> expected = interpreted(cascade.workload, x);
    for (const InstructionSet set : supported_instruction_sets()) {
      SCOPED_TRACE(std::string(to_string(set)) + " " + std::string(to_string(cascade.algorithm)));
      std::vector<float> y(x.size());
      for (std::int64_t r = 0; r < kRows; ++r) {
        softmax_row({cascade.algorithm, Stores::cached}, set, kElements, 1.0F, x.data() + r * kElements,
                    y.data() + r * kElements);
      }
      expect_close(y, expected);
    }
  }
}

TEST(SoftmaxCascade, AllCascadesEqualTheKernelOfAttention) {
  const std::vector<float> x = random_rows();
  std::vector<float> y(x.size());
  softmax(kRows, kElements, 1.0F, x.data(), y.data());
  for (const Cascade& cascade : cascades()) {
    SCOPED_TRACE(to_string(cascade.algorithm));
    expect_close(y, interpreted(cascade.workload, x));
  }
}

}  // namespace
}  // namespace cosearch::kernels
