#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Programs in C on an emulated microcontroller: QEMU's mps2-an386 (a Cortex-M4), counted in instructions.
namespace cosearch::testing_support {

/// Why nothing can run here, with the packages that lack; nothing where it can.
[[nodiscard]] std::optional<std::string> missing_emulator();

struct EmulatedProgram {
  std::vector<std::string> sources;   ///< files of tests/experiments/export/c or the runtime; the start-up is added
  std::string flags;                  ///< of the compiler: core, optimisation, definitions
  std::string generated_header = {};  ///< text of `layers.h`
};
/// Builds and runs it; the numbers that it printed. A test failure, and no numbers, where it does not build or end.
[[nodiscard]] std::vector<std::uint32_t> run_emulated(const EmulatedProgram& program);

}  // namespace cosearch::testing_support
