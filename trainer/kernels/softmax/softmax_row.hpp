#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

/// The softmax of one long row in every order of passes that M. Dukhan and A. Ablavatski compare in "The Two-Pass
/// Softmax Algorithm" (arXiv:2001.04438), and a blocked online variant, for each instruction set.
///
/// A row of N floats that does not fit the caches costs memory traffic, not arithmetic. Per element and pass one
/// read or one write of 4 bytes:
///
/// | algorithm            | traffic | exponentials | passes                                                         |
/// |----------------------|---------|--------------|----------------------------------------------------------------|
/// | three_pass_recompute | 4N      | 2N           | max x; s = sum e^(x - max); y = e^(x - max) / s                |
/// | three_pass_reload    | 5N      | N            | max x; y = e^(x - max) and s = sum y; y = y / s                |
/// | two_pass             | 3N      | 2N           | (m, n) with m 2^n = sum e^x; y = e^x / (m 2^n)                 |
/// | blocked_online       | 3N      | 2N           | max and sum of e^(x - max) by blocks, merged; y = e^(x - max) / s
/// |
namespace cosearch::kernels {

enum class SoftmaxAlgorithm { three_pass_recompute, three_pass_reload, two_pass, blocked_online };

/// How the last pass writes y. Non-temporal stores go past the caches: no line is read before it is overwritten, and
/// none is left there for the next reader.
enum class Stores { cached, non_temporal };

struct SoftmaxMethod {
  SoftmaxAlgorithm algorithm = SoftmaxAlgorithm::three_pass_reload;
  Stores stores = Stores::cached;
  bool operator==(const SoftmaxMethod&) const = default;
};

/// `portable` is what the compiler makes of plain loops.
enum class InstructionSet { portable, avx2, avx512 };
/// Those that this processor runs, worst first; `portable` is always there.
[[nodiscard]] std::vector<InstructionSet> supported_instruction_sets();
[[nodiscard]] InstructionSet best_instruction_set();
[[nodiscard]] std::string_view to_string(InstructionSet set);
[[nodiscard]] std::string_view to_string(SoftmaxAlgorithm algorithm);

/// y = softmax(scale * x) for n >= 1 elements and scale > 0; in place allowed, any alignment of floats.
///
/// Every |scale * x| is at most 1e37 or x is -inf, whose probability is 0. A NaN, a +inf, or nothing but -inf makes the
/// whole row NaN. Elements below 2^-125 may be 0. The others' relative error is below 1e-6 plus the rounding of the
/// argument, 2^-23 * |scale * (x - max)|; for two_pass with scale 1 the argument is not rounded at all, up to |x| of
/// 1e4. Sums are in single precision within blocks of 4096 elements and in double precision over the blocks, so that
/// the error does not grow with n. The bits depend on the arguments other than method.stores, not on alignment;
/// instruction sets differ in the last places. COSEARCH_CHECK: n >= 1, `set` is supported.
void softmax_row(SoftmaxMethod method, InstructionSet set, std::int64_t n, float scale, const float* x, float* y);

/// y = softmax(scale * x) by rows of (rows, columns) with three_pass_reload, otherwise as softmax_row. Rows of up to
/// eight vectors, such as those of attention, stay in registers from load to store.
void softmax_short_rows(InstructionSet set, std::int64_t rows, std::int64_t columns, float scale, const float* x,
                        float* y);

/// dx = scale * y * (dy - sum(dy * y)) by rows of (rows, columns); in place of dy allowed.
void softmax_rows_backward(InstructionSet set, std::int64_t rows, std::int64_t columns, float scale, const float* y,
                           const float* dy, float* dx);

/// The fastest method for a row of n elements with a second-level cache of `cache_bytes`, as tests/bench/softmax_bench
/// measures it.
[[nodiscard]] SoftmaxMethod choose_softmax_method(std::int64_t n, InstructionSet set, std::int64_t cache_bytes);
/// For this processor and its best instruction set.
[[nodiscard]] SoftmaxMethod choose_softmax_method(std::int64_t n);

/// Bytes of one core's second-level cache by sysconf; 1 MiB where the system does not tell.
[[nodiscard]] std::int64_t second_level_cache_bytes();

}  // namespace cosearch::kernels
