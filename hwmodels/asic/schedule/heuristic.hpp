#pragma once

#include <cstdint>

#include "hwmodels/asic/schedule/problem.hpp"

namespace cosearch::schedule {

/// Tasks placed at most, which bounds the time (a few nanoseconds each) the same way on every machine.
inline constexpr std::int64_t kDefaultEffort = 6'000;

/// A good schedule in tens of microseconds, the same for equal instances. Several list schedules, between the least
/// energy and the earliest end, are improved by local search, the best first: a task of the critical path to the unit
/// of least energy per cycle saved while the schedule is late; single tasks and pairs to other units, and neighbours on
/// the critical path exchanged, after that. Ends when no start is left, a bound is met or `effort` is used up.
[[nodiscard]] Schedule heuristic_schedule(const Instance& instance, std::int64_t effort = kDefaultEffort);

}  // namespace cosearch::schedule
