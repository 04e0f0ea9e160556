#pragma once

#include <vector>

/// A mixture's experts with prefetched weights, cycle by cycle: the oracle of hwmodels/asic/expert_prefetch.hpp.
namespace cosearch::testing {

/// Einsums that work together, as the simulation knows them: whole cycles.
struct Together {
  int first_memory = 0;  ///< of the first einsum, before `serial` begins
  int memory = 0;        ///< of all
  int first_others = 0;
  int others = 0;
  int serial = 0;
  int weights = 0;  ///< among `memory`
  int first_weights = 0;
  int buffer = 0;
};
using Experts = std::vector<std::vector<Together>>;

[[nodiscard]] int all_weights(const std::vector<Together>& groups);

/// Cycles of all experts; of the weights of expert i at most `limits[i]` cycles come ahead, at once when the memory is
/// idle. What is waited for comes before the rest.
[[nodiscard]] int simulated(const Experts& experts, const std::vector<int>& limits);

}  // namespace cosearch::testing
