#include "hwmodels/asic/target.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include <nlohmann/json.hpp>

#include "hwmodels/asic/accelerator.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/oracle/random_network.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using testing::config_error_of;
using ::testing::HasSubstr;
using testing::reference_network;

const nlohmann::json kGenes{{"dataflow", "free"}, {"rows", 16},          {"columns", 16},       {"registers", 64},
                            {"buffer_kib", 128},  {"bandwidth_gb_s", 4}, {"frequency_mhz", 400}};

std::unique_ptr<const Model> model(const nlohmann::json& changes, const nlohmann::json& options) {
  nlohmann::json genes = kGenes;
  genes.update(changes.is_null() ? nlohmann::json::object() : changes);
  nlohmann::json all = {{"mapper_evaluations", 500}};
  all.update(options);
  const auto target = make_asic(all, "");
  auto built = target->build(target->params().from_json(genes));
  EXPECT_TRUE(built.has_value());
  return *std::move(built);
}

Expected<Cost, Infeasible> evaluate(const nlohmann::json& changes, const Job& job,
                                    const nlohmann::json& options = nlohmann::json::object()) {
  return model(changes, options)->evaluate(std::span(&job, 1));
}

TEST(Asic, AreaIsThatOfItsPartsAndGrowsWithEach) {
  const Job job{reference_network("ds_cnn")};
  const auto base = evaluate({}, job);
  ASSERT_TRUE(base.has_value());
  // 256 int8 elements with an adder and 64 registers of 8 bits, 16 vector lanes, 128 KiB of CACTI SRAM.
  const double expected = 256 * (466.5 + 179.0 + 64 * 8 * 5.98) + 16 * 1594.29 + 429589.0;
  EXPECT_NEAR(base->metrics.at("area_mm2"), expected * 1e-6, 1e-9);
  for (const auto& [knob, value] : {std::pair{"rows", 32}, {"columns", 32}, {"registers", 128}, {"buffer_kib", 256}}) {
    EXPECT_GT(evaluate({{knob, value}}, job)->metrics.at("area_mm2"), base->metrics.at("area_mm2")) << knob;
  }
  Job wide = job;
  wide.types.activation = wide.types.weight = ir::ElementType::fp32;
  EXPECT_GT(evaluate({}, wide)->metrics.at("area_mm2"), base->metrics.at("area_mm2"));
}

TEST(Asic, EnergyComponentsOfALinearLayerAddUp) {
  graph::Builder builder("net", {16});
  builder.then("fc", graph::Linear{{16}, {}, false});
  const auto cost = evaluate({}, Job{std::move(builder).finish()});
  ASSERT_TRUE(cost.has_value());
  const LayerCost& layer = cost->layers.at(0);
  EXPECT_DOUBLE_EQ(layer.parts.at("DRAM_pj"), (16 + 256 + 16) * 64.0);  // each element once, LPDDR4, 8 pJ per bit
  EXPECT_DOUBLE_EQ(layer.parts.at("mac_pj"), 256 * 0.3);
  EXPECT_EQ(layer.traffic_bytes, 16 + 256 + 16);
  double sum = 0.0;
  for (const auto& [name, value] : layer.parts) {
    sum += name.ends_with("_pj") ? value : 0.0;
  }
  EXPECT_NEAR(layer.energy_uj, sum * 1e-6, 1e-12);
}

TEST(Asic, DramKindChangesTheDramEnergyOnly) {
  const Job job{reference_network("resnet8")};
  const nlohmann::json latency{{"objective", "latency"}};  // the mapping may look at the energy otherwise
  nlohmann::json ddr3_options = latency;
  ddr3_options["dram"] = "ddr3";
  const auto lpddr4 = evaluate({}, job, latency);
  const auto ddr3 = evaluate({}, job, ddr3_options);
  ASSERT_TRUE(lpddr4 && ddr3);
  EXPECT_GT(ddr3->metrics.at("energy_uj"), lpddr4->metrics.at("energy_uj"));
  EXPECT_THAT(config_error_of([] {
                (void)make_asic({{"dram", "ddr9"}}, "");
              }),
              HasSubstr("/target/dram: \"ddr9\" is not known"));
}

TEST(Asic, ResidencyAndFusionSaveTraffic) {
  const Job job{reference_network("resnet8")};
  const auto both = evaluate({{"buffer_kib", 1024}}, job);
  const auto no_fusion = evaluate({{"buffer_kib", 1024}}, job, {{"fusion", false}});
  const auto neither = evaluate({{"buffer_kib", 1024}}, job, {{"fusion", false}, {"residency", false}});
  ASSERT_TRUE(both && no_fusion && neither);
  EXPECT_LT(no_fusion->metrics.at("traffic_bytes"), neither->metrics.at("traffic_bytes"));
  EXPECT_LT(both->metrics.at("energy_uj"), no_fusion->metrics.at("energy_uj"));
  // With room for all activations only the image, the weights with biases and the classes pass.
  EXPECT_LE(both->metrics.at("traffic_bytes"), 3072.0 + 77706.0 + 10.0 + 1000.0);
  EXPECT_LE(both->metrics.at("sram_bytes"), 1024.0 * 1024.0);
}

