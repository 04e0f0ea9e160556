#pragma once

#include <string>

#include "hwmodels/asic/schedule/problem.hpp"

namespace cosearch::schedule {

/// An SVG picture: a row per unit with its idle share up to the makespan, a bar per task in its network's colour (with
/// its name where that fits, and name, cycles and energy as a tooltip), an axis of cycles, and the deadline as a dashed
/// line. `problem` is sound and `schedule` one of it.
[[nodiscard]] std::string gantt_svg(const Problem& problem, const Schedule& schedule);

/// The same as text: a line per task, by unit and start, then a line per unit and the totals.
[[nodiscard]] std::string schedule_table(const Problem& problem, const Schedule& schedule);

}  // namespace cosearch::schedule
