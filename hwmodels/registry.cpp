#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include "hwmodels/asic/heterogeneous.hpp"
#include "hwmodels/asic/maestro/target.hpp"
#include "hwmodels/asic/target.hpp"
#include "hwmodels/attention/target.hpp"
#include "hwmodels/fpga/target.hpp"
#include "hwmodels/mcu/cortex_m.hpp"
#include "hwmodels/model.hpp"
#include "hwmodels/roofline/roofline.hpp"
#include "spaces/base/registry.hpp"

namespace cosearch {
namespace {

constexpr std::array kTargets{
    TargetEntry{"asic", "array, registers, buffer and DRAM of any size under a dataflow template, every product mapped",
                &make_asic},
    TargetEntry{"asic_heterogeneous", "sub-accelerators side by side, layers assigned and scheduled (NASAIC)",
                &make_heterogeneous},
    TargetEntry{"attention", "cascade x 2-D array and lanes x binding, for attention and whole transformers (FuseMax)",
                &make_attention},
    TargetEntry{"attention_unfused", "three-pass attention through DRAM, the baseline of FuseMax's comparison",
                &make_attention_unfused},
    TargetEntry{"cortex_m", "STM32 microcontroller boards: int8 kernels, planned SRAM, flash, calibrated cycles",
                &make_cortex_m},
    TargetEntry{"eyeriss", "Eyeriss-like: row-stationary array of 12 x 14", &make_eyeriss},
    TargetEntry{"flat", "FLAT: three-pass attention fused over chunks of rows", &make_flat},
    TargetEntry{"fusemax", "FuseMax: one-pass attention tile by tile, exponentials on the 2-D array", &make_fusemax},
    TargetEntry{"maestro", "data-centric cost model of MAESTRO: dataflow template, processing elements, NoC",
                &make_maestro},
    TargetEntry{"moe_fpga", "FPGA of vision transformers with mixtures of experts that stream (M3ViT, Edge-MoE)",
                &make_moe_fpga},
    TargetEntry{"nvdla", "NVDLA-like: 64 input by 32 output channels at once, weights stay", &make_nvdla},
    TargetEntry{"roofline", "compute and bandwidth bound of a machine with one external memory", &make_roofline},
    TargetEntry{"shidiannao", "ShiDianNao-like: outputs stay in 8 x 8 elements", &make_shidiannao},
    TargetEntry{"simba", "Simba-like: 16 elements with buffers of their own, free loops", &make_simba},
    TargetEntry{"tpu", "TPU-like: weight-stationary array of 256 x 256", &make_tpu},
};

}  // namespace

std::span<const TargetEntry> target_registry() { return kTargets; }

std::unique_ptr<Target> make_target(const std::string& name, const nlohmann::json& options,
                                    const std::string& data_directory) {
  return entry_named(kTargets, name, "/target/name").make(options, data_directory);
}

}  // namespace cosearch