TEST(Asic, ProductsThatAccumulateReadWhatIsThere) {
  const std::string head =
      "workload w\ntensor x activation int8 [8,16]\ntensor w weight int8 [16,4]\ntensor y activation int8 [8,4]\n"
      "inputs x y\noutputs y\neinsum e m<8 n<4 k<16 : y[m,n] += mul(x[m,k], w[k,n])";
  const asic::PriceTable table = asic::load_price_table("energy_45nm", "");
  const asic::Accelerator chip(asic::load_arch("simba", ""), table, std::nullopt, {{.evaluations = 500}},
                               std::make_shared<asic::MapMemo>());
  const auto layer = [&](const std::string& text) {
    JobWorkload job;
    job.workload = ir::parse_workload(text);
    const auto run = chip.run(job);
    return run.layers.at(0).value();
  };
  const LayerCost fresh = layer(head + "\n");
  const LayerCost more = layer(head + " accumulate\n");
  EXPECT_EQ(more.traffic_bytes, fresh.traffic_bytes + 32);
  EXPECT_GT(more.cycles, fresh.cycles);
  EXPECT_GT(more.energy_uj, fresh.energy_uj);
}

TEST(Asic, TypesWithoutAPriceAreInfeasible) {
  Job job{reference_network("ds_cnn")};
  job.types.weight = job.types.activation = ir::ElementType::int32;
  const auto cost = evaluate({}, job);
  ASSERT_FALSE(cost.has_value());
  EXPECT_EQ(cost.error().reason, "the energy table has no multiply-accumulate of int32");
}

TEST(Asic, PresetsRefuseTypesThatTheyCannotMultiply) {
  Job job{reference_network("ds_cnn")};
  job.types.weight = job.types.activation = ir::ElementType::fp16;
  const auto target = make_nvdla({}, "");
  const auto built = target->build(target->params().from_json({{"dataflow", "native"}}));
  ASSERT_TRUE(built.has_value());
  const auto cost = (*built)->evaluate(std::span(&job, 1));
  ASSERT_FALSE(cost.has_value());
  EXPECT_EQ(cost.error().reason, "nvdla multiplies int8; the job needs fp16");
}

TEST(Asic, EveryOperatorCostsEnergy) {
  std::set<std::string> kinds;
  for (const graph::NetworkGraph& network :
       {testing::small_vit(28, 4, 64, 4, 2), oracle::small_u_net(), oracle::small_text_network()}) {
    const auto cost = evaluate({}, Job{network});
    ASSERT_TRUE(cost.has_value());
    for (const LayerCost& layer : cost->layers) {
      EXPECT_GT(layer.energy_uj, 0.0) << layer.name;
      EXPECT_TRUE(layer.cycles > 0.0 || layer.bound == "fused") << layer.name;
      kinds.insert(layer.kind);
    }
  }
  EXPECT_THAT(kinds, ::testing::IsSupersetOf({"patch_embed", "position_embed", "layer_norm", "linear",
                                              "multi_head_attention", "activation", "add", "global_average_pool",
                                              "conv2d", "pool2d", "concat", "upsample", "token_embed"}));
}

TEST(Asic, ExplainsEachLayerByItsLoopNest) {
  const Job job{reference_network("resnet8")};
  const auto built = model({}, nlohmann::json::object());
  const auto cost = built->evaluate(std::span(&job, 1));
  const std::vector<std::string> texts = built->explain(std::span(&job, 1));
  ASSERT_TRUE(cost.has_value());
  ASSERT_EQ(texts.size(), cost->layers.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (cost->layers[i].kind == "conv2d" || cost->layers[i].kind == "linear") {
      EXPECT_THAT(texts[i], ::testing::AllOf(HasSubstr("DRAM ["), HasSubstr("Registers ["), HasSubstr("lower bound")));
    } else {
      EXPECT_THAT(texts[i], HasSubstr("on the vector lanes"));
    }
  }
}

TEST(Asic, WrongOptionsAreConfigErrors) {
  const auto error_of = [](const nlohmann::json& options) {
    return config_error_of([&] { (void)make_asic(options, ""); });
  };
  EXPECT_THAT(error_of({{"objective", "speed"}}), HasSubstr("/target/objective: \"speed\" is not known"));
  EXPECT_THAT(error_of({{"mapper_evaluations", 0}}), HasSubstr("/target/mapper_evaluations: expected"));
  EXPECT_THAT(error_of({{"residency", 1}}), HasSubstr("/target/residency: expected"));
  EXPECT_THAT(error_of({{"energy_table", "energy_pat"}}),
              HasSubstr("/target/energy_table: energy_pat has no vector_operations"));
  EXPECT_THAT(config_error_of([] { (void)make_eyeriss({{"arch", "eyeriss_999"}}, ""); }), HasSubstr("eyeriss_999"));
}

}  // namespace
}  // namespace cosearch
