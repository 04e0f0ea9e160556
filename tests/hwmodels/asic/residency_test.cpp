#include "hwmodels/asic/residency.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cosearch::asic {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

/// x -> product -> + b -> relu -> squared by a second product with itself.
ir::Workload chain() {
  return ir::parse_workload(
      "workload chain\ninput x activation int8 [4,6]\ntensor w weight int8 [6,8]\ntensor b weight int8 [8]\n"
      "tensor p activation int8 [4,8]\ntensor s activation int8 [4,8]\ntensor r activation int8 [4,8]\n"
      "output y activation int8 [4,4]\n"
      "einsum product m<4 n<8 k<6 : p[m,n] += mul(x[m,k], w[k,n])\n"
      "einsum bias m<4 n<8 : s[m,n] = add(p[m,n], b[n])\n"
      "einsum relu m<4 n<8 : r[m,n] = relu(s[m,n])\n"
      "einsum square i<4 j<4 k<8 : y[i,j] += mul(r[i,k], r[j,k])\n");
}

TEST(Fusion, ElementWiseEinsumsFuseWithTheirOnlyProducer) {
  EXPECT_THAT(fused_with_next(chain()), ElementsAre(true, true, false, false));
}

TEST(Fusion, SeveralReadersOutputsAndTransposesDoNotFuse) {
  ir::Workload workload = chain();
  workload.outputs.push_back(3);  // p: the caller wants it
  EXPECT_THAT(fused_with_next(workload), ElementsAre(false, true, false, false));
  workload = ir::parse_workload(
      "workload two\ninput x activation int8 [4,4]\ntensor p activation int8 [4,4]\ntensor q activation int8 [4,4]\n"
      "output y activation int8 [4,4]\n"
      "einsum first i<4 j<4 : p[i,j] = relu(x[i,j])\n"
      "einsum second i<4 j<4 : q[i,j] = relu(p[j,i])\n"
      "einsum third i<4 j<4 : y[i,j] = add(q[i,j], p[i,j])\n");
  EXPECT_THAT(fused_with_next(workload), ElementsAre(false, true, false));
}

TEST(Residency, KeepsWhatIsReadLaterWhileItFits) {
  const ir::Workload workload = chain();
  Residency residency(workload, 32, 8);
  residency.enter(0, 5);  // r, which the fused chain leaves behind
  EXPECT_TRUE(residency.holds(5));
  EXPECT_EQ(residency.used_bytes(), 32);
  EXPECT_THAT(residency.buffers(), ElementsAre(Pair("r", 32)));
  residency.enter(1, 4);
  EXPECT_FALSE(residency.holds(4)) << "no room";
  residency.leave(2);
  EXPECT_TRUE(residency.holds(5));
  residency.enter(3, 6);
  EXPECT_FALSE(residency.holds(6)) << "an output leaves the chip";
  residency.leave(3);
  EXPECT_FALSE(residency.holds(5));
  EXPECT_EQ(residency.used_bytes(), 0);
}

TEST(Residency, WhatIsReleasedMakesRoom) {
  const ir::Workload workload = chain();
  Residency residency(workload, 32, 8);
  residency.enter(0, 5);
  residency.release(5);
  residency.release(5);
  EXPECT_FALSE(residency.holds(5));
  EXPECT_EQ(residency.used_bytes(), 0);
}

TEST(Residency, WideWordsTakeMoreRoom) {
  const ir::Workload workload = chain();
  Residency residency(workload, 32, 16);
  residency.enter(0, 5);
  EXPECT_FALSE(residency.holds(5));
}

}  // namespace
}  // namespace cosearch::asic
