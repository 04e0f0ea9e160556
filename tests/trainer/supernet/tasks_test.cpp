// Supernets whose networks learn several tasks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "spaces/base/config_error.hpp"
#include "spaces/catalog/registry.hpp"
#include "spaces/graph/moe.hpp"
#include "tests/trainer/multitask/three_tasks.hpp"
#include "tests/trainer/supernet/small_spaces.hpp"
#include "tests/trainer/temporary_directory.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/multitask/train_tasks.hpp"
#include "trainer/supernet/scorer.hpp"
#include "trainer/supernet/supernet.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using test_supernets::only;
using test_tasks::kSize;
using test_tasks::kTrain;
using test_tasks::task_step;
using test_tasks::TaskStep;
using test_tasks::three_heads;
using test_tasks::three_tasks;

const SearchSpace& catalogue() {
  static const std::unique_ptr<SearchSpace> space =
      make_space("moe_vit", json::object(),
                 {.sample = {kSize, kSize, 1}, .tasks = {{"kind", 4, false}, {"edges", 2, true}, {"depth", 1, true}}});
  return *space;
}

/// A part of moe_vit with both of its patch sizes, all placements of experts and both kinds of routers.
const SubnetSpace& moe_vit() {
  static const SubnetSpace part = make_subnet_space(
      catalogue(), catalogue().params().restricted(
                       {{"embed_dim", {16, 32}}, {"depth", {3, 4}}, {"experts", {4, 8}}, {"mlp_ratio", {1.0, 2.0}}}));
  return part;
}

std::vector<graph::NetworkGraph> drawn(const SubnetSpace& space, std::uint64_t count) {
  std::vector<graph::NetworkGraph> networks;
  for (std::uint64_t i = 0; i < count; ++i) {
    RngStream rng(6, Purpose::test, i);
    networks.push_back(space.sample(rng));
  }
  return networks;
}

SupernetOptions recipe() {
  SupernetOptions options;
  options.train = {.epochs = 2, .batch = 24, .optimizer = OptimizerKind::adamw, .learning_rate = 0.004};
  options.train.label_smoothing = 0.05;
  options.train.flip = true;
  options.train.shift = 1;
  return options;
}

struct Trained {
  TrainResult result;
  WeightStore store;
};

Trained run(const SubnetSpace& space, const SupernetOptions& options, const ProgressSink& progress = {},
            const std::stop_token& stop = {}, const std::string& checkpoint = {},
            const std::vector<LearningTask>& tasks = three_tasks()) {
  Trained trained{{}, make_supernet(space, 3)};
  const auto result = train_supernet(space, tasks, options, 3, trained.store, progress, stop, {checkpoint});
  EXPECT_TRUE(result.has_value());
  trained.result = *result;
  return trained;
}

void expect_same_bits(const WeightStore& a, const WeightStore& b) {
  ASSERT_EQ(a.weights().size(), b.weights().size());
  for (const auto& [name, weight] : a.weights()) {
    EXPECT_EQ(weight.values, b.at(name).values) << name;
  }
}

TEST(SupernetOfTasks, OfOneNetworkTrainsLikeTheNetworkAlone) {
  for (const TaskSampling sampling : {TaskSampling::all, TaskSampling::one}) {
    SupernetOptions options = recipe();
    options.sampling = sampling;
    const Trained shared = run(only(three_heads()), options);
    WeightStore alone = make_task_weights(three_heads(), 3);
    const auto result = train_tasks(three_heads(), three_tasks(), {options.train, sampling}, 3, alone);
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(shared.result.train_loss, result->train_loss);
    expect_same_bits(shared.store, alone);
  }
}

/// The pixels of one network's predictions in the order of another.
std::vector<float> by_other_patches(const std::vector<float>& values, std::int64_t channels, std::int64_t from,
                                    std::int64_t to) {
  const auto place = [](std::int64_t y, std::int64_t x, std::int64_t patch) {
    return (y / patch * (kSize / patch) + x / patch) * patch * patch + y % patch * patch + x % patch;
  };
  std::vector<float> result(values.size());
  const std::int64_t sample = kSize * kSize * channels;
  for (std::int64_t begin = 0; begin < std::ssize(values); begin += sample) {
    for (std::int64_t pixel = 0; pixel < kSize * kSize; ++pixel) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t source = begin + place(pixel / kSize, pixel % kSize, from) * channels + c;
        const std::int64_t target = begin + place(pixel / kSize, pixel % kSize, to) * channels + c;
        result[static_cast<std::size_t>(target)] = values[static_cast<std::size_t>(source)];
      }
    }
  }
  return result;
}

