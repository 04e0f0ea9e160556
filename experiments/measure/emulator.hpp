#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Exported C projects (experiments/export/c) run in QEMU.
namespace cosearch {

/// A program that a machine needs and the Debian package that has it.
struct NeededProgram {
  std::string_view name;
  std::string_view package;
};

/// A core that exported projects can be built for and QEMU can run.
struct EmulatedMachine {
  std::string_view name;  ///< CPU of the project's Makefile
  std::string_view summary;
  std::span<const NeededProgram> programs;
};
/// Sorted by name.
[[nodiscard]] std::span<const EmulatedMachine> emulated_machines();

/// What the project's test program and its linker tell.
struct EmulatorReport {
  std::int64_t instructions = 0;  ///< of one inference, the most of all test vectors; exact to one
  std::int64_t arena_bytes = 0;   ///< one past the highest byte of the arena that an inference writes
  std::int64_t stack_bytes = 0;   ///< below the test program's main
  std::int64_t vectors = 0;
  std::int64_t passed = 0;      ///< test vectors whose outputs are all equal to the reference's
  std::int64_t code_bytes = 0;  ///< with the test program and constants of the C library
  std::int64_t weight_bytes = 0;
  std::int64_t data_bytes = 0;          ///< initialised variables
  std::int64_t bss_bytes = 0;           ///< others, without the arena
  std::int64_t arena_size_bytes = 0;    ///< as linked
  std::vector<std::string> mismatches;  ///< a line for each vector that differs
};

struct EmulatorOptions {
  std::chrono::seconds timeout{600};        ///< for building and for running, each
  std::vector<std::string> make_variables;  ///< e.g. "KERNELS_BUILD=/tmp/kernels"
};

/// Packages of programs that the machine needs and PATH does not have.
[[nodiscard]] std::vector<std::string> missing_packages(const EmulatedMachine& machine);

/// Builds the project in `directory` and runs its test vectors on machine `name`.
/// @throws ConfigError for an unknown machine, or naming the packages that are missing.
/// @throws std::runtime_error with the compiler's or the program's words where it does not build or does not end well;
/// wrong outputs are no error.
[[nodiscard]] EmulatorReport run_in_emulator(const std::string& directory, const std::string& name,
                                             const EmulatorOptions& options = {});

}  // namespace cosearch
