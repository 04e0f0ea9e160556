#include "hwmodels/mcu/coefficients.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "predictors/least_squares.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::mcu {
namespace {

using testing::read_table;
using testing::reference_network;

CycleTable table() {
  std::map<std::string, std::string> cores;
  for (const Board& board : load_boards("")) {
    cores[board.name] = board.core;
  }
  return load_cycle_table("", cores);
}

struct Row {
  std::string network;
  double cycles = 0.0;  ///< measured
  bool held_out = false;
};

/// Published rows of a board and engine, from tests/data and not from the model's own file.
std::vector<Row> published(const std::string& board, const std::string& engine) {
  const testing::Table rows = read_table("mcu_published.csv");
  std::vector<Row> list;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    if (rows.cell(i, "board") == board && rows.cell(i, "engine") == engine && rows.cell(i, "use") != "pooled") {
      list.push_back({rows.cell(i, "network"), rows.number(i, "latency_ms") * rows.number(i, "clock_mhz") * 1e3,
                      rows.cell(i, "use") == "held_out"});
    }
  }
  return list;
}

/// Cycles of the parts of a network that the fit does not touch: kinds and quantities that no term names.
double assumed_cycles(const program::Program& program, const CycleModel& model) {
  std::map<program::KernelKind, KernelCycles> kinds = model.kinds;
  for (const Term& term : model.terms) {
    for (const auto& [feature, weight] : term.features) {
      for (auto& [kind, cycles] : kinds) {
        const std::string name(program::kind_name(kind));
        cycles.per_mac = feature == name + ".macs" ? 0.0 : cycles.per_mac;
        cycles.per_output = feature == name + ".outputs" ? 0.0 : cycles.per_output;
      }
    }
  }
  double sum = 0.0;
  for (const program::KernelCall& call : program.calls) {
    sum += cycles(call, kinds.at(call.kind));
  }
  return sum;
}

double row_feature(const program::Program& program, const Term& term) {
  const std::map<std::string, double> sums = features(program);
  double value = 0.0;
  for (const auto& [feature, weight] : term.features) {
    const auto found = sums.find(feature);
    value += found == sums.end() ? 0.0 : weight * found->second;
  }
  return value;
}

// published: every stored coefficient comes out of a least-squares fit (relative errors, non-negative) of the published
// latencies on the features of our own programs, and so do the stored errors.
TEST(Coefficients, AreTheLeastSquaresFitOfThePublishedRows) {
  const CycleTable stored = table();
  int fits = 0;
  for (const CycleModel& model : stored.models) {
    if (model.assumed_from || model.pooled || model.emulation) {
      continue;  // pooled: tests/experiments/calibrate/pooling_test.cpp, emulated: instructions_test.cpp
    }
    const program::LoweringOptions& rules = stored.engine(model.engine).rules;
    const std::vector<Row> rows = published(model.board, model.engine);
    ASSERT_EQ(rows.size(), model.rows.size()) << model.board << " " << model.engine;
    std::vector<std::vector<double>> features;
    std::vector<double> targets;
    std::vector<double> assumed;
    for (const Row& row : rows) {
      const program::Program program = *program::lower_program(reference_network(row.network), rules);
      assumed.push_back(assumed_cycles(program, model));
      if (row.held_out) {
        continue;
      }
      features.emplace_back();
      for (const Term& term : model.terms) {
        features.back().push_back(row_feature(program, term));
      }
      targets.push_back(row.cycles - assumed.back());
    }
    std::printf("%s %s: %zu rows, %zu coefficients\n", model.board.c_str(), model.engine.c_str(), targets.size(),
                model.terms.size());
    if (targets.size() <= model.terms.size()) {  // one row, one factor: exact, and no error to leave out
      ASSERT_EQ(targets.size(), 1U);
      EXPECT_NEAR(model.terms[0].coefficient, targets[0] / features[0][0], 1e-5 * model.terms[0].coefficient);
      continue;
    }
    ++fits;
    const LinearFit fit = fit_relative(features, targets, true);
    for (std::size_t i = 0; i < model.terms.size(); ++i) {
      std::printf("  %-18s %9.4f\n", model.terms[i].name.c_str(), fit.coefficients[i]);
      EXPECT_NEAR(fit.coefficients[i], model.terms[i].coefficient, 1e-5 * model.terms[i].coefficient);
    }
    for (std::size_t i = 0, fitted = 0; i < rows.size(); ++i) {
      EXPECT_EQ(model.rows[i].network, rows[i].network);
      if (rows[i].held_out) {
        std::printf("  %-22s held out, %+5.1f %%\n", rows[i].network.c_str(), 100.0 * model.rows[i].relative_error);
        continue;
      }
      // The fit sees the cycles without the assumed ones; errors are stated on the whole.
      const double share = targets[fitted] / rows[i].cycles;
      ASSERT_TRUE(model.rows[i].leave_one_out_relative_error.has_value());
      std::printf("  %-22s %+5.1f %%, left out %+5.1f %%\n", rows[i].network.c_str(),
                  100.0 * share * fit.relative_errors[fitted],
                  100.0 * share * fit.leave_one_out_relative_errors[fitted]);
      EXPECT_NEAR(model.rows[i].relative_error, share * fit.relative_errors[fitted], 2e-5);
      EXPECT_NEAR(*model.rows[i].leave_one_out_relative_error, share * fit.leave_one_out_relative_errors[fitted], 2e-5);
      ++fitted;
    }
  }
  EXPECT_EQ(fits, 8);
}

