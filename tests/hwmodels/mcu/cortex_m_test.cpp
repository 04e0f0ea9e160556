#include "hwmodels/mcu/cortex_m.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using testing::config_error_of;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::reference_network;

Expected<Cost, Infeasible> evaluate(const nlohmann::json& genes, const Job& job,
                                    const nlohmann::json& options = nlohmann::json::object()) {
  const auto target = make_cortex_m(options, "");
  const auto model = target->build(target->params().from_json(genes.is_null() ? nlohmann::json::object() : genes));
  EXPECT_TRUE(model.has_value());
  return (*model)->evaluate(std::span(&job, 1));
}

// published: latencies of the TinyEngine, MCUNet and MLPerf Tiny tables. 10 % on STM32H743 with TinyEngine, whose
// worst leave-one-out error is 3.2 %; elsewhere what the calibration states.
TEST(CortexM, LatenciesAreNearThePublishedOnes) {
  const testing::Table table = testing::read_table("mcu_published.csv");
  int listed = 0;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const std::string board = table.cell(row, "board");
    const std::string engine = table.cell(row, "engine");
    if (table.cell(row, "use") == "pooled") {
      continue;  // another generation of the engine
    }
    // Memory is checked elsewhere; networks that do not fit a board's RAM were measured on it all the same by engines
    // with other memory plans, so the calibrated rates are applied on the largest board of the same model.
    const auto cost =
        evaluate({{"board", board}, {"engine", engine}}, Job{reference_network(table.cell(row, "network"))});
    if (!cost) {
      ASSERT_FALSE(cost.error().violations.empty());
      continue;
    }
    const double published = table.number(row, "latency_ms");
    const double error = cost->metrics.at("latency_ms") / published - 1.0;
    std::printf("%s %-14s %-22s %8.1f ms, published %8.1f, %+5.1f %%%s\n", board.c_str(), engine.c_str(),
                table.cell(row, "network").c_str(), cost->metrics.at("latency_ms"), published, 100.0 * error,
                table.cell(row, "use") == "held_out" ? " (held out)" : "");
    if (table.cell(row, "use") != "held_out") {
      // What STMicroelectronics and Plumerai do with the third network was not published; Renesas' kernels are vectors.
      const bool unlike = engine == "plumerai" || engine == "x_cube_ai_2024" || engine == "renesas";
      EXPECT_LE(std::abs(error), unlike                    ? 0.3
                                 : engine == "x_cube_ai_7" ? 0.15
                                                           : 0.1)
          << board << " " << engine << " " << table.cell(row, "network");
    }
    listed += board == "h743" && engine == "tinyengine" ? 1 : 0;
  }
  EXPECT_EQ(listed, 8);
}

/// One block with a mixture of experts; two tasks.
graph::NetworkGraph mixture_of_two_tasks() {
  graph::Builder builder("moe", {16, 12});
  const int embedded = builder.then("embed", graph::Linear{{32}});
  builder.then("norm", graph::LayerNorm{});
  builder.then("moe", graph::MoeFfn{.experts = 8, .top_k = 2, .hidden = 24, .tasks = 2});
  builder.add("add", graph::Add{}, {embedded, builder.last()});
  const int mean = builder.then("mean", graph::GlobalAveragePool{});
  const int first = builder.then("first", graph::Linear{{5}});
  const int second = builder.add("second", graph::Linear{{3}}, {mean});
  graph::NetworkGraph network = std::move(builder).finish();
  network.outputs = {first, second};
  return network;
}

Job task_job(const graph::NetworkGraph& network, int task) {
  Job job{network};
  job.tasks = {task};
  return job;
}

