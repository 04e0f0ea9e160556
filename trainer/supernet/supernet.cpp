#include "trainer/supernet/supernet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/rng.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parallel.hpp"
#include "trainer/supernet/subnet.hpp"
#include "trainer/train/accuracy.hpp"
#include "trainer/train/batch_sequence.hpp"
#include "trainer/train/training_loop.hpp"

namespace cosearch {
namespace {

/// Raised with every change that alters the bits of a supernet's training.
constexpr int kCodeVersion = 2;
/// The same for what `inherit` makes of another supernet's weights.
constexpr int kInheritVersion = 2;
constexpr std::int64_t kLeastCheckpoints = 20;
constexpr std::int64_t kScaleBlock = 16 * 1024;
/// Draws for one network of the step's family before the step does without it: rare families of large spaces.
constexpr int kMostDraws = 200;

/// A network ready to take steps.
struct Member {
  Member(const graph::NetworkGraph& network, const Parameters& shared, BatchSequence& batches,
         const std::shared_ptr<TrainingMemory>& memory)
      : subnet(network, shared),
        executor(network, subnet.parameters(), batches.batch(), memory),
        input(batches.input(input_shape(network))) {}

  Subnet subnet;
  TrainingExecutor executor;
  InputSource input;
};

/// The step of a supernet's training.
class Sandwich {
 public:
  Sandwich(const SubnetSpace& space, const SupernetOptions& options, std::uint64_t seed, const WeightStore& store,
           const Parameters& shared, BatchSequence& batches, std::int64_t classes)
      : space_(space),
        options_(options),
        seed_(seed),
        store_(store),
        shared_(shared),
        batches_(batches),
        families_(families(space.corners)),
        gradients_(shared.trainable_size()),
        teacher_(batches.labels().size() * static_cast<std::size_t>(classes)) {
    for (const SubnetFamily& family : families_) {
      corners_.push_back({member(family.largest), member(family.smallest)});
    }
  }

  StepResult step(std::int64_t step) {
    RngStream rng(seed_, Purpose::subnet, static_cast<std::uint64_t>(step));
    const graph::NetworkGraph first = space_.sample(rng);
    const std::size_t family = family_of(first, families_);
    std::set<std::uint64_t> seen{graph::hash(families_[family].largest)};
    std::fill(gradients_.span().begin(), gradients_.span().end(), 0.0F);
    noise_seed_ = noise_seed(seed_, step);
    double loss = learn(*corners_[family][0], true);
    const auto learn_new = [&](const graph::NetworkGraph& network, Member* corner) {
      if (seen.insert(graph::hash(network)).second) {
        loss += corner != nullptr ? learn(*corner, false) : learn(*member(network), false);
      }
    };
    learn_new(families_[family].smallest, corners_[family][1].get());
    for (std::int64_t i = 0; i < options_.random_subnets; ++i) {
      const std::optional<graph::NetworkGraph> network = i == 0 ? std::optional(first) : sampled(family, rng);
      if (network && holds(store_, *network)) {
        learn_new(*network, nullptr);
      }
    }
    scale(1.0F / static_cast<float>(seen.size()));
    return {loss / static_cast<double>(seen.size()), gradients_.span()};
  }

 private:
  [[nodiscard]] std::unique_ptr<Member> member(const graph::NetworkGraph& network) {
    return std::make_unique<Member>(network, shared_, batches_, memory_);
  }

  [[nodiscard]] std::optional<graph::NetworkGraph> sampled(std::size_t family, RngStream& rng) const {
    for (int draw = 0; draw < kMostDraws; ++draw) {
      graph::NetworkGraph network = space_.sample(rng);
      if (family_of(network, families_) == family) {
        return network;
      }
    }
    return std::nullopt;
  }

