#pragma once

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/model.hpp"

namespace cosearch {

/// Microcontrollers with Cortex-M cores running int8 networks at batch 1, one after the other.
///
/// Knobs: `board`, `engine` (where it is not given, the board's best-calibrated one), and for each board
/// `<board>.clock_mhz` (the highest, at which cycles were calibrated, first). Options: `reserved_sram_bytes` and
/// `reserved_flash_bytes` (default 0), what the rest of the firmware needs; `accounting`, what counts as SRAM; for our
/// own engine (`cosearch`) `input` ("resident", "streamed") and `weights` ("flash", "sram", by default as the board
/// needs), see mcu::PlanOptions.
///
/// SRAM: with accounting "ours" (default) the arena planned on the kernel program under the engine's buffer rules, with
/// "tinyengine" under TinyEngine's whatever the engine; with "mcuformer" the peak of mcu::mcuformer_layers and with
/// "mcuformer_supernet" mcu::mcuformer_supernet_layer, which networks without such layers do not have: they are
/// infeasible. Flash: weights of 8 or 4 bits as the network has them, 8 bytes per output channel, lookup tables and the
/// engine's code (that of int4 kernels is not counted). Latency, the same for weights of 4 bits: per-kind cycle
/// coefficients calibrated on published measurements, per board and engine or pooled over them; the data file holds the
/// rows and the errors, `Cost::notes` repeats them and says what is assumed. A board and an engine that nothing tells
/// about are infeasible. Energy: active power times latency. Neither flash nor
/// latency nor energy depends on the accounting.
/// @throws ConfigError.
[[nodiscard]] std::unique_ptr<Target> make_cortex_m(const nlohmann::json& options, const std::string& data_directory);

}  // namespace cosearch
