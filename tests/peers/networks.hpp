#pragma once

#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

/// The networks on which the trainer is held against PyTorch, in speed and in results; `torch_networks.py` has the same
/// ones, with the same names of weights.
namespace cosearch::peers {

/// resnet8 (MLPerf Tiny's for 32 x 32 x 3: three residual blocks of 16, 32, 64 channels, 12.5 MMAC), ds_cnn (MLPerf
/// Tiny's for 49 x 10 features: 64 channels, four depthwise-separable blocks, 2.66 MMAC), vit (32 x 32 x 3, patch 4,
/// width 192, depth 6, 3 heads, mean of 64 tokens, 180 MMAC), and, without a twin in PyTorch, mobile_cnn_28 (inverted
/// residuals), small_cnn_28 (3 x 3 convolutions), vit_28 (width 48, depth 4) on 28 x 28 grey images.
[[nodiscard]] std::vector<std::string> network_names();
[[nodiscard]] graph::NetworkGraph network(const std::string& name);

}  // namespace cosearch::peers
