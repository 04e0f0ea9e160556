#include "spaces/catalog/registry.hpp"

#include <array>
#include <nlohmann/json.hpp>

#include "spaces/base/registry.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch {
namespace {

constexpr std::array kSpaces{
    SpaceEntry{"custom", "parameters and a network template declared in the config", &catalog::make_custom},
    SpaceEntry{"ds_cnn", "depthwise-separable CNNs around MLPerf Tiny's DS-CNN", &catalog::make_ds_cnn},
    SpaceEntry{"hybrid", "a family gene chooses between spaces: mobile_cnn and vit, or also mcunet and mcu_vit",
               &catalog::make_hybrid},
    SpaceEntry{"mcu_vit", "MCUFormer's low-rank transformers: patch, width, ranks, heads and MLP ratio of each block",
               &catalog::make_mcu_vit},
    SpaceEntry{"mcunet", "MCUNet's CNNs: resolution, width, depths; kernel and expansion of each inverted residual",
               &catalog::make_mcunet},
    SpaceEntry{"mobile_cnn", "inverted residuals: resolution, stage depth and width, kernels, expansion",
               &catalog::make_mobile_cnn},
    SpaceEntry{"resnet8", "residual CNNs around MLPerf Tiny's ResNet8", &catalog::make_resnet8},
    SpaceEntry{"resnet9", "NASAIC's residual CNNs: filters and residual layers of three blocks",
               &catalog::make_resnet9},
    SpaceEntry{"unet", "U-Nets for segmentation: levels, filters; logits for every pixel", &catalog::make_unet},
    SpaceEntry{"vit", "vision transformers: patch, width, depth, heads, MLP ratio, low rank", &catalog::make_vit},
};

}  // namespace

std::span<const SpaceEntry> space_registry() { return kSpaces; }

std::unique_ptr<SearchSpace> make_space(const std::string& name, const nlohmann::json& options, const TaskShape& task) {
  const SpaceEntry& entry = entry_named(kSpaces, name, "/space/name");
  try {
    return entry.make(options, task);
  } catch (const ConfigError& error) {
    throw error.below("/space");
  }
}

}  // namespace cosearch
