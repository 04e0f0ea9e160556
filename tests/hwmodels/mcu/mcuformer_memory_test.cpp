#include "hwmodels/mcu/mcuformer_memory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "hwmodels/mcu/cortex_m.hpp"
#include "spaces/catalog/spaces.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;

graph::NetworkGraph decode(const SearchSpace& space, const json& genes) {
  return std::get<graph::NetworkGraph>(space.decode(space.params().from_json(genes)));
}

/// Genes of a row of mcuformer_memory.csv.
json row_genes(const testing::Table& table, std::size_t row) {
  json genes{{"factors", 2}};
  for (const char* gene : {"patch", "depth", "embed_dim"}) {
    genes[gene] = static_cast<std::int64_t>(table.number(row, gene));
  }
  genes["rank_attn"] = table.number(row, "R_attn");
  genes["rank_mlp"] = table.number(row, "R_mlp");
  std::istringstream heads(table.cell(row, "heads"));
  std::istringstream ratios(table.cell(row, "mlp_ratio"));
  int block_heads = 0;
  double block_ratio = 0.0;
  for (int block = 0; heads >> block_heads && ratios >> block_ratio; ++block) {
    genes["blocks." + std::to_string(block) + ".heads"] = block_heads;
    genes["blocks." + std::to_string(block) + ".mlp_ratio"] = block_ratio;
  }
  return genes;
}

// published: the memory that the authors' search logged for the networks it sampled.
TEST(McuformerMemory, EqualsTheAuthorsLogInBytes) {
  const testing::Table table = testing::read_table("mcuformer_memory.csv");
  const auto space = catalog::make_mcu_vit(json::object(), {{240, 240, 3}, 1000});
  ASSERT_EQ(table.rows.size(), 100U);
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const json genes = row_genes(table, row);
    ASSERT_EQ(genes.size(), 6U + 2U * genes["depth"].get<std::size_t>()) << "each block has both";
    EXPECT_EQ(mcu::mcuformer_peak_bytes(decode(*space, genes)),
              static_cast<std::int64_t>(table.number(row, "peak_bytes_log")))
        << genes.dump();
  }
}

/// 28 x 28 in patches of 7: 16 tokens and the class token; two blocks of width 48.
json small_genes() {
  return {{"patch", 7},
          {"embed_dim", 48},
          {"depth", 2},
          {"blocks.0.heads", 3},
          {"blocks.1.heads", 1},
          {"blocks.0.mlp_ratio", 1.0},
          {"blocks.1.mlp_ratio", 3.0},
          {"rank_attn", 0.5},
          {"rank_mlp", 0.7},
          {"factors", 2}};
}

graph::NetworkGraph small_network(int factors) {
  json genes = small_genes();
  genes["factors"] = factors;
  return decode(*catalog::make_mcu_vit(json::object(), {{28, 28, 1}, 10}), genes);
}

TEST(McuformerMemory, CountsOutputIntermediateAndTheLargestFactor) {
  for (const int factors : {2, 3}) {
    const std::vector<mcu::McuformerLayer> layers = mcu::mcuformer_layers(small_network(factors));
    ASSERT_EQ(layers.size(), 4U) << "qkv and the MLP's first layer of two blocks";
    EXPECT_EQ(layers[0].name, factors == 2 ? "blocks.0.attn.qkv.b" : "blocks.0.attn.qkv.out");
    EXPECT_EQ(layers[0].output_bytes, 17 * 144);
    EXPECT_EQ(layers[0].intermediate_bytes, 17 * 24);
    EXPECT_EQ(layers[0].weight_bytes, 24 * 144);
    EXPECT_EQ(layers[1].bytes(), 17 * 48 + 17 * 33 + 33 * 48);
    EXPECT_EQ(layers[3].bytes(), 17 * 144 + 17 * 33 + 33 * 144) << "the rank is of the width";
    EXPECT_EQ(mcu::mcuformer_peak_bytes(small_network(factors)), 7761);
  }
}

TEST(McuformerMemory, OfADenseLayerAllWeightsCount) {
  const auto space = catalog::make_vit(json::object(), {{28, 28, 1}, 10});
  const graph::NetworkGraph net = decode(
      *space, {{"patch", 7}, {"embed_dim", 48}, {"depth", 1}, {"heads", 3}, {"mlp_ratio", 1.0}, {"low_rank", 1.0}});
  EXPECT_EQ(mcu::mcuformer_peak_bytes(net), 17 * 144 + 48 * 144);
  EXPECT_EQ(mcu::mcuformer_peak_bytes(testing::reference_network("resnet8")), 0);
}