TEST(CortexM, AMixtureCostsTheChosenExpertsAndTheFlashOfAll) {
  const auto evaluated = [](std::int64_t experts, std::int64_t top_k) {
    graph::NetworkGraph network = mixture_of_two_tasks();
    auto& moe = std::get<graph::MoeFfn>(network.nodes.at(3).op);
    moe.experts = experts;
    moe.top_k = top_k;
    return evaluate({{"board", "l4r5"}, {"engine", "cosearch"}}, task_job(network, 0)).value();
  };
  const Cost few = evaluated(8, 2);
  const auto layer = std::find_if(few.layers.begin(), few.layers.end(),
                                  [](const LayerCost& candidate) { return candidate.kind == "mixture"; });
  ASSERT_NE(layer, few.layers.end());
  EXPECT_EQ(layer->macs, 16 * 32 * (8 + 2 * 2 * 24));
  EXPECT_GT(layer->cycles, static_cast<double>(layer->macs));
  EXPECT_EQ(layer->parts.at("scratch_bytes"), 4 * 8 + 24 + 4 * 32);
  // A router's row and its offset; both layers' weights, biases and multipliers of hidden values, biases of outputs.
  const double expert = 32 + 4 + 2 * 24 * 32 + 8 * 24 + 4 * 32;
  const Cost many = evaluated(16, 2);
  EXPECT_EQ(many.metrics.at("flash_bytes") - few.metrics.at("flash_bytes"), 8 * expert);
  EXPECT_EQ(many.metrics.at("macs") - few.metrics.at("macs"), 16 * 32 * 8) << "eight more logits of each token";
  const Cost chosen = evaluated(8, 4);
  EXPECT_EQ(chosen.metrics.at("flash_bytes"), few.metrics.at("flash_bytes"));
  EXPECT_EQ(chosen.metrics.at("macs") - few.metrics.at("macs"), 16 * 32 * 2 * 2 * 24);
  EXPECT_GT(chosen.metrics.at("cycles"), many.metrics.at("cycles"));
}

TEST(CortexM, OnlyOurOwnEngineHasAKernelOfMixtures) {
  const Job job = task_job(mixture_of_two_tasks(), 1);
  for (const std::string engine : {"tinyengine", "cmsis_nn", "tflm_reference", "x_cube_ai_7", "bosch"}) {
    const auto cost = evaluate({{"board", "l4r5"}, {"engine", engine}}, job);
    ASSERT_FALSE(cost.has_value()) << engine;
    EXPECT_EQ(cost.error().reason, "engine " + engine + ": node \"moe\": there is no kernel for moe_ffn");
  }
  for (const std::string accounting : {"tinyengine", "mcuformer", "mcuformer_supernet"}) {
    const auto cost = evaluate({{"board", "l4r5"}, {"engine", "cosearch"}}, job, {{"accounting", accounting}});
    ASSERT_FALSE(cost.has_value()) << accounting;
    EXPECT_THAT(cost.error().reason, HasSubstr("accounting \"" + accounting + "\": node \"moe\""));
  }
}

TEST(CortexM, TasksRunOneAfterTheOtherAsTheyAreExported) {
  graph::NetworkGraph network = mixture_of_two_tasks();
  for (const std::int64_t routed : {2, 1}) {
    std::get<graph::MoeFfn>(network.nodes.at(3).op).tasks = routed;
    const nlohmann::json genes = {{"board", "l4r5"}, {"engine", "cosearch"}};
    const Cost both = evaluate(genes, Job{network}).value();
    const Cost first = evaluate(genes, task_job(network, 0)).value();
    const Cost second = evaluate(genes, task_job(network, 1)).value();
    for (const char* metric : {"cycles", "macs"}) {
      EXPECT_DOUBLE_EQ(both.metrics.at(metric), first.metrics.at(metric) + second.metrics.at(metric)) << metric;
    }
    EXPECT_EQ(both.metrics.at("sram_bytes"), std::max(first.metrics.at("sram_bytes"), second.metrics.at("sram_bytes")));
    EXPECT_GT(both.metrics.at("flash_bytes"), first.metrics.at("flash_bytes") + 8 * 2 * 32 * 24) << "experts again";
    EXPECT_EQ(both.layers.size(), first.layers.size() + second.layers.size());
    EXPECT_EQ(both.layers.front().name, "moe@0/embed");
    EXPECT_EQ(both.layers.back().name, "moe@1/second");
    // A router of the second task and its head: the rest is that of the first.
    EXPECT_EQ(both.metrics.at("params"),
              first.metrics.at("params") + static_cast<double>((routed - 1) * 32 * 8 + 32 * 3 + 3));
  }
}

TEST(CortexM, WeightsOfFourBitsNeedHalfTheFlashAndTheSameTime) {
  graph::NetworkGraph network = reference_network("resnet8");
  const auto eight = evaluate({}, Job{network});
  // All have an even number of weights in each output channel, so that no half byte is lost.
  std::int64_t weights = 0;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (auto* conv = std::get_if<graph::Conv2d>(&network.nodes[i].op); conv != nullptr && i > 1) {
      conv->weight_bits = 4;
      weights += graph::weights(network, static_cast<int>(i), *graph::infer_shapes(network)).front().elements();
    }
  }
  const auto four = evaluate({}, Job{network});
  ASSERT_TRUE(eight && four);
  EXPECT_EQ(eight->metrics.at("flash_bytes") - four->metrics.at("flash_bytes"), static_cast<double>(weights) / 2.0);
  for (const char* metric : {"latency_ms", "params", "sram_bytes"}) {
    EXPECT_EQ(eight->metrics.at(metric), four->metrics.at(metric)) << metric;
  }
}

