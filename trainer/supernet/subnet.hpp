#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/store/slice_map.hpp"

namespace cosearch {

/// A network's weights and how they are made of shared ones. `shared` holds every weight of the network and outlives
/// it. Works on the calling thread's oneTBB arena; weights are independent of each other, so the bits do not depend on
/// the number of threads.
class Subnet {
 public:
  Subnet(graph::NetworkGraph graph, const Parameters& shared);

  [[nodiscard]] const graph::NetworkGraph& graph() const noexcept { return graph_; }
  [[nodiscard]] Parameters& parameters() noexcept { return parameters_; }

  /// Takes the slices of the shared values.
  void gather();
  /// Adds the gradients of the network's trainable weights to those of the shared ones, each at the offsets of its
  /// parameters.
  void scatter_add(std::span<const float> gradients, std::span<float> shared_gradients) const;

 private:
  struct Slice {
    std::int64_t offset = 0;
    std::int64_t shared_offset = 0;
    bool trainable = false;
    SliceMap map;
  };
  graph::NetworkGraph graph_;
  const Parameters& shared_;
  Parameters parameters_;
  std::vector<Slice> slices_;
};

}  // namespace cosearch
