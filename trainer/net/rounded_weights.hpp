#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/net/aligned_floats.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/ops/ops.hpp"

namespace cosearch {

/// The weights that a network computes with: its parameters, or, of operators whose weights have few bits, what these
/// bits leave of them: multiples of an output channel's largest magnitude / (2^(bits - 1) - 1). Gradients at them are
/// taken for those of the parameters (the straight-through estimator; Bengio et al., arXiv:1308.3432).
class RoundedWeights {
 public:
  /// Weights of 4 bits are rounded; with `all`, those of 8 too (of position embeddings in one channel; of a mixture of
  /// experts the router's for tokens in one channel, those behind gelu in the same for all experts). The parameters are
  /// the graph's and outlive it.
  RoundedWeights(const graph::NetworkGraph& graph, const Parameters& parameters, bool all);

  /// Takes the parameters as they are now. Same bits for any number of threads.
  void update();
  /// Of a node, in the order of graph::weights; null behind the last.
  [[nodiscard]] std::array<const float*, ops::kMostWeights> of_node(int node) const;

 private:
  /// How a weight is rounded: in blocks of rows whose columns have a scale each. What is behind keeps all its bits.
  struct Layout {
    std::int64_t blocks = 1, rows = 1, columns = 1;
  };
  struct Rounded {
    std::size_t entry = 0;  ///< of the parameters
    float steps = 0.0F;
    Layout layout;
    AlignedFloats values;
    AlignedFloats largest;  ///< of each column
  };
  /// Of the i-th weight of a node.
  void add(int node, std::size_t i, std::int64_t bits, const Layout& layout);
  void add_mixture(int node, const graph::MoeFfn& op);
  const Parameters& parameters_;
  std::vector<Rounded> rounded_;
  std::vector<const float*> data_;  ///< of each entry
};

}  // namespace cosearch
