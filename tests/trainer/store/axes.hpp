#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "spaces/graph/graph.hpp"

/// Short forms of weight specs for tests.
namespace cosearch::testing {

inline graph::AxisFactor leading(std::int64_t extent) { return {extent, graph::SliceRule::leading, {}}; }
inline graph::AxisFactor centre(std::int64_t extent) { return {extent, graph::SliceRule::centre, {}}; }
inline graph::AxisFactor resample(std::int64_t extent) { return {extent, graph::SliceRule::resample, {}}; }
inline graph::AxisFactor select(std::vector<std::int64_t> entries) {
  return {static_cast<std::int64_t>(entries.size()), graph::SliceRule::select, std::move(entries)};
}
/// One segment of the given factors.
inline graph::WeightAxis axis(graph::AxisSegment factors) { return graph::WeightAxis{std::move(factors)}; }

inline graph::WeightSpec weight(std::string name, std::vector<graph::WeightAxis> axes,
                                graph::Initializer initializer = graph::Initializer::zeros) {
  graph::WeightSpec spec;
  spec.name = std::move(name);
  spec.axes = std::move(axes);
  spec.initializer = initializer;
  return spec;
}

}  // namespace cosearch::testing
