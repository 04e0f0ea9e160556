#pragma once

#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

namespace cosearch {

/// `bf16`, `fp16`, `fp32`, `int8`: what a job's networks are stored and computed in.
[[nodiscard]] std::vector<std::string> data_type_names();
/// int8: int32 accumulators; the others accumulate in fp32. @throws ConfigError (place `place`) for another name.
[[nodiscard]] graph::DataTypes data_types(const std::string& name, const std::string& place);

}  // namespace cosearch
