#pragma once

#include <cstdint>
#include <string>

#include "experiments/export/c/project.hpp"

/// model.h and model.c; internal to experiments/export/c.
namespace cosearch::c_export {

/// The network as one C function on one static arena.
struct ModelText {
  File header;
  File source;
};
[[nodiscard]] ModelText model_text(const Project& project);

/// The call during which most of the arena is in use.
[[nodiscard]] const std::string& fullest_call(const Project& project);
/// Elements of one input: int8, int32 or float.
[[nodiscard]] std::int64_t input_elements(const Project& project);
/// C type of the input's elements.
[[nodiscard]] std::string input_type(const Project& project);
/// C type of the outputs' elements.
[[nodiscard]] std::string output_type(const Project& project);
[[nodiscard]] bool is_float(const Project& project);
[[nodiscard]] bool streams_input(const Project& project);

}  // namespace cosearch::c_export
