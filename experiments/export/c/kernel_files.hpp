#pragma once

#include <string>
#include <vector>

#include "experiments/export/c/project.hpp"

/// Which kernels a project holds; internal to experiments/export/c.
namespace cosearch::c_export {

/// What calls of each kind need from experiments/export/c/runtime, sorted; without headers.
[[nodiscard]] std::vector<std::string> kernel_files(const Project& project);

}  // namespace cosearch::c_export
