#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "hwmodels/mcu/coefficients.hpp"
#include "hwmodels/mcu/cortex_m.hpp"
#include "spaces/program/arena.hpp"
#include "tests/hwmodels/mcu/instruction_cases.hpp"
#include "tests/hwmodels/mcu/instruction_fit.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::mcu {
namespace {

using ::testing::AllOf;
using testing::CaseError;
using testing::CaseInstructions;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::InstructionFit;
using testing::reference_network;

/// The measured table's column of a core.
CaseInstructions measured_on(const std::string& core) {
  const testing::Table table = testing::read_table("cosearch_instructions.csv");
  CaseInstructions measured;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    measured[table.cell(row, "case")] = table.number(row, core);
  }
  return measured;
}

CycleTable stored_table() {
  std::map<std::string, std::string> cores;
  for (const Board& board : load_boards("")) {
    cores[board.name] = board.core;
  }
  return load_cycle_table("", cores);
}

Expected<Cost, Infeasible> evaluate(const nlohmann::json& genes, const graph::NetworkGraph& network,
                                    const std::string& data_directory = "") {
  const auto target = make_cortex_m(nlohmann::json::object(), data_directory);
  const auto model = target->build(target->params().from_json(genes));
  EXPECT_TRUE(model.has_value());
  const Job job{network};
  return (*model)->evaluate(std::span(&job, 1));
}

TEST(Instructions, TheTableHasEveryCaseAndNoOther) {
  const CaseInstructions measured = measured_on("cortex_m4");
  std::set<std::string> names;
  for (const testing::InstructionCase& known : testing::instruction_cases()) {
    EXPECT_TRUE(names.insert(known.name).second) << known.name;
    EXPECT_EQ(measured.count(known.name), 1U) << known.name;
  }
  EXPECT_EQ(measured.size(), names.size());
}

// measured: every stored coefficient comes out of the fit of the measured table, and so does the stated error.
TEST(Instructions, StoredCoefficientsAreTheFitOfTheMeasuredTable) {
  const nlohmann::json tables = load_data("mcu_coefficients", "").at("emulated").at(0).at("tables");
  for (const auto& [core, stored] : tables.items()) {
    const InstructionFit fit = testing::fit_instructions(measured_on(core));
    const nlohmann::json& coefficients = stored.at("instructions");
    EXPECT_EQ(coefficients.size(), fit.coefficients.size()) << core;
    for (const auto& [feature, coefficient] : fit.coefficients) {
      ASSERT_TRUE(coefficients.contains(feature)) << core << " " << feature;
      EXPECT_NEAR(coefficients.at(feature).get<double>(), coefficient, 1e-5 * coefficient) << core << " " << feature;
    }
    double worst = 0.0;
    for (const CaseError& error : fit.held_out) {
      std::printf("%-14s %-24s %10.0f instructions, predicted %10.0f, %+5.1f %%\n", core.c_str(), error.name.c_str(),
                  error.measured, error.predicted, 100.0 * error.relative());
      worst = std::max(worst, std::abs(error.relative()));
    }
    EXPECT_NEAR(stored.at("held_out_error").get<double>(), worst, 1e-5) << core;
    EXPECT_LT(worst, 0.03) << core;
  }
}

// What coefficients and features predict, evaluated as a model does, call by call.
TEST(Instructions, ModelsMultiplyInstructionsByCyclesPerInstruction) {
  const nlohmann::json data = load_data("mcu_coefficients", "");
  const CycleTable table = stored_table();
  const auto cores = data.at("emulated").at(0).at("cores").get<std::map<std::string, std::string>>();
  for (const Board& board : load_boards("")) {
    const nlohmann::json& source = data.at("emulated").at(0).at("tables").at(cores.at(board.core));
    const double cycles_per_instruction =
        source.contains("cycles_per_instruction")
            ? source.at("cycles_per_instruction").get<double>()
            : data.at("assumed").at("cycles_per_instruction").at(board.core).get<double>();
    const CycleModel& model = table.model(board.name, "cosearch");
    ASSERT_TRUE(model.emulation.has_value()) << board.name;
    EXPECT_EQ(model.emulation->cycles_per_instruction, cycles_per_instruction);
    const CaseInstructions measured = measured_on(model.emulation->core);
    for (const testing::InstructionCase& network : testing::instruction_cases()) {
      if (!network.held_out) {
        continue;
      }
      double sum = 0.0;
      for (const program::KernelCall& call : testing::program_of(network).calls) {
        sum += cycles(call, model.kinds.at(call.kind));
      }
      EXPECT_NEAR(sum / cycles_per_instruction / measured.at(network.name), 1.0, model.emulation->held_out_error + 1e-4)
          << board.name << " " << network.name;
    }
  }
}

