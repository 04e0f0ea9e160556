#pragma once

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/model.hpp"

namespace cosearch {

/// Vision transformers with mixtures of experts on an FPGA (M3ViT, NeurIPS 2022; Edge-MoE, ICCAD 2023): linear engines
/// on tiles, attention on rows of queries, experts whose weights stream. Other networks run, too; convolutions are
/// linear maps of their windows. Inference only. Words are fixed-point of the sizes of the job's types.
///
/// Genes: `part` (zcu104, zcu102, or free with `free_dsps` and `free_kib` of its own and any bandwidth), `dsps` of the
/// linear engines, `tile_in` (inputs in a cycle; the outputs follow), `attention` (queries at once), `lanes` (features
/// in a cycle), `bits_per_cycle` of the external memory, `frequency_mhz`, `weight_buffer_kib` (each of two),
/// `token_buffer_kib`, `scheduling` (expert_by_expert, cache, cache_less, all_on_chip), `pieces` (expert, half) with
/// expert_by_expert, `softmax` (single_pass, three_pass), `gelu` (table, exact), `linear` (unified, per_kind),
/// `reordering` (on, off) of attention. Option `free_power_w`: power of the free part's board.
/// @throws ConfigError.
[[nodiscard]] std::unique_ptr<Target> make_moe_fpga(const nlohmann::json& options, const std::string& data_directory);

}  // namespace cosearch
