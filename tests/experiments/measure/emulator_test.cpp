#include "experiments/measure/emulator.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"
#include "tests/experiments/export/exported_network.hpp"
#include "tests/experiments/tiny_campaign.hpp"
#include "tests/oracle/random_network.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::export_random;
using testing_support::ExportedNetwork;
using testing_support::memory_variants;
using testing_support::small_network_of;
using testing_support::TemporaryFolder;
using testing_support::write_below;

/// Why the machine cannot run here; empty where it can.
std::string missing(const std::string& name) {
  for (const EmulatedMachine& machine : emulated_machines()) {
    if (machine.name == name) {
      const std::vector<std::string> packages = missing_packages(machine);
      return packages.empty() ? "" : fmt::format("packages are missing: {}", fmt::join(packages, " "));
    }
  }
  return "no such machine";
}

/// Projects whose kernels are compiled once for all.
class Projects {
 public:
  void add(const graph::NetworkGraph& graph, std::uint64_t seed, const program::LoweringOptions& options) {
    networks_.push_back(export_random(graph, seed, options));
    folders_.push_back(write_below(networks_.back()->project, folder_.file(""), fmt::format("{}", networks_.size())));
  }

  /// All reports, two projects at a time.
  [[nodiscard]] std::vector<EmulatorReport> run(const std::string& machine) const {
    std::vector<EmulatorReport> reports(folders_.size());
    // -O1 compiles in half the time; what is tested does not depend on it.
    const EmulatorOptions options{std::chrono::seconds{300},
                                  {"OPTIMIZE=-O1", "KERNELS_BUILD=" + folder_.file(machine)}};
    const auto kernels = static_cast<std::int64_t>(std::min<std::size_t>(7, folders_.size()));
    const auto run_one = [&](std::int64_t i) {
      const auto index = static_cast<std::size_t>(i);
      reports[index] = run_in_emulator(folders_[index], machine, options);
    };
    for (std::int64_t i = 0; i < kernels; ++i) {  // the first ones compile what the others share
      run_one(i);
    }
    for_each_parallel(static_cast<std::int64_t>(folders_.size()) - kernels,
                      [&](std::int64_t i) { run_one(kernels + i); });
    return reports;
  }

  void expect_all_right(const std::vector<EmulatorReport>& reports) const {
    for (std::size_t i = 0; i < reports.size(); ++i) {
      const c_export::Project& project = networks_[i]->project;
      SCOPED_TRACE(fmt::format("{}, network {}, {}", folders_[i], i, project.name));
      EXPECT_EQ(reports[i].passed, reports[i].vectors);
      EXPECT_THAT(reports[i].mismatches, IsEmpty());
      EXPECT_EQ(reports[i].arena_bytes, project.plan.bytes);
      EXPECT_GT(reports[i].instructions, 0);
      EXPECT_GT(reports[i].stack_bytes, 0);
    }
  }

  [[nodiscard]] const c_export::Project& project(std::size_t i) const { return networks_[i]->project; }

 private:
  TemporaryFolder folder_;
  std::vector<std::unique_ptr<ExportedNetwork>> networks_;
  std::vector<std::string> folders_;
};

constexpr std::uint64_t kNetworks = 40;

/// Of the program's constants those that are arrays; factors of concatenations are arguments.
std::int64_t stored_bytes(const program::Program& program) {
  std::int64_t bytes = program.constant_bytes();
  for (const program::KernelCall& call : program.calls) {
    const bool first_patch = call.name.find(".patch") == std::string::npos || call.name.ends_with(".patch0");
    bytes -= call.kind == program::KernelKind::concat && first_patch ? call.constant_bytes() : 0;
  }
  return bytes;
}

bool is_mixture(const program::KernelCall& call) { return call.kind == program::KernelKind::mixture; }

TEST(Emulator, OnACortexM4FortyNetworksGiveTheInterpretersBitsInThePlannedArena) {
  if (const std::string why = missing("cortex-m4"); !why.empty()) {
    GTEST_SKIP() << why;
  }
  // The first ones call all kernels.
  const std::vector<std::string> spaces{"unet", "mcu_vit", "mobile_cnn", "vit", "resnet8", "ds_cnn", "moe_vit"};
  const std::vector<program::LoweringOptions> variants = memory_variants();
  Projects projects;
  for (std::uint64_t i = 0; i + 1 < kNetworks; ++i) {
    projects.add(small_network_of(spaces[i % spaces.size()], i), i,
                 variants[(i + i / spaces.size()) % variants.size()]);
  }
  projects.add(oracle::small_text_network(), kNetworks, variants[0]);
  const std::vector<EmulatorReport> reports = projects.run("cortex-m4");
  projects.expect_all_right(reports);
  const auto rounded = [](std::int64_t bytes) { return (bytes + 7) / 8 * 8; };
  int patched = 0;
  int streamed = 0;
  int mixtures = 0;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const program::Program& program = projects.project(i).program;
    EXPECT_EQ(reports[i].arena_size_bytes, rounded(projects.project(i).plan.bytes));
    // gcc begins arrays of bytes at words.
    const std::int64_t gaps = 3 * static_cast<std::int64_t>(program.calls.size());
    EXPECT_GE(reports[i].weight_bytes, stored_bytes(program)) << program.name << ", network " << i;
    EXPECT_LE(reports[i].weight_bytes, rounded(stored_bytes(program) + gaps)) << program.name << ", network " << i;
    streamed += program.inputs.empty() ? 1 : 0;
    patched += program.calls[1].region ? 1 : 0;
    mixtures += std::any_of(program.calls.begin(), program.calls.end(), is_mixture) ? 1 : 0;
  }
  EXPECT_GE(patched, 3);
  EXPECT_GE(streamed, 3);
  EXPECT_GE(mixtures, 3);
}

