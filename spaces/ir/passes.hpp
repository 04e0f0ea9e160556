#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spaces/ir/dimensions.hpp"

/// Passes of a workload over a dimension, after FuseMax (MICRO'24, section 3): how often the elements of a fiber (all
/// elements along the dimension, everything else fixed) must be walked whatever the mapping, and what must then be
/// remembered of them.
namespace cosearch::ir {

/// When an einsum walks a fiber. Einsums of one pass and step can be fused along the dimension, tile by tile.
struct EinsumPass {
  int pass = 0;        ///< from 1; 0: walks no rank of the dimension and waits for none of its passes
  int step = 0;        ///< of walks over blocks alone (ranks m1, not m0), those between the passes count from 1
  bool walks = false;  ///< whether it has a loop of the dimension
  bool full = false;   ///< whether it has loops of all ranks, so that it meets every element
  int waits_for = -1;  ///< tensor that must be complete before the einsum starts and that decides its pass, or -1
};

/// A tensor that is written or read in one pass and read in a later one: a whole fiber of it is buffered, or written
/// to the memory outside once and read once in each later pass.
struct LiveFiber {
  int tensor = 0;
  bool blocks_only = false;      ///< has an element for a block (lm[m1]), not for every element of the fiber
  bool given = false;            ///< an input, weight or state that no einsum of the dimension writes
  std::int64_t elements = 0;     ///< along the dimension
  std::int64_t bytes = 0;        ///< of a fiber
  std::vector<int> passes;       ///< in which it is written or read, in order, each once
  std::int64_t spill_bytes = 0;  ///< traffic of a fiber that is not buffered, beyond the compulsory first read of a
                                 ///< given tensor and the compulsory write of an output
};

struct PassAnalysis {
  std::string dimension;
  std::vector<Loop> ranks;          ///< outermost first, in the order that needs fewest passes
  std::int64_t extent = 1;          ///< elements of a fiber
  std::string obstacle;             ///< why there is no analysis, in words; then everything below is empty
  int passes = 0;                   ///< walks over every element of a fiber, one after the other
  std::vector<EinsumPass> einsums;  ///< by einsum
  std::vector<LiveFiber> live;      ///< in the order of the tensors
  std::int64_t buffer_bytes = 0;    ///< for each row in flight, if nothing is to be spilled: the most that is live at
                                    ///< the end of a pass
  std::int64_t traffic_bytes = 0;   ///< of a row, if nothing is buffered: the sum of all spill_bytes
};

/// Passes over one dimension of a valid workload. Counts what no mapping can avoid when einsums are executed as they
/// stand: einsums of the final part walk again what the iteration has walked, and nothing is computed twice. The
/// algorithm: an einsum with all ranks walks in the pass of its inputs, or in the next one after an input that is
/// complete only after a pass; what lacks the outermost rank is complete only after the walk that writes it.
[[nodiscard]] PassAnalysis analyze_passes(const Workload& workload, const Dimension& dimension);

/// Passes over the dimension that is named `name`, or has a rank of that name. @throws ConfigError naming those known.
[[nodiscard]] PassAnalysis analyze_passes(const Workload& workload, const std::string& name);

/// The analysis in English: one line for each pass, barrier, live fiber and bound.
[[nodiscard]] std::string describe(const PassAnalysis& analysis, const Workload& workload);

/// What `describe` says of all dimensions that are walked more than once; one line names the others.
[[nodiscard]] std::string describe_passes(const Workload& workload);

}  // namespace cosearch::ir