TEST(Coefficients, EveryKindOnEveryBoardAndEngineCostsSomething) {
  const CycleTable stored = table();
  EXPECT_EQ(stored.models.size(), 10U * 9U);  // boards and engines
  for (const CycleModel& model : stored.models) {
    for (const program::KernelKind kind : program::all_kernel_kinds()) {
      const KernelCycles& cycles = model.kinds.at(kind);
      EXPECT_GT(cycles.per_mac + cycles.per_output + cycles.per_element, 0.0) << program::kind_name(kind);
      const bool measured = kind == program::KernelKind::conv2d || kind == program::KernelKind::pointwise_conv2d ||
                            kind == program::KernelKind::depthwise_conv2d ||
                            kind == program::KernelKind::fully_connected;
      EXPECT_EQ(cycles.assumed, !measured && !model.emulation) << program::kind_name(kind);
    }
  }
}

// measured elsewhere: MLPerf Tiny power. The stored energy per cycle is the mean of the table.
TEST(Coefficients, EnergyPerCycleIsTheMeanOfTheMlperfTinyRows) {
  const testing::Table rows = read_table("mlperf_tiny_power.csv");
  std::map<std::string, std::pair<double, int>> sums;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    auto& [sum, count] = sums[rows.cell(i, "part")];
    sum += rows.number(i, "power_mw") / rows.number(i, "clock_mhz");
    ++count;
  }
  EXPECT_EQ(sums.at("l4r5").second, 20);
  EXPECT_EQ(sums.at("h7a3").second, 16);
  EXPECT_EQ(sums.at("u575").second, 16);
  const std::map<std::string, std::string> part_of_core{{"cortex_m0plus", "l4r5"},
                                                        {"cortex_m33", "u575"},
                                                        {"cortex_m4", "l4r5"},
                                                        {"cortex_m7", "h7a3"},
                                                        {"cortex_m85", "h7a3"}};
  for (const Board& board : load_boards("")) {
    const auto& [sum, count] = sums.at(part_of_core.at(board.core));
    EXPECT_NEAR(board.nanojoules_per_cycle, sum / count, 1e-5) << board.name;
    EXPECT_EQ(board.energy_calibrated, sums.count(board.name) == 1) << board.name;
  }
}

// measured elsewhere: instruction counts of CMSIS-NN on an emulated Cortex-M4.
TEST(Coefficients, CyclesPerInstructionFollowFromTheInstructionCounts) {
  const testing::Table rows = read_table("cmsis_nn_instructions.csv");
  std::map<std::string, double> instructions;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    instructions[rows.cell(i, "model")] += rows.number(i, "instructions");
  }
  const std::map<std::string, std::string> networks{
      {"ad", "autoencoder"}, {"ic", "resnet8"}, {"kws", "ds_cnn"}, {"vww", "mobilenet_v1_0.25"}};
  const CycleTable stored = table();
  const CycleModel& h743 = stored.model("h743", "cmsis_nn");
  double m4 = 0.0;
  double m7 = 0.0;
  double m33 = 0.0;
  double slower = 0.0;
  const auto measured = [](const std::string& board, const std::string& engine, const std::string& network) {
    for (const Row& row : published(board, engine)) {
      if (row.network == network) {
        return row.cycles;
      }
    }
    return 0.0;
  };
  for (const auto& [model, network] : networks) {
    m4 += measured("l4r5", "cmsis_nn", network) / instructions.at(model) / 4.0;
    m33 += measured("nrf5340", "cmsis_nn", network) / instructions.at(model) / 4.0;
    slower += measured("g0b1", "bosch", network) / measured("l4r5", "bosch", network) / 4.0;
    const program::Program program = *program::lower_program(reference_network(network), program::cmsis_nn_options());
    double fitted = 0.0;
    for (const Term& term : h743.terms) {
      fitted += term.coefficient * row_feature(program, term);
    }
    m7 += fitted / instructions.at(model) / 4.0;
  }
  const nlohmann::json assumed = load_data("mcu_coefficients", "").at("assumed").at("cycles_per_instruction");
  EXPECT_NEAR(assumed.at("cortex_m4").get<double>(), m4, 0.01);
  EXPECT_NEAR(assumed.at("cortex_m7").get<double>(), m7, 0.01);
  EXPECT_NEAR(assumed.at("cortex_m33").get<double>(), m33, 0.01);
  EXPECT_NEAR(assumed.at("cortex_m0plus").get<double>(), slower * assumed.at("cortex_m4").get<double>(), 0.01);
  EXPECT_EQ(assumed.at("cortex_m85"), assumed.at("cortex_m7")) << "nothing was measured";
}

