#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/count.hpp"
#include "hwmodels/asic/dataflow.hpp"
#include "hwmodels/asic/loop_nest.hpp"
#include "hwmodels/asic/price.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

/// What a mapping is chosen for: cycles, picojoules, or picojoules * cycles. Equal ones are decided by the other
/// figure.
enum class MapObjective { latency, energy, edp };

struct MapOptions {
  MapObjective objective = MapObjective::edp;
  std::int64_t evaluations = 200'000;  ///< nests counted, at most
  std::uint64_t seed = 0;
  ir::FootprintKind footprint = ir::FootprintKind::exact;
};

/// Why a mapper stopped.
enum class MapStop {
  exhausted,  ///< every mapping of the space was counted or bounded away: nothing in it is better
  converged,  ///< no restart and no change of the best mapping found a better one for long
  budget,     ///< out of evaluations
  at_bound,   ///< nothing can be better: the lower bound is reached
};
[[nodiscard]] std::string to_string(MapStop stop);

/// The best mapping found for an einsum, and how it was found.
struct MappedEinsum {
  LoopNest nest;
  Counts counts;
  Price price;
  double value = 0.0;        ///< of the objective
  double lower_bound = 0.0;  ///< of the objective over all mappings, see MapBound
  double space = 0.0;        ///< mappings in the space
  std::int64_t evaluations = 0;
  MapStop stop = MapStop::exhausted;
};

/// What no mapping of an einsum on an architecture can be below. Cycles: all MACs busy, and each element of each tensor
/// once through the outermost level. Energy: the multiply-accumulates, each operand read (each product written) at the
/// cheapest level with the widest multicast below it, each element once at the outermost level, static power.
struct MapBound {
  double cycles = 0.0;
  double picojoules = 0.0;
};

/// Finds mappings of one einsum on one architecture. Spaces of up to as many mappings as there are evaluations are
/// enumerated, loop by loop, with branches cut where tiles or spatial loops no longer fit or the bound says no; larger
/// ones are searched by iterated local search from several starts. Deterministic.
class Mapper {
 public:
  /// The arguments have to outlive the mapper. `resident`: see NestCounter. @throws ConfigError, see einsum_tensors.
  Mapper(const ir::Workload& workload, const ir::Einsum& einsum, const Arch& arch, const Pricing& pricing,
         const Dataflow* dataflow = nullptr, std::uint32_t resident = 0);
  ~Mapper();
  Mapper(const Mapper&) = delete;
  Mapper& operator=(const Mapper&) = delete;

  [[nodiscard]] MapBound bound(ir::FootprintKind footprint) const;

  /// Infeasible where not even the smallest tiles fit.
  [[nodiscard]] Expected<MappedEinsum, Infeasible> best(const MapOptions& options) const;

 private:
  struct Problem;
  std::unique_ptr<const Problem> problem_;
};

}  // namespace cosearch::asic
