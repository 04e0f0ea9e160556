#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/kernels/dense.hpp"
#include "trainer/net/aligned_floats.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {

/// A network's weights and states in one aligned block, in three parts: trainable weights whose gradients are summed
/// over chunks; trainable weights of batch norms, whose gradients are computed for the whole batch at once; states.
/// Gradients and optimiser states use the same offsets. Gaps between weights are zero and stay zero.
class Parameters {
 public:
  struct Entry {
    graph::WeightSpec spec;
    int node = 0;
    std::int64_t offset = 0;
    std::int64_t size = 0;
  };

  explicit Parameters(const graph::NetworkGraph& graph, kernels::Precision precision = kernels::Precision::fp32);
  /// A store's weights, values included, in the order of their names. They belong to no network: none is treated as a
  /// batch norm's, and no node has any.
  explicit Parameters(const WeightStore& store, kernels::Precision precision = kernels::Precision::fp32);

  /// In the order of graph::weights.
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  /// Indices of a node's entries, in the order of graph::weights.
  [[nodiscard]] std::span<const int> of_node(int node) const { return by_node_.at(static_cast<std::size_t>(node)); }
  /// Of the arithmetic that executors use with these weights.
  [[nodiscard]] kernels::Precision precision() const noexcept { return precision_; }
  /// Offsets below this are summed over chunks.
  [[nodiscard]] std::int64_t chunked_size() const noexcept { return chunked_size_; }
  /// Offsets below this are trainable.
  [[nodiscard]] std::int64_t trainable_size() const noexcept { return trainable_size_; }

  [[nodiscard]] std::span<float> values() noexcept { return values_.span(); }
  [[nodiscard]] std::span<const float> values() const noexcept { return values_.span(); }

  /// Copies from, and to, the slices of a store that holds every weight of the network. Trainable weights are rounded
  /// to the precision's storage.
  void load(const WeightStore& store);
  void save(WeightStore& store) const;

 private:
  /// Gives the wanted entries the next offsets and returns the end.
  template <class Wanted>
  std::int64_t place(std::int64_t begin, const Wanted& wanted);

  kernels::Precision precision_;
  std::vector<Entry> entries_;
  std::vector<std::vector<int>> by_node_;
  std::int64_t chunked_size_ = 0;
  std::int64_t trainable_size_ = 0;
  AlignedFloats values_;
};

}  // namespace cosearch
