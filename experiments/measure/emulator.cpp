#include "experiments/measure/emulator.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <stdexcept>

#include "experiments/measure/child_process.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/registry.hpp"

namespace cosearch {
namespace {

constexpr NeededProgram kMake{"make", "make"};
constexpr std::array kArmPrograms{
    kMake,
    NeededProgram{"arm-none-eabi-gcc", "gcc-arm-none-eabi"},
    NeededProgram{"qemu-system-arm", "qemu-system-arm"},
};
constexpr std::array kRiscvPrograms{
    kMake,
    NeededProgram{"riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf"},
    NeededProgram{"qemu-system-riscv32", "qemu-system-misc"},
};
constexpr std::array kMachines{
    EmulatedMachine{"cortex-m0plus", "ARMv6-M code on MPS2 board AN385", kArmPrograms},
    EmulatedMachine{"cortex-m3", "MPS2 board AN385", kArmPrograms},
    EmulatedMachine{"cortex-m4", "MPS2 board AN386, with DSP and FPU", kArmPrograms},
    EmulatedMachine{"cortex-m55", "MPS3 board AN547, with vector extension", kArmPrograms},
    EmulatedMachine{"cortex-m7", "MPS2 board AN500, with DSP and FPU", kArmPrograms},
    EmulatedMachine{"riscv32", "RV32IMAC of the machine virt", kRiscvPrograms},
};

/// A header of a C library and the package that has it; the compilers do not depend on one.
struct NeededHeader {
  std::string_view compiler, specs, package;
};
constexpr std::array kHeaders{
    NeededHeader{"arm-none-eabi-gcc", "--specs=nano.specs", "libnewlib-arm-none-eabi"},
    NeededHeader{"riscv64-unknown-elf-gcc", "--specs=picolibc.specs", "picolibc-riscv64-unknown-elf"},
};

constexpr std::chrono::seconds kSoon{20};

ChildResult checked(const std::vector<std::string>& words, const std::string& directory, const char* what,
                    const EmulatorOptions& options) {
  ChildResult result = run_child(words, directory, options.timeout);
  if (result.timed_out) {
    throw std::runtime_error(fmt::format("{}: {} has not ended after {} s", directory, what, options.timeout.count()));
  }
  return result;
}

/// Numbers by the words before them, from lines `name value`.
std::int64_t number(const std::string& output, const std::string& name) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first;
    std::int64_t value = 0;
    if (words >> first >> value && first == name) {
      return value;
    }
  }
  throw std::runtime_error(fmt::format("the program does not tell {}; it prints:\n{}", name, output));
}

/// Bytes of a section in the output of `size -A`, 0 where there is none.
std::int64_t section(const std::string& output, const std::string& name) {
  return output.find("\n" + name + " ") == std::string::npos ? 0 : number(output, name);
}

}  // namespace

std::span<const EmulatedMachine> emulated_machines() { return kMachines; }

std::vector<std::string> missing_packages(const EmulatedMachine& machine) {
  std::vector<std::string> packages;
  for (const NeededProgram& program : machine.programs) {
    if (!has_program(std::string(program.name))) {
      packages.emplace_back(program.package);
    }
    for (const NeededHeader& header : kHeaders) {
      if (header.compiler != program.name) {
        continue;
      }
      const bool has_library =
          has_program(std::string(program.name)) && run_child({std::string(header.compiler), std::string(header.specs),
                                                               "-E", "-x", "c", "-include", "string.h", "/dev/null"},
                                                              "/", kSoon)
                                                            .exit_code == 0;
      if (!has_library) {
        packages.emplace_back(header.package);
      }
    }
  }
  return packages;
}

EmulatorReport run_in_emulator(const std::string& directory, const std::string& name, const EmulatorOptions& options) {
  const EmulatedMachine& machine = entry_named(kMachines, name, "--machine");
  if (const std::vector<std::string> packages = missing_packages(machine); !packages.empty()) {
    throw ConfigError("--machine",
                      fmt::format("\"{}\" needs the package{} {}: apt-get install {}", name,
                                  packages.size() > 1 ? "s" : "", fmt::join(packages, ", "), fmt::join(packages, " ")));
  }
  std::vector<std::string> make{"make", "--silent", "--no-print-directory", "CPU=" + name};
  make.insert(make.end(), options.make_variables.begin(), options.make_variables.end());
  const auto with_target = [&make](const char* target) {
    std::vector<std::string> words = make;
    words.emplace_back(target);
    return words;
  };
  const ChildResult build = checked(with_target("size"), directory, "the compiler", options);
  if (build.exit_code != 0) {
    throw std::runtime_error(fmt::format("{}: does not build:\n{}", directory, build.output));
  }
  const ChildResult run = checked(with_target("run"), directory, "the program", options);
  EmulatorReport report;
  report.vectors = number(run.output, "vectors");
  report.passed = number(run.output, "passed");
  report.instructions = number(run.output, "instructions");
  report.arena_bytes = number(run.output, "arena_bytes");
  report.stack_bytes = number(run.output, "stack_bytes");
  report.code_bytes = section(build.output, ".text") + section(build.output, ".ARM.exidx");
  report.weight_bytes = section(build.output, ".weights");
  report.data_bytes = section(build.output, ".data");
  report.bss_bytes = section(build.output, ".bss");
  report.arena_size_bytes = section(build.output, ".arena");
  std::istringstream lines(run.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("mismatch")) {
      report.mismatches.push_back(line);
    }
  }
  return report;
}

}  // namespace cosearch