// published: SRAM and flash of TinyEngine on STM32H743.
TEST(CortexM, SramAndFlashAreThePublishedOnes) {
  const testing::Table table = testing::read_table("mcu_published.csv");
  int flash_compared = 0;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (table.cell(row, "sram_kib").empty()) {
      continue;
    }
    const std::string name = table.cell(row, "network");
    const auto cost = evaluate({{"board", "h743"}, {"engine", "tinyengine"}}, Job{reference_network(name)});
    ASSERT_TRUE(cost.has_value());
    const double sram_kib = cost->metrics.at("sram_bytes") / 1024.0;
    const double flash_kib = cost->metrics.at("flash_bytes") / 1024.0;
    std::printf("%-22s SRAM %6.1f KiB (published %s), flash %7.1f KiB (published %s)\n", name.c_str(), sram_kib,
                table.cell(row, "sram_kib").c_str(), flash_kib, table.cell(row, "flash_kib").c_str());
    EXPECT_NEAR(sram_kib, table.number(row, "sram_kib"), name == "mbv2-w0.3-r64" ? 2.0 : 0.5) << name;
    if (name.rfind("mcunet", 0) == 0) {
      EXPECT_NEAR(flash_kib, table.number(row, "flash_kib"), 2.1) << name;
      ++flash_compared;
    }
  }
  EXPECT_EQ(flash_compared, 6);
}

// published: SRAM of X-CUBE-AI 7.3 on STM32H743 in KiB (README of mit-han-lab/tinyengine), beside a plan that is not
// its own: what the engine's note says of it.
TEST(CortexM, TheNoteOfXCubeAiTellsHowFarItsSramIsFromThePlan) {
  const std::map<std::string, double> published{
      {"mcunet-in0", 69},  {"mcunet-in1", 106},  {"mcunet-in2", 238},          {"mcunet-in3", 243},
      {"mcunet-in4", 342}, {"mcunet-vww1", 113}, {"proxyless-w0.3-r176", 221}, {"mbv2-w0.3-r64", 88}};
  double least = 1e9;
  double most = 0.0;
  for (const auto& [name, kib] : published) {
    const auto cost = evaluate({{"board", "h743"}, {"engine", "x_cube_ai_7"}}, Job{reference_network(name)});
    ASSERT_TRUE(cost.has_value());
    const double share = kib * 1024.0 / cost->metrics.at("sram_bytes");
    least = std::min(least, share);
    most = std::max(most, share);
    EXPECT_THAT(cost->notes, Contains(HasSubstr("82 to 149 %")));
  }
  EXPECT_NEAR(least, 0.82, 0.005);
  EXPECT_NEAR(most, 1.49, 0.005);
}

TEST(CortexM, NetworksThatDoNotFitSayByHowMuch) {
  const auto cost = evaluate({{"board", "f411"}, {"engine", "tinyengine"}}, Job{reference_network("mcunet-in4")});
  ASSERT_FALSE(cost.has_value());
  const Infeasible& reason = cost.error();
  ASSERT_EQ(reason.violations.size(), 2U);
  EXPECT_EQ(reason.violations[0].name, "sram_bytes");
  EXPECT_EQ(reason.violations[0].required, 426120.0);
  EXPECT_EQ(reason.violations[0].limit, 131072.0);
  EXPECT_EQ(reason.violations[1].name, "flash_bytes");
  EXPECT_EQ(
      reason.reason,
      "needs 426,120 bytes of SRAM at blocks.1.expand, STM32F411 has 131,072: 295,048 too many; 1,868,883 bytes of "
      "flash, STM32F411 has 524,288: 1,344,595 too many");
}