/// E * ((N + 1) * (1 + M) + E * M * R) as the authors' first code has it, of a network with the rank E * R.
double supernet_formula(double side, double patch, double width, double mlp_ratio, double rank_ratio) {
  const double patches = (side / patch) * (side / patch);
  return width * ((patches + 1.0) * (1.0 + mlp_ratio) + width * mlp_ratio * rank_ratio);
}

TEST(McuformerMemory, OfTheSupernetStageIsTheWidestMlp) {
  const auto published = catalog::make_mcu_vit(json::object(), {{240, 240, 3}, 1000});
  struct Case {
    std::int64_t patch, width;
    double mlp_ratio, rank_ratio;
  };
  // Ranks width * rank_ratio that are whole numbers; 28 and 32 do not divide 240.
  for (const Case& c : {Case{16, 240, 4.0, 0.9}, {20, 240, 3.5, 0.4}, {28, 240, 4.0, 0.75}, {32, 168, 3.5, 0.5}}) {
    for (const int factors : {2, 3}) {
      json genes{{"patch", c.patch}, {"embed_dim", c.width}, {"rank_mlp", c.rank_ratio}, {"factors", factors}};
      genes["blocks.3.mlp_ratio"] = c.mlp_ratio;  // of the others the smallest
      const auto layer = mcu::mcuformer_supernet_layer(decode(*published, genes));
      const double expected = supernet_formula(240.0, static_cast<double>(c.patch), static_cast<double>(c.width),
                                               c.mlp_ratio, c.rank_ratio);
      EXPECT_EQ(static_cast<double>(layer.value().bytes()), std::ceil(expected - 1e-6)) << genes.dump();
    }
  }
  // int(192 * 0.7) = 134 of 134.4: less than one of the rank's rows below the formula.
  const auto whole = mcu::mcuformer_supernet_layer(decode(*published, {{"embed_dim", 192}, {"rank_mlp", 0.7}}));
  const double formula = supernet_formula(240.0, 16.0, 192.0, 3.5, 0.7);
  EXPECT_LT(static_cast<double>(whole.value().bytes()), formula);
  EXPECT_GT(static_cast<double>(whole.value().bytes()), formula - 192.0 * 3.5);
}

TEST(McuformerMemory, OfTheSupernetStageIsForTransformersOnly) {
  const graph::NetworkGraph net = small_network(2);
  const auto layer = mcu::mcuformer_supernet_layer(net);
  ASSERT_TRUE(layer.has_value());
  EXPECT_EQ(layer->name, "blocks.1.mlp.fc1.b") << "the block with the wider MLP";
  EXPECT_EQ(layer->input_bytes, 17 * 48);
  EXPECT_EQ(layer->output_bytes, 17 * 144);
  EXPECT_EQ(layer->weight_bytes, 33 * 144);
  EXPECT_FALSE(mcu::mcuformer_supernet_layer(testing::reference_network("resnet8")).has_value());
}

Expected<Cost, Infeasible> cost_on(const std::string& board, const graph::NetworkGraph& network, const json& options) {
  const auto target = make_cortex_m(options, "");
  const Job job{network};
  return (*target->build(target->params().from_json({{"board", board}})))->evaluate(std::span(&job, 1));
}

