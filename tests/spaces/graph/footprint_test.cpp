#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "spaces/base/rng.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/ir/workload.hpp"
#include "tests/oracle/random_network.hpp"

namespace cosearch::graph {
namespace {

using Position = std::vector<std::int64_t>;

/// Every iteration of a tile, visited one by one.
std::vector<Position> enumerate(const std::vector<std::int64_t>& origin, const std::vector<std::int64_t>& tile) {
  std::vector<Position> iterations;
  Position offset(tile.size(), 0);
  for (bool more = true; more;) {
    Position iteration = origin;
    for (std::size_t i = 0; i < offset.size(); ++i) {
      iteration[i] += offset[i];
    }
    iterations.push_back(std::move(iteration));
    more = false;
    for (std::size_t i = offset.size(); i-- > 0 && !more;) {
      more = ++offset[i] < tile[i];
      offset[i] = more ? offset[i] : 0;
    }
  }
  return iterations;
}

/// All different elements that the iterations touch, borders ignored.
std::set<Position> touched(const ir::Access& access, const std::vector<Position>& iterations) {
  std::set<Position> elements;
  for (const Position& iteration : iterations) {
    Position element;
    for (const ir::AxisIndex& axis : access.axes) {
      std::int64_t index = axis.offset;
      for (const ir::Term& term : axis.terms) {
        index += term.coefficient * iteration[static_cast<std::size_t>(term.loop)];
      }
      element.push_back(index);
    }
    elements.insert(std::move(element));
  }
  return elements;
}

std::int64_t bounding_box(const std::set<Position>& elements) {
  std::int64_t volume = 1;
  for (std::size_t axis = 0; axis < elements.begin()->size(); ++axis) {
    std::int64_t low = (*elements.begin())[axis];
    std::int64_t high = low;
    for (const Position& element : elements) {
      low = std::min(low, element[axis]);
      high = std::max(high, element[axis]);
    }
    volume *= high - low + 1;
  }
  return volume;
}

std::int64_t count_inside(const std::set<Position>& elements, const ir::Tensor& tensor) {
  return std::count_if(elements.begin(), elements.end(), [&](const Position& element) {
    for (std::size_t axis = 0; axis < element.size(); ++axis) {
      if (element[axis] < 0 || element[axis] >= tensor.shape[axis]) {
        return false;
      }
    }
    return true;
  });
}

void expect_footprints_are_right(const ir::Workload& workload, const ir::Einsum& einsum, RngStream& rng) {
  std::vector<ir::Access> accesses = {einsum.output};
  for (const ir::Operand& operand : einsum.operands) {
    if (const auto* access = std::get_if<ir::Access>(&operand)) {
      accesses.push_back(*access);
    }
  }
  for (int draw = 0; draw < 3; ++draw) {
    std::vector<std::int64_t> origin;
    std::vector<std::int64_t> tile;
    for (const ir::Loop& loop : einsum.loops) {
      tile.push_back(1 + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(loop.extent))));
      origin.push_back(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(loop.extent - tile.back() + 1))));
    }
    const std::vector<Position> iterations = enumerate(origin, tile);
    for (const ir::Access& access : accesses) {
      const std::set<Position> elements = touched(access, iterations);
      const ir::Tensor& tensor = workload.tensors[static_cast<std::size_t>(access.tensor)];
      SCOPED_TRACE(einsum.name + " " + tensor.name);
      EXPECT_EQ(ir::footprint(access, tile, ir::FootprintKind::exact), static_cast<std::int64_t>(elements.size()));
      EXPECT_EQ(ir::footprint(access, tile, ir::FootprintKind::hull), bounding_box(elements));
      EXPECT_EQ(ir::footprint_inside(access, tensor, origin, tile), count_inside(elements, tensor));
    }
  }
}

TEST(GraphFootprint, MatchesEnumerationForEveryAccessOfEveryOperatorInBothPhases) {
  for (std::size_t kind = 1; kind < oracle::kOperatorKinds; ++kind) {
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      RngStream rng{seed, Purpose::test, 100 + kind};
      for (const Phase phase : {Phase::inference, Phase::training}) {
        const ir::Workload workload = lower(oracle::random_operator(kind, seed, true), phase, 2, {});
        for (const ir::Einsum& einsum : workload.einsums) {
          expect_footprints_are_right(workload, einsum, rng);
        }
      }
    }
  }
}

}  // namespace
}  // namespace cosearch::graph