  /// Adds the gradients of one network; returns its loss.
  double learn(Member& network, bool largest) {
    network.subnet.gather();
    Targets targets{.labels = batches_.labels(),
                    .label_smoothing = options_.train.label_smoothing,
                    .loss_scale = options_.train.loss_scale,
                    .noise_seed = noise_seed_};
    if (options_.distillation > 0.0 && largest) {
      targets.probabilities = teacher_;
    } else if (options_.distillation > 0.0) {
      targets.teacher = teacher_;
      targets.teacher_weight = options_.distillation;
    }
    const double loss = network.executor.step(network.input, targets);
    network.subnet.scatter_add(network.executor.gradients(), gradients_.span());
    return loss;
  }

  void scale(float factor) {
    const std::int64_t size = gradients_.size();
    for_each_parallel((size + kScaleBlock - 1) / kScaleBlock, [&](std::int64_t block) {
      const std::int64_t end = std::min(size, (block + 1) * kScaleBlock);
      for (std::int64_t i = block * kScaleBlock; i < end; ++i) {
        gradients_.data()[i] *= factor;
      }
    });
  }

  const SubnetSpace& space_;
  const SupernetOptions& options_;
  std::uint64_t seed_;
  std::uint64_t noise_seed_ = 0;  ///< of the step that runs
  const WeightStore& store_;
  const Parameters& shared_;
  BatchSequence& batches_;
  std::vector<SubnetFamily> families_;
  std::shared_ptr<TrainingMemory> memory_ = std::make_shared<TrainingMemory>();
  std::vector<std::array<std::unique_ptr<Member>, 2>> corners_;  ///< largest and smallest of each family
  AlignedFloats gradients_;                                      ///< at the offsets of `shared_`
  std::vector<float> teacher_;                                   ///< probabilities of the step's largest network
};

/// The order of pixels in the outputs of all networks: they share labels and the teacher's probabilities.
std::int64_t common_label_patch(const SubnetSpace& space, const TaskData& data) {
  const std::int64_t patch = label_patch(space.corners.front(), data.train);
  for (const graph::NetworkGraph& corner : space.corners) {
    if (label_patch(corner, data.train) != patch) {
      throw ConfigError("", fmt::format("networks of one supernet give the pixels' classes in patches of {} and of {}; "
                                        "fix the patch",
                                        patch, label_patch(corner, data.train)));
    }
  }
  return patch;
}

}  // namespace

WeightStore make_supernet(const SubnetSpace& space, std::uint64_t seed) {
  return WeightStore::for_corners(space.corners, seed);
}

Expected<TrainResult, Infeasible> train_supernet(const SubnetSpace& space, const TaskData& data,
                                                 const SupernetOptions& options, std::uint64_t seed, WeightStore& store,
                                                 const ProgressSink& progress, const std::stop_token& stop,
                                                 const Checkpoint& checkpoint) {
  check_classes(data);
  for (const graph::NetworkGraph& corner : space.corners) {
    check_fit(corner, data, data.search);
    COSEARCH_CHECK(holds(store, corner), "the store has room for the corners");
  }
  Parameters shared(store, options.train.precision);
  BatchSequence batches(data, options.train, seed, common_label_patch(space, data));
  Sandwich sandwich(space, options, seed, store, shared, batches, data.train.classes);
  const std::uint64_t key = Hasher{}
                                .add(supernet_fingerprint(space, data, options, seed))
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

std::uint64_t supernet_fingerprint(const SubnetSpace& space, const TaskData& data, const SupernetOptions& options,
                                   std::uint64_t seed, std::uint64_t origin) {
  TrainOptions recipe = options.train;
  recipe.evaluate_samples = 0;
  Hasher hasher;
  hasher.add(kCodeVersion)
      .add(trainer_fingerprint())
      .add(space.identity)
      .add(data.content_hash)
      .add(to_json(recipe).dump())
      .add(options.random_subnets)
      .add(options.distillation)
      .add(seed)
      .add(origin);
  if (origin != 0) {
    hasher.add(kInheritVersion);
  }
  return hasher.value();
}

}  // namespace cosearch
