#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

namespace cosearch {

/// A named weight or state with the structure of its axes.
struct StoredWeight {
  graph::WeightSpec spec;
  std::vector<float> values;  ///< row-major over spec.shape()
};

/// Initial values of a weight, row-major: a function of (seed, name), the shape, the initialiser and the fans.
/// he_normal: normal, variance 2 / fan_in (He et al., ICCV 2015, eq. 10). xavier_uniform: uniform in +-sqrt(6 / (fan_in
/// + fan_out)) (Glorot and Bengio, AISTATS 2010, eq. 16). truncated_normal: normal with standard deviation 0.02, drawn
/// again beyond two of them (the habit of vision transformers).
[[nodiscard]] std::vector<float> initial_values(const graph::WeightSpec& spec, std::uint64_t seed);

/// The smallest weight from which all of `specs` (one name) can take their slices: every factor as large as the
/// largest, as many segments as the longest axis has. Aborts when their axes differ in structure or rules.
[[nodiscard]] graph::WeightSpec union_spec(const std::vector<graph::WeightSpec>& specs);

/// Whether two weights can be slices of one: the same axes, factors and rules, and the same treatment in training.
[[nodiscard]] bool can_share(const graph::WeightSpec& a, const graph::WeightSpec& b);

/// Weights by stable name. Stand-alone training uses a store with exactly the network's shapes; a one-shot supernet
/// a store with the shapes of the space's corners, from which each subnet takes its slice by its specs' rules.
class WeightStore {
 public:
  /// Every weight of `graph`, initialised from streams keyed by (seed, weight name).
  static WeightStore for_network(const graph::NetworkGraph& graph, std::uint64_t seed);
  /// The union over the given networks; every factor of every axis as large as the largest.
  static WeightStore for_corners(const std::vector<graph::NetworkGraph>& corners, std::uint64_t seed);

  /// Exactly these weights, with different names each.
  static WeightStore for_specs(const std::vector<graph::WeightSpec>& specs, std::uint64_t seed);

  [[nodiscard]] bool contains(const std::string& name) const { return weights_.contains(name); }
  /// Aborts when there is none.
  [[nodiscard]] const StoredWeight& at(const std::string& name) const;
  [[nodiscard]] StoredWeight& at(const std::string& name);
  /// Adds or replaces. The number of values must be the spec's.
  void insert(StoredWeight weight);
  [[nodiscard]] const std::map<std::string, StoredWeight>& weights() const noexcept { return weights_; }

  /// The values that a network's weight `spec` takes from the shared weight of the same name, by the rules of
  /// `SliceMap`. Callers that slice again and again keep a `SliceMap` instead.
  [[nodiscard]] std::vector<float> slice(const graph::WeightSpec& spec) const;
  /// Puts a subnet's values back where `slice` took them (resampled axes cannot be written back: aborts).
  void write_slice(const graph::WeightSpec& spec, const std::vector<float>& values);
  /// The transpose of `slice`: adds a subnet's gradients to the shared gradient `into` (row-major over the shared
  /// shape); resampled axes scatter by the same interpolation weights.
  void accumulate_slice(const graph::WeightSpec& spec, const std::vector<float>& gradient,
                        std::vector<float>& into) const;

 private:
  std::map<std::string, StoredWeight> weights_;
};

/// A tensor of a safetensors file.
struct StoredTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;  ///< row-major
};

/// Writes tensors in the safetensors format (little-endian F32) to a temporary file beside `path` that is flushed and
/// renamed, so that a crash leaves the old file or the new one. `metadata` becomes the header's `__metadata__`.
/// @throws std::runtime_error naming the path.
void save_safetensors(const WeightStore& store, const std::map<std::string, std::string>& metadata,
                      const std::string& path);
/// Reads all tensors of a safetensors file that any tool wrote (F32 only).
/// @throws ConfigError with the path: cannot be read, no safetensors file, truncated, other element type, tensors that
/// overlap, leave gaps or do not fit their shapes.
[[nodiscard]] std::map<std::string, StoredTensor> read_safetensors(
    const std::string& path, std::map<std::string, std::string>* metadata = nullptr);
/// Reads a file into a store with exactly the weights of `graph`.
/// @throws ConfigError as `read_safetensors`; also for a missing tensor, one of another shape, and one that the
/// network does not have.
[[nodiscard]] WeightStore load_safetensors(const std::string& path, const graph::NetworkGraph& graph,
                                           std::map<std::string, std::string>* metadata = nullptr);
/// The same for a list of weights.
[[nodiscard]] WeightStore load_safetensors(const std::string& path, const std::vector<graph::WeightSpec>& specs,
                                           std::map<std::string, std::string>* metadata = nullptr);

}  // namespace cosearch
