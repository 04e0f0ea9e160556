#include "experiments/reproduce/mcuformer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <variant>

#include <nlohmann/json.hpp>

#include "spaces/catalog/spaces.hpp"
#include "spaces/program/variants.hpp"

namespace cosearch::mcuformer {
namespace {

using nlohmann::json;

/// Of twelve blocks of width 192 with four heads of 64 features.
constexpr std::int64_t kWidth = 192, kHidden = 768, kHeads = 256, kQkv = 768;

std::int64_t tokens_of(std::int64_t patch) { return (240 / patch) * (240 / patch); }

TEST(Mcuformer, BothAccountingsHoldOnAllLoggedNetworks) {
  const std::vector<LoggedNetwork> networks = logged_networks();
  const Accounting sums = account(networks);
  EXPECT_EQ(sums.networks, 100);
  EXPECT_EQ(sums.formula_equal, 100);
  EXPECT_EQ(sums.network_equal, 100);
  EXPECT_EQ(sums.supernet_equal, 100);
  EXPECT_GT(sums.supernet_largest_gap, 0.0);
  EXPECT_LT(sums.supernet_largest_gap, 240.0 * 4.0) << "one row of the widest factor";
  EXPECT_EQ(sums.search_legal, 100) << "the search logs what is legal";
  EXPECT_GE(sums.arena_legal, sums.arena_copied_legal);
  EXPECT_EQ(sums.flash_legal, 0);
  EXPECT_GT(sums.least_flash_bytes, 2 * 1024 * 1024);
  EXPECT_LE(sums.least_parameters, networks.front().parameters);
}

TEST(Mcuformer, LoggedNetworksAreMembersOfTheSpace) {
  const auto space = catalog::make_mcu_vit(json::object(), {{240, 240, 3}, 1000});
  const std::vector<LoggedNetwork> networks = logged_networks();
  for (std::size_t i = 0; i < networks.size(); i += 9) {
    const Design& design = networks[i].design;
    json genes{{"patch", design.patch},         {"embed_dim", design.embed_dim}, {"depth", design.blocks.size()},
               {"rank_attn", design.rank_attn}, {"rank_mlp", design.rank_mlp},   {"factors", 2}};
    for (std::size_t block = 0; block < design.blocks.size(); ++block) {
      genes["blocks." + std::to_string(block) + ".heads"] = design.blocks[block].heads;
      genes["blocks." + std::to_string(block) + ".mlp_ratio"] = design.blocks[block].mlp_ratio;
    }
    const TaskModel member = space->decode(space->params().from_json(genes));
    EXPECT_EQ(graph::hash(build(design)), graph::hash(std::get<graph::NetworkGraph>(member))) << genes.dump();
  }
}

TEST(Mcuformer, WhatFitsIsWhatTheProgramThatIsChosenFitsIn) {
  constexpr std::int64_t kBytes = 320 * 1024;
  const std::vector<LoggedNetwork> networks = logged_networks();
  int copied_fits = 0;
  for (std::size_t i = 0; i < networks.size(); i += 7) {
    const graph::NetworkGraph network = build(networks[i].design);
    for (const bool weights_in_sram : {false, true}) {
      program::LoweringOptions options = program::cosearch_options();
      options.streamed_input = true;
      options.weights_in_sram = weights_in_sram;
      const bool chosen = program::fit_program(network, options, kBytes).value().plan.bytes <= kBytes;
      EXPECT_EQ(fits(network, weights_in_sram, kBytes), chosen) << i << weights_in_sram;
      copied_fits += weights_in_sram && chosen ? 1 : 0;
    }
  }
  EXPECT_GT(copied_fits, 0);
  EXPECT_LT(copied_fits, 15) << "both answers come";
}

/// Weights of the linear maps of a block, by hand.
std::int64_t block_weights(int factors, std::int64_t attention_rank, std::int64_t mlp_rank) {
  const auto layer = [&](std::int64_t inputs, std::int64_t outputs, std::int64_t rank, bool factored) {
    return !factored ? inputs * outputs : rank * (inputs + outputs) + (factors == 3 ? rank * rank : 0);
  };
  return layer(kWidth, kQkv, attention_rank, factors > 1) + layer(kHeads, kWidth, attention_rank, factors == 3) +
         2 * layer(kWidth, kHidden, mlp_rank, factors > 1);
}

TEST(Mcuformer, LowRankCountsAreThoseOfTheFactors) {
  const std::vector<LowRankRow> rows = low_rank_rows();
  ASSERT_EQ(rows.size(), 3U * 7U);
  for (const LowRankRow& row : rows) {
    SCOPED_TRACE(std::to_string(row.patch) + " " + std::to_string(row.factors) + " " + std::to_string(row.rank_ratio));
    const std::int64_t tokens = tokens_of(row.patch);
    const auto rank = [&](double width) { return static_cast<std::int64_t>(width * row.rank_ratio); };
    const std::int64_t weights = block_weights(row.factors, rank(256.0), rank(192.0));
    EXPECT_EQ(row.tokens, tokens);
    EXPECT_EQ(row.parameters, 12 * weights);
    EXPECT_EQ(row.macs, 12 * (tokens * weights + 2 * tokens * tokens * kHeads));
    const auto all = static_cast<double>(tokens + 1);
    EXPECT_NEAR(row.class_token_macs, 12.0 * (all * static_cast<double>(weights) + 2.0 * all * all * 256.0), 1.0);
    EXPECT_GT(row.flash_bytes, 2 * 1024 * 1024) << "no form of the published size fits in flash";
    EXPECT_LT(row.live_bytes, row.copied_bytes);
    if (row.factors == 2) {  // as the authors count: qkv or the first layer of the MLP
      const std::int64_t r = rank(256.0), m = rank(192.0), with_token = tokens + 1;
      EXPECT_EQ(row.authors_bytes, std::max(kQkv * with_token + r * with_token + kQkv * r,
                                            kHidden * with_token + m * with_token + kHidden * m));
    }
  }
}

TEST(Mcuformer, BelowTheBreakEvenRankThereAreFewerWeights) {
  const std::vector<BreakEven> layers = break_even_ranks();
  ASSERT_EQ(layers.size(), 4U);
  for (const BreakEven& layer : layers) {
    const std::int64_t sum = layer.inputs + layer.outputs, dense = layer.inputs * layer.outputs;
    const auto two = static_cast<std::int64_t>(layer.two_factors),
               three = static_cast<std::int64_t>(layer.three_factors);
    EXPECT_LE(two * sum, dense) << layer.layer;
    EXPECT_GT((two + 1) * sum, dense) << layer.layer;
    EXPECT_LE(three * sum + three * three, dense) << layer.layer;
    EXPECT_GT((three + 1) * sum + (three + 1) * (three + 1), dense) << layer.layer;
  }
}

/// Live bytes of the attention and of the MLP, from what must exist at the same time. `x`: the residual tokens.
struct LiveBytes {
  std::int64_t tokens, x = tokens * kWidth;
  std::int64_t attention_rank = 230, mlp_rank = 172;  // int(256 * 0.9), int(192 * 0.9)
  std::int64_t score_row = 4 * tokens;

