// Passes: those of the cascades that FuseMax (MICRO'24, section 3) counts, of networks, and of awkward workloads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spaces/base/config_error.hpp"
#include "spaces/cascade/library.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/ir/passes.hpp"

namespace cosearch::ir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Names = std::vector<std::string>;

Names live(const PassAnalysis& analysis, const Workload& workload, bool blocks_only) {
  Names names;
  for (const LiveFiber& fiber : analysis.live) {
    if (fiber.blocks_only == blocks_only) {
      names.push_back(workload.tensors[static_cast<std::size_t>(fiber.tensor)].name);
    }
  }
  return names;
}

struct Expected {
  const char* cascade;
  int passes;
  Names whole;   ///< tensors with a whole fiber live
  Names blocks;  ///< live tensors with an element for each block
};

class LibraryPasses : public testing::TestWithParam<Expected> {};

TEST_P(LibraryPasses, AreThoseOfThePaper) {
  const Workload workload = cascade::cascade(GetParam().cascade);
  const PassAnalysis analysis = analyze_passes(workload, "m");
  EXPECT_EQ(analysis.obstacle, "");
  EXPECT_EQ(analysis.passes, GetParam().passes) << describe(analysis, workload);
  EXPECT_EQ(live(analysis, workload, false), GetParam().whole) << describe(analysis, workload);
  EXPECT_EQ(live(analysis, workload, true), GetParam().blocks) << describe(analysis, workload);
  for (const char* other : {"p", "e", "f"}) {
    for (const Dimension& dimension : find_dimensions(workload)) {
      if (dimension.name == other) {
        EXPECT_EQ(analyze_passes(workload, dimension).passes, 1) << other;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Passes, LibraryPasses,
    testing::Values(Expected{"example_two_pass", 2, {"a"}, {}}, Expected{"example_deferred", 1, {}, {}},
                    Expected{"example_iterative", 1, {}, {}}, Expected{"attention_three_pass", 3, {"qk", "sn"}, {}},
                    Expected{"attention_deferred", 2, {"qk"}, {}}, Expected{"softmax_unstable", 1, {}, {}},
                    Expected{"attention_two_pass", 2, {"sln"}, {"lm", "sld", "plm"}},
                    Expected{"attention_one_pass", 1, {}, {}}, Expected{"layer_norm_three_pass", 3, {"x", "d"}, {}},
                    Expected{"layer_norm_two_pass", 2, {"x"}, {}}, Expected{"softmax_three_pass", 3, {"x", "sn"}, {}},
                    Expected{"softmax_two_pass", 2, {"x"}, {}}, Expected{"attention_linear", 1, {}, {}},
                    Expected{"attention_sigmoid", 1, {}, {}}),
    [](const auto& row) { return std::string(row.param.cascade); });

TEST(Passes, BoundsFollowFromTheLiveFibers) {
  const Workload workload = cascade::cascade("attention_three_pass", {{"M", 64}});
  const PassAnalysis analysis = analyze_passes(workload, "m");
  ASSERT_EQ(analysis.live.size(), 2U);
  const LiveFiber& qk = analysis.live[0];
  EXPECT_EQ(qk.elements, 64);
  EXPECT_EQ(qk.bytes, 128);
  EXPECT_FALSE(qk.given);
  EXPECT_THAT(qk.passes, ElementsAre(1, 2));
  EXPECT_EQ(qk.spill_bytes, 2 * 128);          // written once, read once more
  EXPECT_EQ(analysis.traffic_bytes, 4 * 128);  // sn likewise
  EXPECT_EQ(analysis.buffer_bytes, 128);       // sn takes the place of qk
  const Workload norm = cascade::cascade("layer_norm_three_pass", {{"M", 64}});
  const PassAnalysis of_norm = analyze_passes(norm, "m");
  EXPECT_TRUE(of_norm.live[0].given);
  EXPECT_EQ(of_norm.live[0].spill_bytes, 128) << "x is read once in any case";
}

TEST(Passes, EveryEinsumHasItsPass) {
  const Workload workload = cascade::cascade("attention_two_pass");
  const PassAnalysis analysis = analyze_passes(workload, "m1");  // a rank stands for its dimension
  std::string text;
  for (std::size_t e = 0; e < workload.einsums.size(); ++e) {
    const EinsumPass& pass = analysis.einsums[e];
    text += workload.einsums[e].name + std::to_string(pass.pass) +
            (pass.full ? " " : "b" + std::to_string(pass.step) + " ");
  }
  EXPECT_EQ(text, "qk1 lm1 sln1 sld1 gm1b0 plm1b1 sd1b1 sn2 a2 av2 ");
}

TEST(Passes, AreToldInWords) {
  const Workload workload = cascade::cascade("attention_deferred", {{"M", 100}});
  EXPECT_EQ(describe(analyze_passes(workload, "m"), workload), R"(m (m<100): 2 passes over each fiber of 100 elements
  pass 1: qk, gm
  pass 2: sn, sd, snv
    sn must wait for all of gm
  qk is written in pass 1 and read again in pass 2: its fiber of 100 elements (200 bytes) stays live, or costs 400 bytes of traffic
  at least: 200 bytes of buffer for each row in flight, or 400 bytes of traffic for each row
)");
  const std::string all = describe_passes(cascade::cascade("attention_one_pass"));
  EXPECT_THAT(all, HasSubstr("m (m1<4, m0<256): 1 pass over each fiber of 1024 elements"));
  EXPECT_THAT(all, HasSubstr("no whole fiber is live"));
  EXPECT_THAT(all, HasSubstr("1 pass, no whole fiber live: p, f, e\n"));
}

Workload lowered(std::vector<graph::Node> nodes, graph::Shape shape) {
  graph::NetworkGraph network;
  network.name = "network";
  network.nodes.push_back({"input", graph::Input{std::move(shape)}, {}});
  network.nodes.insert(network.nodes.end(), nodes.begin(), nodes.end());
  network.outputs = {static_cast<int>(network.nodes.size()) - 1};
  return graph::lower(network, graph::Phase::inference, 1, {});
}

TEST(Passes, AConvolutionIsWalkedOnceAlongEveryDimension) {
  const Workload workload =
      lowered({{"conv", graph::Conv2d{.out_channels = 4, .kernel_h = 3, .kernel_w = 3}, {0}}}, {8, 8, 3});
  const std::vector<Dimension> dimensions = find_dimensions(workload);
  EXPECT_EQ(dimensions.size(), 7U);  // samples, rows, columns, channels in and out, kernel rows and columns
  for (const Dimension& dimension : dimensions) {
    const PassAnalysis analysis = analyze_passes(workload, dimension);
    EXPECT_EQ(analysis.passes, 1) << dimension.name;
    EXPECT_THAT(analysis.live, IsEmpty()) << dimension.name;
  }
}

TEST(Passes, TheSoftmaxOfOurAttentionTakesThree) {
  const Workload workload = lowered({{"heads", graph::MultiHeadAttention{.heads = 2}, {0}}}, {6, 24});
  const PassAnalysis analysis = analyze_passes(workload, "j");  // the keys of a query
  EXPECT_EQ(analysis.passes, 3) << describe(analysis, workload);
  EXPECT_THAT(live(analysis, workload, false), ElementsAre("heads.scores", "heads.exp"));
}

/// Passes over `dimension` of einsums over x[i], y[i] and what the statements declare.
PassAnalysis analyze(const std::string& statements, const std::string& dimension) {
  const Workload workload =
      parse_workload("workload w\ninput x activation fp32 [12]\ntensor y activation fp32 [12]\n" + statements);
  return analyze_passes(workload, dimension);
}

TEST(Passes, AWindowIsNoBarrierButWhatReachesEverythingIs) {
  const std::string tensors = "tensor t activation fp32 [12]\ntensor s activation fp32 []\n";
  EXPECT_EQ(analyze(tensors + "einsum t i<12 k<3 : t[i] += copy(x[i+k-1])\n"
                              "einsum y j<12 l<3 : y[j] += copy(t[j+l-1])\n",
                    "i")
                .passes,
            1);
  const PassAnalysis pooled =
      analyze(tensors + "einsum s i<12 : s[] += copy(x[i])\neinsum y i<12 : y[i] = mul(x[i], s[])\n", "i");
  EXPECT_EQ(pooled.passes, 2);
  EXPECT_EQ(pooled.einsums[1].waits_for, 3) << "s";
}

TEST(Passes, TheNestingThatNeedsFewestPassesCounts) {
  const PassAnalysis analysis = analyze(
      "tensor g activation fp32 [4]\n"
      "einsum g a<3 b<4 : g[b] += copy(x[4*a+b])\neinsum y a<3 b<4 : y[4*a+b] = mul(x[4*a+b], g[b])\n",
      "a");
  EXPECT_EQ(analysis.passes, 1) << "b outside: a tile has the x[a,b] of one b";
  EXPECT_EQ(analysis.ranks.front().name, "b");
}

TEST(Passes, WhatFollowsFromWeightsAloneWaitsOutsideTheBuffer) {
  const PassAnalysis analysis = analyze(
      "tensor w weight fp32 [12]\ntensor root activation fp32 [12]\ntensor s activation fp32 []\n"
      "tensor t activation fp32 [12]\n"
      "einsum root i<12 : root[i] = sqrt(w[i])\neinsum s i<12 : s[] += copy(x[i])\n"
      "einsum t i<12 : t[i] = mul(x[i], s[])\neinsum y i<12 : y[i] = mul(t[i], root[i])\n",
      "i");
  EXPECT_EQ(analysis.einsums[0].pass, 2);
  ASSERT_EQ(analysis.live.size(), 1U);
  EXPECT_EQ(analysis.live[0].tensor, 0) << "x alone";
}

TEST(Passes, WhatCannotBeToldSaysWhy) {
  const PassAnalysis both = analyze(
      "tensor t activation fp32 [12]\ntensor z activation fp32 [12,12]\n"
      "einsum t i<12 : t[i] = relu(x[i])\neinsum z a<12 b<12 : z[a,b] = mul(x[a], t[b])\n"
      "einsum y i<12 : y[i] = copy(x[i])\n",
      "i");
  EXPECT_EQ(both.obstacle, "einsum z walks it twice, by a and by b");
  EXPECT_THAT(describe(both, {}), HasSubstr("passes cannot be told, einsum z walks it twice"));
  const PassAnalysis cuts = analyze(
      "tensor t activation fp32 [3,4]\ntensor u activation fp32 [2,6]\n"
      "einsum t a<3 b<4 : t[a,b] = copy(x[4*a+b])\neinsum u c<2 d<6 : u[c,d] = copy(x[6*c+d])\n",
      "a");
  EXPECT_NE(cuts.obstacle, "");
  try {
    (void)analyze("einsum y i<12 : y[i] = copy(x[i])\n", "m");
    FAIL() << "found";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("dimension: \"m\" is not known; known: i"));
  }
}

/// Packed queries and keys: rows and columns of the scores are different dimensions of one tensor's axis.
TEST(Passes, AnAxisWalkedTwiceAtOnceJoinsNothing) {
  const PassAnalysis analysis = analyze(
      "tensor z activation fp32 [12,12]\ntensor g activation fp32 [12]\ntensor s activation fp32 [12,12]\n"
      "einsum z p<12 m<12 : z[p,m] = mul(x[p], x[m])\neinsum g p<12 m<12 : g[p] max= copy(z[p,m])\n"
      "einsum s p<12 m<12 : s[p,m] = exp_sub(z[p,m], g[p])\n",
      "m");
  EXPECT_EQ(analysis.obstacle, "");
  EXPECT_EQ(analysis.passes, 2);
}

}  // namespace
}  // namespace cosearch::ir
