#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cosearch::mcu {

/// A microcontroller board as data (hwmodels/data/boards.json).
struct Board {
  std::string name;  ///< `f746`
  std::string part;  ///< `STM32F746`
  std::string core;  ///< `cortex_m7`
  /// Peak of the core: multiply-accumulates of int8 operands (widened to int16 pairs) per cycle.
  double peak_macs_per_cycle = 0.0;
  std::vector<std::int64_t> clocks_mhz;  ///< highest first: the one that coefficients were calibrated at
  std::int64_t sram_bytes = 0;           ///< that an inference may use
  std::int64_t flash_bytes = 0;
  bool weights_in_sram = false;  ///< its flash cannot be read in place: weights are copied before use
  /// Energy of the whole chip while it computes. Active power is this times the clock.
  double nanojoules_per_cycle = 0.0;
  bool energy_calibrated = false;  ///< measured on this part
  std::string energy_source;
};

/// In the order of the file. @throws ConfigError, see load_data.
[[nodiscard]] std::vector<Board> load_boards(const std::string& data_directory);

}  // namespace cosearch::mcu
