#include "tests/experiments/tiny_campaign.hpp"

#include <unistd.h>

#include <stdexcept>

namespace cosearch::testing_support {

using nlohmann::json;

namespace {

json shapes(const std::string& name, const std::string& task) {
  return {{"name", name},
          {"dataset", {{"name", "shapes"}, {"task", task}, {"size", 16}, {"train", 64}, {"search", 32}, {"test", 16}}}};
}

}  // namespace

json cost_config() {
  return {
      {"name", "tiny"},
      {"seed", 3},
      {"task", {{"sample", {8, 8, 1}}, {"classes", 3}}},
      {"space",
       {{"name", "mobile_cnn"},
        {"genes",
         {{"resolution", 8},
          {"stages.0.depth", {0, 1}},
          {"stages.0.kernel", 3},
          {"stages.1.depth", {1}},
          {"stages.1.kernel", {3, 5}},
          {"stages.1.expansion", {1, 2}},
          {"stages.2.depth", {0, 1}},
          {"stages.2.expansion", {1, 2}},
          {"stages.2.width", {32, 48}},
          {"stages.2.kernel", 3}}}}},
      {"target", {{"name", "cortex_m"}}},
      {"objectives", {"latency_ms", "energy_uj"}},
      {"search", {{"algorithm", "nsga2"}, {"population", 8}}},
      {"budget", {{"evaluations", 32}}},
  };
}

json train_config() {
  json config = cost_config();
  config.erase("task");
  config["dataset"] = {{"name", "synthetic"}, {"height", 8},  {"width", 8}, {"classes", 10},
                       {"train", 96},         {"search", 48}, {"test", 48}, {"seed", 1}};
  config["objectives"] = {"error", "latency_ms"};
  config["accuracy"] = {{"epochs", 2}, {"batch", 16}, {"learning_rate", 0.05}};
  config["screen"] = {{"predictor", "ridge"}, {"share", 0.4}, {"warmup", 5}};
  config["final"] = {{"top", 2}, {"epochs", 3}};
  config["budget"]["trainings"] = 14;
  return config;
}

json one_shot_config() {
  json config = train_config();
  config.erase("screen");
  config["budget"].erase("trainings");
  config["accuracy"] = {{"kind", "one_shot"},    {"epochs", 2},         {"batch", 16},
                        {"learning_rate", 0.05}, {"random_subnets", 1}, {"calibration_samples", 32}};
  return config;
}

json task_config() {
  json edges = shapes("edges", "edges");
  edges["class_weights"] = {0.5, 2.0};
  json depth = shapes("depth", "depth");
  depth["baseline"] = 0.5;
  return {{"name", "tasks"},
          {"tasks", {shapes("kind", "class"), edges, depth}},
          {"task_baseline", {{"embed_dim", 16}, {"moe", "none"}}},
          {"space", {{"name", "moe_vit"}, {"genes", {{"patch", 4}, {"embed_dim", 16}, {"depth", 3}, {"experts", 4}}}}},
          {"target", {{"name", "roofline"}}},
          {"objectives", {"delta_m", "latency_ms"}},
          {"accuracy",
           {{"epochs", 4}, {"batch", 16}, {"optimizer", "adamw"}, {"learning_rate", 0.005}, {"weight_decay", 0.0}}},
          {"search", {{"algorithm", "random"}}},
          {"budget", {{"evaluations", 6}, {"trainings", 4}}},
          {"final", {{"top", 1}, {"epochs", 1}}}};
}

json one_shot_task_config() {
  json config = task_config();
  config["space"]["genes"].erase("patch");
  config["target"] = {{"name", "moe_fpga"}, {"genes", {{"bits_per_cycle", 64}}}};
  config["accuracy"].update({{"kind", "one_shot"}, {"epochs", 2}, {"random_subnets", 1}});
  config["budget"].erase("trainings");
  config["final"]["initialise"] = "supernet";
  return config;
}

json two_network_config() {
  json config = train_config();
  json digits = {{"name", "digits"},
                 {"weight", 0.75},
                 {"dataset", config.at("dataset")},
                 {"space", config.at("space")},
                 {"accuracy", config.at("accuracy")},
                 {"final", {{"epochs", 3}}}};
  digits["space"]["genes"].update({{"stages.1.depth", 1},
                                   {"stages.1.expansion", 1},
                                   {"stages.2.depth", 0},
                                   {"stages.0.depth", 0},
                                   {"stages.1.width", {16, 24}},
                                   {"stem.width", {8, 16}}});
  json shapes = digits;
  shapes.update({{"name", "shapes"}, {"weight", 0.25}});
  shapes["dataset"].update({{"classes", 4}, {"seed", 2}});
  shapes["accuracy"]["epochs"] = 1;
  for (const char* key : {"dataset", "space", "accuracy"}) {
    config.erase(key);
  }
  config["networks"] = {digits, shapes};
  config["target"] = {{"name", "roofline"}};
  config["final"] = {{"top", 2}};
  config["budget"]["trainings"] = 12;
  return config;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "cosearch_test_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error("no temporary folder can be made");
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

json result_of(const TrialRow& row) {
  return {
      {"id", row.id},
      {"batch", row.batch},
      {"genome", row.genome.genes},
      {"genes", row.genes},
      {"fidelity", {static_cast<int>(row.fidelity.kind), row.fidelity.epochs}},
      {"pending", row.pending},
      {"state", static_cast<int>(row.state)},
      {"metrics", row.metrics},
      {"violation", std::to_string(row.violation)},
      {"violated", row.violated},
      {"violated_by", std::to_string(row.violated_by)},
      {"reason", row.reason},
      {"network_hash", row.network_hash},
      {"hardware_hash", row.hardware_hash},
      {"routing", row.routing},
  };
}

json results_of(const std::vector<TrialRow>& rows) {
  json list = json::array();
  for (const TrialRow& row : rows) {
    list.push_back(result_of(row));
  }
  return list;
}

}  // namespace cosearch::testing_support
