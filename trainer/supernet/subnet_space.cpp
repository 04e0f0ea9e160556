#include "trainer/supernet/subnet_space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/graph/moe.hpp"
#include "spaces/space/domain.hpp"
#include "trainer/store/slice_map.hpp"

namespace cosearch {
namespace {

/// Networks of the first draws are part of a space's identity, so that a change of its decoder is one as well.
constexpr std::uint64_t kIdentityDraws = 32;

graph::NetworkGraph decoded(const SearchSpace& space, const Genome& genome) {
  return std::get<graph::NetworkGraph>(space.decode(genome));
}

/// The gene of `to` nearest to a value of `from`; nothing for an unordered domain that lacks it.
std::optional<double> nearest_gene(const Domain& from, double gene, const Domain& to) {
  if (const auto* range = std::get_if<RealRange>(&to)) {
    return std::clamp(gene, range->lower, range->upper);
  }
  const GeneValue meaning = domain::value(from, gene);
  if (const std::optional<double> same = domain::gene(to, meaning)) {
    return same;
  }
  if (!domain::ordered(to)) {
    return std::nullopt;
  }
  double best = 0.0;
  const double wanted = domain::number(from, gene);
  for (std::int64_t i = 1; i < domain::cardinality(to).value(); ++i) {
    const auto other = static_cast<double>(i);
    if (std::abs(domain::number(to, other) - wanted) < std::abs(domain::number(to, best) - wanted)) {
      best = other;
    }
  }
  return best;
}

std::optional<Genome> moved_into(const ParamSet& all, const Genome& corner, const ParamSet& genes) {
  Genome moved{std::vector<double>(genes.size(), 0.0)};
  for (std::size_t i = 0; i < genes.size(); ++i) {
    if (!genes.active(i, moved)) {
      continue;
    }
    const std::optional<double> gene = nearest_gene(all.params()[i].domain, corner.genes[i], genes.params()[i].domain);
    if (!gene) {
      return std::nullopt;
    }
    moved.genes[i] = *gene;
  }
  return moved;
}

void check_shareable(const std::vector<graph::NetworkGraph>& corners) {
  std::map<std::string, graph::WeightSpec> first;
  for (const graph::NetworkGraph& corner : corners) {
    for (const graph::WeightSpec& spec : graph::task_weights(corner)) {
      const auto [at, is_new] = first.emplace(spec.name, spec);
      if (!is_new && !can_share(at->second, spec)) {
        throw ConfigError("", fmt::format("networks of this space cannot share weights: {} has axes of another "
                                          "structure in some of them; give those nodes different names",
                                          spec.name));
      }
    }
  }
}

std::set<std::string> weight_names(const graph::NetworkGraph& network) {
  std::set<std::string> names;
  for (graph::WeightSpec& spec : graph::task_weights(network)) {
    names.insert(std::move(spec.name));
  }
  return names;
}

std::int64_t macs(const graph::NetworkGraph& network) { return graph::total_counts(network).macs; }

}  // namespace

SubnetSpace make_subnet_space(const SearchSpace& space, const ParamSet& genes) {
  SubnetSpace subnets;
  const auto shared_genes = std::make_shared<const ParamSet>(genes);
  subnets.sample = [&space, shared_genes](RngStream& rng) {
    return decoded(space, shared_genes->translate(shared_genes->sample(rng), space.params()));
  };
  Hasher identity;
  std::set<std::uint64_t> seen;
  for (const Genome& corner : space.corners()) {
    const std::optional<Genome> moved = moved_into(space.params(), corner, genes);
    if (!moved) {
      continue;
    }
    graph::NetworkGraph network = decoded(space, genes.translate(*moved, space.params()));
    if (seen.insert(graph::hash(network)).second) {
      identity.add(graph::hash(network));
      subnets.corners.push_back(std::move(network));
    }
  }
  check_shareable(subnets.corners);
  COSEARCH_CHECK(!subnets.corners.empty(), "a space has a corner for every value of an unordered gene");
  for (const Param& param : genes.params()) {
    identity.add(param.name).add(domain::describe(param.domain));
  }
  for (std::uint64_t i = 0; i < kIdentityDraws; ++i) {
    RngStream rng(0, Purpose::subnet, i);
    identity.add(graph::hash(subnets.sample(rng)));
  }
  subnets.identity = identity.value();
  return subnets;
}

SubnetSpace make_subnet_space(const SearchSpace& space) { return make_subnet_space(space, space.params()); }

std::vector<SubnetFamily> families(const std::vector<graph::NetworkGraph>& corners) {
  std::vector<const graph::NetworkGraph*> order;
  order.reserve(corners.size());
  for (const graph::NetworkGraph& corner : corners) {
    order.push_back(&corner);
  }
  const auto size = [](const graph::NetworkGraph* network) {
    return std::pair(weight_names(*network).size(), macs(*network));
  };
  std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) { return size(a) > size(b); });
  std::vector<SubnetFamily> found;
  for (const graph::NetworkGraph* corner : order) {
    const std::set<std::string> names = weight_names(*corner);
    const auto larger = std::find_if(found.begin(), found.end(), [&](const SubnetFamily& family) {
      const std::set<std::string> all = weight_names(family.largest);
      return std::includes(all.begin(), all.end(), names.begin(), names.end());
    });
    if (larger == found.end()) {
      found.push_back({*corner, *corner, {}});
      for (const graph::Node& node : corner->nodes) {
        found.back().names.insert(node.name);
      }
    } else if (macs(*corner) < macs(larger->smallest)) {
      larger->smallest = *corner;
    }
  }
  return found;
}

std::size_t family_of(const graph::NetworkGraph& network, const std::vector<SubnetFamily>& families) {
  const auto held = [&](const SubnetFamily& family) {
    return std::count_if(network.nodes.begin(), network.nodes.end(),
                         [&](const graph::Node& node) { return family.names.contains(node.name); });
  };
  const auto best = std::max_element(families.begin(), families.end(),
                                     [&](const auto& a, const auto& b) { return held(a) < held(b); });
  return static_cast<std::size_t>(best - families.begin());
}

bool holds(const WeightStore& store, const graph::NetworkGraph& network) {
  const std::vector<graph::WeightSpec> specs = graph::task_weights(network);
  return std::all_of(specs.begin(), specs.end(), [&](const graph::WeightSpec& spec) {
    return store.contains(spec.name) && SliceMap::fits(store.at(spec.name).spec, spec);
  });
}

}  // namespace cosearch
