#include "experiments/export/design.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "experiments/export/registry.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/catalog/networks.hpp"
#include "tests/experiments/tiny_campaign.hpp"
#include "tests/oracle/random_network.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing_support::TemporaryFolder;

Design some_design() {
  Design design;
  design.trial = 17;
  design.genes = {{"width", 8}, {"hw.board", "f746"}};
  design.networks = {make_network("resnet8")};
  design.hardware = {"cortex_m", {{"reserved_sram_bytes", 10}}, {{"board", "f746"}}};
  design.job = {2, "int8"};
  design.metrics = {{"error", 0.25}, {"latency_ms", 1.5}};
  design.cost.metrics = {{"latency_ms", 1.5}};
  design.cost.layers.push_back({"stem", "conv2d", 10, 20.0, 1.5, 0.0, 0.0, 0.5, "compute", {{"im2col_bytes", 4.0}}});
  design.cost.memory.push_back({"stem", 12, {{"input", 8}, {"stem", 4}}});
  design.cost.notes = {"a note"};
  design.provenance = {{"campaign", "c"}};
  return design;
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string error_of(const json& value) {
  try {
    static_cast<void>(design_from_json(value));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Design, JsonReadsBackToTheSameNetworkHardwareAndJob) {
  const Design design = some_design();
  const DesignFile read_back = design_from_json(json::parse(to_json(design, "").dump()));
  EXPECT_EQ(read_back.networks, design.networks);
  EXPECT_EQ(read_back.hardware->target, "cortex_m");
  EXPECT_EQ(read_back.hardware->options, design.hardware.options);
  EXPECT_EQ(read_back.hardware->genes, design.hardware.genes);
  EXPECT_EQ(read_back.job->batch, 2);
  EXPECT_EQ(read_back.job->types, "int8");
}

TEST(Design, SeveralNetworksAreAListWithTheirNames) {
  Design design = some_design();
  design.networks.push_back(make_network("ds_cnn"));
  design.networks[0].name = "images";
  design.networks[1].name = "words";
  json written = json::parse(to_json(design, "").dump());
  EXPECT_FALSE(written.contains("network"));
  EXPECT_EQ(written.at("networks")[1].at("name"), "words");
  EXPECT_EQ(design_from_json(written).networks, design.networks);
  written["networks"][1].erase("nodes");
  EXPECT_NE(error_of(written).find("/networks/1/nodes"), std::string::npos) << error_of(written);
  written["networks"] = json::array();
  EXPECT_NE(error_of(written).find("/networks"), std::string::npos) << error_of(written);
}

TEST(Design, NetworkAloneHasNoHardware) {
  const DesignFile file = design_from_json(graph::to_json(make_network("ds_cnn")));
  EXPECT_EQ(file.networks, std::vector{make_network("ds_cnn")});
  EXPECT_FALSE(file.hardware.has_value());
  EXPECT_FALSE(file.job.has_value());
}

TEST(Design, ErrorsHavePointersFromTheRoot) {
  json value = json::parse(to_json(some_design(), "").dump());
  value["hardware"]["voltage"] = 3;
  EXPECT_NE(error_of(value).find("/hardware/voltage"), std::string::npos);
  value["hardware"].erase("voltage");
  value["job"]["batch"] = 0;
  EXPECT_NE(error_of(value).find("/job/batch"), std::string::npos);
  value["schema_version"] = 2;
  EXPECT_NE(error_of(value).find("/schema_version"), std::string::npos);
  value.erase("schema_version");
  EXPECT_NE(error_of(value).find("/schema_version: is missing"), std::string::npos);
  EXPECT_NE(error_of(json::array()).find("expected an object"), std::string::npos);
}

TEST(Design, RoutingOfEveryTaskIsCheckedAndComesBack) {
  Design design = some_design();
  design.networks = {oracle::two_tasks()};
  design.routing = {{{"moe.tokens_0", {5.0, 1.0, 0.0}}, {"moe.tokens_1", {0.5, 0.0, 5.5}}}};
  const json written = json::parse(to_json(design, "").dump());
  EXPECT_EQ(design_from_json(written).routing, design.routing);
  const auto error_with = [&](const std::string& name, const json& counts) {
    json changed = written;
    changed["routing"][0][name] = counts;
    return error_of(changed);
  };
  EXPECT_THAT(error_with("moe.tokens_1", {-5, 1, 1}), HasSubstr("/routing/0: tokens per expert of node \"moe\""));
  EXPECT_THAT(error_with("moe.tokens_0", {1, 2}), HasSubstr("2 counts for 3 experts"));
  EXPECT_THAT(error_with("moe.tokens_2", {1, 2, 3}), HasSubstr("/routing/0/moe.tokens_2: no mixture of the network"));
}

TEST(ExportJson, WritesTheDesignAndSaysWhenThereAreNoWeights) {
  const TemporaryFolder folder;
  const std::string directory = std::filesystem::path(folder.file("x")).parent_path().string();
  const std::vector<std::string> files = export_format("json").write(some_design(), directory);
  ASSERT_EQ(files, std::vector<std::string>{"trial_000017.json"});
  const json written = json::parse(read(folder.file(files[0])));
  EXPECT_EQ(written, json::parse(to_json(some_design(), "").dump()));
  EXPECT_TRUE(written.at("weights").at("file").is_null());
  EXPECT_TRUE(written.at("weights").contains("note"));
  EXPECT_EQ(written.at("cost").at("layers")[0].at("parts").at("im2col_bytes"), 4.0);
  EXPECT_EQ(written.at("cost").at("memory")[0].at("buffers")[1].at("bytes"), 4);
}

TEST(ExportJson, CopiesTheWeightsBesideTheDesign) {
  const TemporaryFolder folder;
  const std::string directory = std::filesystem::path(folder.file("x")).parent_path().string();
  Design design = some_design();
  design.weights_path = folder.file("weights");
  std::ofstream(design.weights_path, std::ios::binary) << std::string("a\0b", 3);
  const std::vector<std::string> files = export_format("json").write(design, directory);
  ASSERT_EQ(files, (std::vector<std::string>{"trial_000017.json", "trial_000017.safetensors"}));
  EXPECT_EQ(read(folder.file(files[1])), std::string("a\0b", 3));
  EXPECT_EQ(json::parse(read(folder.file(files[0]))).at("weights").at("file"), files[1]);
  design.weights_path = folder.file("gone");
  EXPECT_THROW(static_cast<void>(export_format("json").write(design, directory)), std::runtime_error);
}

TEST(ExportRegistry, IsSortedAndRefusesUnknownNames) {
  for (std::size_t i = 1; i < export_registry().size(); ++i) {
    EXPECT_LT(export_registry()[i - 1].name, export_registry()[i].name);
  }
  EXPECT_THROW(static_cast<void>(export_format("onnx")), ConfigError);
}

}  // namespace
}  // namespace cosearch
