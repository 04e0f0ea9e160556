#include "experiments/config/networks.hpp"

#include <gtest/gtest.h>

#include <algorithm>

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
  return "no error";
}

TEST(Networks, ResolvedConfigReadsBackToAnEqualCampaign) {
  json config = two_network_config();
  config["initial"] = {{{"digits.stem.width", 16}, {"shapes.stem.width", 8}}};
  const Campaign campaign = campaign_from_json(config);
  ASSERT_EQ(campaign.networks.size(), 2U);
  EXPECT_EQ(campaign.networks[1].name, "shapes");
  EXPECT_EQ(campaign.networks[1].weight, 0.25);
  EXPECT_EQ(campaign.networks[1].task.classes, 4);
  EXPECT_EQ(campaign.networks[0].train.epochs, 2.0);
  EXPECT_EQ(campaign.networks[1].train.epochs, 1.0);
  EXPECT_EQ(campaign.networks[1].final_train.epochs, 3.0);
  EXPECT_EQ(campaign.networks[1].final_train.batch, 16) << "as in its accuracy";
  const Campaign again = campaign_from_json(campaign.resolved);
  EXPECT_EQ(again.resolved, campaign.resolved);
  EXPECT_EQ(config_hash(again), config_hash(campaign));
  EXPECT_EQ(to_json(again.networks[1].final_train), to_json(campaign.networks[1].final_train));
}

TEST(Networks, ListOfOneIsTheCampaignWithoutTheList) {
  const json single = train_config();
  json listed = single;
  json network = {{"name", "only"}, {"final", {{"epochs", single.at("final").at("epochs")}}}};
  for (const char* key : {"dataset", "space", "accuracy"}) {
    network[key] = single.at(key);
    listed.erase(key);
  }
  listed["final"].erase("epochs");
  listed["networks"] = json::array({network});
  EXPECT_EQ(campaign_from_json(listed).resolved, campaign_from_json(single).resolved);
}

TEST(Networks, MissingWeightsAreEqualParts) {
  json config = two_network_config();
  for (json& network : config.at("networks")) {
    network.erase("weight");
  }
  EXPECT_EQ(campaign_from_json(config).networks[0].weight, 0.5);
  config["networks"][0]["weight"] = 0.6;
  EXPECT_NE(error_of(config).find("/networks: the weights sum to 1.1; allowed: a sum of 1"), std::string::npos)
      << error_of(config);
}

TEST(Networks, EachOneHasMetricsOfItsOwn) {
  const Campaign campaign = campaign_from_json(two_network_config());
  const JointSpace space(campaign, "");
  const std::vector<std::string> reported = reported_metrics(campaign, space.target());
  for (const char* metric : {"accuracy", "accuracy_digits", "error_shapes", "train_loss_digits", "latency_ms"}) {
    EXPECT_NE(std::find(reported.begin(), reported.end(), metric), reported.end()) << metric;
  }
  json config = two_network_config();
  config["objectives"] = {"error_digits", "error_shapes", "latency_ms"};
  config["constraints"] = {{{"metric", "accuracy_shapes"}, {"min", 0.1}}};
  EXPECT_EQ(error_of(config), "no error");
  const Campaign alone = campaign_from_json(train_config());
  const std::vector<std::string> fewer = reported_metrics(alone, JointSpace(alone, "").target());
  EXPECT_EQ(std::count_if(fewer.begin(), fewer.end(), [](const auto& name) { return name.starts_with("error"); }), 1);
}

TEST(Networks, GenesAreThoseOfEachNetworkWithItsNameAndOfTheHardware) {
  const Campaign campaign = campaign_from_json(two_network_config());
  const JointSpace space(campaign, "");
  ASSERT_EQ(space.networks(), 2U);
  ASSERT_EQ(space.params().size(),
            space.space(0).params().size() + space.space(1).params().size() + space.target().params().size());
  RngStream rng(5, Purpose::test, 1);
  for (int i = 0; i < 20; ++i) {
    const Genome joint = space.params().sample(rng);
    json expected = json::object();
    for (std::size_t network = 0; network < 2; ++network) {
      const json genes = space.space(network).params().to_json(space.network_part(joint, network));
      for (const auto& [name, value] : genes.items()) {
        expected[campaign.networks[network].name + "." + name] = value;
      }
    }
    const json hardware = space.target().params().to_json(space.hardware_part(joint));
    for (const auto& [name, value] : hardware.items()) {
      expected["hw." + name] = value;
    }
    EXPECT_EQ(space.params().to_json(joint), expected);
    const std::vector<graph::NetworkGraph> graphs = space.decode(joint);
    ASSERT_EQ(graphs.size(), 2U);
    EXPECT_EQ(graphs[0].name, "digits");
    EXPECT_EQ(graph::infer_shapes(graphs[0]).value().back().back(), 10);
    EXPECT_EQ(graph::infer_shapes(graphs[1]).value().back().back(), 4);
  }
}

TEST(Networks, EqualDataSetsAreReadOnce) {
  json config = two_network_config();
  CampaignData data = load_campaign_data(campaign_from_json(config));
  EXPECT_NE(data[0].data, data[1].data);
  config["networks"][1]["dataset"] = config.at("networks")[0].at("dataset");
  data = load_campaign_data(campaign_from_json(config));
  EXPECT_NE(data[0].data, nullptr);
  EXPECT_EQ(data[0].data, data[1].data);
}

