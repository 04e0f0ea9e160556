#include "trainer/supernet/supernet.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/graph/moe.hpp"
#include "trainer/supernet/sandwich.hpp"
#include "trainer/train/training_loop.hpp"

namespace cosearch {
namespace {

/// Raised with every change that alters the bits of a supernet's training.
constexpr int kCodeVersion = 2;
/// The same for what `inherit` makes of another supernet's weights.
constexpr int kInheritVersion = 2;
constexpr std::int64_t kLeastCheckpoints = 20;

/// What fingerprints have always said of a single task.
bool is_plain(const std::vector<LearningTask>& tasks) {
  const LearningTask& first = tasks.front();
  return tasks.size() == 1 && first.output == 0 && first.weight == 1.0 && first.class_weights.empty() &&
         first.regression == kernels::RegressionLoss::squared;
}

void check_corners(const SubnetSpace& space, const std::vector<LearningTask>& tasks, const WeightStore& store) {
  check_images(tasks);
  for (const graph::NetworkGraph& corner : space.corners) {
    if (tasks.size() == 1) {
      check_outputs(corner, tasks);
    } else {
      check_tasks(corner, tasks);
    }
    COSEARCH_CHECK(holds(store, corner), "the store has room for the corners");
  }
}

}  // namespace

WeightStore make_supernet(const SubnetSpace& space, std::uint64_t seed) {
  std::vector<graph::NetworkGraph> networks;
  for (const graph::NetworkGraph& corner : space.corners) {
    for (graph::NetworkGraph& network : graph::task_networks(corner)) {
      networks.push_back(std::move(network));
    }
  }
  return WeightStore::for_corners(networks, seed);
}

Expected<TrainResult, Infeasible> train_supernet(const SubnetSpace& space, const std::vector<LearningTask>& tasks,
                                                 const SupernetOptions& options, std::uint64_t seed, WeightStore& store,
                                                 const ProgressSink& progress, const std::stop_token& stop,
                                                 const Checkpoint& checkpoint) {
  check_corners(space, tasks, store);
  Parameters shared(store, options.train.precision);
  Sandwich sandwich(space, tasks, options, seed, store, shared);
  BatchSequence& batches = sandwich.batches();
  const std::uint64_t key = Hasher{}
                                .add(supernet_fingerprint(space, tasks, options, seed))
                                .add_bytes(std::as_bytes(std::span<const float>(shared.values())))
                                .value();
  auto result = run({.options = options.train,
                     .batches = batches,
                     .parameters = shared,
                     .step = [&](std::int64_t step) { return sandwich.step(step); },
                     .checkpoint = checkpoint.path,
                     .key = key,
                     .checkpoint_interval =
                         std::clamp<std::int64_t>(batches.steps() / kLeastCheckpoints, 1, batches.steps_per_epoch())},
                    progress, stop);
  if (result && !result->stopped) {
    shared.save(store);
  }
  return result;
}

std::uint64_t supernet_fingerprint(const SubnetSpace& space, const std::vector<LearningTask>& tasks,
                                   const SupernetOptions& options, std::uint64_t seed, std::uint64_t origin) {
  TrainOptions recipe = options.train;
  recipe.evaluate_samples = 0;
  Hasher hasher;
  hasher.add(kCodeVersion).add(trainer_fingerprint()).add(space.identity);
  if (is_plain(tasks)) {
    hasher.add(tasks.front().data->content_hash);
  } else {
    hasher.add(std::string_view("tasks")).add(hash(tasks)).add(static_cast<int>(options.sampling));
  }
  hasher.add(to_json(recipe).dump()).add(options.random_subnets).add(options.distillation).add(seed).add(origin);
  if (origin != 0) {
    hasher.add(kInheritVersion);
  }
  return hasher.value();
}

}  // namespace cosearch
