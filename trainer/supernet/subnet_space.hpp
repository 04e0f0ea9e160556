#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "spaces/base/rng.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/space/search_space.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {

/// Networks of one kind: most of their nodes are nodes of the largest.
struct SubnetFamily {
  graph::NetworkGraph largest;   ///< most weights by name, then most multiply-accumulates
  graph::NetworkGraph smallest;  ///< fewest multiply-accumulates; may be the largest
  std::set<std::string> names;   ///< of the largest's nodes
};

/// The networks that share the weights of one supernet.
struct SubnetSpace {
  std::string name;                          ///< for messages; empty: all of a search space
  std::vector<graph::NetworkGraph> corners;  ///< different ones; together they hold every weight
  std::function<graph::NetworkGraph(RngStream&)> sample;
  std::uint64_t identity = 0;  ///< hash of what `sample` draws from
};

/// The networks of `space` that `genes` allows, a restriction of its parameters. Corners that the restriction excludes
/// are moved to the nearest values that it allows (the lower of two), or left out where an unordered gene lacks theirs.
/// The space outlives it. @throws ConfigError: the networks of a user's space use one name for weights that cannot be
/// slices of one another.
[[nodiscard]] SubnetSpace make_subnet_space(const SearchSpace& space, const ParamSet& genes);
/// All of the space.
[[nodiscard]] SubnetSpace make_subnet_space(const SearchSpace& space);

/// Corners by the names of their weights: a corner whose weights all belong to a larger one is of its family. Largest
/// first.
[[nodiscard]] std::vector<SubnetFamily> families(const std::vector<graph::NetworkGraph>& corners);
/// The family whose largest network has most of the network's nodes by name; of equal ones the first.
[[nodiscard]] std::size_t family_of(const graph::NetworkGraph& network, const std::vector<SubnetFamily>& families);

/// Whether every weight of the network, of all its tasks, is a slice of the store's, by the rules of SliceMap.
[[nodiscard]] bool holds(const WeightStore& store, const graph::NetworkGraph& network);

}  // namespace cosearch
