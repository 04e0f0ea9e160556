#include "experiments/reproduce/m3vit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/hwmodels/fpga/published_rows.hpp"

namespace cosearch::m3vit {
namespace {

using testing::m3vit_value;

TEST(M3Vit, Table4ComesOutWithinATenthOfAPerCent) {
  const std::vector<Figure> figures = table4("");
  ASSERT_EQ(figures.size(), 7U);
  for (const Figure& figure : figures) {
    EXPECT_NEAR(figure.ours, figure.published, 1e-3 * figure.published) << figure.name;
  }
  // What is called published is the table's.
  const auto published = [&](const std::string& name) {
    return std::find_if(figures.begin(), figures.end(), [&](const Figure& each) { return each.name == name; })
        ->published;
  };
  const char* cached = "MoE ViT-small noCR(cache-based)";
  EXPECT_EQ(published("memory, experts one by one"),
            m3vit_value("Table 4", "MoE ViT-small CR", "-", "memory_footprint"));
  EXPECT_EQ(published("memory, all experts"),
            m3vit_value("Sec 3-4 text", "MoE ViT-small", "-", "onchip_memory_naive_all_experts"));
  for (const char* data : {"PASCAL-Context", "NYUD-v2"}) {
    const double latency = m3vit_value("Table 4", cached, data, "latency");
    EXPECT_EQ(published(std::string("latency with a cache, ") + data), latency);
    EXPECT_DOUBLE_EQ(published(std::string("faster by reordering, ") + data),
                     latency / m3vit_value("Table 4", "MoE ViT-small CR", data, "latency"));
  }
  EXPECT_EQ(std::round(100.0 * figures[2].ours), 240.0) << "2.40x";
  EXPECT_EQ(std::round(100.0 * figures[4].ours), 923.0) << "9.23x";
}

TEST(M3Vit, ThePublishedDesignExceedsItsPart) {
  const auto verdict = published_design("");
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->violations.at(0).name, "on_chip_bytes");
}

TEST(M3Vit, EveryStepOfEdgeMoesAblationHelpsAsMeasured) {
  const std::vector<Step> steps = ablation("");
  const std::array rows{"baseline",     "+expert-by-expert reordering", "+single-pass softmax",
                        "+GELU approx", "+unified linear module",       "+attention reordering"};
  ASSERT_EQ(steps.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    double measured = 0.0;
    for (const testing::PublishedRow& row : testing::m3vit_rows()) {
      measured = row.model == rows[i] ? row.value : measured;
    }
    EXPECT_EQ(steps[i].published_ms, measured) << rows[i];
    EXPECT_LT(steps[i].ours_ms, measured) << "pipelines are never full on a board";
    if (i > 0) {
      EXPECT_LT(steps[i].ours_ms, steps[i - 1].ours_ms) << rows[i];
      EXPECT_LT(steps[i].published_ms, steps[i - 1].published_ms) << rows[i];
    }
  }
}

TEST(M3Vit, SkewCostsTimeAndTaskSwitchesDoNot) {
  const std::vector<Skewed> rows = skewed("");
  for (std::size_t i = 1; i < rows.size(); ++i) {
    EXPECT_GT(rows[i].largest_queue, rows[i - 1].largest_queue);
    EXPECT_GT(rows[i].latency_ms, rows[i - 1].latency_ms);
  }
  const Switch tasks = task_switch("");
  EXPECT_DOUBLE_EQ(tasks.both_ms, tasks.first_ms + tasks.second_ms);
  EXPECT_NE(skewed_picture(0.5, "").find("expert 15 w2 compute"), std::string::npos);
}

// Both work out to 16 weights and 256 products in a cycle, and 129 tokens that choose 2 of 16 experts.
TEST(M3Vit, EdgeMoesMeanQueueIsAtItsBreakEven) {
  EXPECT_DOUBLE_EQ(break_even().tokens, 256.0 / 16.0);
  EXPECT_DOUBLE_EQ(break_even().mean_tokens, 129.0 * 2.0 / 16.0);
}

TEST(M3Vit, TheFastestDesignFitsAndIsSlowerThanThePublishedLatency) {
  const Fastest best = fastest_on_zcu104("");
  EXPECT_GT(best.feasible, 0);
  EXPECT_LT(best.feasible, best.designs);
  // 69.033 ms would take most products that the part can do; ours has separate units for attention.
  EXPECT_LT(published_dsp_share(""), 1.0);
  EXPECT_GT(best.latency_ms, m3vit_value("Table 4", "MoE ViT-small CR", "PASCAL-Context", "latency"));
}

}  // namespace
}  // namespace cosearch::m3vit