TEST(CortexM, ReservedMemoryCountsAgainstTheBoard) {
  const Job job{reference_network("mcunet-in3")};  // 266,344 of 327,680 bytes
  const nlohmann::json genes{{"board", "f746"}};
  const auto plain = evaluate(genes, job);
  ASSERT_TRUE(plain.has_value());
  const auto reserved = evaluate(genes, job, {{"reserved_sram_bytes", 10000}, {"reserved_flash_bytes", 500}});
  ASSERT_TRUE(reserved.has_value());
  EXPECT_EQ(reserved->metrics.at("sram_bytes"), plain->metrics.at("sram_bytes") + 10000.0);
  EXPECT_EQ(reserved->metrics.at("flash_bytes"), plain->metrics.at("flash_bytes") + 500.0);
  EXPECT_FALSE(evaluate(genes, job, {{"reserved_sram_bytes", 100000}}).has_value());
  EXPECT_THAT(config_error_of([] {
                (void)make_cortex_m({{"reserved_sram_bytes", -1}}, "");
              }),
              HasSubstr("/target/reserved_sram_bytes: expected an integer from 0 to 9007199254740992, read -1"));
}

// Of our own engine: a layer's weights beside its tensors, or no picture; other engines have neither choice.
TEST(CortexM, WeightsAreCopiedAndInputsStreamedWhereOurEngineIsAskedTo) {
  const Job job{testing::small_vit(28, 4, 64, 4, 1)};
  const nlohmann::json ours{{"board", "f746"}, {"engine", "cosearch"}};
  const auto sram = [&](const nlohmann::json& options) {
    const auto cost = evaluate(ours, job, options);
    EXPECT_TRUE(cost.has_value());
    return cost->metrics.at("sram_bytes");
  };
  EXPECT_EQ(sram({{"weights", "flash"}}), sram({}));
  EXPECT_GE(sram({{"weights", "sram"}}), sram({}) + 64 * 192 / 2);
  const auto first = [&](const nlohmann::json& options) { return evaluate(ours, job, options)->memory.front(); };
  EXPECT_EQ(first({}).name, "patch");
  EXPECT_EQ(first({{"input", "streamed"}}).name, "input");
  EXPECT_LT(first({{"input", "streamed"}}).live_bytes, first({}).live_bytes);
  const nlohmann::json tinyengine{{"board", "f746"}, {"engine", "tinyengine"}};
  EXPECT_THAT(evaluate(tinyengine, job, {{"input", "streamed"}}).error().reason, HasSubstr("keeps the whole input"));
  EXPECT_THAT(evaluate(tinyengine, job, {{"weights", "sram"}}).error().reason, HasSubstr("in place"));
}

TEST(CortexM, AnEngineThatNothingTellsAboutIsInfeasible) {
  nlohmann::json json = load_data("mcu_coefficients", "");
  std::erase_if(json["models"].get_ref<nlohmann::json::array_t&>(), [](const nlohmann::json& model) {
    return model.at("board") == "ra8d1" && model.at("engine") == "cmsis_nn";
  });
  const testing::TemporaryData data;
  data.write("mcu_coefficients.json", json.dump());
  const auto target = make_cortex_m(nlohmann::json::object(), data.path());
  const auto model = target->build(target->params().from_json({{"board", "ra8d1"}, {"engine", "cmsis_nn"}}));
  ASSERT_FALSE(model.has_value());
  EXPECT_THAT(model.error().reason, HasSubstr("nobody published latencies of cmsis_nn on RA8D1"));
  EXPECT_THAT(model.error().reason, HasSubstr("renesas was measured there"));
}

TEST(CortexM, NotesSayWhatIsPooled) {
  const Job job{reference_network("ds_cnn")};
  const auto measured = evaluate({{"board", "g0b1"}}, job);
  const auto pooled = evaluate({{"board", "nrf5340"}, {"engine", "tinyengine"}}, job);
  ASSERT_TRUE(measured && pooled);
  EXPECT_THAT(measured->notes, Contains(HasSubstr("cycles calibrated on 4 networks at 64 MHz, error within")));
  EXPECT_THAT(measured->notes, Contains(HasSubstr("too few for coefficients of their own: ratios pooled over")));
  EXPECT_THAT(pooled->notes,
              Contains(HasSubstr("cycles uncalibrated on nrf5340 with tinyengine: the engine's pooled rates times")));
}

