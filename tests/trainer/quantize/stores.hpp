#pragma once

#include <vector>

#include "tests/oracle/naive_network.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {

/// The naive network's weights as the trainer has them.
inline WeightStore store_of(const graph::NetworkGraph& graph, const oracle::Weights& weights) {
  WeightStore store = WeightStore::for_network(graph, 0);
  for (const auto& [name, values] : weights) {
    store.at(name).values.assign(values.begin(), values.end());
  }
  return store;
}

}  // namespace cosearch
