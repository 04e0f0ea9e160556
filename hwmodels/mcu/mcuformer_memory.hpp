#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

namespace cosearch::mcu {

/// What MCUFormer's accounting (Liang et al., NeurIPS 2023; the memory function of the authors' later code) counts of a
/// layer in SRAM. Bytes, int8.
struct McuformerLayer {
  std::string name;                     ///< of the node that gives the layer's output: of the last factor
  std::int64_t output_bytes = 0;        ///< tokens x out
  std::int64_t intermediate_bytes = 0;  ///< tokens x rank; 0 for a dense layer
  std::int64_t weight_bytes = 0;        ///< of the largest factor, which is copied into SRAM
  [[nodiscard]] std::int64_t bytes() const { return output_bytes + intermediate_bytes + weight_bytes; }
};

/// The layers that it looks at, in order: linear maps of tokens whose output goes into an attention (qkv) or an
/// activation (the first of an MLP), each with the linear maps directly before it as its factors. Tokens are those of
/// the network and one more, the class token that MCUFormer's networks have and those of the space `mcu_vit` have not.
///
/// Left out, as there: the tokens that the layer reads (its output overwrites them), attention scores, the int32
/// accumulators, all other layers (patch embedding, projection, second layer of the MLP, head), the image, the stack.
/// The original knows layers of two factors; three and dense ones follow the same rule.
[[nodiscard]] std::vector<McuformerLayer> mcuformer_layers(const graph::NetworkGraph& network);

/// The most bytes of a layer; 0 for a network without such layers.
[[nodiscard]] std::int64_t mcuformer_peak_bytes(const graph::NetworkGraph& network);

}  // namespace cosearch::mcu
