#include "hwmodels/fpga/moe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/hwmodels/fpga/published_rows.hpp"

namespace cosearch::fpga {
namespace {

using cosearch::testing::m3vit_value;
using ::testing::HasSubstr;

constexpr double kMib = 1024.0 * 1024.0;

Genes design() {
  Genes genes;
  genes.dsps = 256;
  genes.tile_in = 16;
  genes.attention = 4;
  genes.lanes = 8;
  genes.bits_per_cycle = 256;
  genes.frequency_hz = 300e6;
  genes.weight_buffer_bytes = 2 << 20;
  genes.token_buffer_bytes = 1 << 20;
  return genes;
}

Engines engines(const Genes& genes) {
  graph::DataTypes types;
  types.activation = types.weight = ir::ElementType::int16;
  return {genes, load_fpga_data(""), types};
}

/// Edge-MoE's experts: with 16 weights and 256 products in a cycle 16 tokens hide a load.
MoeShape shape_of(std::int64_t tokens) {
  MoeShape shape;
  shape.tokens = tokens;
  shape.width = 192;
  shape.hidden = 384;
  shape.experts = 16;
  shape.top_k = 2;
  shape.gate_inputs = 192;
  shape.gate_weights = 192 * 16;
  return shape;
}

std::vector<std::int64_t> even(const MoeShape& shape) {
  return std::vector<std::int64_t>(static_cast<std::size_t>(shape.experts), shape.activations() / shape.experts);
}

double cycles(const MoeShape& shape, const std::vector<std::int64_t>& counts, const Genes& genes = design()) {
  return moe_time(shape, counts, engines(genes)).value().all.cycles;
}

TEST(MoeTime, EvenQueuesTakeTheClosedForm) {
  for (const std::int64_t tokens : {8, 128, 256}) {
    const MoeShape shape = shape_of(tokens);
    const Engines board = engines(design());
    const double each = static_cast<double>(tokens) * 2.0 / 16.0;
    const double token = 2.0 * 12.0 * 24.0;
    const double load = (2.0 * 192.0 * 384.0 + 192.0 + 384.0) * 2.0 * 8.0 / 256.0;
    const double gate = 192.0 * 16.0 * 2.0 * 8.0 / 256.0 + static_cast<double>(tokens) * 12.0;
    EXPECT_DOUBLE_EQ(moe_time(shape, even(shape), board).value().all.cycles,
                     gate + load + 15.0 * std::max(load, each * token) + each * token);
  }
}

TEST(MoeTime, SkewedHistogramsRaiseTheLatency) {
  const MoeShape shape = shape_of(128);  // 16 tokens each: loads are just about hidden
  std::vector<std::int64_t> counts = even(shape);
  double previous = cycles(shape, counts);
  for (int step = 0; step < 10; ++step) {  // one expert more popular, another less
    counts[2] += 1;
    counts[8] -= 1;
    const double now = cycles(shape, counts);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}), shape.activations());
    EXPECT_GT(now, previous) << step;
    previous = now;
  }
  std::vector<std::int64_t> halves(16, 1);  // two experts take nearly all
  halves[4] = halves[5] = 121;
  EXPECT_GT(cycles(shape, halves), 1.5 * cycles(shape, even(shape)));
}

TEST(MoeTime, EmptyExpertsAreNotLoaded) {
  const MoeShape shape = shape_of(128);
  std::vector<std::int64_t> counts(16, 0);
  counts[3] = counts[7] = 128;
  const MoeTime moe = moe_time(shape, counts, engines(design())).value();
  EXPECT_EQ(moe.timeline.pieces.size(), 2U);
  EXPECT_DOUBLE_EQ(moe.all.traffic_bytes, 2.0 * (192.0 * 16.0 + 2.0 * static_cast<double>(shape.expert_weights())));
}

TEST(MoeTime, HalvesOfExpertsExposeHalfOfTheFirstLoad) {
  const MoeShape shape = shape_of(256);
  Genes genes = design();
  const double whole = cycles(shape, even(shape), genes);
  genes.half_experts = true;
  const double halves = cycles(shape, even(shape), genes);
  const double second_load = (192.0 * 384.0 + 192.0) * 2.0 * 8.0 / 256.0;
  EXPECT_DOUBLE_EQ(whole - halves, second_load);
}

