#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/net/aligned_floats.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/net/rounded_weights.hpp"
#include "trainer/net/schedule.hpp"
#include "trainer/net/simulation.hpp"
#include "trainer/net/training_memory.hpp"

namespace cosearch {

/// Writes the inputs of the samples [first, first + count) of a batch; called from several threads at once.
using InputSource = std::function<void(std::int64_t first, std::int64_t count, float* out)>;

/// What a training step aims at, (labels, classes) where it has rows of classes.
struct Targets {
  /// Of the batch, sample after sample: one for each, or equally many for each, which share its outputs evenly and in
  /// their order, as pixels do that are classified.
  std::span<const std::uint8_t> labels = {};
  double label_smoothing = 0.0;
  /// One for each class, times the loss and gradients of its labels, a teacher's share included; empty: 1.
  std::span<const float> class_weights = {};
  /// Numbers to be met by one output each, in place of labels.
  std::span<const float> values = {};
  kernels::RegressionLoss regression = kernels::RegressionLoss::squared;
  /// What another network predicts, probabilities or the numbers of a regression; empty: labels only.
  std::span<const float> teacher = {};
  /// Share w of the teacher: the target is (1 - w) * smoothed label + w * teacher; of numbers the loss is (1 - w) times
  /// that to the values + w times that to the teacher's.
  double teacher_weight = 0.0;
  /// Receives what the network itself predicts; empty: not wanted.
  std::span<float> predictions = {};
  /// Gradients are those of this times the loss, so that small ones do not vanish in a narrow type.
  double loss_scale = 1.0;
  /// What the noise of routers is drawn from: equal seeds, equal noise, for any number of threads. None: no noise.
  std::optional<std::uint64_t> noise_seed = std::nullopt;

  /// How many labels, or numbers, the batch has.
  [[nodiscard]] std::size_t size() const noexcept { return values.empty() ? labels.size() : values.size(); }
};

/// The noise seed of one step of a training.
[[nodiscard]] std::uint64_t noise_seed(std::uint64_t training_seed, std::int64_t step);

/// The memory that a chunk's actions work in.
struct ChunkMemory {
  float* kept = nullptr;       ///< the chunk's own block
  float* transient = nullptr;  ///< the worker's block
  float* scratch = nullptr;    ///< of the worker
};

/// Runs a network's training step for a fixed batch, on the calling thread's oneTBB arena. The batch is cut into chunks
/// by its size alone, and sums over chunks are taken in their order, so the bits do not depend on the number of
/// threads. After the first step (which borrows memory for as many workers as take part) nothing is allocated.
/// Weights of few bits are rounded for forward and backward, see RoundedWeights.
class TrainingExecutor {
 public:
  /// `parameters` must outlive the executor and belong to the same graph. Executors that never run at the same time may
  /// share `memory`. Where there is a simulation, the network is trained under it.
  TrainingExecutor(const graph::NetworkGraph& graph, Parameters& parameters, std::int64_t batch,
                   std::shared_ptr<TrainingMemory> memory = std::make_shared<TrainingMemory>(),
                   const Simulation& simulation = {});

  /// Forward, softmax cross entropy with label smoothing, backward. Moves the running statistics of batch norms, except
  /// under a simulation.
  /// Returns the mean loss over the labels, with the balance losses of mixtures of experts, whose sets of tokens are
  /// the chunks (the mean over these, by their samples); `gradients()` are those of that, times the loss scale.
  double step(const InputSource& input, std::span<const std::uint8_t> labels, double label_smoothing);
  /// The same with a teacher's soft targets, or the loss of a regression.
  double step(const InputSource& input, const Targets& targets);

  /// Of the trainable weights, at the offsets of `Parameters`.
  [[nodiscard]] std::span<const float> gradients() const noexcept { return gradients_.span(); }
  [[nodiscard]] std::int64_t batch() const noexcept { return batch_; }

 private:
  friend void calibrate_batch_norms(const graph::NetworkGraph& graph, Parameters& parameters, const InputSource& input,
                                    std::int64_t samples, std::shared_ptr<TrainingMemory> memory);
  TrainingExecutor(const graph::NetworkGraph& graph, Parameters& parameters, std::int64_t batch, bool calibrates,
                   std::shared_ptr<TrainingMemory> memory, const Simulation& simulation);
  struct Batch {
    const InputSource& input;
    const Targets& targets;
  };
  void run_regions(const Batch& batch);
  void run_loss(const Action& action, std::size_t chunk, const ChunkMemory& memory, const Targets& targets);
  void run_region(const Region& region, const Batch& batch);
  void run_action(const Action& action, std::size_t chunk, const ChunkMemory& memory, const Batch& batch);
  void run_backward(const Action& action, std::size_t chunk, const ChunkMemory& memory, const Targets& targets);
  [[nodiscard]] bool is_mixture(int unit) const;
  void combine(const Region& region);
  void sum_gradients();
  [[nodiscard]] float* weight(int node, std::size_t i);

  const graph::NetworkGraph graph_;
  Parameters& parameters_;
  std::int64_t batch_;
  bool calibrates_;  ///< only finds the statistics of batch norms
  Simulation simulation_;
  RoundedWeights weights_;
  Schedule schedule_;
  std::vector<std::int64_t> chunk_first_;    ///< first sample of each chunk
  std::vector<std::int64_t> chunk_samples_;  ///< samples of each chunk
  std::shared_ptr<TrainingMemory> memory_;
  std::vector<const float*> chunk_gradient_data_;
  std::vector<double> chunk_loss_;
  std::vector<double> added_loss_;             ///< of each chunk and unit, see ops::Forward
  std::vector<AlignedFloats> shared_;          ///< of each unit
  std::vector<AlignedFloats> packed_;          ///< of each unit
  std::vector<std::vector<double>> partials_;  ///< of each unit, chunk after chunk
  AlignedFloats gradients_;
};

/// Replaces the running statistics of all batch norms by those of the `samples` inputs taken as one batch, each layer
/// seeing what the layers before it give with their new statistics. What they were before does not count. Same bits
/// for any number of threads.
void calibrate_batch_norms(const graph::NetworkGraph& graph, Parameters& parameters, const InputSource& input,
                           std::int64_t samples,
                           std::shared_ptr<TrainingMemory> memory = std::make_shared<TrainingMemory>());

/// Where the choices of one mixture's tokens go, (samples, T, top_k), for the samples [first, first + count); null: not
/// wanted. Called from several threads at once.
using PickTarget = std::function<std::int32_t*(int node, std::int64_t first, std::int64_t count)>;

/// Runs a network forward, with the running statistics of batch norms and weights of few bits rounded, in parallel over
/// chunks.
class InferenceExecutor {
 public:
  /// With a simulation under it; an observer sees every node's values, after what a simulation does to them.
  InferenceExecutor(const graph::NetworkGraph& graph, const Parameters& parameters, const Simulation& simulation = {},
                    ValueObserver observer = {});
  /// The network's outputs (count, outputs) of `count` samples.
  void run(const InputSource& input, std::int64_t count, float* outputs);
  /// The same, telling which experts tokens choose.
  void run(const InputSource& input, std::int64_t count, float* outputs, const PickTarget& picks);

 private:
  void run_chunk(const InputSource& input, std::int64_t first, std::int64_t count, float* outputs,
                 const PickTarget& picks);

  const graph::NetworkGraph graph_;
  Simulation simulation_;
  ValueObserver observer_;
  RoundedWeights weights_;
  Schedule schedule_;
  BlockPool worker_blocks_;
  std::vector<AlignedFloats> shared_;
  std::vector<AlignedFloats> packed_;
};

}  // namespace cosearch