TEST(CortexM, HalfTheClockTakesTwiceTheTimeAndTheSameEnergy) {
  const Job job{reference_network("ds_cnn")};
  const auto fast = evaluate({{"board", "h743"}, {"h743.clock_mhz", 480}}, job);
  const auto slow = evaluate({{"board", "h743"}, {"h743.clock_mhz", 240}}, job);
  ASSERT_TRUE(fast && slow);
  EXPECT_DOUBLE_EQ(slow->metrics.at("latency_ms"), 2.0 * fast->metrics.at("latency_ms"));
  EXPECT_DOUBLE_EQ(slow->metrics.at("energy_uj"), fast->metrics.at("energy_uj"));
  EXPECT_THAT(slow->notes, Contains(HasSubstr("measured at 480 MHz; wait states may differ at 240 MHz")));
}

// published: which engines were measured on which board.
TEST(CortexM, TheEngineThatIsNotGivenIsTheBestCalibratedOfTheBoard) {
  const testing::Table table = testing::read_table("mcu_published.csv");
  std::map<std::string, std::map<std::string, int>> rows;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    rows[table.cell(row, "board")][table.cell(row, "engine")] += table.cell(row, "use") == "fit" ? 1 : 0;
  }
  ASSERT_EQ(rows.size(), 9U);
  const auto target = make_cortex_m(nlohmann::json::object(), "");
  const auto engine_on = [&](const std::string& board) {
    return target->params().text(target->params().from_json({{"board", board}}), "engine");
  };
  for (const auto& [board, engines] : rows) {
    for (const auto& [engine, count] : engines) {
      EXPECT_GE(rows[board][engine_on(board)], count) << board << " " << engine;
    }
  }
  EXPECT_EQ(engine_on("f411"), "cmsis_nn") << "measured with none; of the stand-ins this has most rows";
  const auto resnet8 = evaluate({{"board", "l4r5"}}, Job{reference_network("resnet8")});
  ASSERT_TRUE(resnet8.has_value());
  EXPECT_NEAR(resnet8->metrics.at("latency_ms"), 389.56, 0.05 * 389.56);
  EXPECT_THAT(resnet8->notes, Contains(HasSubstr("cycles calibrated on 4 networks at 120 MHz")));
}

TEST(CortexM, NotesSayWhatIsCalibratedAndWhatIsAssumed) {
  const Job job{reference_network("resnet8")};
  const auto h743 = evaluate({{"board", "h743"}}, job);
  ASSERT_TRUE(h743.has_value());
  EXPECT_THAT(h743->notes, Contains(HasSubstr("cycles calibrated on 8 networks at 480 MHz, error within 2.5 %, "
                                              "leave-one-out within 3.2 %")));
  EXPECT_THAT(h743->notes, Contains(HasSubstr("energy uncalibrated")));
  EXPECT_THAT(h743->notes, Contains(HasSubstr("assumed instruction counts")));
  const auto l4r5 = evaluate({{"board", "l4r5"}, {"engine", "tinyengine"}}, job);
  ASSERT_TRUE(l4r5.has_value());
  EXPECT_THAT(l4r5->notes, Contains(HasSubstr("cycles uncalibrated on l4r5 with tinyengine")));
  EXPECT_THAT(l4r5->notes, Contains(HasSubstr("energy calibrated")));
}

TEST(CortexM, RefusesWhatItDoesNotRun) {
  Job job{reference_network("ds_cnn")};
  job.batch = 2;
  EXPECT_EQ(evaluate({}, job).error().reason, "cortex_m runs batch 1; the job asks for batch 2");
  job.batch = 1;
  job.phase = graph::Phase::training;
  EXPECT_THAT(evaluate({}, job).error().reason, HasSubstr("inference only"));
  job.phase = graph::Phase::inference;
  job.types.weight = ir::ElementType::fp32;
  EXPECT_THAT(evaluate({}, job).error().reason, HasSubstr("int8"));
}

TEST(CortexM, TimelinePeaksAtThePlannedSram) {
  const auto cost = evaluate({{"board", "f746"}}, Job{reference_network("mcunet-in2")});
  ASSERT_TRUE(cost.has_value());
  ASSERT_EQ(cost->memory.size(), cost->layers.size());
  std::int64_t peak = 0;
  for (std::size_t i = 0; i < cost->memory.size(); ++i) {
    peak = std::max(peak, cost->memory[i].live_bytes);
    EXPECT_EQ(cost->memory[i].name, cost->layers[i].name);
    EXPECT_FALSE(cost->memory[i].buffers.empty());
  }
  EXPECT_NEAR(static_cast<double>(peak), cost->metrics.at("sram_bytes"), 4.0);
}

}  // namespace
}  // namespace cosearch
