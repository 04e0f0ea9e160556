#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "spaces/catalog/families.hpp"
#include "trainer/multitask/train_tasks.hpp"

/// Three tasks on the same images, and a network with a head for each.
namespace cosearch::test_tasks {

inline constexpr std::int64_t kSize = 16;
inline constexpr std::int64_t kTrain = 96;

inline std::shared_ptr<const TaskData> shapes(const std::string& task,
                                              const nlohmann::json& more = nlohmann::json::object()) {
  nlohmann::json config = {{"name", "shapes"}, {"task", task}, {"size", kSize},
                           {"train", kTrain},  {"search", 48}, {"test", 8}};
  config.update(more);
  return std::make_shared<const TaskData>(load_task_data(config));
}

inline std::vector<LearningTask> three_tasks() {
  static const std::vector<LearningTask> tasks{
      {.name = "kind", .data = shapes("class"), .output = 0},
      {.name = "edges", .data = shapes("edges"), .output = 1, .weight = 0.5, .class_weights = {0.5F, 2.0F}},
      {.name = "depth", .data = shapes("depth"), .output = 2, .weight = 4.0}};
  return tasks;
}

/// One trunk, three heads; every second block has experts.
inline graph::NetworkGraph three_heads(double balance = 0.01) {
  const graph::MoeFfn experts{.experts = 4, .top_k = 2, .hidden = 16, .tasks = 3, .balance = balance};
  catalog::VisionTransformer net;
  net.input = {kSize, kSize, 1};
  net.patch = 4;
  net.embed_dim = 16;
  net.head_dim = 8;
  net.blocks = {{.heads = 2}, {.heads = 2, .experts = experts}};
  net.tasks = {{"kind", 4, false}, {"edges", 2, true}, {"depth", 1, true}};
  return catalog::build("three_heads", net);
}

inline MultitaskOptions recipe() {
  MultitaskOptions options;
  options.train.epochs = 2;
  options.train.batch = 24;
  options.train.optimizer = OptimizerKind::adamw;
  options.train.learning_rate = 0.004;
  options.train.flip = true;
  options.train.shift = 1;
  return options;
}

inline void expect_same_bits(const WeightStore& a, const WeightStore& b) {
  ASSERT_EQ(a.weights().size(), b.weights().size());
  for (const auto& [name, weight] : a.weights()) {
    EXPECT_EQ(weight.values, b.at(name).values) << name;
  }
}

}  // namespace cosearch::test_tasks