TEST(SupernetOfTasks, AStepTeachesNetworksOfOtherPatchesPixelByPixel) {
  constexpr std::int64_t kLarge = 2;
  constexpr std::int64_t kSmall = 4;
  // Without the balance of experts, whose sets of tokens depend on the batch's order.
  const std::map<std::int64_t, graph::NetworkGraph> networks{{kLarge, three_heads(0.0, kLarge)},
                                                             {kSmall, three_heads(0.0, kSmall)}};
  const graph::NetworkGraph& small = networks.at(kSmall);
  const SubnetSpace space{
      "", {networks.at(kLarge), small}, [&](RngStream& /*rng*/) { return small; }, graph::hash(small)};
  const SupernetOptions options{
      .train = {.epochs = 1, .batch = kTrain, .learning_rate = 0.5, .momentum = 0, .weight_decay = 0, .warmup = 0},
      .random_subnets = 1,
      .distillation = 0.75};
  const WeightStore before = make_supernet(space, 3);
  const Trained after = run(space, options);
  std::map<std::string, std::vector<float>> expected;
  for (const LearningTask& task : three_tasks()) {
    const Dataset& split = task.data->train;
    const TaskStep teacher = task_step(task, networks.at(kLarge), kLarge, before);
    const std::vector<float> taught =
        split.dense ? by_other_patches(teacher.predictions, split.classes, kLarge, kSmall) : teacher.predictions;
    for (const std::int64_t patch : {kLarge, kSmall}) {
      const bool learns_from_it = patch == kSmall;
      const TaskStep step = learns_from_it ? task_step(task, small, patch, before, taught, 0.75) : teacher;
      for (const graph::WeightSpec& spec : graph::weights(graph::task_network(networks.at(patch), task.output))) {
        std::vector<float> gradient = step.gradients.at(spec.name);
        for (float& value : gradient) {
          value *= 0.5F * static_cast<float>(task.weight);  // the mean of two networks
        }
        std::vector<float>& sum =
            expected.try_emplace(spec.name, before.at(spec.name).values.size(), 0.0F).first->second;
        before.accumulate_slice(spec, gradient, sum);
      }
    }
  }
  EXPECT_EQ(expected.size(), before.weights().size());
  for (const auto& [name, sum] : expected) {
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const float moved = before.at(name).values[i] - after.store.at(name).values[i];
      // The batch's order differs, and with it the order of sums.
      ASSERT_NEAR(moved, 0.5F * sum[i], 2e-5 + 1e-4 * std::abs(sum[i])) << name << "[" << i << "]";
    }
  }
}

TEST(SupernetOfTasks, BitsDoNotDependOnTheNumberOfThreads) {
  SupernetOptions options = recipe();
  options.train.epochs = 1;
  std::vector<Trained> runs;
  for (const int threads : {1, 2}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
    tbb::task_arena arena(threads);
    arena.execute([&] { runs.push_back(run(moe_vit(), options)); });
  }
  EXPECT_EQ(runs[0].result.train_loss, runs[1].result.train_loss);
  expect_same_bits(runs[0].store, runs[1].store);
}

TEST(SupernetOfTasks, StoppedTrainingsContinueToTheSameBits) {
  const testing::TemporaryDirectory directory;
  for (const TaskSampling sampling : {TaskSampling::all, TaskSampling::one}) {
    SupernetOptions options = recipe();
    options.sampling = sampling;
    const Trained whole = run(moe_vit(), options);
    EXPECT_EQ(whole.result.steps, 8);
    const std::string path = directory.file(sampling == TaskSampling::all ? "all" : "one");
    std::stop_source stop;
    const auto stop_at_5 = [&](const TrainProgress& progress) {
      if (progress.step == 5) {
        stop.request_stop();
      }
    };
    EXPECT_TRUE(run(moe_vit(), options, stop_at_5, stop.get_token(), path).result.stopped);
    std::int64_t steps = 0;
    const Trained continued = run(
        moe_vit(), options, [&](const TrainProgress&) { ++steps; }, {}, path);
    EXPECT_EQ(steps, 3);
    EXPECT_EQ(whole.result.train_loss, continued.result.train_loss);
    expect_same_bits(whole.store, continued.store);
  }
}

TEST(SupernetOfTasks, ScoresAndRoutingAreThoseOfTheSlices) {
  SubnetScorer scorer(run(moe_vit(), recipe()).store, three_tasks(), {});
  std::set<std::int64_t> patches;
  for (const graph::NetworkGraph& network : drawn(moe_vit(), 8)) {
    for (const graph::Node& node : network.nodes) {
      if (const auto* embed = std::get_if<graph::PatchEmbed>(&node.op)) {
        patches.insert(embed->patch);
      }
    }
    WeightStore weights = make_task_weights(network, 1);
    ASSERT_TRUE(scorer.initialize(network, weights));
    for (const auto& [name, weight] : weights.weights()) {
      EXPECT_EQ(weight.values, scorer.store().slice(weight.spec)) << name;
    }
    const auto scores = scorer.scores(network, &TaskData::search);
    ASSERT_TRUE(scores.has_value()) << scores.error().reason;
    EXPECT_EQ(*scores, evaluate_tasks(network, three_tasks(), &TaskData::search, weights));
    const TaskData& images = *three_tasks().front().data;
    EXPECT_EQ(scorer.routing(network, &TaskData::search), task_routing(network, images, images.search, weights));
  }
  EXPECT_EQ(patches.size(), 2U);
}

