#include "experiments/config/campaign.hpp"

#include <gtest/gtest.h>

#include <map>

#include <algorithm>
#include <fstream>

#include "experiments/config/json_file.hpp"
#include "spaces/base/config_error.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using testing_support::cost_config;
using testing_support::train_config;

std::string error_of(const json& config) {
  try {
    static_cast<void>(campaign_from_json(config));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Campaign, ResolvedConfigReadsBackToAnEqualCampaign) {
  for (const json& config : {cost_config(), train_config()}) {
    const Campaign campaign = campaign_from_json(config);
    const Campaign again = campaign_from_json(campaign.resolved);
    EXPECT_EQ(again.resolved, campaign.resolved);
    EXPECT_EQ(config_hash(again), config_hash(campaign));
    EXPECT_EQ(again.networks.front().space_options, campaign.networks.front().space_options);
    EXPECT_EQ(again.algorithm_options, campaign.algorithm_options);
    EXPECT_EQ(again.screen.options, campaign.screen.options);
    EXPECT_EQ(to_json(again.networks.front().train), to_json(campaign.networks.front().train));
    EXPECT_EQ(to_json(again.networks.front().final_train), to_json(campaign.networks.front().final_train));
  }
}

TEST(Campaign, DefaultsAreWrittenOut) {
  json config = train_config();
  config.erase("seed");
  config.erase("job");
  config.erase("search");
  const Campaign campaign = campaign_from_json(config);
  EXPECT_EQ(campaign.resolved.at("seed"), 1);
  EXPECT_EQ(campaign.resolved.at("job"), (json{{"batch", 1}, {"types", "int8"}}));
  EXPECT_EQ(campaign.resolved.at("search").at("algorithm"), "nsga2");
  EXPECT_EQ(campaign.resolved.at("accuracy").at("kind"), "train");
  const TaskData data = load_task_data(config.at("dataset"));
  EXPECT_EQ(campaign.resolved.at("task"),
            (json{{"sample", data.train.sample}, {"classes", data.train.classes}, {"dense", false}}));
  EXPECT_EQ(campaign.resolved.at("objectives")[0], (json{{"metric", "error"}, {"direction", "minimize"}}));
  EXPECT_TRUE(campaign.resolved.at("accuracy").contains("weight_decay"));
}

TEST(Campaign, FinalRecipeStartsFromTheAccuracyRecipe) {
  json config = train_config();
  config["accuracy"]["label_smoothing"] = 0.25;
  const Campaign campaign = campaign_from_json(config);
  EXPECT_EQ(campaign.final_stage.top, 2);
  EXPECT_DOUBLE_EQ(campaign.networks.front().final_train.label_smoothing, 0.25);
  EXPECT_DOUBLE_EQ(campaign.networks.front().final_train.epochs, 3.0);
  EXPECT_DOUBLE_EQ(campaign.networks.front().train.epochs, 2.0);
}

TEST(Campaign, ErrorsPointAtTheKeyAndSayWhatIsAllowed) {
  struct Case {
    std::string pointer;  ///< of what is changed
    json value;
    std::vector<std::string> says;
  };
  const std::vector<Case> cases{
      {"/objectivs", json::array(), {"/objectivs", "did you mean \"objectives\""}},
      {"/name", "two words", {"/name", "letters, digits"}},
      {"/name", 3, {"/name: expected a string, read 3"}},
      {"/seed", -1, {"/seed", "0 to 2^64 - 1"}},
      {"/seed", 1.5, {"/seed", "read 1.5"}},
      {"/dataset/name",
       "mnist",
       {"/dataset/name", "known: cells, cifar, fashion_mnist, idx, image_folder, npz, shapes, synthetic, wav_folder"}},
      {"/dataset/chanels", 1, {"/dataset/chanels"}},
      {"/task", {{"sample", {8, 8}}, {"classes", 3}}, {"/task/sample", "[height, width, channels]"}},
      {"/space/name", "mobilecnn", {"/space/name", "did you mean \"mobile_cnn\""}},
      {"/space/depth", 3, {"/space/depth"}},
      {"/space/genes/resolutoin", 8, {"/space/genes/resolutoin", "did you mean \"resolution\""}},
      {"/space/genes/resolution", 9, {"/space/genes/resolution", "9"}},
      {"/space/initial", {{{"hw.board", "x1"}}}, {"/space/initial/0/hw.board", "f746"}},
      {"/target/name", "cortexm", {"/target/name", "did you mean \"cortex_m\""}},
      {"/target/voltage", 3, {"/target/voltage"}},
      {"/target/genes/board", "f999", {"/target/genes/board", "f746"}},
      {"/objectives", json::array(), {"/objectives", "one or more metrics"}},
      {"/objectives", {"error", "latencyms"}, {"/objectives/1", "did you mean \"latency_ms\""}},
      {"/objectives", {"error", "area_mm2"}, {"/objectives/1", "target \"cortex_m\""}},
      {"/objectives", {"error", "accuracy"}, {"/objectives/1", "one of accuracy and error"}},
      {"/objectives",
       {{{"metric", "error"}, {"direction", "down"}}},
       {"/objectives/0/direction", "maximize, minimize"}},
      {"/constraints", {{{"metric", "latency_ms"}}}, {"/constraints/0", "\"min\", \"max\" or both"}},
      {"/constraints", {{{"metric", "latency_ms"}, {"max", 0}}}, {"/constraints/0/max", "always above 0"}},
      {"/constraints", {{{"metric", "accuracy"}, {"min", 1.5}}}, {"/constraints/0/min", "at most 1"}},
      {"/constraints", {{{"metric", "macs"}, {"min", 5}, {"max", 3}}}, {"/constraints/0", "min 5 is above max 3"}},
      {"/constraints", {{{"metric", "macs"}, {"maximum", 3}}}, {"/constraints/0/maximum", "metric, min, max"}},
      {"/constraints", {{{"metric", "macs"}, {"max", "3"}}}, {"/constraints/0/max", "a number", "read \"3\""}},
      {"/accuracy/epochs", "many", {"/accuracy/epochs"}},
      {"/accuracy/epoch", 1, {"/accuracy/epoch", "epochs"}},
      {"/accuracy/quantize", {{"rule", "median"}}, {"/accuracy/quantize/rule", "entropy, extremes, percentile"}},
      {"/accuracy/quantize", {{"bits", 4}}, {"/accuracy/quantize/bits", "fine_tune_epochs"}},
      {"/final/quantize", {{"percentile", 10}}, {"/final/quantize/percentile", "50"}},
      {"/accuracy/kind", "proxy", {"/accuracy/kind", "none, one_shot, train"}},
      {"/screen/predictor", "forest", {"/screen/predictor", "ridge"}},
      {"/screen/share", 0, {"/screen/share", "above 0"}},
      {"/screen/alpha", 1, {"/screen/alpha"}},
      {"/search/algorithm", "nsga3", {"/search/algorithm", "did you mean \"nsga2\""}},
      {"/search/populaton", 8, {"/search/populaton", "population"}},
      {"/search/population", 64, {"/search/population", "/budget/evaluations (32)"}},
      {"/budget/evaluations", 0, {"/budget/evaluations", "from 1", "read 0"}},
      {"/budget/evaluations", 1.5, {"/budget/evaluations", "an integer"}},
      {"/budget/trainings", -3, {"/budget/trainings", "from 0"}},
      {"/final/top", 0, {"/final/top", "from 1"}},
      {"/job/types", "int4", {"/job/types", "bf16, fp16, fp32, int8"}},
      {"/job/batch", 0, {"/job/batch", "from 1"}},
  };
  for (const Case& entry : cases) {
    json config = train_config();
    config[json::json_pointer(entry.pointer)] = entry.value;
    const std::string message = error_of(config);
    for (const std::string& part : entry.says) {
      EXPECT_NE(message.find(part), std::string::npos)
          << entry.pointer << " = " << entry.value << "\n  gave: " << message << "\n  not: " << part;
    }
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(Campaign, MissingSectionsAreNamed) {
  for (const char* key : {"name", "space", "target", "objectives", "budget"}) {
    json config = train_config();
    config.erase(key);
    EXPECT_NE(error_of(config).find("/" + std::string(key) + ": is missing"), std::string::npos) << error_of(config);
  }
}

TEST(Campaign, AccuracyNeedsADataSet) {
  json config = cost_config();
  config["objectives"] = {"error", "latency_ms"};
  EXPECT_NE(error_of(config).find("/objectives/0: \"error\" comes from training, but the config has no \"dataset\""),
            std::string::npos)
      << error_of(config);
  config["accuracy"] = {{"kind", "train"}};
  EXPECT_NE(error_of(config).find("/dataset: is missing"), std::string::npos);
  config = cost_config();
  config["screen"] = {{"predictor", "ridge"}};
  EXPECT_NE(error_of(config).find("/screen"), std::string::npos);
  config = cost_config();
  config.erase("task");
  EXPECT_NE(error_of(config).find("/dataset: is missing"), std::string::npos);
}

TEST(Campaign, StatedTaskMustBeThatOfTheDataSet) {
  json config = train_config();
  config["task"] = {{"sample", {8, 8, 1}}, {"classes", 4}};
  EXPECT_EQ(error_of(config),
            "/task: says samples of [8,8,1] and 4 classes, the data set has samples of [8,8,1] and 10 classes");
}

TEST(Campaign, TheAlgorithmIsToldWhatIsHardwareAndWhatIsLearned) {
  json config = train_config();
  config["objectives"] = {"latency_ms", "error", "flash_bytes"};
  const Campaign campaign = campaign_from_json(config);
  const JointSpace space(campaign, "");
  const AlgorithmContext context = algorithm_context(campaign, space, {FidelityKind::full, 0});
  EXPECT_EQ(context.objectives, 3U);
  EXPECT_EQ(context.seed, campaign.seed);
  EXPECT_EQ(context.learned, (std::vector<bool>{false, true, false}));
  ASSERT_EQ(context.hardware.size(), context.params->size());
  const std::size_t networks = space.network_params(0).size();
  for (std::size_t i = 0; i < context.hardware.size(); ++i) {
    EXPECT_EQ(context.hardware[i], i >= networks) << context.params->params()[i].name;
  }
}

TEST(Campaign, NetworksThatClassifySamplesCannotLearnToClassifyPixels) {
  json config = train_config();
  config["dataset"] = {{"name", "cells"}, {"size", 8}};
  EXPECT_NE(error_of(config).find("end with shape [2]; the task needs [8,8,2]"), std::string::npos) << error_of(config);
}

TEST(Campaign, TheTaskOfPixelsComesFromTheDataSetOrIsStated) {
  json config = cost_config();
  EXPECT_FALSE(campaign_from_json(config).networks.front().task.dense);
  config["task"]["dense"] = true;
  const Campaign stated = campaign_from_json(config);
  EXPECT_TRUE(stated.networks.front().task.dense);
  EXPECT_TRUE(campaign_from_json(stated.resolved).networks.front().task.dense);
  config["dataset"] = {{"name", "cells"}, {"size", 8}};
  config["task"] = {{"sample", {8, 8, 1}}, {"classes", 2}};
  EXPECT_EQ(
      error_of(config),
      "/task: says samples of [8,8,1] and 2 classes, the data set has samples of [8,8,1] and 2 classes of pixels");
}

TEST(Campaign, ItsDataSetIsReadOnDemand) {
  json config = train_config();
  config["dataset"] = {{"name", "fashion_mnist"}, {"directory", "/nonexistent/fashion"}};
  config["space"]["genes"]["resolution"] = 28;
  const Campaign campaign = campaign_from_json(config);
  EXPECT_EQ(campaign.networks.front().task.sample, (graph::Shape{28, 28, 1}));
  EXPECT_EQ(campaign.networks.front().task.classes, 10);
  EXPECT_THROW(static_cast<void>(load_campaign_data(campaign)), ConfigError);
  EXPECT_NE(load_campaign_data(campaign_from_json(train_config())).front().images(), nullptr);
  EXPECT_TRUE(load_campaign_data(campaign_from_json(cost_config())).front().empty());
}

TEST(JointSpace, NetworkGenesComeFirstAndHardwareGenesArePrefixed) {
  json config = cost_config();
  config["target"]["genes"] = {{"board", {"h743", "f746"}}};
  config["space"]["initial"] = {{{"stages.1.kernel", 5}, {"hw.board", "f746"}}};
  const Campaign campaign = campaign_from_json(config);
  const JointSpace space(campaign, {});
  ASSERT_EQ(space.params().size(), space.space(0).params().size() + space.target().params().size());
  for (std::size_t i = 0; i < space.params().size(); ++i) {
    EXPECT_EQ(space.params().params()[i].name.starts_with("hw."), i >= space.space(0).params().size());
  }
  RngStream rng(5, Purpose::test, 1);
  for (int i = 0; i < 50; ++i) {
    const Genome joint = space.params().sample(rng);
    json expected = space.space(0).params().to_json(space.network_part(joint, 0));
    const json hardware = space.target().params().to_json(space.hardware_part(joint));
    for (const auto& [name, value] : hardware.items()) {
      expected["hw." + name] = value;
    }
    EXPECT_EQ(space.params().to_json(joint), expected);
    EXPECT_EQ(expected.at("resolution"), 8);
  }
  ASSERT_EQ(space.initial().size(), 1U);
  const json design = space.params().to_json(space.initial()[0]);
  EXPECT_EQ(design.at("hw.board"), "f746");
  EXPECT_EQ(design.at("stages.1.kernel"), 5);
}

TEST(JointSpace, EqualInitialDesignsAreRefused) {
  json config = cost_config();
  config["space"]["initial"] = {{{"hw.board", "f746"}}, json::object(), {{"hw.board", "f746"}}};
  EXPECT_NE(error_of(config).find("/space/initial/2"), std::string::npos) << error_of(config);
}

TEST(CampaignConfig, TheFinalStageQuantizesAsTheSearchUnlessItSaysOtherwise) {
  json config = train_config();
  EXPECT_FALSE(campaign_from_json(config).networks.front().quantize.has_value());
  EXPECT_FALSE(campaign_from_json(config).resolved.at("accuracy").contains("quantize"));
  config["final"]["quantize"] = json::object();
  const Campaign only_final = campaign_from_json(config);
  EXPECT_FALSE(only_final.networks.front().quantize.has_value());
  ASSERT_TRUE(only_final.networks.front().final_quantize.has_value());
  EXPECT_EQ(to_json(*only_final.networks.front().final_quantize), to_json(quantize::QuantizeRecipe{}));
  config["accuracy"]["quantize"] = {{"rule", "entropy"}};
  EXPECT_EQ(campaign_from_json(config).resolved.at("final").at("quantize").at("rule"), "percentile");
  config["final"].erase("quantize");
  const Campaign both = campaign_from_json(config);
  EXPECT_EQ(both.resolved.at("accuracy").at("quantize").at("rule"), "entropy");
  EXPECT_EQ(both.resolved.at("final").at("quantize").at("rule"), "entropy");
  EXPECT_EQ(campaign_from_json(both.resolved).resolved, both.resolved);
}

TEST(CampaignSchema, PublishedFileIsThePrintedSchema) {
  const json published = read_json_file(COSEARCH_SOURCE_DIR "/experiments/config/campaign.schema.json");
  EXPECT_EQ(published, campaign_schema());
}

TEST(CampaignSchema, DescribesEveryKeyOfARecipe) {
  const json schema = campaign_schema();
  const json recipe = to_json(TrainOptions{});
  // Beside the recipe: quantisation and what the kinds need; quantisation, which of the front, and where it begins.
  const std::map<std::string, std::size_t> own{{"accuracy", 7}, {"final", 3}};
  for (const char* section : {"accuracy", "final"}) {
    const json& properties = schema.at("properties").at(section).at("properties");
    for (const auto& [key, value] : recipe.items()) {
      ASSERT_TRUE(properties.contains(key)) << section << " lacks " << key;
      EXPECT_EQ(properties.at(key).at("default"), value);
    }
    EXPECT_EQ(properties.size(), recipe.size() + own.at(section));
  }
}

TEST(CampaignSchema, KnowsEverySectionOfAResolvedConfig) {
  const json properties = campaign_schema().at("properties");
  const json resolved = campaign_from_json(train_config()).resolved;
  for (const auto& [section, content] : resolved.items()) {
    ASSERT_TRUE(properties.contains(section)) << section;
    const json& described = properties.at(section);
    if (!content.is_object() || described.value("additionalProperties", true)) {
      continue;
    }
    for (const auto& [key, value] : content.items()) {
      EXPECT_TRUE(described.at("properties").contains(key)) << section << "/" << key;
    }
  }
}

TEST(Campaign, ConfigsOfTheRepositoryAreValid) {
  for (const char* name : {"tiny", "quickstart", "mcuformer", "asic_vit", "asic_heterogeneous"}) {
    json config = read_json_file(std::string(COSEARCH_SOURCE_DIR "/experiments/configs/") + name + ".json");
    EXPECT_EQ(config.at("name"), name);
    // Their data set may not be installed where the tests run.
    if (config.contains("dataset") && config.at("dataset").at("name") == "fashion_mnist") {
      config["task"] = {{"sample", {28, 28, 1}}, {"classes", 10}};
    }
    EXPECT_EQ(error_of(config), "no error") << name;
  }
}

}  // namespace
}  // namespace cosearch
