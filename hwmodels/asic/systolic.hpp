#pragma once

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/model.hpp"

namespace cosearch {

/// A weight-stationary systolic array with one on-chip buffer, a vector unit with one lane per array column, and DRAM.
/// Einsums run one after the other; the parts of an einsum (loading, streaming, external transfers) overlap as
/// `asic::map_einsum` says. Half of the buffer may keep whole intermediate tensors between the einsums that write and
/// read them; the rest of the buffer is for tiles.
///
/// Knobs: `rows`, `columns`, `buffer_kib`, `bandwidth_gb_s` (10^9 bytes per second), `frequency_mhz`. Options:
/// `energy_table` (default "energy_45nm"), `dram` (a kind of that table, default "lpddr4").
///
/// Energy: multiply-accumulates, registers of the array, buffer, vector operations, DRAM, leakage of the buffer. Area:
/// array, vector unit, buffer; no interconnect, no controller. Multiply-accumulators are as wide as the job's types.
/// @throws ConfigError.
[[nodiscard]] std::unique_ptr<Target> make_systolic(const nlohmann::json& options, const std::string& data_directory);

}  // namespace cosearch