TEST(SupernetOfTasks, KnowsNoRoutesOfNetworksThatItDoesNotHold) {
  SubnetScorer scorer(make_supernet(only(test_networks::vit({kSize, kSize, 1}, 4)), 1), three_tasks(), {});
  EXPECT_TRUE(scorer.routing(three_heads(), &TaskData::search).empty());
  EXPECT_FALSE(scorer.scores(three_heads(), &TaskData::search).has_value());
  // The trunk and the first task's router are not enough.
  SubnetScorer of_first(make_supernet(only(graph::task_network(three_heads(), 0)), 1), three_tasks(), {});
  EXPECT_FALSE(of_first.scores(three_heads(), &TaskData::search).has_value());
}

TEST(SupernetOfTasks, LearnsWhatItsSubnetsNeed) {
  const SubnetSpace space = make_subnet_space(catalogue(), catalogue().params().restricted({{"patch", 4},
                                                                                            {"embed_dim", {16, 32}},
                                                                                            {"depth", 3},
                                                                                            {"moe", "every_second"},
                                                                                            {"routing", "per_task"},
                                                                                            {"experts", {4, 8}}}));
  SupernetOptions options = recipe();
  options.train.epochs = 60;
  options.train.shift = 0;
  options.train.learning_rate = 0.01;
  SubnetScorer untrained(make_supernet(space, 3), three_tasks(), {});
  SubnetScorer trained(run(space, options).store, three_tasks(), {});
  std::vector<double> gains(3, 0.0);
  for (const graph::NetworkGraph& network : drawn(space, 6)) {
    const auto before = untrained.scores(network, &TaskData::train).value();
    const auto after = trained.scores(network, &TaskData::train).value();
    for (std::size_t task = 0; task < gains.size(); ++task) {
      gains[task] += (after[task].value - before[task].value) / 6.0;
    }
  }
  EXPECT_GT(gains[0], 0.15);
  EXPECT_GT(gains[1], 0.1);
  EXPECT_LT(gains[2], -0.1) << "an error";
}

TEST(SupernetOfTasks, FingerprintsFollowTheTasks) {
  const auto of = [](const std::vector<LearningTask>& tasks, TaskSampling sampling = TaskSampling::all) {
    SupernetOptions options = recipe();
    options.sampling = sampling;
    return supernet_fingerprint(moe_vit(), tasks, options, 3);
  };
  std::vector<LearningTask> tasks = three_tasks();
  std::set<std::uint64_t> all{of(tasks), of(tasks, TaskSampling::one)};
  tasks[0].weight = 2.0;
  all.insert(of(tasks));
  tasks = three_tasks();
  tasks[1].class_weights = {1.0F, 1.0F};
  all.insert(of(tasks));
  tasks = three_tasks();
  tasks[2].regression = kernels::RegressionLoss::absolute;
  all.insert(of(tasks));
  tasks.pop_back();
  all.insert(of(tasks));
  all.insert(of({three_tasks()[0]}));
  all.insert(of({three_tasks()[1]}));
  EXPECT_EQ(all.size(), 8U);
}

TEST(SupernetOfTasks, RefuseTasksThatTheirNetworksDoNotFit) {
  const auto message = [](const SubnetSpace& space, const std::vector<LearningTask>& tasks) -> std::string {
    try {
      WeightStore store = make_supernet(space, 3);
      static_cast<void>(train_supernet(space, tasks, recipe(), 3, store));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return {};
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message(moe_vit(), {}), HasSubstr("empty"));
  graph::NetworkGraph with_norm = three_heads();
  with_norm.nodes.push_back({"norm_of_kind", graph::BatchNorm{}, {with_norm.outputs[0]}});
  with_norm.outputs[0] = static_cast<int>(with_norm.nodes.size()) - 1;
  EXPECT_THAT(message(only(with_norm), three_tasks()), HasSubstr("batch norms"));
  std::vector<LearningTask> tasks = three_tasks();
  std::swap(tasks[0].output, tasks[1].output);
  EXPECT_THAT(message(moe_vit(), tasks), HasSubstr("the data set has 4 classes"));
}

}  // namespace
}  // namespace cosearch
