#include "trainer/store/weight_store.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/rng.hpp"
#include "trainer/store/slice_map.hpp"

namespace cosearch {
namespace {

using graph::AxisFactor;
using graph::Initializer;
using graph::SliceRule;
using graph::WeightSpec;

/// What a shared factor must hold for `factor`'s slice.
std::int64_t needed_extent(const AxisFactor& factor) {
  if (factor.rule != SliceRule::select || factor.selected.empty()) {
    return factor.extent;
  }
  return std::max(factor.extent, *std::max_element(factor.selected.begin(), factor.selected.end()) + 1);
}

void widen(AxisFactor& shared, const AxisFactor& factor) {
  COSEARCH_CHECK(shared.rule == factor.rule, "networks of one space give a weight's factor one rule");
  shared.extent = std::max(shared.extent, needed_extent(factor));
  if (shared.rule == SliceRule::select) {
    shared.selected.resize(static_cast<std::size_t>(shared.extent));
    std::iota(shared.selected.begin(), shared.selected.end(), std::int64_t{0});
  }
}

void widen(WeightSpec& shared, const WeightSpec& spec) {
  COSEARCH_CHECK(shared.axes.size() == spec.axes.size(), "networks of one space give a weight the same axes");
  COSEARCH_CHECK(
      shared.initializer == spec.initializer && shared.trainable == spec.trainable && shared.decay == spec.decay,
      "networks of one space treat a weight alike");
  shared.fan_in = std::max(shared.fan_in, spec.fan_in);
  shared.fan_out = std::max(shared.fan_out, spec.fan_out);
  for (std::size_t a = 0; a < spec.axes.size(); ++a) {
    for (std::size_t s = 0; s < spec.axes[a].size(); ++s) {
      if (s == shared.axes[a].size()) {
        shared.axes[a].push_back(spec.axes[a][s]);
      }
      COSEARCH_CHECK(shared.axes[a][s].size() == spec.axes[a][s].size(),
                     "networks of one space give a weight's segment the same factors");
      for (std::size_t f = 0; f < spec.axes[a][s].size(); ++f) {
        widen(shared.axes[a][s][f], spec.axes[a][s][f]);
      }
    }
  }
}

double truncated_normal(RngStream& rng) {
  double draw = rng.normal();
  while (std::abs(draw) > 2.0) {
    draw = rng.normal();
  }
  return draw;
}

}  // namespace

std::vector<float> initial_values(const WeightSpec& spec, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(spec.elements()));
  RngStream rng(seed, Purpose::init_weights, Hasher{}.add(spec.name).value());
  const auto fan_in = static_cast<double>(spec.fan_in);
  const auto fan_out = static_cast<double>(spec.fan_out);
  const auto fill = [&](auto draw) {
    std::generate(values.begin(), values.end(), [&] { return static_cast<float>(draw()); });
  };
  switch (spec.initializer) {
    case Initializer::zeros:
      break;
    case Initializer::ones:
      std::fill(values.begin(), values.end(), 1.0F);
      break;
    case Initializer::he_normal:
      fill([&, scale = std::sqrt(2.0 / fan_in)] { return scale * rng.normal(); });
      break;
    case Initializer::xavier_uniform:
      fill([&, bound = std::sqrt(6.0 / (fan_in + fan_out))] { return bound * (2.0 * rng.uniform() - 1.0); });
      break;
    case Initializer::truncated_normal:
      fill([&] { return 0.02 * truncated_normal(rng); });
      break;
  }
  return values;
}

bool can_share(const WeightSpec& a, const WeightSpec& b) {
  if (a.axes.size() != b.axes.size() || a.initializer != b.initializer || a.trainable != b.trainable ||
      a.decay != b.decay) {
    return false;
  }
  const auto same_rules = [](const graph::AxisSegment& x, const graph::AxisSegment& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [](const AxisFactor& f, const AxisFactor& g) { return f.rule == g.rule; });
  };
  for (std::size_t axis = 0; axis < a.axes.size(); ++axis) {
    const std::size_t common = std::min(a.axes[axis].size(), b.axes[axis].size());
    for (std::size_t s = 0; s < common; ++s) {
      if (!same_rules(a.axes[axis][s], b.axes[axis][s])) {
        return false;
      }
    }
  }
  return true;
}

WeightSpec union_spec(const std::vector<WeightSpec>& specs) {
  COSEARCH_CHECK(!specs.empty(), "a union needs a member");
  WeightSpec shared = specs.front();
  for (const WeightSpec& spec : specs) {
    COSEARCH_CHECK(spec.name == shared.name, "a union is of one weight");
    widen(shared, spec);
  }
  return shared;
}

WeightStore WeightStore::for_network(const graph::NetworkGraph& graph, std::uint64_t seed) {
  return for_specs(graph::weights(graph), seed);
}

WeightStore WeightStore::for_corners(const std::vector<graph::NetworkGraph>& corners, std::uint64_t seed) {
  std::map<std::string, std::vector<WeightSpec>> by_name;
  for (const graph::NetworkGraph& corner : corners) {
    for (WeightSpec& spec : graph::weights(corner)) {
      by_name[spec.name].push_back(std::move(spec));
    }
  }
  std::vector<WeightSpec> shared;
  shared.reserve(by_name.size());
  for (const auto& [name, specs] : by_name) {
    shared.push_back(union_spec(specs));
  }
  return for_specs(shared, seed);
}

WeightStore WeightStore::for_specs(const std::vector<WeightSpec>& specs, std::uint64_t seed) {
  WeightStore store;
  for (const WeightSpec& spec : specs) {
    COSEARCH_CHECK(!store.contains(spec.name), ("two weights are named " + spec.name).c_str());
    store.insert({spec, initial_values(spec, seed)});
  }
  return store;
}

const StoredWeight& WeightStore::at(const std::string& name) const {
  const auto found = weights_.find(name);
  COSEARCH_CHECK(found != weights_.end(), ("no weight named " + name).c_str());
  return found->second;
}

StoredWeight& WeightStore::at(const std::string& name) {
  const auto found = weights_.find(name);
  COSEARCH_CHECK(found != weights_.end(), ("no weight named " + name).c_str());
  return found->second;
}

void WeightStore::insert(StoredWeight weight) {
  COSEARCH_CHECK(static_cast<std::int64_t>(weight.values.size()) == weight.spec.elements(),
                 "a weight has as many values as its shape");
  const std::string name = weight.spec.name;
  weights_.insert_or_assign(name, std::move(weight));
}

std::vector<float> WeightStore::slice(const WeightSpec& spec) const {
  const StoredWeight& shared = at(spec.name);
  std::vector<float> values(static_cast<std::size_t>(spec.elements()));
  SliceMap(shared.spec, spec).gather(shared.values, values);
  return values;
}

void WeightStore::write_slice(const WeightSpec& spec, const std::vector<float>& values) {
  StoredWeight& shared = at(spec.name);
  SliceMap(shared.spec, spec).scatter(values, shared.values);
}

void WeightStore::accumulate_slice(const WeightSpec& spec, const std::vector<float>& gradient,
                                   std::vector<float>& into) const {
  SliceMap(at(spec.name).spec, spec).scatter_add(gradient, into);
}

}  // namespace cosearch
