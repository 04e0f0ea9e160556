#include "hwmodels/mcu/cycle_notes.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace cosearch::mcu {
namespace {

std::string errors_of(const CycleModel& model) {
  double worst = 0.0;
  double worst_left_out = 0.0;
  const std::size_t fitted = model.fitted_rows();
  for (const CalibrationRow& row : model.rows) {
    if (!row.held_out) {
      worst = std::max(worst, std::abs(row.relative_error));
      worst_left_out = std::max(worst_left_out, std::abs(row.leave_one_out_relative_error.value_or(0.0)));
    }
  }
  return model.pooled || fitted > model.terms.size()
             ? fmt::format("error within {:.1f} %, leave-one-out within {:.1f} %", 100.0 * worst,
                           100.0 * worst_left_out)
             : "as many rows as coefficients, so no error is known";
}

}  // namespace

std::vector<std::string> cycle_notes(const CycleModel& model, const Board& board, double clock_mhz) {
  std::vector<std::string> notes;
  if (model.assumed_from) {
    notes.push_back(fmt::format("cycles uncalibrated on {} with {}: coefficients of {} with {} ({})", board.name,
                                model.engine, model.assumed_from->first, model.assumed_from->second, model.source));
  } else if (model.emulation) {
    notes.push_back(
        fmt::format("cycles uncalibrated: instructions counted on an emulated {} ({}; held-out networks within "
                    "{:.1f} %) times an assumed {:.2f} cycles per instruction of the {}",
                    model.emulation->core, model.source, 100.0 * model.emulation->held_out_error,
                    model.emulation->cycles_per_instruction, board.core));
  } else if (model.rows.empty()) {
    notes.push_back(
        fmt::format("cycles uncalibrated on {} with {}: the engine's pooled rates times the board's scale ({})",
                    board.name, model.engine, model.source));
  } else {
    notes.push_back(fmt::format("cycles calibrated on {} networks at {:.0f} MHz, {}", model.fitted_rows(),
                                model.clock_mhz, errors_of(model)));
  }
  if (model.pooled && !model.rows.empty()) {
    notes.push_back(fmt::format("too few for coefficients of their own: ratios pooled over {}", model.source));
  }
  if (!model.rows.empty() && !model.assumed_from && clock_mhz != model.clock_mhz) {
    notes.push_back(fmt::format("cycles were measured at {:.0f} MHz; wait states may differ at {:.0f} MHz",
                                model.clock_mhz, clock_mhz));
  }
  return notes;
}

}  // namespace cosearch::mcu
