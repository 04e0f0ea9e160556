#pragma once

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/model.hpp"

namespace cosearch {

/// A machine with a peak and one external memory (Williams, Waterman and Patterson, CACM 2009): the time of a layer is
/// the larger of its operations / peak and its compulsory bytes / bandwidth. Layers run one after the other; what lives
/// inside a layer stays on the chip, everything between layers goes through the external memory.
///
/// Knobs: `cores`, `lanes` (multiply-accumulates or other operations per core and cycle), `frequency_mhz`,
/// `bandwidth_gb_s` (10^9 bytes per second). Options: `energy_table` (name of a data file, e.g. "energy_45nm") and
/// `dram` (a kind of that table, default "lpddr4"): with a table, energy of multiply-accumulates, of other operations
/// and of the external memory is reported.
/// @throws ConfigError.
[[nodiscard]] std::unique_ptr<Target> make_roofline(const nlohmann::json& options, const std::string& data_directory);

}  // namespace cosearch
