#include "hwmodels/asic/loop_nest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spaces/base/rng.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch::asic {
namespace {

using ::testing::AllOf;
using testing::config_error_of;
using ::testing::HasSubstr;

ir::Workload product() {
  return ir::parse_workload(
      "workload g\ninput x activation int16 [50,20]\ntensor \"the w\" weight int16 [20,30]\n"
      "output y activation int16 [50,30]\neinsum g m<50 k<20 n<30 : y[m,n] += mul(x[m,k], \"the w\"[k,n])\n");
}

const char* const kText =
    "DRAM [ x \"the w\" y ]\n"
    "  for m in [0:4) covering 50\n"
    "Buffer [ x y ]\n"
    "  for n in [0:3) covering 30\n"
    "    for m in [0:2)\n"
    "      for k in [0:2) (spatial x)\n"
    "        for n in [0:7) (spatial y)\n"
    "RegFile [ \"the w\" ]\n"
    "  for k in [0:10)\n"
    "    for m in [0:8)\n"
    "      for n in [0:2)\n";

TEST(LoopNest, TextAndNestAreInverse) {
  const Arch arch = load_arch("ws_16x16", "");
  const ir::Workload workload = product();
  const LoopNest nest = parse_nest(kText, workload, workload.einsums[0], arch);
  EXPECT_EQ(to_text(nest, workload, workload.einsums[0], arch), kText);
  EXPECT_EQ(nest.levels[2].loops()[0], (NestLoop{0, LoopKind::temporal, 50}));
  EXPECT_EQ(nest.levels[1].loops()[0], (NestLoop{2, LoopKind::temporal, 30}));
  EXPECT_EQ(nest.levels[1].loops()[3], (NestLoop{2, LoopKind::spatial_y, 14}));
  EXPECT_EQ(nest.levels[0].loops()[1], (NestLoop{0, LoopKind::temporal, 8}));
  EXPECT_TRUE(nest.levels[0].keeps(1));
  EXPECT_FALSE(nest.levels[1].keeps(1));
  EXPECT_EQ(parse_nest(std::string("# a comment\n\n") + kText, workload, workload.einsums[0], arch), nest);
}

TEST(LoopNest, MistakesNameTheirLine) {
  const Arch arch = load_arch("ws_16x16", "");
  const ir::Workload workload = product();
  const auto error_of = [&](const std::string& old_text, const std::string& new_text) {
    std::string text = kText;
    text.replace(text.find(old_text), old_text.size(), new_text);
    return config_error_of([&] { (void)parse_nest(text, workload, workload.einsums[0], arch); });
  };
  EXPECT_THAT(error_of("for m", "for z"), AllOf(HasSubstr("line 2"), HasSubstr("\"z\" is not known; known: m, k, n")));
  EXPECT_THAT(error_of("[0:4)", "[1:4)"), AllOf(HasSubstr("line 2"), HasSubstr("read \"1\"")));
  EXPECT_THAT(error_of("[0:4)", "[0:0)"), AllOf(HasSubstr("line 2"), HasSubstr("a positive number")));
  EXPECT_THAT(error_of("covering 50", "covering 48 49"), AllOf(HasSubstr("line 2"), HasSubstr("read \"49\"")));
  EXPECT_THAT(error_of("covering 50", "covering 65"), AllOf(HasSubstr("line 2"), HasSubstr("49 to 64 values")));
  EXPECT_THAT(error_of("covering 50", "covering 51"), HasSubstr("covers 51 values of m, the einsum has 50"));
  EXPECT_THAT(error_of("Buffer", "Bufer"), AllOf(HasSubstr("line 3"), HasSubstr("did you mean \"Buffer\"")));
  EXPECT_THAT(error_of("Buffer [ x y", "Buffer [ x q"), AllOf(HasSubstr("line 3"), HasSubstr("\"q\" is not known")));
  EXPECT_THAT(error_of("\"the w\" ]\n  for k", "\"the w ]\n  for k"), AllOf(HasSubstr("line 8"), HasSubstr("no end")));
  EXPECT_THAT(error_of("(spatial x)", "(spatial z)"), AllOf(HasSubstr("line 6"), HasSubstr("read \"z\"")));
  EXPECT_THAT(error_of("DRAM [ x \"the w\" y ]", "DRAM [ x y ]"), HasSubstr("DRAM does not keep every tensor"));
  EXPECT_THAT(error_of("[0:4) covering 50", "[0:9223372036854775807)"), HasSubstr("do not fit in 64 bits"));
  EXPECT_THAT(error_of("RegFile", "DRAM"), HasSubstr("line 8"));
  EXPECT_THAT(
      config_error_of([&] { (void)parse_nest("DRAM [ x \"the w\" y ]\n", workload, workload.einsums[0], arch); }),
      HasSubstr("level Buffer is missing"));
  EXPECT_THAT(error_of("[0:2)\n      for k in [0:2) (spatial x)", "[0:2) (spatial x)\n      for k in [0:2)"),
              HasSubstr("Buffer has a spatial loop outside of a temporal one"));
}

TEST(LoopNest, AnUnevenSplitOverBothDirectionsIsRefused) {
  const Arch arch = load_arch("ws_16x16", "");
  const ir::Workload workload = product();
  LoopNest nest = parse_nest(kText, workload, workload.einsums[0], arch);
  LevelNest level;
  level.kept = nest.levels[1].kept;
  level.add(0, LoopKind::temporal, 16);
  level.add(2, LoopKind::spatial_x, 30);
  level.add(1, LoopKind::spatial_x, 20);
  level.add(2, LoopKind::spatial_y, 15);
  nest.levels[1] = level;
  EXPECT_THAT(structure_error(nest, workload.einsums[0], arch, 3).value_or(""), HasSubstr("splits n over x and y"));
}

TEST(LoopNest, RolesFollowTheKindsOfTheTensors) {
  const ir::Workload workload = product();
  const auto tensors = einsum_tensors(workload, workload.einsums[0]);
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors[0].role, Role::input);
  EXPECT_EQ(tensors[1].role, Role::weight);
  EXPECT_EQ(tensors[2].role, Role::output);
  const ir::Workload attention = ir::parse_workload(
      "workload a\ninput q activation int8 [4,4]\ninput k activation int8 [4,4]\noutput s activation int8 [4,4]\n"
      "einsum s m<4 n<4 e<4 : s[m,n] += mul(q[m,e], k[n,e])\n");
  EXPECT_EQ(einsum_tensors(attention, attention.einsums[0])[1].role, Role::weight);
}

TEST(LoopNest, EinsumsThatCannotBeMappedSayWhy) {
  const auto error_of = [](const std::string& einsum) {
    const ir::Workload workload = ir::parse_workload(
        "workload a\ninput x activation int8 [9,9]\ninput z activation int8 [9,9]\noutput y activation int8 [9,9]\n"
        "einsum e " +
        einsum + "\n");
    return config_error_of([&] { (void)einsum_tensors(workload, workload.einsums[0]); });
  };
  EXPECT_THAT(error_of("a<3 b<3 : y[a,b] = add(x[a,b], z[a,b])"), HasSubstr("not a multiply-accumulate"));
  EXPECT_THAT(error_of("a<3 b<3 : y[a,b] += mul(x[a,a], z[a,b])"), HasSubstr("several axes"));
  EXPECT_THAT(error_of("a<3 b<3 c<2 : y[a,b] += mul(x[a+b+c,0], z[a,b])"), HasSubstr("adds 3 loops"));
  EXPECT_THAT(error_of("a<3 b<3 c<2 : y[a+b,0] += mul(x[a,c], z[b,c])"), HasSubstr("output axis"));
}

}  // namespace
}  // namespace cosearch::asic
