#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "spaces/graph/graph.hpp"

namespace cosearch {

/// Whether a JSON document is a network description of MCUNet and ProxylessNAS, told by its keys `first_conv` or
/// `blocks`, which neither a network graph nor a design has.
[[nodiscard]] bool is_mcunet(const nlohmann::json& json);

/// Largest height and width of an input.
inline constexpr std::int64_t kMostMcunetPixels = 8192;

/// The network of a JSON description as published with MCUNet (Lin et al., NeurIPS 2020;
/// github.com/mit-han-lab/mcunet) and ProxylessNAS: `first_conv`, `blocks` of inverted residuals, `feature_mix_layer`
/// or null, mean over all positions, `classifier`. The rules are those of the PyTorch model that such a file describes:
/// convolutions are padded by kernel / 2 on all sides, a block has an expansion unless its expand_ratio is 1, its
/// channels are mid_channels or else in_channels * expand_ratio, a block whose convolution is a ZeroLayer is its
/// shortcut. `bn` gives the epsilon and momentum of all batch norms.
///
/// Weights are not part of such a file, nor are their bits: the published int4 networks are imported as structures.
/// Dropout is read and left out, as the graphs are those of inference. Nodes: `stem`, `blocks.<i>.expand`,
/// `.depthwise`, `.project`, `.add`, `mix`, `pool`, `classifier`, each convolution with `.bn` and `.act`.
///
/// `name` is the graph's: all files call themselves ProxylessNASNets. `resolution`, height and width of the input, 1 to
/// kMostMcunetPixels, takes the place of the file's; it is needed where the file has none.
/// @throws ConfigError with a JSON pointer: keys and layers that are unknown or missing, channels that do not follow
/// from what comes before, squeeze-and-excitation, dilation, groups, weight standardization.
[[nodiscard]] graph::NetworkGraph mcunet_from_json(const nlohmann::json& json, const std::string& name,
                                                   std::optional<std::int64_t> resolution = std::nullopt);

}  // namespace cosearch
