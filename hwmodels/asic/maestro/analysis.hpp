#pragma once

#include <cstdint>

#include "hwmodels/asic/maestro/layer.hpp"
#include "hwmodels/asic/maestro/mapping.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"

namespace cosearch::maestro {

/// Bandwidths in elements per cycle. The same NoC joins the units of every level.
struct Hardware {
  std::int64_t pes = 1;
  std::int64_t noc_bandwidth = 1;
  std::int64_t offchip_bandwidth = 1;
  std::int64_t hop_latency = 1;  ///< cycles
  std::int64_t simd_lanes = 1;   ///< multiply-accumulates per PE and cycle
};

/// Elements.
struct Accesses {
  std::int64_t l1_read = 0;
  std::int64_t l1_write = 0;
  std::int64_t l2_read = 0;
  std::int64_t l2_write = 0;
};

struct Analysis {
  std::int64_t runtime_cycles = 0;
  std::int64_t macs = 0;
  Accesses input;
  Accesses weight;
  Accesses output;
  std::int64_t l1_elements = 0;           ///< buffer of one PE that double buffering takes
  std::int64_t l2_elements = 0;           ///< shared buffer that double buffering takes
  double utilized_pes = 0.0;              ///< mean over the outermost iterations
  double peak_bandwidth = 0.0;            ///< elements per cycle of computing that the shared buffer sees at most
  double average_bandwidth = 0.0;         ///< its mean over the outermost iterations
  std::int64_t noc_bound_cycles = 0;      ///< part of the runtime in iterations that wait for the NoC
  std::int64_t offchip_bound_cycles = 0;  ///< part of the runtime in iterations that wait for the external memory
};

/// Costs of a layer by iteration cases: every directive is at its first, a middle or its last step; all iterations in
/// the same case cost the same; units below a cluster are analysed anew in each case. What MAESTRO does is kept, also
/// where it is crude: each iteration sends its partial sums to the shared buffer, L1 writes do not see multicast,
/// transfers inside clusters are not overlapped, an iteration is charged half of the double-buffered L2 tile at the
/// external bandwidth, iterations whose tile has no output cost nothing but are counted in the L1 buffer as long as
/// none before them had one.
///
/// Nothing for layers whose kernel exceeds the input, mappings that name dimensions that the layer does not have, sizes
/// below one, levels without or with more than two spatial maps, clusters larger than the array, outermost tiles
/// smaller than the kernel, clusters none of whose iterations has an output, and counts beyond 63 bits. Does not
/// allocate unless it refuses.
[[nodiscard]] Expected<Analysis, Infeasible> analyse(const Layer& layer, const Mapping& mapping,
                                                     const Hardware& hardware);

}  // namespace cosearch::maestro
