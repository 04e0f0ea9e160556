#include "trainer/net/parameters.hpp"

#include <algorithm>

#include "spaces/base/check.hpp"

namespace cosearch {

template <class Wanted>
std::int64_t Parameters::place(std::int64_t begin, const Wanted& wanted) {
  std::int64_t end = begin;
  for (Entry& entry : entries_) {
    if (wanted(entry)) {
      entry.offset = end;
      end += AlignedFloats::rounded_up(entry.size);
    }
  }
  return end;
}

Parameters::Parameters(const graph::NetworkGraph& graph, kernels::Precision precision) : precision_(precision) {
  const auto shapes = graph::infer_shapes(graph);
  COSEARCH_CHECK(shapes.has_value(), "a malformed network reached the trainer");
  by_node_.resize(graph.nodes.size());
  for (int node = 0; node < static_cast<int>(graph.nodes.size()); ++node) {
    for (graph::WeightSpec& spec : graph::weights(graph, node, *shapes)) {
      by_node_[static_cast<std::size_t>(node)].push_back(static_cast<int>(entries_.size()));
      const std::int64_t size = spec.elements();
      entries_.push_back({.spec = std::move(spec), .node = node, .offset = 0, .size = size});
    }
  }
  const auto of_batch_norm = [&](const Entry& entry) {
    return std::holds_alternative<graph::BatchNorm>(graph.nodes[static_cast<std::size_t>(entry.node)].op);
  };
  chunked_size_ = place(0, [&](const Entry& entry) { return entry.spec.trainable && !of_batch_norm(entry); });
  trainable_size_ =
      place(chunked_size_, [&](const Entry& entry) { return entry.spec.trainable && of_batch_norm(entry); });
  values_ = AlignedFloats(place(trainable_size_, [](const Entry& entry) { return !entry.spec.trainable; }));
}

Parameters::Parameters(const WeightStore& store, kernels::Precision precision) : precision_(precision) {
  for (const auto& [name, weight] : store.weights()) {
    entries_.push_back({.spec = weight.spec, .node = -1, .offset = 0, .size = weight.spec.elements()});
  }
  chunked_size_ = place(0, [](const Entry& entry) { return entry.spec.trainable; });
  trainable_size_ = chunked_size_;
  values_ = AlignedFloats(place(trainable_size_, [](const Entry& entry) { return !entry.spec.trainable; }));
  load(store);
}

void Parameters::load(const WeightStore& store) {
  for (const Entry& entry : entries_) {
    const std::vector<float> slice = store.slice(entry.spec);
    COSEARCH_CHECK(static_cast<std::int64_t>(slice.size()) == entry.size, "a slice does not have the network's shape");
    std::copy(slice.begin(), slice.end(), values_.data() + entry.offset);
  }
  kernels::dense(precision_).round_to_storage(trainable_size_, values_.data());
}

void Parameters::save(WeightStore& store) const {
  for (const Entry& entry : entries_) {
    const float* begin = values_.data() + entry.offset;
    store.write_slice(entry.spec, std::vector<float>(begin, begin + entry.size));
  }
}

}  // namespace cosearch
