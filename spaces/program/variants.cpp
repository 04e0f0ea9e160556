#include "spaces/program/variants.hpp"

#include <array>
#include <optional>
#include <utility>

namespace cosearch::program {
namespace {

constexpr std::int64_t kMostPatches = 4;
constexpr std::array kStreamings{Streaming::layers, Streaming::rows, Streaming::heads, Streaming::heads_recomputed};

std::int64_t operations(const Program& program) {
  std::int64_t sum = 0;
  for (const KernelCall& call : program.calls) {
    sum += call.macs + call.elementwise;
  }
  return sum;
}

/// Whether `a` is to be preferred on so much memory.
bool better(const PlannedProgram& a, const PlannedProgram& b, std::int64_t sram_bytes) {
  const bool a_fits = a.plan.bytes <= sram_bytes;
  const bool b_fits = b.plan.bytes <= sram_bytes;
  if (a_fits != b_fits) {
    return a_fits;
  }
  return a_fits ? operations(a.program) < operations(b.program) : a.plan.bytes < b.plan.bytes;
}

}  // namespace

Expected<PlannedProgram, std::string> fit_program(const graph::NetworkGraph& graph, const LoweringOptions& options,
                                                  std::int64_t sram_bytes) {
  std::optional<PlannedProgram> best;
  for (std::int64_t patches = 1; patches <= kMostPatches; ++patches) {
    for (const Streaming streaming : kStreamings) {
      PlannedProgram candidate;
      candidate.options = options;
      candidate.options.patches = patches;
      candidate.options.streaming = streaming;
      Expected<Program, std::string> program = lower_program(graph, candidate.options);
      if (!program) {
        return Unexpected{program.error()};
      }
      candidate.program = *std::move(program);
      candidate.plan = plan_arena(candidate.program);
      if (!best || better(candidate, *best, sram_bytes)) {
        best = std::move(candidate);
      }
      if (best->plan.bytes <= sram_bytes && streaming == Streaming::layers) {
        return *std::move(best);  // nothing is computed twice but where patches overlap
      }
    }
    if (best->plan.bytes <= sram_bytes) {
      return *std::move(best);
    }
  }
  return *std::move(best);
}

}  // namespace cosearch::program
