#include "experiments/calibrate/calibration.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

#include "experiments/calibrate/terms.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "hwmodels/model.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/catalog/networks.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::calibrate {
namespace {

using testing_support::TemporaryFolder;
using testing_support::write_bytes;

Options options_for(const std::string& board, const std::string& engine, const std::string& terms = {}) {
  Options options;
  options.board = board;
  options.engine = engine;
  options.terms = terms;
  return options;
}

/// The published latencies of a board and engine, from tests/data and not from the models' own file.
Measurements published(const std::string& board, const std::string& engine) {
  const testing::Table table = testing::read_table("mcu_published.csv");
  Measurements measurements{"mcu_published.csv", {}, std::nullopt};
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (table.cell(i, "board") == board && table.cell(i, "engine") == engine && table.cell(i, "use") == "fit") {
      const std::string network = table.cell(i, "network");
      measurements.rows.push_back(
          {static_cast<int>(i), network, testing::reference_network(network), table.number(i, "latency_ms")});
      measurements.clock_mhz = table.number(i, "clock_mhz");
    }
  }
  return measurements;
}

/// Latencies, as cortex_m would have them, of networks that exist.
Measurements synthetic(const std::vector<mcu::Term>& terms, double clock_mhz,
                       const std::vector<std::string>& networks) {
  const auto rates = mcu::kernel_cycles(terms, "cortex_m4", "");
  Measurements measurements{"synthetic.csv", {}, clock_mhz};
  for (const std::string& name : networks) {
    graph::NetworkGraph graph = make_network(name);
    double cycles = 0.0;
    for (const program::KernelCall& call : program::lower_program(graph, program::cmsis_nn_options())->calls) {
      cycles += mcu::cycles(call, rates.at(call.kind));
    }
    measurements.rows.push_back({0, name, std::move(graph), cycles / (clock_mhz * 1e3)});
  }
  return measurements;
}

std::vector<mcu::Term> known_terms(const std::string& text, const std::vector<double>& coefficients) {
  std::vector<mcu::Term> terms = parse_terms(text);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    terms[i].coefficient = coefficients.at(i);
  }
  return terms;
}

/// A transformer among them: patch embeddings and attention follow the kernels that they are like.
const std::vector<std::string> kNetworks{"ds_cnn",       "deep_autoencoder", "mobilenet_v1_025", "mobilenet_v2_035_144",
                                         "mobilenet_v2", "resnet8",          "resnet50",         "vit_tiny_28"};

TEST(Calibration, RecoversKnownCoefficients) {
  const std::vector<double> truth{3.25, 7.5, 41.0};
  const std::string terms = "dense_mac+depthwise_mac+output";
  const Measurements measurements = synthetic(known_terms(terms, truth), 120.0, kNetworks);
  for (const std::string& asked : {terms, std::string()}) {
    const Calibration calibration = calibrate(measurements, options_for("l4r5", "cmsis_nn", asked));
    EXPECT_EQ(calibration.terms, terms) << "also when it has the choice";
    EXPECT_EQ(calibration.model.clock_mhz, 120.0);
    for (std::size_t i = 0; i < truth.size(); ++i) {
      EXPECT_NEAR(calibration.model.terms[i].coefficient, truth[i], 1e-9 * truth[i]);
    }
    for (const mcu::CalibrationRow& row : calibration.model.rows) {
      EXPECT_NEAR(row.relative_error, 0.0, 1e-9) << row.network;
      EXPECT_NEAR(row.leave_one_out_relative_error.value(), 0.0, 1e-9) << row.network;
    }
    const Quality left_out = quality(calibration.predictions.left_out_ms, calibration.measured_ms);
    EXPECT_DOUBLE_EQ(left_out.kendall, 1.0);
    EXPECT_GT(quality(calibration.macs_only.left_out_ms, calibration.measured_ms).median_error, 0.02);
  }
}

TEST(Calibration, TheClockScalesTheCoefficients) {
  const Measurements measurements = synthetic(known_terms("mac+output", {4.0, 30.0}), 120.0, kNetworks);
  Options options = options_for("l4r5", "cmsis_nn", "mac");
  const double of_the_file = calibrate(measurements, options).macs_only_cycles;
  options.clock_mhz = 60.0;
  EXPECT_NEAR(calibrate(measurements, options).macs_only_cycles, 0.5 * of_the_file, 1e-12 * of_the_file);
  Measurements without = measurements;
  without.clock_mhz.reset();
  options.clock_mhz.reset();
  EXPECT_EQ(calibrate(without, options).model.clock_mhz, 120.0) << "the board's highest";
}

