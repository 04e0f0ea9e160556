#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "spaces/ir/workload.hpp"

/// Inside of spaces/ir: what `validate` reports, with the place, so that the parser can name the line.
namespace cosearch::ir {

enum class ProblemPlace { workload, tensor, iteration, einsum };

struct Problem {
  ProblemPlace place = ProblemPlace::workload;
  std::size_t index = 0;  ///< of the tensor, iteration or einsum
  std::string message;
};

[[nodiscard]] std::vector<Problem> find_problems(const Workload& workload);

/// Reads of tensors or elements before anything wrote them, as far as the order of einsums and of steps tells: the
/// interpreter finds the rest. For workloads in which nothing else is wrong.
void check_order(const Workload& workload, std::vector<Problem>& problems);

/// Whether the caller provides the tensor: an input, a weight or a state.
[[nodiscard]] bool is_given(const Workload& workload, int tensor);

/// Whether some term of `access` has the loop (with a coefficient other than 0).
[[nodiscard]] bool names_loop(const Access& access, int loop) noexcept;

}  // namespace cosearch::ir
