#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include "hwmodels/asic/maestro/target.hpp"
#include "hwmodels/asic/systolic.hpp"
#include "hwmodels/mcu/cortex_m.hpp"
#include "hwmodels/model.hpp"
#include "hwmodels/roofline/roofline.hpp"
#include "spaces/base/registry.hpp"

namespace cosearch {
namespace {

constexpr std::array kTargets{
    TargetEntry{"cortex_m", "STM32 microcontroller boards: int8 kernels, planned SRAM, flash, calibrated cycles",
                &make_cortex_m},
    TargetEntry{"maestro", "data-centric cost model of MAESTRO: dataflow template, processing elements, NoC",
                &make_maestro},
    TargetEntry{"roofline", "compute and bandwidth bound of a machine with one external memory", &make_roofline},
    TargetEntry{"systolic", "weight-stationary array with one on-chip buffer, vector unit and DRAM", &make_systolic},
};

}  // namespace

std::span<const TargetEntry> target_registry() { return kTargets; }

std::unique_ptr<Target> make_target(const std::string& name, const nlohmann::json& options,
                                    const std::string& data_directory) {
  return entry_named(kTargets, name, "/target/name").make(options, data_directory);
}

}  // namespace cosearch
