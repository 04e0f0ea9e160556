#include "tests/trainer/multitask/three_tasks.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <span>

#include "spaces/catalog/families.hpp"
#include "spaces/graph/moe.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/train/batch_sequence.hpp"

namespace cosearch::test_tasks {

using nlohmann::json;

std::shared_ptr<const TaskData> shapes(const std::string& task, const json& more) {
  json config = {{"name", "shapes"}, {"task", task}, {"size", kSize}, {"train", kTrain}, {"search", 48}, {"test", 8}};
  config.update(more);
  return std::make_shared<const TaskData>(load_task_data(config));
}

std::vector<LearningTask> three_tasks() {
  static const std::vector<LearningTask> tasks{
      {.name = "kind", .data = shapes("class"), .output = 0},
      {.name = "edges", .data = shapes("edges"), .output = 1, .weight = 0.5, .class_weights = {0.5F, 2.0F}},
      {.name = "depth", .data = shapes("depth"), .output = 2, .weight = 4.0}};
  return tasks;
}

graph::NetworkGraph three_heads(double balance, std::int64_t patch) {
  const graph::MoeFfn experts{.experts = 4, .top_k = 2, .hidden = 16, .tasks = 3, .balance = balance};
  catalog::VisionTransformer net;
  net.input = {kSize, kSize, 1};
  net.patch = patch;
  net.embed_dim = 16;
  net.head_dim = 8;
  net.blocks = {{.heads = 2}, {.heads = 2, .experts = experts}};
  net.tasks = {{"kind", 4, false}, {"edges", 2, true}, {"depth", 1, true}};
  return catalog::build("three_heads", net);
}

TaskStep task_step(const LearningTask& task, const graph::NetworkGraph& graph, std::int64_t patch,
                   const WeightStore& store, const std::vector<float>& teacher, double teacher_weight) {
  const graph::NetworkGraph network = graph::task_network(graph, task.output);
  Parameters parameters(network);
  parameters.load(store);
  TrainingExecutor executor(network, parameters, kTrain);
  std::vector<std::int64_t> samples(static_cast<std::size_t>(kTrain));
  std::iota(samples.begin(), samples.end(), std::int64_t{0});
  const Dataset& split = task.data->train;
  BatchSpec spec = plain_batches(input_shape(network), *task.data);
  spec.label_patch = split.dense ? patch : 1;
  std::vector<std::uint8_t> labels(split.labels.size());
  std::vector<float> values(split.values.size());
  if (split.regression) {
    fill_values(split, spec, samples, values);
  } else {
    fill_labels(split, spec, samples, labels);
  }
  const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
    fill_batch(split, spec,
               std::span(samples).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)), out);
  };
  TaskStep step;
  step.predictions.resize(static_cast<std::size_t>(kTrain * split.labels_per_sample() * split.classes));
  static_cast<void>(executor.step(input, {.labels = labels,
                                          .class_weights = task.class_weights,
                                          .values = values,
                                          .regression = task.regression,
                                          .teacher = teacher,
                                          .teacher_weight = teacher_weight,
                                          .predictions = step.predictions}));
  for (const Parameters::Entry& entry : parameters.entries()) {
    const float* begin = executor.gradients().data() + entry.offset;
    step.gradients[entry.spec.name].assign(begin, begin + entry.size);
  }
  return step;
}

MultitaskOptions recipe() {
  MultitaskOptions options;
  options.train.epochs = 2;
  options.train.batch = 24;
  options.train.optimizer = OptimizerKind::adamw;
  options.train.learning_rate = 0.004;
  options.train.flip = true;
  options.train.shift = 1;
  return options;
}

void expect_same_bits(const WeightStore& a, const WeightStore& b) {
  ASSERT_EQ(a.weights().size(), b.weights().size());
  for (const auto& [name, weight] : a.weights()) {
    EXPECT_EQ(weight.values, b.at(name).values) << name;
  }
}

}  // namespace cosearch::test_tasks
