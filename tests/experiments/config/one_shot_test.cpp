#include "experiments/config/one_shot.hpp"

#include <gtest/gtest.h>

#include "spaces/base/config_error.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using namespace testing_support;  // NOLINT(google-build-using-namespace)

std::string error_of(const json& config) {
  try {
    static_cast<void>(campaign_from_json(config));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(OneShotConfig, ResolvedConfigReadsBackToAnEqualCampaign) {
  json config = one_shot_config();
  config["accuracy"]["distillation"] = 0.25;
  config["accuracy"]["supernets"] = {"stem.width"};
  config["final"]["initialise"] = "supernet";
  const Campaign campaign = campaign_from_json(config);
  EXPECT_EQ(campaign.accuracy, AccuracyKind::one_shot);
  EXPECT_EQ(campaign.networks.front().one_shot.distillation, 0.25);
  EXPECT_EQ(campaign.networks.front().one_shot.supernets, std::vector<std::string>{"stem.width"});
  EXPECT_TRUE(campaign.final_stage.from_supernet);
  EXPECT_EQ(campaign.networks.front().train.batch, 16);
  const Campaign again = campaign_from_json(campaign.resolved);
  EXPECT_EQ(again.resolved, campaign.resolved);
  EXPECT_TRUE(again.final_stage.from_supernet);
  const json schema = campaign_schema();
  const json& accuracy = schema.at("properties").at("accuracy").at("properties");
  for (const auto& [key, value] : campaign.resolved.at("accuracy").items()) {
    EXPECT_TRUE(accuracy.contains(key)) << key;
  }
  EXPECT_TRUE(schema.at("properties").at("final").at("properties").contains("initialise"));
}

TEST(OneShotConfig, OneSpaceForEachCombinationOfTheChosenGenes) {
  json config = one_shot_config();
  config["accuracy"]["supernets"] = {"stages.0.depth", "stages.1.kernel"};
  const Campaign campaign = campaign_from_json(config);
  const JointSpace space(campaign, "");
  std::vector<std::string> names;
  for (const SupernetSpace& part : supernet_spaces(campaign, space)) {
    names.push_back(part.subnets.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{
                       R"({"stages.0.depth":0,"stages.1.kernel":3})", R"({"stages.0.depth":0,"stages.1.kernel":5})",
                       R"({"stages.0.depth":1,"stages.1.kernel":3})", R"({"stages.0.depth":1,"stages.1.kernel":5})"}));
}

TEST(OneShotConfig, LazySupernetsMayHaveAnyNumberOfCombinations) {
  json config = one_shot_config();
  config["space"]["genes"] = {{"resolution", 8}};
  config["accuracy"]["supernets"] = {"stem.width",     "stages.0.depth", "stages.1.depth",
                                     "stages.1.width", "stages.2.depth", "stages.2.width"};
  EXPECT_NE(error_of(config).find("unless they are lazy"), std::string::npos) << error_of(config);
  config["accuracy"]["lazy"] = true;
  const Campaign campaign = campaign_from_json(config);
  EXPECT_TRUE(campaign.networks.front().one_shot.lazy);
  EXPECT_TRUE(supernet_spaces(campaign, JointSpace(campaign, "")).empty());
  EXPECT_EQ(campaign_from_json(campaign.resolved).resolved, campaign.resolved);
  config["accuracy"]["supernets"] = {"stem.widht"};
  EXPECT_NE(error_of(config).find("/accuracy/supernets/0"), std::string::npos) << error_of(config);
}

TEST(OneShotConfig, ErrorsPointAtTheKeyAndSayWhatIsAllowed) {
  struct Case {
    std::string pointer;
    json value;
    std::vector<std::string> says;
  };
  const std::vector<Case> cases{
      {"/accuracy/kind", "oneshot", {"/accuracy/kind", "did you mean \"one_shot\""}},
      {"/accuracy/randm_subnets", 2, {"/accuracy/randm_subnets", "did you mean \"random_subnets\""}},
      {"/accuracy/random_subnets", -1, {"/accuracy/random_subnets", "0 to 64"}},
      {"/accuracy/distillation", 1.5, {"/accuracy/distillation", "0 to 1"}},
      {"/accuracy/calibration_samples", 3, {"/accuracy/calibration_samples", "16 to"}},
      {"/accuracy/supernets", "family", {"/accuracy/supernets", "list"}},
      {"/accuracy/supernets", {3}, {"/accuracy/supernets/0", "a string"}},
      {"/accuracy/supernets", {"stem.widht"}, {"/accuracy/supernets/0", "did you mean \"stem.width\""}},
      {"/accuracy/supernets", {"hw.board"}, {"/accuracy/supernets/0", "is not known"}},
      {"/accuracy/supernets", {"stages.0.kernel"}, {"/accuracy/supernets/0", "stages.0.depth"}},
      {"/accuracy/learning_rate", 0, {"/accuracy/learning_rate", "above 0"}},
      {"/final/initialise", "supernets", {"/final/initialise", "did you mean \"supernet\""}},
      {"/final/initialize", "supernet", {"/final/initialize", "did you mean \"initialise\""}},
      {"/objectives", {"train_loss", "latency_ms"}, {"/objectives/0", "train_loss"}},
  };
  for (const Case& wrong : cases) {
    json config = one_shot_config();
    config[json::json_pointer(wrong.pointer)] = wrong.value;
    const std::string error = error_of(config);
    for (const std::string& text : wrong.says) {
      EXPECT_NE(error.find(text), std::string::npos) << wrong.pointer << " = " << wrong.value << ": " << error;
    }
  }
}

TEST(OneShotConfig, ItsKeysBelongToNoOtherKind) {
  json config = train_config();
  config["accuracy"]["random_subnets"] = 2;
  EXPECT_NE(error_of(config).find("/accuracy/random_subnets"), std::string::npos) << error_of(config);
  config = train_config();
  config["final"]["initialise"] = "supernet";
  EXPECT_NE(error_of(config).find("needs /accuracy/kind \"one_shot\""), std::string::npos) << error_of(config);
  config = one_shot_config();
  config.erase("dataset");
  config["task"] = {{"sample", {8, 8, 1}}, {"classes", 10}};
  EXPECT_NE(error_of(config).find("/dataset"), std::string::npos) << error_of(config);
}

}  // namespace
}  // namespace cosearch
