#pragma once

#include <span>

#include "spaces/base/embedded_file.hpp"

/// Files of exported projects that do not depend on the network; internal to experiments/export/c.
namespace cosearch::c_export {

/// experiments/export/c/runtime, by their full names: the kernels.
[[nodiscard]] std::span<const EmbeddedFile> runtime_files();
/// experiments/export/c/template, by their full names: start-up code, linker script, Makefile, test program.
[[nodiscard]] std::span<const EmbeddedFile> template_files();

}  // namespace cosearch::c_export
