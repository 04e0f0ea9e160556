#include "hwmodels/asic/einsum_steps.hpp"

#include <algorithm>

namespace cosearch::asic {
namespace {

/// The access where `loop` is 0, without that loop.
void fix(ir::Access& access, int loop) {
  for (ir::AxisIndex& axis : access.axes) {
    std::erase_if(axis.terms, [loop](const ir::Term& term) { return term.loop == loop; });
    for (ir::Term& term : axis.terms) {
      term.loop -= term.loop > loop ? 1 : 0;
    }
  }
}

}  // namespace

std::int64_t steps_of(const ir::Workload& workload, const ir::Einsum& einsum) {
  return einsum.iteration < 0 ? 1 : workload.iterations[static_cast<std::size_t>(einsum.iteration)].extent;
}

ir::Einsum one_step(const ir::Workload& workload, const ir::Einsum& einsum) {
  ir::Einsum step = einsum;
  if (einsum.iteration < 0) {
    return step;
  }
  const std::string& rank = workload.iterations[static_cast<std::size_t>(einsum.iteration)].rank;
  const auto found =
      std::find_if(step.loops.begin(), step.loops.end(), [&](const ir::Loop& loop) { return loop.name == rank; });
  const int loop = static_cast<int>(found - step.loops.begin());
  step.loops.erase(found);
  fix(step.output, loop);
  for (ir::Operand& operand : step.operands) {
    if (auto* access = std::get_if<ir::Access>(&operand)) {
      fix(*access, loop);
    }
  }
  step.iteration = -1;
  return step;
}

}  // namespace cosearch::asic
