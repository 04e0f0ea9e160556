#pragma once

#include <cstdint>
#include <vector>

#include "trainer/quantize/quantized_network.hpp"

/// Quantised networks with random integers: for everything that computes with them, but need not classify.
namespace cosearch::oracle {

/// Random weights, scales, zero points, clamps and tables for a graph, chosen such that values spread over the range of
/// int8, whatever the depth. What is fused is what `lower_program` fuses.
[[nodiscard]] quantize::QuantizedNetwork random_quantized(const graph::NetworkGraph& graph, std::uint64_t seed);

/// A random input of the network: int8 values, or token ids that its tables have.
[[nodiscard]] std::vector<std::int32_t> random_quantized_input(const graph::NetworkGraph& graph, std::uint64_t seed);
/// The same as a program reads it: one byte per value, four per token id.
[[nodiscard]] std::vector<std::int8_t> input_bytes(const graph::NetworkGraph& graph,
                                                   const std::vector<std::int32_t>& input);

/// A small random graph: a single operator with all its options, one of random_network.hpp's networks, or a network of
/// a space of the catalogue (CNNs, transformers, low-rank transformers, U-Nets) on a small image; weights of 4 bits
/// here and there, and now and then a second output from the middle.
[[nodiscard]] graph::NetworkGraph random_graph(std::uint64_t seed);

}  // namespace cosearch::oracle
