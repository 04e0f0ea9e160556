#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::ir {

/// Dense tensor in double precision, row-major.
struct Values {
  std::vector<std::int64_t> shape;
  std::vector<double> data;
};

/// Executes the workload einsum by einsum in double precision, whatever the element types, by the definition and
/// without any optimisation: the oracle of lowerings and cascades. `given` holds by tensor name all inputs, and the
/// weights and states that no einsum writes (a written one, say a running mean, may be given); every other tensor
/// starts undefined, and reading an element before it is written is an error.
/// Returns all tensors; elements that were never written are NaN.
/// The error is one line: the first thing that `validate` finds, a missing, unknown or misshapen tensor, an element
/// read before it is written, an opaque einsum of an unknown kind.
[[nodiscard]] Expected<std::map<std::string, Values>, std::string> interpret(
    const Workload& workload, const std::map<std::string, Values>& given);

}  // namespace cosearch::ir
