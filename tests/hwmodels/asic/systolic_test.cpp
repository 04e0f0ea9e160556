#include "hwmodels/asic/systolic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/hwmodels/temporary_data.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using testing::config_error_of;
using testing::reference_network;

const nlohmann::json kGenes{
    {"rows", 16}, {"columns", 16}, {"buffer_kib", 128}, {"bandwidth_gb_s", 4}, {"frequency_mhz", 400}};

Expected<Cost, Infeasible> evaluate(const nlohmann::json& changes, const Job& job,
                                    const nlohmann::json& options = nlohmann::json::object()) {
  nlohmann::json genes = kGenes;
  genes.update(changes.is_null() ? nlohmann::json::object() : changes);
  const auto target = make_systolic(options, "");
  const auto model = target->build(target->params().from_json(genes));
  EXPECT_TRUE(model.has_value());
  return (*model)->evaluate(std::span(&job, 1));
}

TEST(Systolic, AreaIsThatOfItsPartsAndGrowsWithEach) {
  const Job job{reference_network("ds_cnn")};
  const auto base = evaluate({}, job);
  ASSERT_TRUE(base.has_value());
  // 256 elements of 466.5 um2 and 48 register bits of 5.98 um2, 16 vector lanes, 128 KiB of CACTI SRAM.
  const double expected = 256 * (466.5 + 48 * 5.98) + 16 * 1594.29 + 429589.0;
  EXPECT_NEAR(base->metrics.at("area_mm2"), expected * 1e-6, 1e-9);
  EXPECT_GT(evaluate({{"rows", 32}}, job)->metrics.at("area_mm2"), base->metrics.at("area_mm2"));
  EXPECT_GT(evaluate({{"buffer_kib", 256}}, job)->metrics.at("area_mm2"), base->metrics.at("area_mm2"));
  Job wide = job;
  wide.types.activation = wide.types.weight = ir::ElementType::fp32;
  EXPECT_GT(evaluate({}, wide)->metrics.at("area_mm2"), base->metrics.at("area_mm2"));
}

TEST(Systolic, EnergyComponentsOfALinearLayerFollowFromItsCounts) {
  graph::Builder builder("net", {16});
  builder.then("fc", graph::Linear{{16}, {}, false});
  const auto cost = evaluate({{"rows", 32}, {"columns", 4}}, Job{std::move(builder).finish()});
  ASSERT_TRUE(cost.has_value());
  const LayerCost& layer = cost->layers.at(0);
  EXPECT_DOUBLE_EQ(layer.parts.at("dram_pj"), (16 + 256 + 16) * 64.0);  // LPDDR4, 8 pJ per bit
  EXPECT_GT(layer.parts.at("leakage_pj"), 0.0);
  double sum = 0.0;
  for (const char* part : {"mac_pj", "register_pj", "vector_pj", "sram_pj", "dram_pj", "leakage_pj"}) {
    sum += layer.parts.at(part);
  }
  EXPECT_NEAR(layer.energy_uj, sum * 1e-6, 1e-12);
}

TEST(Systolic, SmallArraysPriceMultipliersAndRegistersOfEachMultiplyAccumulate) {
  graph::Builder builder("net", {16, 16, 16});
  builder.then("conv", graph::Conv2d{16, 3, 3, 1, graph::symmetric_padding(3), 1, false});
  const auto cost = evaluate({}, Job{std::move(builder).finish()});
  ASSERT_TRUE(cost.has_value());
  const double macs = 256.0 * 16 * 144;
  EXPECT_DOUBLE_EQ(cost->layers.at(0).parts.at("mac_pj"), 0.3 * macs);
  EXPECT_GE(cost->layers.at(0).parts.at("register_pj"), 0.009 * 40 * macs);
  EXPECT_LE(cost->layers.at(0).parts.at("register_pj"), 0.009 * 40 * macs * 1.01 + 0.009 * 8 * 144 * 16 * 16);
  EXPECT_GT(cost->layers.at(0).utilization, 0.5);
}

