#include "hwmodels/asic/maestro/target.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "hwmodels/asic/maestro/analysis.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using testing::config_error_of;

Expected<Cost, Infeasible> evaluate(const graph::NetworkGraph& network, const json& genes,
                                    const json& options = json::object()) {
  const auto target = make_maestro(options, "");
  const auto model = target->build(target->params().from_json(genes));
  const Job job{network};
  return (*model)->evaluate(std::span(&job, 1));
}

graph::NetworkGraph one_convolution() {
  graph::Builder builder("net", {56, 56, 64});
  builder.then("conv", graph::Conv2d{64, 3, 3, 1, {}, 1, false});
  return std::move(builder).finish();
}

const json kDesign{{"dataflow", "kcp_ws"}, {"pes", 1024}, {"noc_bandwidth", 64}};

// CONV2_1_2 of MAESTRO's ResNet-50 on 1024 processing elements and 64 bytes per cycle, as its binary prints it.
TEST(MaestroTarget, AnUnpaddedConvolutionCostsWhatMaestroSays) {
  const auto cost = evaluate(one_convolution(), kDesign);
  ASSERT_TRUE(cost.has_value()) << cost.error().reason;
  EXPECT_DOUBLE_EQ(cost->metrics.at("cycles"), 315432.0);
  EXPECT_DOUBLE_EQ(cost->metrics.at("macs"), 107495424.0);
  EXPECT_NEAR(cost->metrics.at("energy_uj"), 889067013.76 * 0.00023e-3, 1e-6);
  EXPECT_DOUBLE_EQ(cost->metrics.at("latency_ms"), 0.315432);
  EXPECT_DOUBLE_EQ(cost->metrics.at("sram_bytes"), 19616.0 + 1024.0 * 54.0);
}

TEST(MaestroTarget, OptionsChooseConstantsClockAndExternalBandwidth) {
  const auto base = evaluate(one_convolution(), kDesign);
  const auto old = evaluate(one_convolution(), kDesign, {{"constants", "2020"}, {"frequency_mhz", 500}});
  const auto starved = evaluate(one_convolution(), kDesign, {{"offchip_bandwidth", 1}});
  ASSERT_TRUE(base && old && starved);
  EXPECT_DOUBLE_EQ(old->metrics.at("cycles"), base->metrics.at("cycles"));
  EXPECT_NEAR(old->metrics.at("energy_uj") / base->metrics.at("energy_uj"), 0.904 / 0.00023, 1e-6);
  EXPECT_NEAR(old->metrics.at("latency_ms"), 2.0 * base->metrics.at("latency_ms"), 1e-12);
  EXPECT_GT(old->metrics.at("area_mm2"), base->metrics.at("area_mm2"));
  EXPECT_GT(starved->metrics.at("cycles"), base->metrics.at("cycles"));
  EXPECT_EQ(starved->layers.at(0).bound, "dram_bandwidth");
}

TEST(MaestroTarget, OperatorsThatMaestroLacksAreChargedAtTheStatedRate) {
  graph::Builder builder("net", {8, 8, 4});
  builder.then("relu", graph::Activation{graph::ActivationKind::relu});
  const auto cost = evaluate(std::move(builder).finish(), kDesign);
  ASSERT_TRUE(cost.has_value());
  // 256 elements in and out at 64 per cycle; 256 comparisons, 512 accesses of the shared buffer.
  EXPECT_DOUBLE_EQ(cost->metrics.at("cycles"), 512.0 / 64.0);
  EXPECT_NEAR(cost->metrics.at("energy_uj"), (256.0 + 18.61 * 512.0) * 0.00023e-3, 1e-12);
  EXPECT_EQ(cost->layers.at(0).bound, "noc_bandwidth");
}

TEST(MaestroTarget, AFullNetworkOnChipNeedsItsBandwidthAndNoBitMore) {
  for (std::int64_t channels = 64; channels <= 1024; channels += 64) {
    graph::Builder builder("net", {7, 7, channels});
    builder.then("relu", graph::Activation{graph::ActivationKind::relu});
    const graph::NetworkGraph network = std::move(builder).finish();
    for (const std::int64_t bytes : {8, 16, 24, 40, 56, 64}) {
      const auto cost = evaluate(network, {{"dataflow", "kcp_ws"}, {"pes", 4096}, {"noc_bandwidth", bytes}});
      ASSERT_TRUE(cost.has_value()) << cost.error().reason;
      EXPECT_LE(cost->metrics.at("dram_gbps"), static_cast<double>(bytes)) << channels;
      if (7 * 7 * channels * 2 % bytes == 0) {
        EXPECT_EQ(cost->metrics.at("dram_gbps"), static_cast<double>(bytes)) << channels;
      }
    }
  }
}

TEST(MaestroTarget, ArraysSmallerThanAClusterAreInfeasible) {
  const auto cost = evaluate(one_convolution(), {{"dataflow", "kcp_ws"}, {"pes", 32}});
  ASSERT_FALSE(cost.has_value());
  EXPECT_THAT(cost.error().reason, ::testing::HasSubstr("clusters need more than the 32 processing elements"));
}

TEST(MaestroTarget, WrongOptionsAndGenesAreConfigErrors) {
  EXPECT_THAT(config_error_of([] {
                (void)make_maestro({{"constants", "new"}}, "");
              }),
              ::testing::HasSubstr("/target/constants: \"new\" is not known; known: 2020, current"));
  EXPECT_THAT(config_error_of([] {
                (void)make_maestro({{"offchip_bandwidth", 0}}, "");
              }),
              ::testing::HasSubstr("/target/offchip_bandwidth"));
  EXPECT_THAT(config_error_of([] {
                (void)make_maestro({{"frequency_mhz", 0}}, "");
              }),
              ::testing::HasSubstr("/target/frequency_mhz"));
  EXPECT_THAT(config_error_of([] {
                (void)make_maestro({}, "")->params().from_json({{"dataflow", "rs_repo"}});
              }),
              ::testing::HasSubstr("dataflow"));
  EXPECT_THAT(config_error_of([] {
                (void)make_maestro({}, "")->params().from_json({{"pes", 40}});
              }),
              ::testing::HasSubstr("pes"));
}

}  // namespace
}  // namespace cosearch
