#pragma once

#include <cstdint>

#include "hwmodels/asic/schedule/problem.hpp"

namespace cosearch::schedule {

struct RandomSize {
  int tasks = 8;
  int networks = 2;  ///< the tasks are spread over them
  int units = 2;
  double refusal = 0.1;  ///< probability that a unit cannot run a task
};

/// Networks that are chains of layers with skip edges, or, one time in three, arbitrary graphs. Layers differ in work,
/// units in how well they suit a layer; a unit that is faster costs more energy as often as less. Some tasks are
/// released late. With `deadline`, it lies between the longest chain on the fastest units and 1.8 times that: seldom
/// out of reach, seldom without effect. A function of `seed`; sound (`check` accepts it).
[[nodiscard]] Problem random_problem(const RandomSize& size, Objective objective, bool deadline, std::uint64_t seed);

/// The size of the small cases that the exact scheduler judges: 6 to 10 tasks of 1 to 3 networks, 2 or 3 units.
[[nodiscard]] RandomSize random_small_size(std::uint64_t seed);

}  // namespace cosearch::schedule
