#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/net/aligned_floats.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/net/schedule.hpp"

namespace cosearch {

/// Writes the inputs of the samples [first, first + count) of a batch; called from several threads at once.
using InputSource = std::function<void(std::int64_t first, std::int64_t count, float* out)>;

/// Blocks of memory that workers borrow. Which worker gets which block does not matter: they hold no results.
class BlockPool {
 public:
  explicit BlockPool(std::int64_t floats) : floats_(floats) {}
  [[nodiscard]] std::unique_ptr<AlignedFloats> take();
  void give_back(std::unique_ptr<AlignedFloats> block);

 private:
  std::int64_t floats_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<AlignedFloats>> free_;
};

/// The memory that a chunk's actions work in.
struct ChunkMemory {
  float* kept = nullptr;       ///< the chunk's own block
  float* transient = nullptr;  ///< the worker's block
  float* scratch = nullptr;    ///< of the worker
};

/// Runs a network's training step for a fixed batch, on the calling thread's oneTBB arena. The batch is cut into chunks
/// by its size alone, and sums over chunks are taken in their order, so the bits do not depend on the number of
/// threads. After the first step (which borrows memory for as many workers as take part) nothing is allocated.
class TrainingExecutor {
 public:
  /// `parameters` must outlive the executor and belong to the same graph.
  TrainingExecutor(const graph::NetworkGraph& graph, Parameters& parameters, std::int64_t batch);

  /// Forward, softmax cross entropy with label smoothing, backward. Moves the running statistics of batch norms.
  /// Returns the mean loss; `gradients()` are those of the mean loss.
  double step(const InputSource& input, std::span<const std::uint8_t> labels, double label_smoothing);

  /// Of the trainable weights, at the offsets of `Parameters`.
  [[nodiscard]] std::span<const float> gradients() const noexcept { return gradients_.span(); }
  [[nodiscard]] std::int64_t batch() const noexcept { return batch_; }

 private:
  struct Batch {
    const InputSource& input;
    std::span<const std::uint8_t> labels;
    double label_smoothing;
  };
  void run_region(const Region& region, const Batch& batch);
  void run_action(const Action& action, std::size_t chunk, const ChunkMemory& memory, const Batch& batch);
  void run_backward(const Action& action, std::size_t chunk, const ChunkMemory& memory);
  void combine(const Region& region);
  void sum_gradients();
  [[nodiscard]] float* weight(int node, std::size_t i);

  const graph::NetworkGraph graph_;
  Parameters& parameters_;
  std::int64_t batch_;
  Schedule schedule_;
  std::vector<std::int64_t> chunk_first_;    ///< first sample of each chunk
  std::vector<std::int64_t> chunk_samples_;  ///< samples of each chunk
  std::vector<AlignedFloats> kept_;          ///< blocks of the chunks
  BlockPool worker_blocks_;
  std::vector<AlignedFloats> chunk_gradients_;
  std::vector<const float*> chunk_gradient_data_;
  std::vector<double> chunk_loss_;
  std::vector<AlignedFloats> shared_;          ///< of each unit
  std::vector<AlignedFloats> packed_;          ///< of each unit
  std::vector<std::vector<double>> partials_;  ///< of each unit, chunk after chunk
  AlignedFloats gradients_;
};

/// Runs a network forward, with the running statistics of batch norms, in parallel over chunks.
class InferenceExecutor {
 public:
  InferenceExecutor(const graph::NetworkGraph& graph, const Parameters& parameters);
  /// The network's outputs (count, outputs) of `count` samples.
  void run(const InputSource& input, std::int64_t count, float* outputs);

 private:
  void run_chunk(const InputSource& input, std::int64_t first, std::int64_t count, float* outputs);

  const graph::NetworkGraph graph_;
  const Parameters& parameters_;
  Schedule schedule_;
  BlockPool worker_blocks_;
  std::vector<AlignedFloats> shared_;
  std::vector<AlignedFloats> packed_;
};

}  // namespace cosearch
