#pragma once

#include <map>
#include <string>
#include <vector>

#include "hwmodels/mcu/coefficients.hpp"
#include "spaces/base/json_reader.hpp"

/// Engines whose instructions were counted in an emulator; internal to hwmodels/mcu.
namespace cosearch::mcu {

/// The models of the file's list `emulated`, where there is one: for each of its engines and each board of a core that
/// it knows, instructions times the core's cycles per instruction. `root`: mcu_coefficients.json. @throws ConfigError.
[[nodiscard]] std::vector<CycleModel> read_emulated(const JsonReader& root,
                                                    const std::map<std::string, std::string>& core_of_board,
                                                    const std::vector<std::string>& engines);

}  // namespace cosearch::mcu
