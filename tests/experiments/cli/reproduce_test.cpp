#include <gtest/gtest.h>

#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::testing_support {
namespace {

using nlohmann::json;

TEST(ReproduceCommand, FuseMaxPrintsItsTablesAndDrawsItsPictures) {
  const TemporaryFolder folder;
  const ProcessResult text =
      run_cosearch({"reproduce", "fusemax", "--no-search", "--pictures", folder.file("pictures")});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  for (const char* part : {"binding        7.41x", "6.72", "10.05", "5.30", "horowitz_45nm", "512 x 512"}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << part;
  }
  EXPECT_TRUE(std::filesystem::exists(folder.file("pictures/contribution.svg")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("pictures/sizes.svg")));
}

TEST(ReproduceCommand, FuseMaxAsJson) {
  const TemporaryFolder folder;
  const ProcessResult result =
      run_cosearch({"reproduce", "fusemax", "--format", "json", "--pictures", folder.file("pictures")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const json document = json::parse(result.out);
  EXPECT_EQ(document.at("results").size(), 5U * 4U * 6U);
  EXPECT_EQ(document.at("better_designs").size(), 2U);
  for (const json& better : document.at("better_designs")) {
    EXPECT_LT(better.at("latency_s").get<double>(), better.at("published_latency_s").get<double>());
  }
}

TEST(ReproduceCommand, McuformerPrintsItsTablesTrainsAndDrawsItsPicture) {
  const TemporaryFolder folder;
  const ProcessResult text = run_cosearch({"reproduce", "mcuformer", "--train", "--epochs", "0.1", "--train-samples",
                                           "200", "--evaluate-samples", "8", "--fine-tune-epochs", "0", "--pictures",
                                           folder.file("pictures"), "--to", folder.file("projects")});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  for (const char* part :
       {"later code, of our networks  log, bytes    100  100", "+ recomputed per head", "STM32F427", "73.62 %",
        "Not reproduced: the accuracy", "attn.qkv", "int8 fine-tuned [%]", "mcu_vit", "mcunet"}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << part;
  }
  EXPECT_TRUE(std::filesystem::exists(folder.file("pictures/techniques.svg")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("projects/transformer/model.c")));
}

TEST(ReproduceCommand, McuformerAsJson) {
  const TemporaryFolder folder;
  const ProcessResult result =
      run_cosearch({"reproduce", "mcuformer", "--format", "json", "--pictures", folder.file("pictures")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const json document = json::parse(result.out);
  EXPECT_EQ(document.at("accounting").at("later_network_equal"), 100);
  EXPECT_EQ(document.at("low_rank").size(), 21U);
  EXPECT_EQ(document.at("break_even").size(), 4U);
  EXPECT_EQ(document.at("techniques").size(), 21U);
  EXPECT_EQ(document.at("boards").size(), 18U);
  EXPECT_FALSE(document.contains("trained"));
}

TEST(ReproduceCommand, M3VitPrintsItsTablesAndDrawsItsPictures) {
  const TemporaryFolder folder;
  const ProcessResult text = run_cosearch({"reproduce", "m3vit", "--pictures", folder.file("pictures")});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  for (const char* part :
       {"637.478", "750.557", "9.23", "2.40", "zcu104: needs 5,", "attention reordering", "two tasks"}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << part;
  }
  EXPECT_TRUE(std::filesystem::exists(folder.file("pictures/experts_even.svg")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("pictures/experts_skewed.svg")));
}

TEST(ReproduceCommand, M3VitAsJson) {
  const TemporaryFolder folder;
  const ProcessResult result =
      run_cosearch({"reproduce", "m3vit", "--format", "json", "--pictures", folder.file("pictures")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const json document = json::parse(result.out);
  EXPECT_EQ(document.at("table4").size(), 7U);
  EXPECT_EQ(document.at("ablation").size(), 6U);
}

TEST(ReproduceCommand, UnknownEnergyTablesEndWithTwo) {
  const ProcessResult result = run_cosearch({"reproduce", "fusemax", "--energy-table", "aladin_45nm"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(
      result.err,
      "cosearch: error: --energy-table: \"aladin_45nm\" is not known; known: aladdin_45nm, horowitz_45nm; did you "
      "mean \"aladdin_45nm\"?\n");
}

}  // namespace
}  // namespace cosearch::testing_support