  [[nodiscard]] std::int64_t whole_attention() const { return x + tokens * (kQkv + kHeads) + score_row; }
  [[nodiscard]] std::int64_t whole_mlp() const { return x + tokens * (mlp_rank + kHidden); }
  [[nodiscard]] std::int64_t sums_of_qkv() const { return x + tokens * (attention_rank + 5 * kQkv); }
  [[nodiscard]] std::int64_t row_of_mlp() const { return x + mlp_rank + kHidden; }
  /// Output, keys and values of one head, one row of queries and of scores.
  [[nodiscard]] std::int64_t one_head() const { return x + tokens * (kHeads + 2 * 64) + 64 + score_row; }
};

TEST(Mcuformer, EachTechniqueLeavesWhatMustExist) {
  const std::vector<TechniqueRow> rows = technique_rows();
  const std::size_t steps = techniques().size();
  ASSERT_EQ(rows.size(), 3U * steps);
  ASSERT_EQ(steps, 7U);
  for (std::size_t first = 0; first < rows.size(); first += steps) {
    const std::int64_t patch = rows[first].patch;
    SCOPED_TRACE(patch);
    const LiveBytes expected{tokens_of(patch)};
    EXPECT_EQ(rows[first].parts.attention, expected.sums_of_qkv());
    for (std::size_t whole : {first + 1, first + 2, first + 3, first + 4}) {
      EXPECT_EQ(rows[whole].parts.attention, expected.whole_attention());
    }
    EXPECT_EQ(rows[first + 1].parts.mlp, expected.whole_mlp());
    EXPECT_EQ(rows[first + 3].parts.mlp, expected.row_of_mlp());
    const std::int64_t patch_bytes = patch * patch * 3;
    EXPECT_EQ(rows[first + 3].parts.embedding, 240 * 240 * 3 + expected.x + patch_bytes);
    EXPECT_EQ(rows[first + 4].parts.embedding, expected.x + patch_bytes);
    EXPECT_LT(rows[first + 5].arena_bytes, rows[first + 4].arena_bytes);
    EXPECT_EQ(rows[first + 6].arena_bytes, expected.one_head());
    EXPECT_EQ(rows[first + 3].operations, rows[first].operations);
    EXPECT_EQ(rows[first + 5].operations, rows[first].operations + 240 * 240 * 3) << "the image is copied by patches";
    EXPECT_GT(rows[first + 6].operations, rows[first + 5].operations);
    for (std::size_t i = first; i < first + steps; ++i) {
      EXPECT_LT(rows[i].arena_bytes, rows[i].copied_bytes);
      EXPECT_TRUE(i == first || rows[i].arena_bytes <= rows[i - 1].arena_bytes);
    }
  }
}

TEST(Mcuformer, WithWeightsInFlashThePublishedSizeFitsOnEveryBoard) {
  const std::vector<FitRow> rows = fit_rows();
  ASSERT_EQ(rows.size(), 3U * 3U * 2U);
  for (const FitRow& row : rows) {
    for (const BoardLimits& board : kBoards) {
      if (board.name == row.board) {
        EXPECT_EQ(row.fits, row.arena_bytes <= board.sram_bytes);
      }
    }
    EXPECT_TRUE(row.fits || row.weights_in_sram) << row.patch << row.board;
  }
}

TEST(Mcuformer, ThePictureShowsEachStepWithItsKilobytes) {
  const std::string picture = techniques_svg(technique_rows(), 16);
  for (const char* part : {"+ attention by heads", "+ recomputed per head", "127.5", "weights copied to SRAM", "320"}) {
    EXPECT_THAT(picture, ::testing::HasSubstr(part));
  }
  EXPECT_THAT(picture, ::testing::Not(::testing::HasSubstr("81.6"))) << "of another patch size";
}

}  // namespace
}  // namespace cosearch::mcuformer
