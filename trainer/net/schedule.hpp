#pragma once

#include <cstdint>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/ops/ops.hpp"

namespace cosearch {

/// Where a buffer of a chunk lies, in floats. Buffers that are in use in one region only lie in the executing worker's
/// block, which stays in its caches from chunk to chunk; others in the chunk's own block.
struct Place {
  std::int64_t offset = 0;
  bool kept = false;  ///< in the chunk's own block
};

/// What is executed as one: a node, or a batch norm with the activation that follows it.
struct Unit {
  int node = 0;
  bool batch_norm = false;
  bool token_ids = false;  ///< its values are ids: never rounded
  ops::Geometry geometry;
  ops::Needs needs;             ///< for a full chunk
  std::vector<int> inputs;      ///< units
  bool needs_gradient = false;  ///< something trainable lies at or before it
  /// Of each input: its backward adds to a gradient that another unit, or an earlier input, has written before.
  std::vector<bool> accumulates;
  int saved = -1;     ///< buffer
  int gradient = -1;  ///< buffer
};

enum class ActionKind {
  forward,              ///< also: a batch norm's output once more, for the backward pass
  statistics,           ///< partial sums of a batch norm's input
  loss,                 ///< of the last unit, and its gradient
  gradient_statistics,  ///< partial sums of a batch norm's gradients
  backward,
};
struct Action {
  ActionKind kind = ActionKind::forward;
  int unit = 0;
  std::vector<int> x = {};  ///< buffers of the inputs' values; empty where they are not read
  int y = -1;               ///< buffer of the unit's value, where written or (loss) read
};

/// Actions that a chunk runs depth-first, without waiting for other chunks. Regions end where a batch norm needs sums
/// over the whole batch; a network without batch norm is one region from the input to the weights' gradients.
struct Region {
  std::vector<Action> actions;
  int batch_norm = -1;        ///< unit whose partial sums are combined after the region; -1: none
  bool of_gradients = false;  ///< which of its partial sums
};

/// The order of work and the memory of one chunk of `chunk` samples. Buffers whose lifetimes do not meet share memory.
/// Outputs of batch norms are not kept for the backward pass but computed again from their inputs: a batch's
/// activations exceed the caches, and reading one tensor from memory costs more than that arithmetic.
struct Schedule {
  std::vector<Unit> units;    ///< topological; the last one has the network's output
  std::vector<Place> places;  ///< of each buffer
  std::vector<Region> regions;
  std::int64_t chunk = 0;
  std::int64_t kept_size = 0;       ///< floats of a chunk's own block
  std::int64_t transient_size = 0;  ///< floats of a worker's block
  std::int64_t scratch_size = 0;    ///< floats of a worker's scratch
};

/// The graph must be well formed and have one output, its last node. With `apart` every node is a unit, so that each
/// value can be seen or changed, and batch norms use their running statistics in training, too.
[[nodiscard]] Schedule make_schedule(const graph::NetworkGraph& graph, std::int64_t chunk, kernels::Use use,
                                     kernels::Precision precision = kernels::Precision::fp32, bool apart = false);
/// A forward pass with the statistics of the batch, up to those of the last batch norm.
[[nodiscard]] Schedule make_calibration_schedule(const graph::NetworkGraph& graph, std::int64_t chunk,
                                                 kernels::Precision precision = kernels::Precision::fp32);

}  // namespace cosearch
