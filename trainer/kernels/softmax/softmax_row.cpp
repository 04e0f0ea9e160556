#include "trainer/kernels/softmax/softmax_row.hpp"

#include <unistd.h>

#include <array>

#include "spaces/base/check.hpp"
#include "trainer/kernels/softmax/vector_kernels.hpp"

namespace cosearch::kernels {
namespace {

constexpr std::array kSets = {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512};

/// The processor is asked once.
const SoftmaxKernels& kernels_of(InstructionSet set) {
  static const std::array<SoftmaxKernels, kSets.size()> by_set = [] {
    std::array<SoftmaxKernels, kSets.size()> table;
    for (const InstructionSet s : kSets) {
      table.at(static_cast<std::size_t>(s)) = softmax_kernels(s);
    }
    return table;
  }();
  const SoftmaxKernels& kernels = by_set.at(static_cast<std::size_t>(set));
  COSEARCH_CHECK(kernels.row != nullptr, "this processor lacks the instruction set");
  return kernels;
}

}  // namespace

std::vector<InstructionSet> supported_instruction_sets() {
  std::vector<InstructionSet> supported;
  for (const InstructionSet set : kSets) {
    if (softmax_kernels(set).row != nullptr) {
      supported.push_back(set);
    }
  }
  return supported;
}

InstructionSet best_instruction_set() {
  static const InstructionSet best = supported_instruction_sets().back();
  return best;
}

std::string_view to_string(InstructionSet set) {
  switch (set) {
    case InstructionSet::portable:
      return "portable";
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::avx512:
      return "avx512";
  }
  COSEARCH_CHECK(false, "unknown instruction set");
}

std::string_view to_string(SoftmaxAlgorithm algorithm) {
  switch (algorithm) {
    case SoftmaxAlgorithm::three_pass_recompute:
      return "three_pass_recompute";
    case SoftmaxAlgorithm::three_pass_reload:
      return "three_pass_reload";
    case SoftmaxAlgorithm::two_pass:
      return "two_pass";
    case SoftmaxAlgorithm::blocked_online:
      return "blocked_online";
  }
  COSEARCH_CHECK(false, "unknown algorithm");
}

void softmax_row(SoftmaxMethod method, InstructionSet set, std::int64_t n, float scale, const float* x, float* y) {
  COSEARCH_CHECK(n >= 1, "a row has at least one element");
  kernels_of(set).row(method, n, scale, x, y);
}

void softmax_short_rows(InstructionSet set, std::int64_t rows, std::int64_t columns, float scale, const float* x,
                        float* y) {
  COSEARCH_CHECK(columns >= 1, "a row has at least one element");
  kernels_of(set).short_rows(rows, columns, scale, x, y);
}

void softmax_rows_backward(InstructionSet set, std::int64_t rows, std::int64_t columns, float scale, const float* y,
                           const float* dy, float* dx) {
  kernels_of(set).rows_backward(rows, columns, scale, y, dy, dx);
}

SoftmaxMethod choose_softmax_method(std::int64_t n, InstructionSet set, std::int64_t cache_bytes) {
  // While x and y stay in the cache, traffic is cheap and arithmetic counts: the two-pass algorithm evaluates every
  // exponential twice, and pays for keeping the exponents apart on top, so it loses to the one that stores and reloads.
  // Narrower vectors make arithmetic dearer still: there it pays only well into the last-level cache.
  const std::int64_t bytes = 2 * n * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t reach = set == InstructionSet::avx512 ? cache_bytes : 8 * cache_bytes;
  if (bytes <= reach) {
    return {SoftmaxAlgorithm::three_pass_reload, Stores::cached};
  }
  // y would displace x without being read again: written past the caches it costs no read of its lines first.
  return {SoftmaxAlgorithm::two_pass, Stores::non_temporal};
}

SoftmaxMethod choose_softmax_method(std::int64_t n) {
  return choose_softmax_method(n, best_instruction_set(), second_level_cache_bytes());
}

std::int64_t second_level_cache_bytes() {
  constexpr std::int64_t kFallback = std::int64_t{1} << 20;
#ifdef _SC_LEVEL2_CACHE_SIZE
  static const std::int64_t bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return bytes > 0 ? bytes : kFallback;  // 0 or -1: not known, e.g. under some hypervisors
#else
  return kFallback;
#endif
}

}  // namespace cosearch::kernels