TEST(Networks, ErrorsPointAtTheKeyAndSayWhatIsAllowed) {
  struct Case {
    std::string pointer;
    json value;
    std::vector<std::string> says;
  };
  const std::vector<Case> cases{
      {"/networks", json::array(), {"/networks", "1 to 16 networks"}},
      {"/networks", json::object(), {"/networks", "1 to 16 networks"}},
      {"/networks/1/name", "digits", {"/networks/1/name", "\"digits\" names an earlier network"}},
      {"/networks/1/name", "Shapes", {"/networks/1/name", "a letter first", "read \"Shapes\""}},
      {"/networks/1/name", "2nd", {"/networks/1/name", "a letter first"}},
      {"/networks/1/name", "", {"/networks/1/name", "a letter first"}},
      {"/networks/1/name", "hw", {"/networks/1/name", "not \"hw\""}},
      {"/networks/1/name", 3, {"/networks/1/name", "a string"}},
      {"/networks/1/weight", 0.3, {"/networks", "sum to 1.05"}},
      {"/networks/1/weight", -0.25, {"/networks/1/weight", "0 to 1"}},
      {"/networks/1/wieght", 0.25, {"/networks/1/wieght", "did you mean \"weight\""}},
      {"/networks/1/accuracy", {{"kind", "none"}}, {"/networks/1/accuracy/kind", "\"none\"", "\"train\""}},
      {"/networks/1/accuracy/epoch", 1, {"/networks/1/accuracy/epoch", "epochs"}},
      {"/networks/1/final/epoch", 1, {"/networks/1/final/epoch", "epochs"}},
      {"/networks/1/dataset/name", "mnist", {"/networks/1/dataset/name", "fashion_mnist"}},
      {"/networks/1/task", {{"sample", {8, 8, 1}}, {"classes", 5}}, {"/networks/1/task", "5 classes"}},
      {"/networks/1/space/name", "mobilecnn", {"/networks/1/space/name", "did you mean \"mobile_cnn\""}},
      {"/networks/1/space/genes/resolutoin", 8, {"/networks/1/space/genes/resolutoin", "\"resolution\""}},
      {"/networks/1/space/initial", json::array(), {"/networks/1/space/initial", "beside \"networks\""}},
      {"/initial", {{{"stem.width", 8}}}, {"/initial/0/stem.width", "digits.stem.width"}},
      {"/initial", {json::object(), json::object()}, {"/initial/1", "same design"}},
      {"/space", {{"name", "vit"}}, {"/space", "belongs to each of /networks"}},
      {"/dataset", {{"name", "synthetic"}}, {"/dataset", "belongs to each of /networks"}},
      {"/accuracy", {{"epochs", 1}}, {"/accuracy", "belongs to each of /networks"}},
      {"/final/epochs", 3, {"/final/epochs", "top, initialise"}},
      {"/objectives", {"accuracy_digit", "latency_ms"}, {"/objectives/0", "did you mean \"accuracy_digits\""}},
      {"/objectives", {"error_digits", "accuracy_digits"}, {"/objectives/1", "one of accuracy and error"}},
      {"/constraints",
       {{{"metric", "accuracy_letters"}, {"min", 0.5}}},
       {"/constraints/0/metric", "\"accuracy_letters\" is not known"}},
      {"/constraints", {{{"metric", "accuracy_digits"}, {"min", 1.5}}}, {"/constraints/0/min", "at most 1"}},
  };
  for (const Case& entry : cases) {
    json config = two_network_config();
    config[json::json_pointer(entry.pointer)] = entry.value;
    const std::string message = error_of(config);
    for (const std::string& part : entry.says) {
      EXPECT_NE(message.find(part), std::string::npos)
          << entry.pointer << " = " << entry.value << "\n  gave: " << message << "\n  not: " << part;
    }
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(Networks, KeysWithoutMeaningAreRefused) {
  json config = two_network_config();
  config.erase("final");
  EXPECT_NE(error_of(config).find("/networks/0/final: has no meaning without /final"), std::string::npos)
      << error_of(config);
  config = two_network_config();
  config["networks"][1].erase("dataset");
  EXPECT_NE(error_of(config).find("/networks/1/dataset: is missing"), std::string::npos) << error_of(config);
  config = train_config();
  config["initial"] = json::array();
  EXPECT_NE(error_of(config).find("/initial: stands beside \"networks\""), std::string::npos) << error_of(config);
}

TEST(Networks, SchemaKnowsEveryKeyOfAResolvedConfig) {
  const json schema = campaign_schema();
  const json resolved = campaign_from_json(two_network_config()).resolved;
  const json& network = schema.at("properties").at("networks").at("items");
  for (const auto& [key, value] : resolved.items()) {
    EXPECT_TRUE(schema.at("properties").contains(key)) << key;
  }
  for (const auto& [key, value] : resolved.at("networks")[0].items()) {
    ASSERT_TRUE(network.at("properties").contains(key)) << key;
  }
  for (const char* section : {"accuracy", "final"}) {
    for (const auto& [key, value] : resolved.at("networks")[0].at(section).items()) {
      EXPECT_TRUE(network.at("properties").at(section).at("properties").contains(key)) << section << "/" << key;
    }
  }
}

}  // namespace
}  // namespace cosearch
