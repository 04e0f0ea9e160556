#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

namespace cosearch::mcu {

/// What MCUFormer (Liang et al., NeurIPS 2023) counts of a layer in SRAM. Bytes, int8. The authors' code has two
/// accountings, see `mcuformer_layers` and `mcuformer_supernet_layer`.
struct McuformerLayer {
  std::string name;                     ///< of the node that gives the layer's output: of the last factor
  std::int64_t input_bytes = 0;         ///< tokens x in; not counted by the later accounting
  std::int64_t output_bytes = 0;        ///< tokens x out
  std::int64_t intermediate_bytes = 0;  ///< tokens x rank; 0 for a dense layer
  std::int64_t weight_bytes = 0;        ///< of the factor that is copied into SRAM
  [[nodiscard]] std::int64_t bytes() const { return input_bytes + output_bytes + intermediate_bytes + weight_bytes; }
};

/// The later accounting, by which the authors' search logs its networks: the layers that it looks at, in order, each
/// with the largest of its factors: linear maps of tokens whose output goes into an attention (qkv) or an
/// activation (the first of an MLP), each with the linear maps directly before it as its factors. Tokens are those of
/// the network and one more, the class token that MCUFormer's networks have and those of the space `mcu_vit` have not.
///
/// Left out, as there: the tokens that the layer reads (its output overwrites them), attention scores, the int32
/// accumulators, all other layers (patch embedding, projection, second layer of the MLP, head), the image, the stack.
/// The original knows layers of two factors; three and dense ones follow the same rule.
[[nodiscard]] std::vector<McuformerLayer> mcuformer_layers(const graph::NetworkGraph& network);

/// The most bytes of a layer; 0 for a network without such layers.
[[nodiscard]] std::int64_t mcuformer_peak_bytes(const graph::NetworkGraph& network);

/// The first accounting, by which the authors' code decides at the stage of supernets what is legal: of the widest MLP
/// the tokens that it reads, the hidden ones and its first layer's last factor (all of a dense one),
///
///   E * ((N + 1) * (1 + M) + E * M * R)
///
/// for width E, hidden width E * M, rank E * R and N patches. N is the image's pixels over those of a patch, a fraction
/// where patches need padding, so the sum is rounded up here; the rank is the network's, a whole number. Left out, as
/// there: attention, the first factor and what it gives, all other layers, the image, the stack. Nothing for networks
/// without a patch embedding or an MLP of tokens.
[[nodiscard]] std::optional<McuformerLayer> mcuformer_supernet_layer(const graph::NetworkGraph& network);

}  // namespace cosearch::mcu