// published: the shipped calibrations come out of the command that users have.
TEST(Calibration, GivesTheShippedCoefficientsOfThePublishedRows) {
  std::map<std::string, std::string> cores;
  for (const mcu::Board& board : mcu::load_boards("")) {
    cores[board.name] = board.core;
  }
  const mcu::CycleTable shipped = mcu::load_cycle_table("", cores);
  const std::vector<std::vector<std::string>> models{{"h743", "tinyengine", "mac+depthwise_output+conv_output"},
                                                     {"h743", "cmsis_nn", "dense_mac+depthwise_mac+dense_output"},
                                                     {"l4r5", "cmsis_nn", "mac+output"}};
  for (const std::vector<std::string>& model : models) {
    const mcu::CycleModel& expected = shipped.model(model[0], model[1]);
    const Calibration calibration = calibrate(published(model[0], model[1]), options_for(model[0], model[1], model[2]));
    EXPECT_EQ(calibration.model.clock_mhz, expected.clock_mhz);
    ASSERT_EQ(calibration.model.terms.size(), expected.terms.size());
    for (std::size_t i = 0; i < expected.terms.size(); ++i) {
      EXPECT_EQ(calibration.model.terms[i].features, expected.terms[i].features);
      EXPECT_NEAR(calibration.model.terms[i].coefficient, expected.terms[i].coefficient,
                  1e-5 * expected.terms[i].coefficient);
    }
    ASSERT_EQ(calibration.model.rows.size(), expected.rows.size());
    for (std::size_t i = 0; i < expected.rows.size(); ++i) {
      EXPECT_EQ(calibration.model.rows[i].network, expected.rows[i].network);
      EXPECT_NEAR(calibration.model.rows[i].relative_error, expected.rows[i].relative_error, 2e-5);
      EXPECT_NEAR(calibration.model.rows[i].leave_one_out_relative_error.value(),
                  expected.rows[i].leave_one_out_relative_error.value(), 2e-5);
    }
  }
}

TEST(Calibration, ChosenTermsHaveTheSmallestLeftOutErrorAndAreJudgedWithoutTheirChoice) {
  const Measurements measurements = published("h743", "tinyengine");
  const Calibration calibration = calibrate(measurements, options_for("h743", "tinyengine"));
  ASSERT_EQ(calibration.trials.size(), default_term_sets().size());
  double chosen = 0.0;
  for (const Trial& trial : calibration.trials) {
    chosen = trial.terms == calibration.terms ? trial.left_out_rms_error.value() : chosen;
  }
  for (const Trial& trial : calibration.trials) {
    EXPECT_TRUE(!trial.refusal.empty() || trial.left_out_rms_error.value() >= chosen) << trial.terms;
  }
  ASSERT_EQ(calibration.chosen_left_out_ms.size(), measurements.rows.size());
  // By hand for the first network: calibrate on the others, predict it.
  Measurements others = measurements;
  others.rows.erase(others.rows.begin());
  const Calibration without = calibrate(others, options_for("h743", "tinyengine"));
  double cycles = 0.0;
  for (const program::KernelCall& call :
       program::lower_program(measurements.rows[0].graph, program::tinyengine_options())->calls) {
    cycles += mcu::cycles(call, without.model.kinds.at(call.kind));
  }
  EXPECT_NEAR(calibration.chosen_left_out_ms[0], cycles / 480e3, 1e-9);
  const double median = quality(calibration.predictions.left_out_ms, calibration.measured_ms).median_error;
  EXPECT_LT(median, 0.12);
  EXPECT_LT(median, quality(calibration.macs_only.left_out_ms, calibration.measured_ms).median_error);
}

