// Named sizes of the text form: what they mean, what may be set, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "spaces/base/config_error.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::ir {
namespace {

using testing::HasSubstr;
using Overrides = std::map<std::string, std::int64_t>;

constexpr const char* kBlocks = R"(workload blocks
size M 1024
size M0 256
size M1 M/M0
size last (M1+1)*2 - M1 - 2
input k activation fp16 [M,3]
tensor kept activation fp16 [M1+1,M0,3]
output y activation fp16 [M0]
iteration m1<M1
einsum keep over m1 m1<M1 m0<M0 e<3 : kept[m1+1,m0,e] = copy(k[M0*m1+m0,e])
einsum other over m1 m1<M1 m0<M0 e<3 : kept[m1+1,m0,e] += div(k[m1*M0+m0,e], M)
einsum end final m0<M0 : y[m0] = copy(kept[last,m0,2*M1-2*M1+2])
)";

TEST(WorkloadSizes, StandWhereverTheGrammarHasAnExtentACoefficientOrAnOffset) {
  EXPECT_EQ(to_text(parse_workload(kBlocks)), R"(workload blocks
input k activation fp16 [1024,3]
tensor kept activation fp16 [5,256,3]
output y activation fp16 [256]
iteration m1<4
einsum keep over m1 m1<4 m0<256 e<3 : kept[m1+1,m0,e] = copy(k[256*m1+m0,e])
einsum other over m1 m1<4 m0<256 e<3 : kept[m1+1,m0,e] += div(k[256*m1+m0,e], 1024)
einsum end final m0<256 : y[m0] = copy(kept[4,m0,2])
)");
}

TEST(WorkloadSizes, OverridesReachWhatFollowsFromThem) {
  const Workload workload = parse_workload(kBlocks, {{"M", 60}, {"M0", 20}});
  EXPECT_EQ(workload.tensors[0].shape, (std::vector<std::int64_t>{60, 3}));
  EXPECT_EQ(workload.tensors[1].shape, (std::vector<std::int64_t>{4, 20, 3}));
  EXPECT_EQ(workload.iterations[0].extent, 3);
  EXPECT_EQ(parse_workload(to_text(workload)), workload);
}

TEST(WorkloadSizes, ALoopHidesTheSizeOfItsName) {
  const Workload workload = parse_workload(
      "workload w\nsize i 7\nsize j 2\noutput y activation fp32 [i,j]\neinsum e i<i j<j : y[i,j] = copy(j)\n");
  EXPECT_EQ(to_text(workload), "workload w\noutput y activation fp32 [7,2]\neinsum e i<7 j<2 : y[i,j] = copy(2)\n");
}

std::string refusal(const std::string& statements, const Overrides& overrides = {}) {
  try {
    (void)parse_workload("workload w\nsize M 10\nsize N M*2\n" + statements + "\n", overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "parsed";
}

TEST(WorkloadSizes, WrongDeclarationsAreRefusedWithTheLine) {
  EXPECT_EQ(refusal("size Q M/4"), "line 4: 10 / 4 leaves a remainder of 2, allowed: exact divisions");
  EXPECT_EQ(refusal("size Q M/(N-2*M)"), "line 4: 10 / 0: a division by zero");
  EXPECT_EQ(refusal("size Q 9223372036854775807*M"), "line 4: the value does not fit in 64 bits");
  EXPECT_EQ(refusal("size Q 9223372036854775807+M"), "line 4: the value does not fit in 64 bits");
  EXPECT_EQ(refusal("size Q (0-9223372036854775807-1)/-1"), "line 4: the value does not fit in 64 bits");
  EXPECT_EQ(refusal("size Q 5-(0-9223372036854775807-1)"), "line 4: the value does not fit in 64 bits");
  EXPECT_EQ(refusal("size Q (M"), "line 4: read the end of the line, allowed: \")\"");
  EXPECT_EQ(refusal("size Q M*"), "line 4: read the end of the line, allowed: a number, a size or (");
  EXPECT_EQ(refusal("size Q P"), "line 4: size: \"P\" is not known; known: M, N; did you mean \"M\"?");
  EXPECT_EQ(refusal("size M 3"), "line 4: size \"M\" is already there, allowed: a new name");
  EXPECT_EQ(refusal("size 3 M"), "line 4: read \"3 M\", allowed: the size's name");
  EXPECT_EQ(refusal("size Q M N"), "line 4: read \"N\", allowed: the end of the line");
}

TEST(WorkloadSizes, WrongUsesAreRefusedWithTheLine) {
  EXPECT_EQ(refusal("tensor z weight fp32 [MM]"),
            "line 4: size: \"MM\" is not known; known: M, N; did you mean \"M\"?");
  EXPECT_EQ(refusal("tensor z weight fp32 [M-N]"), "line 4: tensor \"z\": every extent is at least 1");
  const std::string output = "output y activation fp32 [M]\neinsum e i<M j<2 : y[";
  EXPECT_THAT(refusal(output + "P] += copy(1)"),
              HasSubstr("line 5: loop or size: \"P\" is not known; known: i, j, M, N"));
  EXPECT_THAT(refusal(output + "\"M\"] += copy(1)"), HasSubstr("line 5: loop or size: \"M\" is not known"));
  EXPECT_THAT(refusal(output + "i*j] += copy(1)"), HasSubstr("line 5: loop \"j\" multiplies another loop"));
  EXPECT_THAT(refusal(output + "9223372036854775807*M*i] += copy(1)"), HasSubstr("line 5: the offset does not fit"));
}

TEST(WorkloadSizes, OnlyPlainDeclaredSizesCanBeSet) {
  EXPECT_EQ(refusal("", {{"M", 12}}), "parsed");
  EXPECT_EQ(refusal("", {{"N", 12}}), "line 3: size \"N\" follows from others and cannot be set, allowed: M");
  EXPECT_EQ(refusal("", {{"Q", 12}}), "size Q: \"Q\" is not known; known: M; did you mean \"M\"?");
  EXPECT_EQ(refusal("size Q 2*3", {{"Q", 12}}), "parsed");
  EXPECT_THROW((void)parse_workload("workload w\n", {{"M", 1}}), ConfigError);
}

}  // namespace
}  // namespace cosearch::ir
