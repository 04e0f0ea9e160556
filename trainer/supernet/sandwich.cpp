#include "trainer/supernet/sandwich.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "trainer/data/batch.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kScaleBlock = 16 * 1024;
/// Draws for one network of the step's family before the step does without it: rare families of large spaces.
constexpr int kMostDraws = 200;

}  // namespace

Sandwich::Sandwich(const SubnetSpace& space, const std::vector<LearningTask>& tasks, const SupernetOptions& options,
                   std::uint64_t seed, const WeightStore& store, const Parameters& shared)
    : space_(space),
      options_(options),
      store_(store),
      training_(tasks, options.train, seed, shared),
      families_(families(space.corners)),
      gradients_(shared.trainable_size()),
      teacher_(tasks.size()) {
  for (const SubnetFamily& family : families_) {
    corners_.push_back({member(family.largest), member(family.smallest)});
  }
  learner(corners_.front()[0], 0);  // brings the batches
}

StepResult Sandwich::step(std::int64_t step) {
  RngStream rng(training_.seed(), Purpose::subnet, static_cast<std::uint64_t>(step));
  const graph::NetworkGraph first = space_.sample(rng);
  const std::size_t family = family_of(first, families_);
  std::set<std::uint64_t> seen{graph::hash(families_[family].largest)};
  std::fill(gradients_.span().begin(), gradients_.span().end(), 0.0F);
  double loss = learn(corners_[family][0], step, true);
  const auto is_new = [&](const graph::NetworkGraph& network) { return seen.insert(graph::hash(network)).second; };
  if (is_new(families_[family].smallest)) {
    loss += learn(corners_[family][1], step, false);
  }
  for (std::int64_t i = 0; i < options_.random_subnets; ++i) {
    const std::optional<graph::NetworkGraph> network = i == 0 ? std::optional(first) : sampled(family, rng);
    if (network && holds(store_, *network) && is_new(*network)) {
      Member drawn = member(*network);
      loss += learn(drawn, step, false);
    }
  }
  scale(1.0F / static_cast<float>(seen.size()));
  return {loss / static_cast<double>(seen.size()), gradients_.span()};
}

Sandwich::Member Sandwich::member(const graph::NetworkGraph& network) const {
  return {network, std::vector<std::unique_ptr<TaskLearner>>(training_.tasks().size())};
}

std::optional<graph::NetworkGraph> Sandwich::sampled(std::size_t family, RngStream& rng) const {
  for (int draw = 0; draw < kMostDraws; ++draw) {
    graph::NetworkGraph network = space_.sample(rng);
    if (family_of(network, families_) == family) {
      return network;
    }
  }
  return std::nullopt;
}

TaskLearner& Sandwich::learner(Member& member, std::size_t task) {
  std::unique_ptr<TaskLearner>& learner = member.learners[task];
  if (learner == nullptr) {
    learner = std::make_unique<TaskLearner>(training_, member.network, task);
  }
  return *learner;
}

double Sandwich::learn(Member& member, std::int64_t step, bool largest) {
  double loss = 0.0;
  for (const StepTask& each : step_tasks(training_.tasks(), options_.sampling, training_.seed(), step)) {
    TaskLearner& taking = learner(member, each.task);
    Targets distillation;
    if (options_.distillation > 0.0 && largest) {
      Predictions& taught = teacher_[each.task];
      taught.label_patch = taking.label_patch();
      taught.values.resize(taking.outputs());
      distillation.predictions = taught.values;
    } else if (options_.distillation > 0.0) {
      distillation.teacher = in_order(each.task, taking.label_patch());
      distillation.teacher_weight = options_.distillation;
    }
    loss += taking.learn(step, each.weight, distillation, gradients_.span());
  }
  return loss;
}

std::span<const float> Sandwich::in_order(std::size_t task, std::int64_t label_patch) {
  const Predictions& given = teacher_[task];
  if (given.label_patch == label_patch) {
    return given.values;
  }
  const Dataset& split = training_.tasks()[task].data->train;
  reordered_.resize(given.values.size());
  reorder_pixels(split.sample, split.classes, given.label_patch, label_patch, given.values, reordered_);
  return reordered_;
}

void Sandwich::scale(float factor) {
  const std::int64_t size = gradients_.size();
  for_each_parallel((size + kScaleBlock - 1) / kScaleBlock, [&](std::int64_t block) {
    const std::int64_t end = std::min(size, (block + 1) * kScaleBlock);
    for (std::int64_t i = block * kScaleBlock; i < end; ++i) {
      gradients_.data()[i] *= factor;
    }
  });
}

}  // namespace cosearch
