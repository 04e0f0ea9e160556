#include "hwmodels/asic/mapper.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "hwmodels/asic/map_enumeration.hpp"
#include "hwmodels/asic/map_judge.hpp"
#include "hwmodels/asic/map_search.hpp"
#include "hwmodels/asic/tiling.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::asic {

std::string to_string(MapStop stop) {
  switch (stop) {
    case MapStop::exhausted:
      return "the whole map space was searched";
    case MapStop::converged:
      return "no restart found a better mapping";
    case MapStop::budget:
      return "out of evaluations";
    case MapStop::at_bound:
      return "the lower bound is reached";
  }
  COSEARCH_CHECK(false, "a reason to stop");
}

struct Mapper::Problem {
  Problem(const ir::Workload& workload, const ir::Einsum& product, const Arch& accelerator, const Pricing& prices,
          const Dataflow* dataflow, std::uint32_t residents)
      : einsum(product),
        arch(accelerator),
        pricing(prices),
        tensors(einsum_tensors(workload, product)),
        counter(workload, product, accelerator, residents),
        space(product, tensors, accelerator, map_rules(accelerator, dataflow, product, tensors), residents),
        resident(residents) {}

  const ir::Einsum& einsum;
  const Arch& arch;
  const Pricing& pricing;
  std::vector<EinsumTensor> tensors;
  NestCounter counter;
  TilingSpace space;
  std::uint32_t resident;
};

namespace {

/// Enumerates the space if it is small enough. Otherwise enumerates at least its even part, if that is, and searches.
MapStop search(MapJudge& judge, std::uint64_t seed, double& space_size) {
  const auto budget = static_cast<double>(judge.budget());
  MapEnumeration all(judge, false);
  space_size = all.size();
  if (all.size() <= budget) {
    all.run();
    return MapStop::exhausted;
  }
  MapEnumeration even(judge, true);
  if (even.size() <= budget) {
    even.run();
  }
  return MapSearch(judge, seed).run();
}

}  // namespace

Mapper::Mapper(const ir::Workload& workload, const ir::Einsum& einsum, const Arch& arch, const Pricing& pricing,
               const Dataflow* dataflow, std::uint32_t resident)
    : problem_(std::make_unique<const Problem>(workload, einsum, arch, pricing, dataflow, resident)) {}

Mapper::~Mapper() = default;

MapBound Mapper::bound(ir::FootprintKind footprint) const {
  const Problem& problem = *problem_;
  const auto macs = static_cast<double>(ir::iterations(problem.einsum));
  const std::size_t outermost = problem.arch.levels.size() - 1;
  MapBound bound;
  bound.cycles = std::ceil(macs / static_cast<double>(problem.arch.macs.size()));
  bound.picojoules = macs * problem.pricing.mac_pj();
  std::vector<std::int64_t> whole;
  for (const ir::Loop& loop : problem.einsum.loops) {
    whole.push_back(loop.extent);
  }
  double read = 0.0;
  double written = 0.0;
  for (std::size_t tensor = 0; tensor < problem.tensors.size(); ++tensor) {
    const EinsumTensor& here = problem.tensors[tensor];
    const bool output = here.role == Role::output;
    const bool resident = ((problem.resident >> tensor) & 1U) != 0;
    const auto elements = static_cast<double>(ir::footprint(*here.access, whole, footprint));
    const auto word_pj = [&](std::size_t level) {
      const MemoryPrice& memory = problem.pricing.memory(static_cast<int>(level));
      return (output ? memory.write_pj : memory.read_pj) / static_cast<double>(problem.arch.levels[level].block_words);
    };
    (output ? written : read) += resident ? 0.0 : elements;
    double cheapest = std::numeric_limits<double>::infinity();
    double together = 1.0;
    for (std::size_t level = 0; level <= outermost; ++level) {
      together *= static_cast<double>(problem.arch.fan_out(static_cast<int>(level)).size());
      if (problem.arch.levels[level].keeps.at(static_cast<std::size_t>(here.role))) {
        const double outside = level == outermost || resident ? 0.0 : elements * word_pj(outermost);
        cheapest = std::min(cheapest,
                            std::max(macs / together, level == outermost ? elements : 0.0) * word_pj(level) + outside);
      }
    }
    bound.picojoules += cheapest;
  }
  const MemoryLevel& outer = problem.arch.levels[outermost];
  bound.cycles = std::max({bound.cycles, outer.read_bandwidth ? std::ceil(read / *outer.read_bandwidth) : 0.0,
                           outer.write_bandwidth ? std::ceil(written / *outer.write_bandwidth) : 0.0});
  bound.picojoules += problem.pricing.static_pj(bound.cycles);
  return bound;
}

Expected<MappedEinsum, Infeasible> Mapper::best(const MapOptions& options) const {
  const Problem& problem = *problem_;
  COSEARCH_CHECK(options.evaluations > 0, "a mapper needs evaluations");
  const MapBound lower = bound(options.footprint);
  MapJudge judge(problem.space, problem.counter, problem.pricing, lower, options);
  MappedEinsum mapped;
  mapped.stop = search(judge, options.seed, mapped.space);
  if (judge.best().value == std::numeric_limits<double>::infinity()) {
    // Nothing fits: the smallest tiles say what does not.
    COSEARCH_CHECK(problem.space.nest(problem.space.smallest(), mapped.nest), "the smallest tiles are a nest");
    const auto smallest = problem.counter.count(mapped.nest, options.footprint);
    return Unexpected{smallest ? Infeasible{{}, "no mapping was found within the evaluations"} : smallest.error()};
  }
  COSEARCH_CHECK(problem.space.nest(judge.best().tiling, mapped.nest), "the best mapping is one");
  mapped.counts = judge.best().counts;
  mapped.price = problem.pricing.price(mapped.counts);
  mapped.value = judge.best().value;
  mapped.lower_bound = judge.bound_value();
  mapped.evaluations = judge.evaluations();
  return mapped;
}

}  // namespace cosearch::asic
