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
/// stays empty), aic<i>.pes, aic<i>.bandwidth (bytes a cycle of its network); with nest also aic<i>.buffer_share and
/// aic<i>.dram_share (1 to 8), its parts of buffer and DRAM bandwidth in proportion to those of all that are there: no
/// schedule moves more than the whole bandwidth. A layer that one sub-accelerator cannot run goes to another. With
/// nest, layers hand over through DRAM, as their places are not known when they are costed. Options: sub_accelerators
/// (2; 1 to 4), cost_model ("maestro", or "nest": mapped loop nests), deadline_cycles (none), schedule ("heuristic", or
/// "exact": branch and bound, for few layers), pe_budget (4096), bandwidth_budget (64), frequency_mhz (1000); for
/// maestro constants ("current"); for nest buffer_kib (512) and dram_gb_s (16) of all together, registers (64), and the
/// options of asic but residency. With nest, an array has 32 columns. A design above a budget is infeasible.
[[nodiscard]] std::unique_ptr<Target> make_heterogeneous(const nlohmann::json& options,
                                                         const std::string& data_directory);

}  // namespace cosearch