TEST(MoeTime, SchedulingsWaitForWeightsByTheirEquations) {
  const MoeShape shape = shape_of(128);
  const Engines board = engines(design());
  const double load = board.load_cycles(board.weight_bytes(shape.expert_weights()));
  const double work = moe_time(shape, even(shape), board).value().gate.cycles + 256.0 * 2.0 * 12.0 * 24.0;
  Genes genes = design();
  genes.scheduling = Scheduling::cache_less;
  EXPECT_DOUBLE_EQ(cycles(shape, even(shape), genes), work + 256.0 * load);
  genes.scheduling = Scheduling::cache;
  const double bytes = 2.0 * static_cast<double>(shape.expert_weights());
  genes.weight_buffer_bytes = static_cast<std::int64_t>(2.0 * bytes);  // two of them: four experts
  EXPECT_DOUBLE_EQ(cycles(shape, even(shape), genes), work + 256.0 * 0.75 * load);
  genes.weight_buffer_bytes = static_cast<std::int64_t>(8.0 * bytes);  // all fit: each is fetched once
  EXPECT_DOUBLE_EQ(cycles(shape, even(shape), genes), work + 16.0 * load);
  genes.scheduling = Scheduling::all_on_chip;
  EXPECT_DOUBLE_EQ(cycles(shape, even(shape), genes), work + 16.0 * load);
}

TEST(MoeTime, ExpertsThatDoNotFitSayByHowMuch) {
  const MoeShape shape = shape_of(128);
  Genes genes = design();
  genes.weight_buffer_bytes = 200 * 1024;
  const auto refused = moe_time(shape, even(shape), engines(genes));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason,
            "weights of an expert of 296,064 bytes do not fit a weight buffer of 204,800 bytes");
  EXPECT_DOUBLE_EQ(refused.error().violations.at(0).required, 296064.0);
  genes.half_experts = true;
  EXPECT_TRUE(moe_time(shape, even(shape), engines(genes)).has_value());
  genes.scheduling = Scheduling::all_on_chip;
  const auto all = moe_time(shape, even(shape), engines(genes));
  ASSERT_FALSE(all.has_value());
  EXPECT_THAT(all.error().reason, HasSubstr("weights of 16 experts of 4,737,024 bytes"));
  genes.scheduling = Scheduling::cache;
  genes.weight_buffer_bytes = 1024;
  EXPECT_FALSE(moe_time(shape, even(shape), engines(genes)).has_value());
  genes.scheduling = Scheduling::cache_less;
  EXPECT_TRUE(moe_time(shape, even(shape), engines(genes)).has_value()) << "streams through any buffer";
}

/// M3ViT's small transformer: 6 mixtures of 16 experts of 384 x 384, 512 bits in a cycle of 300 MHz.
TEST(M3VitTable4, MemoryAndLatencyFollowFromTheEquations) {
  MoeShape shape;
  shape.width = shape.hidden = 384;
  shape.experts = 16;
  shape.top_k = 4;
  Genes genes = design();
  genes.bits_per_cycle = 512;
  const Engines board = engines(genes);
  const double expert = board.weight_bytes(shape.expert_weights());
  const double gate = board.weight_bytes(384 * 16);
  const double dense = kMib * m3vit_value("Table 4", "ViT-small", "-", "memory_footprint");
  const double reordered = m3vit_value("Table 4", "MoE ViT-small CR", "-", "memory_footprint");
  EXPECT_NEAR(reordered_bytes(dense, gate) / kMib, reordered, 1e-3 * reordered);
  const double all = m3vit_value("Sec 3-4 text", "MoE ViT-small", "-", "onchip_memory_naive_all_experts");
  EXPECT_NEAR(all_on_chip_bytes(dense, gate, expert, 16.0, 4.0) / kMib, all, 1e-3 * all);
  for (const auto& [data, tokens] : {std::pair{"PASCAL-Context", 1025.0}, std::pair{"NYUD-v2", 1201.0}}) {
    const double with = m3vit_value("Table 4", "MoE ViT-small CR", data, "latency");
    const double without = m3vit_value("Table 4", "MoE ViT-small noCR(cache-based)", data, "latency");
    const double waiting = 6.0 * token_order_load_cycles(tokens * 4.0, board.load_cycles(expert), 4.0, 16.0);
    EXPECT_NEAR(with + 1e3 * waiting / 300e6, without, 1e-3 * without) << data;
  }
}

}  // namespace
}  // namespace cosearch::fpga