// published: flash of the networks; what is not weights and constants is code.
TEST(Coefficients, CodeBytesAreTheMeanOfPublishedFlashMinusConstants) {
  const CycleTable stored = table();
  const testing::Table rows = read_table("mcu_published.csv");
  for (const Engine& engine : stored.engines) {
    if (engine.name == "plumerai" || engine.name == "bosch" || engine.name == "renesas" ||
        engine.name == "x_cube_ai_2024" || engine.name == "cosearch") {
      continue;  // not published: that of another engine, see the next test; ours is measured
    }
    double sum = 0.0;
    int count = 0;
    for (std::size_t i = 0; i < rows.rows.size(); ++i) {
      const std::string network = rows.cell(i, "network");
      // Two flash figures of the TinyEngine table are smaller than their networks' weights plus any engine.
      const bool outlier =
          engine.name == "tinyengine" && (network == "proxyless-w0.3-r176" || network == "mbv2-w0.3-r64");
      if (rows.cell(i, "engine") != engine.name || rows.cell(i, "flash_kib").empty() || outlier) {
        continue;
      }
      const auto constants = program::lower_program(reference_network(network), engine.rules)->constant_bytes();
      sum += 1024.0 * rows.number(i, "flash_kib") - static_cast<double>(constants);
      ++count;
    }
    ASSERT_GE(count, 6) << engine.name;
    EXPECT_NEAR(static_cast<double>(engine.code_bytes), sum / count, 64.0) << engine.name;
  }
}

// published: code of STM32Cube.AI 9.1 for eight networks, STM32 model zoo (stm32ai-modelzoo 79cff53), in KiB.
TEST(Coefficients, CodeThatNobodyPublishedIsThatOfTheNearestEngine) {
  const std::vector<double> kibibytes{68.05, 81.46, 68.0, 70.27, 108.29, 108.4, 56.45, 78.65};
  const double mean = 1024.0 * std::accumulate(kibibytes.begin(), kibibytes.end(), 0.0) / 8.0;
  const CycleTable stored = table();
  for (const char* engine : {"x_cube_ai_2024", "plumerai", "bosch"}) {
    EXPECT_NEAR(static_cast<double>(stored.engine(engine).code_bytes), mean, 8.0) << engine;
    EXPECT_NE(stored.engine(engine).note.find("SRAM"), std::string::npos) << engine;
  }
  EXPECT_EQ(stored.engine("renesas").code_bytes, stored.engine("cmsis_nn").code_bytes);
}

TEST(Coefficients, PairsThatWereNeverMeasuredAreRatesTimesScales) {
  const nlohmann::json pooled = load_data("mcu_coefficients", "").at("pooled");
  const CycleTable stored = table();
  const CycleModel& model = stored.model("u575", "tinyengine");
  EXPECT_TRUE(model.pooled);
  EXPECT_TRUE(model.rows.empty());
  EXPECT_NE(model.source.find("published latencies"), std::string::npos) << model.source;
  ASSERT_EQ(model.terms.size(), pooled.at("terms").size());
  for (std::size_t i = 0; i < model.terms.size(); ++i) {
    EXPECT_DOUBLE_EQ(model.terms[i].coefficient, pooled.at("boards").at("u575").get<double>() *
                                                     pooled.at("engines").at("tinyengine")[i].get<double>());
  }
  EXPECT_NE(stored.model("f411", "bosch").source.find("f411 like f412: same core"), std::string::npos);
  EXPECT_EQ(stored.model("g0b1", "bosch").fitted_rows(), 4U);
  EXPECT_NE(stored.model("u575", "renesas").source.find("renesas like cmsis_nn"), std::string::npos);
  EXPECT_EQ(stored.model("ra8d1", "bosch").assumed_from, std::pair(std::string("ra8d1"), std::string("renesas")));
}

}  // namespace
}  // namespace cosearch::mcu