TEST(Emulator, OtherCoresGiveTheSameBits) {
  for (const std::string machine : {"cortex-m0plus", "cortex-m3", "cortex-m7", "cortex-m55", "riscv32"}) {
    if (const std::string why = missing(machine); !why.empty()) {
      GTEST_SKIP() << machine << ": " << why;
    }
    Projects projects;
    projects.add(small_network_of("vit", 3), 11, program::cosearch_options());
    projects.add(small_network_of("moe_vit", 6), 11, program::cosearch_options());
    projects.expect_all_right(projects.run(machine));
  }
}

TEST(Emulator, FloatsAndWeightsInExternalMemoryRunToo) {
  if (const std::string why = missing("cortex-m7"); !why.empty()) {
    GTEST_SKIP() << why;
  }
  const TemporaryFolder folder;
  const auto network =
      testing_support::export_random_float(small_network_of("vit", 3), 11, program::cosearch_options());
  const std::string project = write_below(network->project, folder.file(""), "floats");
  const EmulatorReport report =
      run_in_emulator(project, "cortex-m7", {std::chrono::seconds{300}, {"WEIGHTS_IN_EXTRA=1"}});
  EXPECT_EQ(report.passed, 1);
  EXPECT_EQ(report.arena_bytes, network->project.plan.bytes);
  // They are not in the flash then.
  EXPECT_EQ(
      run_in_emulator(project, "cortex-m7", {std::chrono::seconds{300}, {"WEIGHTS_IN_EXTRA=1", "FLASH_SIZE=50000"}})
          .passed,
      1);
  EXPECT_GT(report.weight_bytes, 50'000);
}

/// A model that counts down from `rounds`, two instructions each.
void write_loop(const std::string& folder, int rounds, const char* loop) {
  std::ofstream(folder + "/model.c") << fmt::format(
      "#include \"model.h\"\n"
      "static int8_t arena[MODEL_ARENA_BYTES] __attribute__((section(\".arena\")));\n"
      "unsigned char *model_arena(void) {{ return (unsigned char *)arena; }}\n"
      "model_input_value *model_input(void) {{ return arena; }}\n"
      "const model_output_value *model_output(int which) {{ return arena + which; }}\n"
      "int model_output_size(int which) {{ return which; }}\n"
      "int model_run(void) {{\n"
      "  int rounds = {};\n"
      "  __asm__ volatile(\"1: {}\" : \"+r\"(rounds) : : \"cc\");\n"
      "  return rounds;\n}}\n",
      rounds, loop);
}

TEST(Emulator, CountsInstructionsExactly) {
  struct Loop {
    const char* machine;
    const char* text;
  };
  for (const Loop& loop :
       {Loop{"cortex-m4", "subs %0, %0, #1\\n\\tbne 1b"}, Loop{"cortex-m55", "subs %0, %0, #1\\n\\tbne 1b"},
        Loop{"riscv32", "addi %0, %0, -1\\n\\tbnez %0, 1b"}}) {
    if (const std::string why = missing(loop.machine); !why.empty()) {
      GTEST_SKIP() << loop.machine << ": " << why;
    }
    const TemporaryFolder folder;
    const auto network = export_random(small_network_of("ds_cnn", 2), 3, program::cosearch_options(), 1);
    std::vector<std::int64_t> counts;
    for (const int rounds : {10'000, 1'000'000}) {
      const std::string project = write_below(network->project, folder.file(""), std::to_string(rounds));
      write_loop(project, rounds, loop.text);
      counts.push_back(
          run_in_emulator(project, loop.machine, {std::chrono::seconds{60}, {"KERNELS_BUILD=" + folder.file("k")}})
              .instructions);
    }
    EXPECT_NEAR(static_cast<double>(counts[1] - counts[0]), 2.0 * 990'000, 1.0) << loop.machine;
    EXPECT_NEAR(static_cast<double>(counts[0]), 2.0 * 10'000, 20.0) << loop.machine << ": the call itself";
  }
}

TEST(Emulator, MissingToolsAreNamedByTheirPackages) {
  const TemporaryFolder empty;
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", empty.file("").c_str(), 1);
  std::string message;
  try {
    static_cast<void>(run_in_emulator(empty.file(""), "riscv32"));
  } catch (const ConfigError& error) {
    message = error.what();
  }
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(message, HasSubstr("apt-get install make gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf "
                                 "qemu-system-misc"));
}

TEST(Emulator, AnUnknownMachineIsAConfigError) {
  EXPECT_THROW(static_cast<void>(run_in_emulator("/", "cortex-m99")), ConfigError);
}

TEST(Emulator, WhatDoesNotBuildSaysSoInTheCompilersWords) {
  if (const std::string why = missing("cortex-m4"); !why.empty()) {
    GTEST_SKIP() << why;
  }
  const TemporaryFolder folder;
  const auto network = export_random(small_network_of("ds_cnn", 2), 3, program::cosearch_options(), 1);
  // Enough for the arena and the constants, too little for the stack and the code.
  network->project.budget = {network->project.plan.bytes + 100, network->project.program.constant_bytes() + 100};
  const std::string project = write_below(network->project, folder.file(""), "full");
  std::string message;
  try {
    static_cast<void>(run_in_emulator(project, "cortex-m4", {std::chrono::seconds{60}, {"OPTIMIZE=-O0"}}));
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  EXPECT_THAT(message, HasSubstr("RAM: the arena, static data and STACK_SIZE do not fit in the SRAM budget"));
  EXPECT_THAT(message, HasSubstr("flash: code and weights do not fit in the flash budget"));
}

}  // namespace
}  // namespace cosearch
