#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

/// In which order the operators of a network run decides which of its tensors are alive together.
namespace cosearch::program {

/// One operator with what is fused into it, and the tensor that it computes.
struct Operation {
  std::vector<int> inputs = {};    ///< operations whose tensors it reads, all earlier ones; none: there from the start
  std::int64_t bytes = 0;          ///< of its tensor
  std::int64_t scratch_bytes = 0;  ///< alive while it runs only; unused by those without inputs
  bool kept = false;               ///< its tensor lives to the end
  std::vector<int> overwrites = {};  ///< inputs in whose place its tensor may lie where one of them dies here
};

/// Largest sum of live bytes over the operations in `order`. A tensor lives from the operation that computes it to the
/// last one that reads it, one that overwrites another counts once with the larger size; one that nobody reads and that
/// is not kept dies at once.
[[nodiscard]] std::int64_t peak_bytes(const std::vector<Operation>& operations, const std::vector<int>& order);

/// States that the search of an order may visit: a fraction of a second.
inline constexpr std::size_t kMostOrderStates = 50'000;

/// An order with the smallest peak: 0, 1, ... where no other is better. Exact: a best-first search over the sets of
/// operations done, on which alone what is alive depends (E. Liberis and N. D. Lane, "Neural networks on
/// microcontrollers: saving memory at inference via operator reordering", 2019). Nothing where more than `most_states`
/// sets would have to be visited. Deterministic.
[[nodiscard]] std::optional<std::vector<int>> smallest_peak_order(const std::vector<Operation>& operations,
                                                                  std::size_t most_states = kMostOrderStates);

}  // namespace cosearch::program
