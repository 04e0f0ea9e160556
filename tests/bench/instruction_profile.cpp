// Instructions of our own engine's kernels, call by call and in whole networks, on emulated cores: exports each case of
// tests/hwmodels/mcu/instruction_cases.cpp as a C project and runs it. Prints the table
// tests/data/cosearch_instructions.csv. With --fit FILE it fits coefficients to such a table instead and prints errors
// and the entry of hwmodels/data/mcu_coefficients.json. Needs the packages of the emulated machines.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "experiments/export/c/project.hpp"
#include "experiments/measure/emulator.hpp"
#include "spaces/base/rng.hpp"
#include "tests/hwmodels/mcu/instruction_cases.hpp"
#include "tests/hwmodels/mcu/instruction_fit.hpp"
#include "tests/spaces/program/reference_networks.hpp"
#include "trainer/net/parallel.hpp"
#include "trainer/net/simulation.hpp"
#include "trainer/quantize/quantize.hpp"

namespace cosearch {
namespace {

using testing::InstructionCase;

constexpr std::uint64_t kSeed = 1;

/// As trained networks have them: zero at the lower end behind a relu, so that no kernel clamps twice.
std::vector<quantize::ValueRange> plausible_ranges(const graph::NetworkGraph& network) {
  std::vector<quantize::ValueRange> ranges;
  for (const graph::Node& node : network.nodes) {
    const auto* activation = std::get_if<graph::Activation>(&node.op);
    const bool positive = activation != nullptr && (activation->kind == graph::ActivationKind::relu ||
                                                    activation->kind == graph::ActivationKind::relu6);
    ranges.push_back(positive ? quantize::ValueRange{0.0, 3.0} : quantize::ValueRange{-2.0, 2.0});
  }
  ranges.resize(value_count(network), {-2.0, 2.0});  // of what a mixture's experts pass to gelu
  return ranges;
}

std::int64_t elements_of(const program::Program& program, const std::vector<int>& buffers) {
  std::int64_t bytes = 0;
  for (const int buffer : buffers) {
    bytes += program.buffers[static_cast<std::size_t>(buffer)].bytes;
  }
  return bytes;
}

/// Values that the network has not seen: any bytes, or ids that its table has.
std::vector<std::int8_t> random_input(const graph::NetworkGraph& network) {
  RngStream rng(kSeed, Purpose::test, 400);
  const graph::Shape& shape = std::get<graph::Input>(network.nodes[0].op).shape;
  const bool ids = graph::takes_token_ids(network);
  std::vector<std::int8_t> input(static_cast<std::size_t>(graph::elements(shape) * (ids ? 4 : 1)));
  for (std::size_t i = 0; i < input.size(); i += ids ? 4 : 1) {
    input[i] = static_cast<std::int8_t>(ids ? static_cast<int>(rng.below(16)) : static_cast<int>(rng.below(256)) - 128);
  }
  return input;
}

/// Instructions of the first `calls` calls of the case's program. Outputs are not compared: these are tests' business,
/// and a part of a program has none.
std::int64_t instructions_until(const InstructionCase& measured, std::size_t calls, const std::string& machine,
                                const std::string& folder) {
  const quantize::QuantizedNetwork network = quantize::quantize(
      measured.network, WeightStore::for_network(measured.network, kSeed), plausible_ranges(measured.network));
  c_export::Project project;
  project.name = "profile";
  project.program = testing::program_of(measured);
  project.plan = program::plan_arena(project.program);
  const std::int64_t output_bytes = elements_of(project.program, project.program.outputs);
  project.program.calls.resize(calls);
  project.network = &network;
  project.test_vectors = {{random_input(measured.network),
                           std::vector<std::int8_t>(static_cast<std::size_t>(output_bytes), std::int8_t{0})}};
  const std::string directory = folder + "/project";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  for (const c_export::File& file : c_export::project_files(project)) {
    std::ofstream(std::filesystem::path(directory) / file.name, std::ios::binary) << file.text;
  }
  const EmulatorReport report =
      run_in_emulator(directory, machine, {std::chrono::seconds{600}, {"KERNELS_BUILD=" + folder + "/" + machine}});
  if (measured.held_out) {
    fmt::print(stderr, "{} on {}: {} bytes of code\n", measured.name, machine, report.code_bytes);
  }
  return report.instructions;
}

std::int64_t instructions_of(const InstructionCase& measured, const std::string& machine, const std::string& folder) {
  const std::size_t all = testing::program_of(measured).calls.size();
  if (measured.calls == 0) {
    return instructions_until(measured, all, machine, folder);
  }
  const std::int64_t until = instructions_until(measured, measured.first_call + measured.calls, machine, folder);
  return measured.first_call == 0 ? until : until - instructions_until(measured, measured.first_call, machine, folder);
}

void measure_cases(const std::vector<std::string>& machines, const std::string& only) {
  const std::string folder = std::filesystem::temp_directory_path() / "cosearch_instruction_profile";
  std::vector<InstructionCase> cases = testing::instruction_cases();
  std::erase_if(cases, [&only](const InstructionCase& known) { return known.name.find(only) == std::string::npos; });
  std::vector<std::string> rows(cases.size());
  constexpr std::int64_t kAtATime = 2;  // each with kernels of its own
  for_each_parallel(kAtATime, [&](std::int64_t part) {
    for (std::size_t i = static_cast<std::size_t>(part); i < cases.size(); i += kAtATime) {
      rows[i] = fmt::format("{},{}", cases[i].name, cases[i].held_out ? "held_out" : "fit");
      for (const std::string& machine : machines) {
        rows[i] += fmt::format(",{}", instructions_of(cases[i], machine, fmt::format("{}/{}", folder, part)));
      }
      fmt::print(stderr, "{}\n", rows[i]);
    }
  });
  std::filesystem::remove_all(folder);
  std::string header = "case,use";
  for (std::string machine : machines) {
    std::replace(machine.begin(), machine.end(), '-', '_');
    header += "," + machine;
  }
  fmt::print("{}\n", header);
  for (const std::string& row : rows) {
    fmt::print("{}\n", row);
  }
}

void print_errors(const char* title, const std::vector<testing::CaseError>& errors) {
  fmt::print("{:48} {:>12} {:>12} {:>8}\n", title, "measured", "predicted", "error");
  for (const testing::CaseError& error : errors) {
    fmt::print("{:48} {:12.0f} {:12.0f} {:+7.1f} %\n", error.name, error.measured, error.predicted,
               100.0 * error.relative());
  }
}

void fit_table(const std::string& file) {
  const testing::Table table = testing::read_table(file);
  nlohmann::json entry;
  for (std::size_t column = 2; column < table.columns.size(); ++column) {
    testing::CaseInstructions measured;
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      measured[table.rows[row][0]] = table.number(row, table.columns[column]);
    }
    const testing::InstructionFit fitted = testing::fit_instructions(measured);
    fmt::print("--- {} ---\n", table.columns[column]);
    print_errors("case, predicted by a fit without it", fitted.left_out);
    print_errors("network, held out", fitted.held_out);
    double worst = 0.0;
    for (const testing::CaseError& error : fitted.held_out) {
      worst = std::max(worst, std::abs(error.relative()));
    }
    nlohmann::json coefficients;
    for (const auto& [feature, coefficient] : fitted.coefficients) {
      coefficients[feature] = std::stod(fmt::format("{:.6g}", coefficient));
    }
    entry[table.columns[column]] = {{"held_out_error", std::stod(fmt::format("{:.6f}", worst))},
                                    {"instructions", coefficients}};
  }
  fmt::print("{}\n", entry.dump(2));
}

}  // namespace
}  // namespace cosearch

int main(int argc, char** argv) {
  CLI::App app{"Instructions of exported kernels in emulators"};
  std::string file;
  std::string only;
  std::vector<std::string> machines{"cortex-m0plus", "cortex-m4"};
  app.add_option("--fit", file, "table below tests/data to fit coefficients to");
  app.add_option("--machines", machines, "emulated cores")->delimiter(',');
  app.add_option("--only", only, "measure the cases whose names have this in them");
  CLI11_PARSE(app, argc, argv);
  if (file.empty()) {
    cosearch::measure_cases(machines, only);
  } else {
    cosearch::fit_table(file);
  }
  return 0;
}