// published: all tables of at least three networks, each network predicted by coefficients and terms that were fitted
// and chosen without it.
TEST(Calibration, PredictsPublishedNetworksThatItHasNotSeenBetterThanMacsDo) {
  std::vector<double> measured;
  std::vector<double> predicted;
  std::vector<double> by_macs;
  for (const auto& [board, engine] : std::vector<std::pair<std::string, std::string>>{{"h743", "tinyengine"},
                                                                                      {"h743", "cmsis_nn"},
                                                                                      {"h743", "tflm_reference"},
                                                                                      {"f746", "tinyengine"},
                                                                                      {"f746", "tflm_reference"},
                                                                                      {"l4r5", "cmsis_nn"},
                                                                                      {"l4r5", "tflm_reference"}}) {
    const Calibration calibration = calibrate(published(board, engine), options_for(board, engine));
    ASSERT_EQ(calibration.chosen_left_out_ms.size(), calibration.measured_ms.size()) << board << " " << engine;
    std::printf("%s %s: %s\n", board.c_str(), engine.c_str(), calibration.terms.c_str());
    for (std::size_t i = 0; i < calibration.measured_ms.size(); ++i) {
      measured.push_back(calibration.measured_ms[i]);
      predicted.push_back(calibration.chosen_left_out_ms[i]);
      by_macs.push_back(calibration.macs_only.left_out_ms[i]);
      std::printf("  %-22s %8.1f ms, %+6.1f %%, by macs %+6.1f %%\n", calibration.model.rows[i].network.c_str(),
                  measured.back(), 100.0 * (predicted.back() / measured.back() - 1.0),
                  100.0 * (by_macs.back() / measured.back() - 1.0));
    }
  }
  const Quality ours = quality(predicted, measured);
  const Quality macs = quality(by_macs, measured);
  std::printf("%zu predictions: median error %.1f %%, worst %.1f %%; by macs %.1f %%, %.1f %%\n", measured.size(),
              100.0 * ours.median_error, 100.0 * ours.worst_error, 100.0 * macs.median_error, 100.0 * macs.worst_error);
  EXPECT_LT(ours.median_error, 0.12);
  EXPECT_LT(ours.median_error, macs.median_error);
}

TEST(Calibration, QualityIsThatOfTheErrorsAndRanks) {
  const Quality quality = calibrate::quality({1.1, 1.8, 4.0, 3.0}, {1.0, 2.0, 3.0, 4.0});
  EXPECT_NEAR(quality.median_error, 0.5 * (0.1 + 0.25), 1e-12);
  EXPECT_NEAR(quality.worst_error, 1.0 / 3.0, 1e-12);
  EXPECT_NEAR(quality.kendall, 4.0 / 6.0, 1e-12);
  EXPECT_NEAR(quality.spearman, 0.8, 1e-12);
}

TEST(Calibration, TheWrittenFileGivesTheFittedLatencies) {
  const Measurements measurements =
      synthetic(known_terms("mac+output", {4.0, 30.0}), 120.0,
                {"ds_cnn", "deep_autoencoder", "mobilenet_v1_025", "resnet8", "vit_tiny_28"});
  Options options = options_for("l4r5", "tinyengine");
  options.source = "bench of a test";
  const Calibration calibration = calibrate(measurements, options);
  const TemporaryFolder folder;
  write_bytes(folder.file("mcu_coefficients.json"), mcu::data_with_model(calibration.model, "").dump(2));
  const std::unique_ptr<Target> target =
      make_target("cortex_m", nlohmann::json::object(), std::filesystem::path(folder.file("x")).parent_path());
  const auto model =
      target->build(target->params().from_json({{"board", "l4r5"}, {"engine", "tinyengine"}, {"l4r5.clock_mhz", 120}}));
  for (std::size_t i = 0; i < measurements.rows.size(); ++i) {
    Job job;
    job.model = measurements.rows[i].graph;
    const auto cost = (*model)->evaluate(std::vector<Job>{job});
    ASSERT_TRUE(cost) << cost.error().reason;
    const double fitted = calibration.predictions.fitted_ms[i];
    EXPECT_NEAR(cost->metrics.at("latency_ms"), fitted, 1e-12 * fitted);
    EXPECT_TRUE(cost->notes[0].starts_with("cycles calibrated on 5 networks at 120 MHz")) << cost->notes[0];
  }
}

TEST(Calibration, TermsAreGroupsOrFeaturesEachOnce) {
  const auto refusal = [](const std::string& text) -> std::string {
    try {
      static_cast<void>(parse_terms(text));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal("conv2d+pointwise+depthwise+fully_connected.outputs"), "");
  EXPECT_NE(refusal("conv2d+").find("--terms: \"\" is not known"), std::string::npos);
  EXPECT_NE(refusal("").find("--terms: \"\" is not known"), std::string::npos);
  EXPECT_NE(refusal("mac+outputs").find("did you mean \"output\""), std::string::npos) << refusal("mac+outputs");
  EXPECT_NE(refusal("depthwise+depthwise_mac").find("are the same"), std::string::npos);
}

}  // namespace
}  // namespace cosearch::calibrate
