#pragma once

#include <cstdint>

#include "hwmodels/asic/schedule/problem.hpp"

namespace cosearch::schedule {

/// Tasks placed (some ten nanoseconds each) after which no further move is begun: bounds the time, the same way on
/// every machine.
inline constexpr std::int64_t kDefaultEffort = 6'000;

/// A good schedule in about a hundred microseconds, the same for equal instances. Five list schedules, between the
/// least energy and the earliest end, are improved by local search: while the schedule is late, a task of the critical
/// path goes to the unit of least energy per cycle saved; else single tasks go to other units and other places in the
/// order. Then each task of the best schedule in turn is forced to another unit, the others adapt, and it is freed.
/// Last, pairs of tasks go to other units. Ends when nothing of this helps, a bound is met or `effort` is used up.
[[nodiscard]] Schedule heuristic_schedule(const Instance& instance, std::int64_t effort = kDefaultEffort);

}  // namespace cosearch::schedule
