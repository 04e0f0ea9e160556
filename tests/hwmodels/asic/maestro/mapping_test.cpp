#include "hwmodels/asic/maestro/mapping.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch::maestro {
namespace {

using ::cosearch::testing::config_error_of;
using ::testing::HasSubstr;

TEST(MaestroMapping, ReadsDirectivesSymbolsAndClusters) {
  const Mapping mapping = parse_mapping(
      "// ShiDianNao\n"
      "SpatialMap(Sz(R), 1) Y; TemporalMap(8+S-1, 8) X';\n"
      "Cluster(8, P);\n"
      "SpatialMap(1,1) K;");
  ASSERT_EQ(mapping.levels.size(), 2U);
  ASSERT_EQ(mapping.levels[0].size(), 2U);
  EXPECT_TRUE(mapping.levels[0][0].spatial);
  EXPECT_EQ(mapping.levels[0][0].dimension, Dimension::y);
  EXPECT_EQ(mapping.levels[0][0].size.coefficients[index_of(Dimension::r)], 1);
  EXPECT_TRUE(mapping.levels[0][1].of_output);
  EXPECT_EQ(mapping.levels[0][1].size.constant, 7);
  EXPECT_EQ(mapping.levels[0][1].size.coefficients[index_of(Dimension::s)], 1);
  ASSERT_EQ(mapping.clusters.size(), 1U);
  EXPECT_EQ(mapping.clusters[0].constant, 8);
}

TEST(MaestroMapping, TextReadsBack) {
  for (const Template& entry : templates()) {
    for (const LayerKind kind : {LayerKind::convolution, LayerKind::depthwise, LayerKind::gemm}) {
      const Mapping mapping = parse_mapping(entry.text(kind));
      EXPECT_EQ(parse_mapping(to_text(mapping)), mapping) << entry.name << "\n" << to_text(mapping);
    }
  }
  EXPECT_EQ(to_text(parse_mapping("TemporalMap(2-Sz(R)+1,3)X';")), "TemporalMap(-Sz(R)+3, 3) X';\n");
}

TEST(MaestroMapping, TemplatesAreSortedAndUnknownNamesAreConfigErrors) {
  EXPECT_TRUE(std::ranges::is_sorted(templates(), {}, &Template::name));
  EXPECT_THAT(config_error_of([] { (void)template_named("kcp", "/mapping"); }),
              HasSubstr("/mapping: \"kcp\" is not known; known: cp_nlr, kcp_ws"));
}

TEST(MaestroMapping, WrongTextIsAConfigErrorWithItsLine) {
  const auto error_of = [](const char* text) { return config_error_of([&] { (void)parse_mapping(text); }); };
  EXPECT_THAT(error_of("SpatialMap(1,1) K;\nLoop(1,1) C;"),
              HasSubstr("line 2: expected \"TemporalMap\", \"SpatialMap\" or \"Cluster\", read \"Loop\""));
  EXPECT_THAT(error_of("SpatialMap(1,1) Q;"), HasSubstr("line 1: expected a dimension"));
  EXPECT_THAT(error_of("SpatialMap(1,1) Q;"), HasSubstr("read \"Q\""));
  EXPECT_THAT(error_of("SpatialMap(1 1) K;"), HasSubstr("expected \",\", read \"1\""));
  EXPECT_THAT(error_of("SpatialMap(1,1) K'"), HasSubstr("expected Y' or X', read \"K'\""));
  EXPECT_THAT(error_of("SpatialMap(1,1) K"), HasSubstr("expected \";\", read the end of the text"));
  EXPECT_THAT(error_of("SpatialMap(1,1) K; Cluster(8,L); SpatialMap(1,1) C;"), HasSubstr("expected \"P\", read \"L\""));
  EXPECT_THAT(error_of("SpatialMap(1,1) K; Cluster(8,P);"), HasSubstr("a directive below the last Cluster"));
  EXPECT_THAT(error_of("SpatialMap(99999999999999999999,1) K;"), HasSubstr("a 64-bit integer"));
  EXPECT_THAT(error_of(""), HasSubstr("a directive"));
}

}  // namespace
}  // namespace cosearch::maestro