TEST(Systolic, DramKindChangesTheDramEnergyOnly) {
  const Job job{reference_network("resnet8")};
  const auto lpddr4 = evaluate({}, job);
  const auto ddr3 = evaluate({}, job, {{"dram", "ddr3"}});
  ASSERT_TRUE(lpddr4 && ddr3);
  EXPECT_DOUBLE_EQ(lpddr4->metrics.at("latency_ms"), ddr3->metrics.at("latency_ms"));
  EXPECT_NEAR(ddr3->metrics.at("energy_uj") - lpddr4->metrics.at("energy_uj"),
              lpddr4->metrics.at("traffic_bytes") * 8 * (70 - 8) * 1e-6, 1e-6);
  EXPECT_THAT(config_error_of([] {
                (void)make_systolic({{"dram", "ddr9"}}, "");
              }),
              ::testing::HasSubstr("/target/dram: \"ddr9\" is not known"));
}

TEST(Systolic, LargerBuffersKeepMoreOnTheChip) {
  const Job job{reference_network("resnet8")};
  const auto small = evaluate({{"buffer_kib", 32}}, job);
  const auto large = evaluate({{"buffer_kib", 1024}}, job);
  ASSERT_TRUE(small && large);
  EXPECT_LT(large->metrics.at("traffic_bytes"), small->metrics.at("traffic_bytes"));
  // Everything between the image and the classes stays: input, weights with biases, output.
  EXPECT_LE(large->metrics.at("traffic_bytes"), 3072.0 + 77706.0 + 10.0 + 1000.0);
  EXPECT_LE(small->metrics.at("sram_bytes"), 32.0 * 1024.0);
}

TEST(Systolic, BuffersThatCannotFeedTheArrayAreInfeasible) {
  const auto cost = evaluate({{"rows", 128}, {"columns", 128}, {"buffer_kib", 16}}, Job{reference_network("ds_cnn")});
  ASSERT_FALSE(cost.has_value());
  ASSERT_EQ(cost.error().violations.size(), 1U);
  EXPECT_EQ(cost.error().violations[0].name, "sram_bytes");
  EXPECT_EQ(cost.error().violations[0].required, 2.0 * (2 * 128 * 128 + 2 * 128 + 4 * 128));
  EXPECT_EQ(cost.error().reason, "an array of 128 x 128 needs 67,072 bytes of buffer to be fed, there are 16,384");
}

TEST(Systolic, TypesWithoutAPriceAreInfeasible) {
  Job job{reference_network("ds_cnn")};
  job.types.weight = ir::ElementType::int32;
  const auto cost = evaluate({}, job);
  ASSERT_FALSE(cost.has_value());
  EXPECT_EQ(cost.error().reason, "the energy table has no multiply-accumulate of int32");
}

TEST(Systolic, EveryOperatorOfAVisionTransformerCostsTimeAndEnergy) {
  const auto cost = evaluate({}, Job{testing::small_vit(28, 4, 64, 4, 2)});
  ASSERT_TRUE(cost.has_value());
  std::set<std::string> kinds;
  for (const LayerCost& layer : cost->layers) {
    EXPECT_GT(layer.cycles, 0.0) << layer.name;
    EXPECT_GT(layer.energy_uj, 0.0) << layer.name;
    kinds.insert(layer.kind);
  }
  EXPECT_THAT(kinds, ::testing::IsSupersetOf({"patch_embed", "position_embed", "layer_norm", "linear",
                                              "multi_head_attention", "activation", "add", "global_average_pool"}));
}

TEST(Systolic, MemoryTimelineStaysWithinTheBuffer) {
  const auto cost = evaluate({}, Job{reference_network("mobilenet_v1_0.25")});
  ASSERT_TRUE(cost.has_value());
  double peak = 0.0;
  for (const MemoryStep& step : cost->memory) {
    peak = std::max(peak, static_cast<double>(step.live_bytes));
  }
  EXPECT_EQ(peak, cost->metrics.at("sram_bytes"));
  EXPECT_LE(peak, 128.0 * 1024.0);
}

}  // namespace
}  // namespace cosearch
