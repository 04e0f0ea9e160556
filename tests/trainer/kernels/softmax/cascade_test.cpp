// The softmax kernels against the cascades that define them: the same order of passes as extended einsums over rows r
// and elements i, executed by the workload's interpreter in double precision.
#include <gtest/gtest.h>

#include <array>
#include <map>

#include "spaces/base/rng.hpp"
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

constexpr const char* kThreePassReload = R"(workload three_pass_reload
input x activation fp32 [3,40]
tensor maximum accumulator fp32 [3]
tensor sum accumulator fp32 [3]
tensor exponential activation fp32 [3,40]
output y activation fp32 [3,40]
einsum maximum r<3 i<40 : maximum[r] max= copy(x[r,i])
einsum exponential r<3 i<40 : exponential[r,i] = exp_sub(x[r,i], maximum[r])
einsum sum r<3 i<40 : sum[r] += copy(exponential[r,i])
einsum divide r<3 i<40 : y[r,i] = div(exponential[r,i], sum[r])
)";

/// e^x = m * 2^n with n = round(x / ln 2); (m, n) of the sum starts at (0, -inf).
constexpr const char* kTwoPass = R"(workload two_pass
input x activation fp32 [3,40]
tensor quotient activation fp32 [3]
tensor exponent activation fp32 [3]
tensor whole activation fp32 [3]
tensor mantissa activation fp32 [3]
tensor larger activation fp32 [3]
tensor sum_shift activation fp32 [3]
tensor sum_factor activation fp32 [3]
tensor term_shift activation fp32 [3]
tensor term_factor activation fp32 [3]
tensor sum_m accumulator fp32 [3]
tensor sum_n accumulator fp32 [3]
tensor quotients activation fp32 [3,40]
tensor exponents activation fp32 [3,40]
tensor wholes activation fp32 [3,40]
tensor mantissas activation fp32 [3,40]
tensor shares activation fp32 [3,40]
tensor shifts activation fp32 [3,40]
tensor factors activation fp32 [3,40]
output y activation fp32 [3,40]
iteration i<40
einsum start_m initial r<3 : sum_m[r] = copy(0)
einsum start_n initial r<3 : sum_n[r] = copy(-inf)
einsum quotient over i i<40 r<3 : quotient[r] = 1.4426950408889634 * copy(x[r,i])
einsum exponent over i i<40 r<3 : exponent[r] = round(quotient[r])
einsum whole over i i<40 r<3 : whole[r] = 0.6931471805599453 * copy(exponent[r])
einsum mantissa over i i<40 r<3 : mantissa[r] = exp_sub(x[r,i], whole[r])
einsum larger over i i<40 r<3 : larger[r] = max(sum_n[r], exponent[r])
einsum sum_shift over i i<40 r<3 : sum_shift[r] = 0.6931471805599453 * sub(sum_n[r], larger[r])
einsum sum_factor over i i<40 r<3 : sum_factor[r] = exp(sum_shift[r])
einsum term_shift over i i<40 r<3 : term_shift[r] = 0.6931471805599453 * sub(exponent[r], larger[r])
einsum term_factor over i i<40 r<3 : term_factor[r] = exp(term_shift[r])
einsum rescale over i i<40 r<3 : sum_m[r] = mul(sum_m[r], sum_factor[r])
einsum add over i i<40 r<3 : sum_m[r] += mul(mantissa[r], term_factor[r]) accumulate
einsum next_n over i i<40 r<3 : sum_n[r] = copy(larger[r])
einsum quotients final r<3 i<40 : quotients[r,i] = 1.4426950408889634 * copy(x[r,i])
einsum exponents final r<3 i<40 : exponents[r,i] = round(quotients[r,i])
einsum wholes final r<3 i<40 : wholes[r,i] = 0.6931471805599453 * copy(exponents[r,i])
einsum mantissas final r<3 i<40 : mantissas[r,i] = exp_sub(x[r,i], wholes[r,i])
einsum shares final r<3 i<40 : shares[r,i] = div(mantissas[r,i], sum_m[r])
einsum shifts final r<3 i<40 : shifts[r,i] = 0.6931471805599453 * sub(exponents[r,i], sum_n[r])
einsum factors final r<3 i<40 : factors[r,i] = exp(shifts[r,i])
einsum scale final r<3 i<40 : y[r,i] = mul(shares[r,i], factors[r,i])
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
  const char* text;
};
constexpr std::array kCascades = {Cascade{SoftmaxAlgorithm::three_pass_recompute, kThreePassRecompute},
                                  Cascade{SoftmaxAlgorithm::three_pass_reload, kThreePassReload},
                                  Cascade{SoftmaxAlgorithm::two_pass, kTwoPass},
                                  Cascade{SoftmaxAlgorithm::blocked_online, kBlockedOnline}};

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

std::vector<double> interpreted(const char* text, const std::vector<float>& x) {
  const auto result =
      ir::interpret(ir::parse_workload(text), {{"x", {{kRows, kElements}, std::vector<double>(x.begin(), x.end())}}});
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
  for (const Cascade& cascade : kCascades) {
    const std::vector<double> expected = interpreted(cascade.text, x);
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
  for (const Cascade& cascade : kCascades) {
    SCOPED_TRACE(to_string(cascade.algorithm));
    expect_close(y, interpreted(cascade.text, x));
  }
}

}  // namespace
}  // namespace cosearch::kernels