TEST(McuformerMemory, IsAnAccountingOfCortexM) {
  const graph::NetworkGraph net = small_network(2);
  const auto ours = cost_on("f746", net, {{"accounting", "ours"}});
  const auto theirs = cost_on("f746", net, {{"accounting", "mcuformer"}, {"reserved_sram_bytes", 1000}});
  ASSERT_TRUE(ours && theirs);
  EXPECT_EQ(ours->metrics, cost_on("f746", net, json::object())->metrics) << "the default";
  EXPECT_EQ(theirs->metrics.at("sram_bytes"), 8761.0);
  EXPECT_NE(ours->metrics.at("sram_bytes"), 7761.0);
  for (const char* metric : {"latency_ms", "energy_uj", "flash_bytes", "params"}) {
    EXPECT_EQ(theirs->metrics.at(metric), ours->metrics.at(metric)) << metric;
  }
  ASSERT_EQ(theirs->memory.size(), 4U);
  EXPECT_EQ(theirs->memory[3].live_bytes, 7761);
  EXPECT_THAT(theirs->bound, HasSubstr("blocks.1.mlp.fc1.b fills 3 % of the SRAM"));
  EXPECT_THAT(theirs->notes, Contains(HasSubstr("left out: image, tokens read, attention scores")));
  EXPECT_THAT(ours->notes, Not(Contains(HasSubstr("MCUFormer"))));
  EXPECT_NE(make_cortex_m({{"accounting", "mcuformer"}}, "")->fingerprint(),
            make_cortex_m({{"accounting", "ours"}}, "")->fingerprint())
      << "costs of one are not cached as those of the other";
}

TEST(McuformerMemory, OfTheSupernetStageIsAnAccountingOfCortexM) {
  const json options{{"accounting", "mcuformer_supernet"}};
  const auto cost = cost_on("f746", small_network(2), options);
  ASSERT_TRUE(cost.has_value());
  EXPECT_EQ(cost->metrics.at("sram_bytes"), 17.0 * 48 + 17 * 144 + 33 * 144);
  EXPECT_EQ(cost->memory.size(), 1U);
  EXPECT_THAT(cost->notes, Contains(HasSubstr("MCUFormer's supernet stage")));
  EXPECT_THAT(cost_on("f746", testing::reference_network("resnet8"), options).error().reason,
              HasSubstr("accounting \"mcuformer_supernet\" counts the layers of transformers only; resnet8 has none"));
}

TEST(Accounting, OfTinyEngineIsItsPlanWhateverTheEngine) {
  const auto cost = [](const graph::NetworkGraph& network, const std::string& engine, const json& options) {
    const auto target = make_cortex_m(options, "");
    const Job job{network};
    const Genome genome = target->params().from_json({{"board", "h743"}, {"engine", engine}});
    return (*target->build(genome))->evaluate(std::span(&job, 1)).value();
  };
  const json options{{"accounting", "tinyengine"}};
  for (const char* name : {"mcunet-in0", "ds_cnn"}) {
    const graph::NetworkGraph network = testing::reference_network(name);
    const Cost own = cost(network, "tinyengine", json::object());
    const Cost plain = cost(network, "cmsis_nn", json::object());
    const Cost theirs = cost(network, "cmsis_nn", options);
    EXPECT_EQ(theirs.metrics.at("sram_bytes"), own.metrics.at("sram_bytes")) << name;
    EXPECT_NE(theirs.metrics.at("sram_bytes"), plain.metrics.at("sram_bytes")) << name;
    EXPECT_EQ(theirs.metrics.at("latency_ms"), plain.metrics.at("latency_ms")) << name;
    EXPECT_EQ(theirs.metrics.at("flash_bytes"), plain.metrics.at("flash_bytes")) << name;
    EXPECT_THAT(theirs.notes, Contains(HasSubstr("TinyEngine's buffer rules")));
  }
  std::set<std::string> fingerprints;
  for (const char* accounting : {"mcuformer", "mcuformer_supernet", "ours", "tinyengine"}) {
    fingerprints.insert(make_cortex_m({{"accounting", accounting}}, "")->fingerprint());
  }
  EXPECT_EQ(fingerprints.size(), 4U);
}

TEST(McuformerMemory, IsCheckedAgainstTheBoard) {
  const json options{{"accounting", "mcuformer"}};
  const auto tight = cost_on("f411", small_network(2), {{"accounting", "mcuformer"}, {"reserved_sram_bytes", 123312}});
  ASSERT_FALSE(tight.has_value());
  EXPECT_EQ(tight.error().reason,
            "needs 131,073 bytes of SRAM at blocks.1.mlp.fc1.b, STM32F411 has 131,072: 1 too many");
  EXPECT_THAT(cost_on("f746", testing::reference_network("resnet8"), options).error().reason,
              HasSubstr("counts the layers of transformers only; resnet8 has none"));
  EXPECT_THAT(testing::config_error_of([] {
                (void)make_cortex_m({{"accounting", "theirs"}}, "");
              }),
              HasSubstr("/target/accounting"));
}

}  // namespace
}  // namespace cosearch
