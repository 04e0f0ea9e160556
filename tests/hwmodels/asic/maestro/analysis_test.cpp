#include "hwmodels/asic/maestro/analysis.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/hwmodels/asic/maestro/reference_rows.hpp"

namespace cosearch::maestro {
namespace {

using ::cosearch::testing::maestro_rows;
using ::cosearch::testing::MaestroRow;
using ::testing::HasSubstr;

Mapping mapping_of(const std::string& name, LayerKind kind) {
  return parse_mapping(template_named(name, "").text(kind));
}

std::string refusal(const Layer& layer, const std::string& mapping, const Hardware& hardware) {
  const auto analysis = analyse(layer, parse_mapping(mapping), hardware);
  return analysis ? "analysed" : analysis.error().reason;
}

constexpr Layer kLayer = convolution(64, 64, {3, 3}, {56, 56});
constexpr Hardware kHardware{256, 32, 70000};

TEST(MaestroAnalysis, EqualsMaestroOnEveryRow) {
  std::size_t rows = 0;
  for (const MaestroRow& row : maestro_rows()) {
    SCOPED_TRACE(row.name());
    const auto analysis = analyse(row.layer, mapping_of(row.mapping, row.layer.kind), row.hardware);
    ASSERT_TRUE(analysis.has_value()) << analysis.error().reason;
    ++rows;
    EXPECT_EQ(analysis->runtime_cycles, row.integer("runtime_cycles"));
    EXPECT_EQ(analysis->macs, row.integer("macs_exact"));
    for (const auto& [tensor, accesses] : {std::pair{"input", analysis->input}, std::pair{"filter", analysis->weight},
                                           std::pair{"output", analysis->output}}) {
      const std::string prefix = std::string(tensor) + "_";
      EXPECT_EQ(accesses.l1_read, row.integer(prefix + "l1_read"));
      EXPECT_EQ(accesses.l1_write, row.integer(prefix + "l1_write"));
      EXPECT_EQ(accesses.l2_read, row.integer(prefix + "l2_read"));
      EXPECT_EQ(accesses.l2_write, row.integer(prefix + "l2_write"));
    }
    EXPECT_EQ(analysis->l1_elements, row.integer("l1_req_total_per_pe"));
    EXPECT_EQ(analysis->l2_elements, row.integer("l2_req_total"));
    const double pes = std::stod(row.columns.at("avg_utilized_pes"));
    EXPECT_NEAR(analysis->utilized_pes, pes, 1e-5 * pes);  // printed with six digits
  }
  EXPECT_EQ(rows, 1260U);
}

TEST(MaestroAnalysis, GemmIsAConvolutionOfOneByOne) {
  const Mapping gemm_mapping =
      parse_mapping("SpatialMap(1,1) N; TemporalMap(64,64) K; TemporalMap(1,1) M; Cluster(64,P); SpatialMap(1,1) K;");
  const Mapping conv_mapping =
      parse_mapping("SpatialMap(1,1) K; TemporalMap(64,64) C; TemporalMap(1,1) X; Cluster(64,P); SpatialMap(1,1) C;");
  for (const std::int64_t rows : {1, 7, 197}) {
    for (const std::int64_t reduction : {3, 64, 200}) {
      const auto as_gemm = analyse(gemm(rows, 77, reduction), gemm_mapping, kHardware);
      const auto as_convolution = analyse(convolution(77, reduction, {1, 1}, {1, rows}), conv_mapping, kHardware);
      ASSERT_TRUE(as_gemm && as_convolution);
      EXPECT_EQ(as_gemm->runtime_cycles, as_convolution->runtime_cycles);
      EXPECT_EQ(as_gemm->macs, rows * 77 * reduction);
      EXPECT_EQ(as_gemm->input.l2_read, as_convolution->input.l2_read);
      EXPECT_EQ(as_gemm->weight.l2_read, as_convolution->weight.l2_read);
      EXPECT_EQ(as_gemm->output.l2_write, as_convolution->output.l2_write);
      EXPECT_EQ(as_gemm->l2_elements, as_convolution->l2_elements);
    }
  }
}

TEST(MaestroAnalysis, GroupsRepeatTheConvolutionOfOneGroup) {
  Layer grouped = convolution(16, 8, {3, 3}, {14, 14});
  grouped.kind = LayerKind::grouped;
  const std::string one = "SpatialMap(1,1) K; TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X;";
  const auto single = analyse(convolution(16, 8, {3, 3}, {14, 14}), parse_mapping(one), kHardware);
  grouped.extents[index_of(Dimension::g)] = 5;
  const auto five = analyse(grouped, parse_mapping("TemporalMap(1,1) G;" + one), kHardware);
  ASSERT_TRUE(single && five);
  EXPECT_EQ(five->macs, 5 * single->macs);
  EXPECT_EQ(five->output.l2_write, 5 * single->output.l2_write);
  EXPECT_EQ(five->weight.l2_write, 5 * single->weight.l2_write);
}

TEST(MaestroAnalysis, OutputDirectivesAreInputDirectivesWithoutTheHalo) {
  const auto output =
      analyse(kLayer, parse_mapping("SpatialMap(1,1) K; TemporalMap(4,4) Y'; TemporalMap(1,1) X';"), kHardware);
  const auto input =
      analyse(kLayer, parse_mapping("SpatialMap(1,1) K; TemporalMap(3+Sz(R),4) Y; TemporalMap(Sz(S),1) X;"), kHardware);
  ASSERT_TRUE(output && input);
  EXPECT_EQ(output->runtime_cycles, input->runtime_cycles);
  EXPECT_EQ(output->input.l2_read, input->input.l2_read);
}

// One level, one PE, one input row of three: by hand from the equations of the model.
TEST(MaestroAnalysis, TinyLayerByHand) {
  const Layer layer = convolution(1, 1, {1, 2}, {1, 3});
  const auto analysis = analyse(layer, parse_mapping("SpatialMap(1,1) K; TemporalMap(Sz(S),1) X;"), {1, 1, 1000});
  ASSERT_TRUE(analysis.has_value());
  // First: 2 MACs + 4 elements in; then one more input, two MACs, overlapped.
  EXPECT_EQ(analysis->runtime_cycles, (2 + 4) + 2);
  EXPECT_EQ(analysis->macs, 4);
  EXPECT_EQ(analysis->input.l2_read, 2 + 1);
  EXPECT_EQ(analysis->weight.l2_read, 2);
  EXPECT_EQ(analysis->output.l2_write, 2);
  EXPECT_EQ(analysis->l2_elements, 2 * (2 + 2 + 1));
  EXPECT_DOUBLE_EQ(analysis->peak_bandwidth, 4.0 / 2.0);
  EXPECT_DOUBLE_EQ(analysis->average_bandwidth, (4.0 / 2.0 + 1.0 / 2.0) / 2.0);
  EXPECT_EQ(analysis->noc_bound_cycles, 6);
  EXPECT_EQ(analysis->offchip_bound_cycles, 0);
}

TEST(MaestroAnalysis, SlowExternalMemoryBoundsIterations) {
  const Mapping mapping = mapping_of("kcp_ws", LayerKind::convolution);
  const auto fast = analyse(kLayer, mapping, {256, 32, 70000});
  const auto slow = analyse(kLayer, mapping, {256, 32, 1});
  ASSERT_TRUE(fast && slow);
  EXPECT_EQ(fast->offchip_bound_cycles, 0);
  EXPECT_EQ(slow->offchip_bound_cycles, slow->runtime_cycles);
  EXPECT_GT(slow->runtime_cycles, fast->runtime_cycles);
}

TEST(MaestroAnalysis, RefusesHardwareThatCannotWork) {
  const std::string mapping(template_named("kcp_ws", "").convolution);
  EXPECT_THAT(refusal(kLayer, mapping, {0, 32, 50}), HasSubstr("0 processing elements"));
  EXPECT_THAT(refusal(kLayer, mapping, {-4, 32, 50}), HasSubstr("-4 processing elements"));
  EXPECT_THAT(refusal(kLayer, mapping, {256, 0, 50}), HasSubstr("0 elements per cycle on the NoC"));
  EXPECT_THAT(refusal(kLayer, mapping, {256, 32, 0}), HasSubstr("0 elements per cycle off chip"));
  EXPECT_THAT(refusal(kLayer, mapping, {63, 32, 50}), HasSubstr("clusters need more than the 63 processing elements"));
}

TEST(MaestroAnalysis, RefusesMappingsThatDoNotFitTheLayer) {
  const Layer channels = depthwise(32, {3, 3}, {14, 14});
  EXPECT_THAT(refusal(channels, "SpatialMap(1,1) K;", kHardware), HasSubstr("names K"));
  EXPECT_THAT(refusal(kLayer, "SpatialMap(1,1) M;", kHardware), HasSubstr("names M"));
  EXPECT_THAT(refusal(gemm(4, 4, 4), "SpatialMap(1,1) Y;", kHardware), HasSubstr("names Y"));
  EXPECT_THAT(refusal(kLayer, "SpatialMap(0,1) K;", kHardware), HasSubstr("size and offset"));
  EXPECT_THAT(refusal(kLayer, "SpatialMap(1,Sz(R)-3) K;", kHardware), HasSubstr("size and offset"));
  EXPECT_THAT(refusal(kLayer, "SpatialMap(1,1) K; TemporalMap(2,1) Y;", kHardware),
              HasSubstr("smaller than the kernel"));
  EXPECT_THAT(refusal(kLayer, std::string(template_named("rs_repo", "").convolution), kHardware),
              HasSubstr("no iteration of level 1 has an output: a tile is smaller than the kernel's"));
  EXPECT_THAT(refusal(kLayer, "SpatialMap(1,1) K; Cluster(0,P); SpatialMap(1,1) C;", kHardware), HasSubstr("Cluster"));
  EXPECT_THAT(refusal(convolution(4, 4, {5, 3}, {4, 9}), "SpatialMap(1,1) K;", kHardware),
              HasSubstr("Y is 4, less than the kernel's 5"));
  EXPECT_THAT(refusal(convolution(0, 4, {1, 1}, {4, 9}), "SpatialMap(1,1) K;", kHardware), HasSubstr("K is 0"));
  EXPECT_THAT(refusal(convolution(4, 4, {1, 1}, {4, 9}, {0, 1}), "SpatialMap(1,1) K;", kHardware), HasSubstr("stride"));
  EXPECT_THAT(refusal(kLayer, "TemporalMap(1,1) K;", kHardware), HasSubstr("level 0 has 0 spatial maps"));
  EXPECT_THAT(
      refusal(kLayer, "SpatialMap(1,1) K; Cluster(2,P); SpatialMap(1,1) C; SpatialMap(3,1) Y; SpatialMap(3,1) X;",
              kHardware),
      HasSubstr("level 1 has 3 spatial maps"));
  std::string levels = "SpatialMap(1,1) K;";
  for (int i = 0; i < 5; ++i) {
    levels += "Cluster(1,P); SpatialMap(1,1) C;";
  }
  EXPECT_THAT(refusal(kLayer, levels, kHardware), HasSubstr("6 levels"));
}

TEST(MaestroAnalysis, ReportsOverflowInsteadOfWrapping) {
  const std::int64_t huge = std::int64_t{1} << 33;
  EXPECT_THAT(refusal(gemm(huge, huge, huge), "SpatialMap(1,1) N; TemporalMap(1,1) M;", kHardware),
              HasSubstr("exceed 63 bits"));
  EXPECT_THAT(refusal(gemm(std::int64_t{1} << 50, 1, 1), "SpatialMap(1,1) N;", kHardware), HasSubstr("M is"));
}

}  // namespace
}  // namespace cosearch::maestro
