#pragma once

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/model.hpp"

namespace cosearch {

/// An accelerator as MAESTRO prices it (see maestro::analyse), layer by layer, one after the other: an array with L1
/// buffers, one shared buffer as large as the layers need, one NoC. An element is a byte, whatever the job's types.
///
/// Knobs: `dataflow` (a template of maestro::templates), `pes`, `noc_bandwidth` (bytes per cycle). Options: `constants`
/// (set of hwmodels/data/maestro_constants.json: "current", "2020"), `frequency_mhz` (1000), `offchip_bandwidth`
/// (bytes per cycle; by default 70000, no limit in practice).
///
/// What MAESTRO cannot cost (softmax, normalisation, activation, pooling, addition) is assumed to run on the array:
/// each processing element does one elementary operation a cycle for the energy of a multiply-accumulate, every operand
/// and result passes the NoC and the shared buffer once.
/// @throws ConfigError.
[[nodiscard]] std::unique_ptr<Target> make_maestro(const nlohmann::json& options, const std::string& data_directory);

}  // namespace cosearch
