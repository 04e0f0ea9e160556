#pragma once

#include <string>
#include <vector>

#include "hwmodels/mcu/boards.hpp"
#include "hwmodels/mcu/coefficients.hpp"

namespace cosearch::mcu {

/// What the cycles of a model on a board at a clock rest on, and how wrong they were where that is known.
[[nodiscard]] std::vector<std::string> cycle_notes(const CycleModel& model, const Board& board, double clock_mhz);

}  // namespace cosearch::mcu
