#include "hwmodels/fpga/timeline.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch::fpga {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

}  // namespace

Timeline simulate(std::vector<Piece> pieces, int buffers) {
  COSEARCH_CHECK(buffers > 0, "weights need a buffer");
  Timeline line{std::move(pieces), {}, {}};
  const std::size_t count = line.pieces.size();
  std::size_t loaded = 0;
  std::size_t computed = 0;
  double now = 0.0;
  while (computed < count) {
    // What waits and may start starts; `loads` and `computes` hold what has started.
    if (line.loads.size() == loaded && loaded < count && loaded - computed < static_cast<std::size_t>(buffers)) {
      line.loads.push_back({now, now + line.pieces[loaded].load_cycles});
    }
    if (line.computes.size() == computed && computed < loaded) {
      line.computes.push_back({now, now + line.pieces[computed].compute_cycles});
    }
    const auto end_of = [](const auto& spans, std::size_t i) { return i < spans.size() ? spans[i].end : kNever; };
    const double load_ends = end_of(line.loads, loaded);
    const double compute_ends = end_of(line.computes, computed);
    now = std::min(load_ends, compute_ends);
    loaded += load_ends <= now ? 1 : 0;
    computed += compute_ends <= now ? 1 : 0;
  }
  return line;
}

double double_buffered_cycles(std::span<const Piece> pieces) {
  double cycles = pieces.empty() ? 0.0 : pieces.front().load_cycles;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const double next_load = i + 1 < pieces.size() ? pieces[i + 1].load_cycles : 0.0;
    cycles += std::max(pieces[i].compute_cycles, next_load);
  }
  return cycles;
}

double break_even_tokens(double load_cycles, double cycles_per_token) { return load_cycles / cycles_per_token; }

}  // namespace cosearch::fpga