TEST(Instructions, AnEngineMeasuredOnSiliconIsPreferred) {
  const CycleTable table = stored_table();
  for (const Board& board : load_boards("")) {
    EXPECT_NE(table.best_calibrated(board.name).name, "cosearch") << board.name;
  }
}

TEST(Instructions, NotesSayWhatIsCountedAndWhatIsAssumed) {
  const nlohmann::json genes{{"board", "f746"}, {"engine", "cosearch"}};
  for (const graph::NetworkGraph& network : {reference_network("resnet8"), testing::small_vit(28, 4, 48, 3, 2)}) {
    const auto cost = evaluate(genes, network);
    ASSERT_TRUE(cost.has_value());
    EXPECT_THAT(cost->notes, Contains(AllOf(HasSubstr("instructions counted on an emulated cortex_m4"),
                                            HasSubstr("held-out networks within 2."),
                                            HasSubstr("an assumed 0.89 cycles per instruction of the cortex_m7"))));
    EXPECT_THAT(cost->notes, ::testing::Not(Contains(HasSubstr("assumed instruction counts"))));
    EXPECT_THAT(cost->notes, ::testing::Not(Contains(HasSubstr("to fit"))));
  }
}

// A ViT whose layer-by-layer arena is larger than the F411's 128 KB.
TEST(Instructions, ANetworkThatIsTooBigInLayersFitsByStreaming) {
  const graph::NetworkGraph network = testing::small_vit(112, 7, 128, 4, 2);
  const nlohmann::json genes{{"board", "f411"}, {"engine", "cosearch"}};
  const program::Program layers = *program::lower_program(network, program::cosearch_options());
  ASSERT_GT(program::plan_arena(layers).bytes, 131072);
  const auto cost = evaluate(genes, network);
  ASSERT_TRUE(cost.has_value()) << cost.error().reason;
  EXPECT_LE(cost->metrics.at("sram_bytes"), 131072.0);
  EXPECT_THAT(cost->notes, Contains(HasSubstr("to fit: ")));
}

TEST(Instructions, WeightsOfFourBitsCostTime) {
  const nlohmann::json genes{{"board", "l4r5"}, {"engine", "cosearch"}};
  graph::NetworkGraph network = reference_network("resnet8");
  const auto eight = evaluate(genes, network);
  for (graph::Node& node : network.nodes) {
    if (auto* conv = std::get_if<graph::Conv2d>(&node.op)) {
      conv->weight_bits = 4;
    }
  }
  const auto four = evaluate(genes, network);
  ASSERT_TRUE(eight && four);
  EXPECT_GT(four->metrics.at("cycles"), 1.3 * eight->metrics.at("cycles"));
  EXPECT_LT(four->metrics.at("flash_bytes"), eight->metrics.at("flash_bytes"));
}

TEST(Instructions, WrongEntriesAreConfigErrors) {
  const testing::TemporaryData data;
  const auto error = [&data](auto change) {
    nlohmann::json json = load_data("mcu_coefficients", "");
    change(json["emulated"][0]);
    data.write("mcu_coefficients.json", json.dump());
    return testing::config_error_of([&] { (void)make_cortex_m(nlohmann::json::object(), data.path()); });
  };
  EXPECT_THAT(error([](nlohmann::json& j) { j["engine"] = "cosarch"; }),
              HasSubstr("/emulated/0/engine: \"cosarch\" is not known"));
  EXPECT_THAT(error([](nlohmann::json& j) { j["cores"]["cortex_m4"] = "cortex_m3"; }),
              HasSubstr("/emulated/0/cores/cortex_m4: \"cortex_m3\" is not known"));
  EXPECT_THAT(error([](nlohmann::json& j) { j["tables"]["cortex_m4"]["instructions"].erase("activation.elements"); }),
              HasSubstr("says nothing about the kernel kind activation"));
  EXPECT_THAT(error([](nlohmann::json& j) { j["tables"]["cortex_m4"]["instructions"]["conv2d.steps"] = 1; }),
              HasSubstr("is not a feature"));
}

TEST(Instructions, WithoutEmulatedCountsTheEngineHasNoModel) {
  nlohmann::json json = load_data("mcu_coefficients", "");
  json.erase("emulated");
  const testing::TemporaryData data;
  data.write("mcu_coefficients.json", json.dump());
  const auto target = make_cortex_m(nlohmann::json::object(), data.path());
  EXPECT_FALSE(target->build(target->params().from_json({{"board", "f746"}, {"engine", "cosearch"}})).has_value());
}

}  // namespace
}  // namespace cosearch::mcu
