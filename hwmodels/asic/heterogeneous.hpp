#pragma once

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/model.hpp"

namespace cosearch {

/// Several sub-accelerators in one design, each with a dataflow template, processing elements and bandwidth, side by
/// side (NASAIC, Yang et al., DAC 2020). All jobs (networks) run together: each layer goes to one sub-accelerator,
/// layers of one sub-accelerator run one after the other, element-wise layers with the product that they follow.
/// Assignment and order are a heterogeneous assignment problem (hwmodels/asic/schedule/): the least energy within the
/// deadline, or the least makespan where none is given. Knobs: aic<i>.dataflow (from the second on also none: the place
/// stays empty), aic<i>.pes, aic<i>.bandwidth (bytes a cycle of its network). Options: sub_accelerators (2; 1 to 4),
/// cost_model ("maestro", or "nest": mapped loop nests), deadline_cycles (none), schedule ("heuristic", or "exact":
/// branch and bound, for few layers), pe_budget (4096), bandwidth_budget (64), frequency_mhz (1000); for maestro
/// constants ("current"); for nest buffer_kib (512) and dram_gb_s (16), both shared in equal parts by the
/// sub-accelerators that are there, registers (64), and the options of asic. With nest, an array has 32 columns. A
/// design above a budget is infeasible.
[[nodiscard]] std::unique_ptr<Target> make_heterogeneous(const nlohmann::json& options,
                                                         const std::string& data_directory);

}  // namespace cosearch
