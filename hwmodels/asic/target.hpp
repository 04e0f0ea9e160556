#pragma once

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/model.hpp"

namespace cosearch {

/// An accelerator of a rectangular array with registers in each element, one double-buffered buffer and DRAM; every
/// product is mapped by the mapper of hwmodels/asic under a dataflow template. Operands are as wide as the job's types.
/// Knobs: dataflow (hwmodels/data/dataflows.json), rows, columns, registers (words of one element), buffer_kib,
/// bandwidth_gb_s, frequency_mhz.
/// Options: energy_table ("energy_45nm"), dram ("lpddr4"), objective ("edp"; latency, energy), mapper_evaluations
/// (20000: nests counted for one product), residency (true: activations stay in up to half of the buffer), fusion
/// (true: element-wise operators take what leaves the array), expert_prefetch (true: while an expert of a mixture
/// computes, the next one's weights load where the buffer has room).
[[nodiscard]] std::unique_ptr<Target> make_asic(const nlohmann::json& options, const std::string& data_directory);

/// A preset of hwmodels/data (arch_<name>.json) with its own operand type. Knobs: dataflow, of which the first, native,
/// is what the preset's levels allow. Options as for asic without dram, and arch: another preset or file.
[[nodiscard]] std::unique_ptr<Target> make_eyeriss(const nlohmann::json& options, const std::string& data_directory);
[[nodiscard]] std::unique_ptr<Target> make_nvdla(const nlohmann::json& options, const std::string& data_directory);
[[nodiscard]] std::unique_ptr<Target> make_shidiannao(const nlohmann::json& options, const std::string& data_directory);
[[nodiscard]] std::unique_ptr<Target> make_simba(const nlohmann::json& options, const std::string& data_directory);
[[nodiscard]] std::unique_ptr<Target> make_tpu(const nlohmann::json& options, const std::string& data_directory);

}  // namespace cosearch
