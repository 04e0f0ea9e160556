#include "hwmodels/fpga/design.hpp"

#include <gtest/gtest.h>

namespace cosearch::fpga {
namespace {

/// Edge-MoE's engines: features of 32 bits, weights of 16, tiles of 16 x 16, four queries at once, 256 bits in a cycle.
Genes edge_moe() {
  Genes genes;
  genes.dsps = 512;
  genes.tile_in = 16;
  genes.attention = 4;
  genes.lanes = 8;
  genes.bits_per_cycle = 256;
  genes.frequency_hz = 300e6;
  genes.weight_buffer_bytes = 256 * 1024;
  genes.token_buffer_bytes = 16 * 1024;
  return genes;
}

graph::DataTypes words(ir::ElementType activation) {
  graph::DataTypes types;
  types.activation = activation;
  types.weight = ir::ElementType::int16;
  return types;
}

Engines engines(const Genes& genes) { return {genes, load_fpga_data(""), words(ir::ElementType::int32)}; }

/// Of `tokens` from `in` to `out` features.
LinearShape linear_shape(std::int64_t tokens, std::int64_t in, std::int64_t out) {
  return {tokens, 1, in, out, in * out + out, tokens * in, tokens * out};
}

// The cycles of Edge-MoE's published source: 12 x 12 tiles a token, four keys' worth of queries in steps of 192 / 8.
TEST(FpgaEngines, LoopsOfEdgeMoeTakeTheCyclesOfItsSource) {
  const Engines board = engines(edge_moe());
  EXPECT_EQ(board.tile_out(), 16) << "a product of 32 and 16 bits takes two DSPs";
  EXPECT_DOUBLE_EQ(board.linear(linear_shape(129, 192, 192)).compute_cycles, 129.0 * 144.0);
  const LayerTime up = board.linear(linear_shape(129, 192, 768));
  const LayerTime down = board.linear(linear_shape(129, 768, 192));
  EXPECT_DOUBLE_EQ(up.compute_cycles + down.compute_cycles, 148608.0);
  EXPECT_DOUBLE_EQ(board.load_cycles(board.weight_bytes(192 * 192)), 2304.0);
  EXPECT_DOUBLE_EQ(board.load_cycles(board.weight_bytes(768 * 192)), 9216.0);
  const LayerTime attention = board.attention({1, 129, 192, 3});
  EXPECT_DOUBLE_EQ(attention.compute_cycles, 2.0 * (33.0 * 129.0 + 3.0) * 24.0);
}

TEST(FpgaEngines, WithoutReorderingAttentionNeedsPTimesTheBandwidth) {
  Genes genes = edge_moe();
  const LayerTime with = engines(genes).attention({1, 128, 192, 3});
  genes.reordered_attention = false;
  const LayerTime without = engines(genes).attention({1, 128, 192, 3});
  // Each step waits for four keys of 24 cycles, where one was enough; the stagger of three steps is gone.
  EXPECT_DOUBLE_EQ(without.compute_cycles, 2.0 * 32.0 * 128.0 * 96.0);
  EXPECT_DOUBLE_EQ(with.compute_cycles, 2.0 * (32.0 * 128.0 + 3.0) * 24.0);
  const double token = 192.0 * 4.0;
  EXPECT_DOUBLE_EQ(without.traffic_bytes - with.traffic_bytes, 2.0 * token * (3.0 * 32.0 * 128.0 - 3.0));
  genes.bits_per_cycle = 1024;  // four keys in 24 cycles: then it costs nothing
  EXPECT_DOUBLE_EQ(engines(genes).attention({1, 128, 192, 3}).compute_cycles, 2.0 * 32.0 * 128.0 * 24.0);
}

TEST(FpgaEngines, OneTokenAttendsToItself) {
  const LayerTime time = engines(edge_moe()).attention({1, 1, 192, 3});
  EXPECT_DOUBLE_EQ(time.compute_cycles, 2.0 * 24.0);
}

TEST(FpgaEngines, ExactFunctionsTakeTheirBitsInCycles) {
  Genes genes = edge_moe();
  EXPECT_EQ(engines(genes).gelu_cycles(100.0), 0.0);
  EXPECT_EQ(engines(genes).softmax_cycles(10.0, 20.0), 0.0);
  genes.table_gelu = false;
  genes.single_pass_softmax = false;
  EXPECT_DOUBLE_EQ(engines(genes).gelu_cycles(100.0), 3200.0);
  // Two passes of a cycle for each element, one of an exponential, and a reciprocal for each row.
  EXPECT_DOUBLE_EQ(engines(genes).softmax_cycles(10.0, 20.0), 10.0 * (20.0 * (2.0 + 32.0) + 32.0));
  EXPECT_DOUBLE_EQ(engines(genes).elementwise(8.0, 100.0, 0, 1.0).compute_cycles, 3200.0);
}

TEST(FpgaEngines, EnginesForEachKindShareTheDsps) {
  Genes genes = edge_moe();
  const double unified = engines(genes).linear_cycles(192, 192);
  genes.unified_linear = false;
  EXPECT_EQ(engines(genes).tile_out(), 16 / kLinearKinds);
  EXPECT_DOUBLE_EQ(engines(genes).linear_cycles(192, 192), static_cast<double>(kLinearKinds) * unified);
  EXPECT_EQ(engines(genes).resources(192).dsps, engines(edge_moe()).resources(192).dsps);
}

TEST(FpgaEngines, WeightsLargerThanABufferComeInPiecesThatLoadMeanwhile) {
  Genes genes = edge_moe();
  genes.token_buffer_bytes = 1 << 20;
  const LinearShape shape = linear_shape(129, 192, 768);
  const double load = engines(genes).load_cycles(engines(genes).weight_bytes(shape.weights));
  const double compute = 129.0 * 12.0 * 48.0;
  genes.weight_buffer_bytes = 1 << 20;
  EXPECT_DOUBLE_EQ(engines(genes).linear(shape).cycles, load + compute);
  genes.weight_buffer_bytes = 2 * shape.weights / 4;  // four pieces: only the first is waited for
  EXPECT_NEAR(engines(genes).linear(shape).cycles, load / 4.0 + compute, 1e-6);
}

TEST(FpgaEngines, ActivationsThatDoNotStayOnTheChipAreTraffic) {
  Genes genes = edge_moe();
  const LinearShape shape = linear_shape(129, 192, 192);
  genes.token_buffer_bytes = 129 * 2 * 192 * 4;
  const double weights = engines(genes).weight_bytes(shape.weights);
  EXPECT_DOUBLE_EQ(engines(genes).linear(shape).traffic_bytes, weights);
  --genes.token_buffer_bytes;
  EXPECT_DOUBLE_EQ(engines(genes).linear(shape).traffic_bytes, weights + 129.0 * 2.0 * 192.0 * 4.0);
}

TEST(FpgaEngines, BuffersAndDspsAreThoseOfTheGenes) {
  const Resources needs = engines(edge_moe()).resources(192);
  // 256 products of 32 and 16 bits, and 4 x 8 of 32 and 32 bits for scores and for values.
  EXPECT_EQ(needs.dsps, 256 * 2 + 2 * 4 * 8 * 4);
  EXPECT_EQ(needs.buffer_bytes(), 2 * 256 * 1024 + 16 * 1024 + 2 * 5 * 192 * 4);
  EXPECT_DOUBLE_EQ(needs.bytes_per_second, 9.6e9);
  EXPECT_EQ(engines(edge_moe()).resources(0).buffers.size(), 3U) << "no attention, no queries";
}

}  // namespace
}  // namespace cosearch::fpga
