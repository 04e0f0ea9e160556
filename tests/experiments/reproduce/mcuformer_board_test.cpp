#include "experiments/reproduce/mcuformer_board.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::mcuformer {
namespace {

using testing_support::TemporaryFolder;

/// A glance at a few generated images.
Contestant quick(Contestant contestant) {
  contestant.recipe.epochs = 1.0;
  contestant.recipe.train_samples = 32;
  contestant.recipe.evaluate_samples = 12;
  contestant.recipe.batch = 16;
  return contestant;
}

mcu::Board board(std::int64_t sram_bytes, std::int64_t flash_bytes) {
  mcu::Board board;
  board.name = "small";
  board.part = "SMALL1";
  board.sram_bytes = sram_bytes;
  board.flash_bytes = flash_bytes;
  return board;
}

TaskData few_images() {
  return load_task_data({{"name", "synthetic"},
                         {"height", 12},
                         {"width", 12},
                         {"classes", 10},
                         {"train", 40},
                         {"search", 10},
                         {"test", 20}});
}

TEST(McuformerBoard, BothContestantsRunWithinTheLimitsAsPlanned) {
  const TemporaryFolder folder;
  const TaskData data = few_images();
  const std::vector<Contestant> both = contestants();
  ASSERT_EQ(both.size(), 2U);
  for (const Contestant& contestant : both) {
    SCOPED_TRACE(contestant.name);
    BoardOptions options;
    options.board = board(320 * 1024, 1024 * 1024);
    options.quantize.ranges.samples = 16;
    options.vectors = 2;
    options.folder = folder.file("projects");
    const auto result = run_on_board(quick(contestant), data, options);
    ASSERT_TRUE(result) << result.error().reason;
    EXPECT_FALSE(result->stopped);
    for (const double accuracy : {result->fp32_accuracy, result->int8_accuracy, result->fine_tuned_accuracy}) {
      EXPECT_GE(accuracy, 0.0);
      EXPECT_LE(accuracy, 1.0);
    }
    EXPECT_LE(result->arena_bytes, options.board.sram_bytes);
    EXPECT_EQ(result->parameters, graph::total_counts(contestant.network).parameters);
    EXPECT_TRUE(std::filesystem::exists(folder.file("projects/" + contestant.name + "/Makefile")));
    if (!result->emulated) {
      EXPECT_FALSE(result->missing_packages.empty());
      GTEST_SKIP() << "packages are missing: " << result->missing_packages.front();
    }
    EXPECT_EQ(result->emulated->vectors, 2);
    EXPECT_EQ(result->emulated->passed, 2);
    EXPECT_EQ(result->emulated->arena_bytes, result->arena_bytes);
    EXPECT_GE(result->emulated->instructions, result->macs / 2) << "two products an instruction at the most";
  }
}

TEST(McuformerBoard, WhatDoesNotFitSaysByHowManyBytes) {
  const Contestant transformer = quick(contestants().front());
  BoardOptions options;
  options.board = board(8 * 1024, 1024 * 1024);
  const auto no_sram = run_on_board(transformer, few_images(), options);
  ASSERT_FALSE(no_sram);
  EXPECT_THAT(no_sram.error().reason, ::testing::MatchesRegex("the arena .* bytes, SMALL1 has 8,192: .* too many"));
  options.board = board(320 * 1024, 1000);
  const auto no_flash = run_on_board(transformer, few_images(), options);
  ASSERT_FALSE(no_flash);
  EXPECT_THAT(no_flash.error().reason, ::testing::MatchesRegex(".* need .* bytes, SMALL1 has 1,000: .* too many"));
}

TEST(McuformerBoard, AStopEndsWithoutAResult) {
  std::stop_source source;
  source.request_stop();
  BoardOptions options;
  options.board = board(320 * 1024, 1024 * 1024);
  const auto result = run_on_board(quick(contestants().front()), few_images(), options, source.get_token());
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->stopped);
}

}  // namespace
}  // namespace cosearch::mcuformer
