#include "hwmodels/asic/matmul.hpp"

#include <gtest/gtest.h>

#include <set>

namespace cosearch::asic {
namespace {

ir::Workload depthwise() {
  return ir::parse_workload(
      "workload w\n"
      "input x activation int8 [1,6,6,8]\n"
      "tensor w weight int8 [3,3,8]\n"
      "output y activation int8 [1,4,4,8]\n"
      "einsum dw n<1 oy<4 ox<4 g<8 ky<3 kx<3 : y[n,oy,ox,g] += mul(x[n,oy+ky,ox+kx,g], w[ky,kx,g])\n");
}

TEST(MatrixProduct, SortsTheLoopsOfADepthwiseConvolution) {
  const ir::Workload workload = depthwise();
  const auto product = matrix_product(workload.einsums[0], 1);
  ASSERT_TRUE(product.has_value());
  EXPECT_EQ(product->groups.loops, std::vector<int>{3});
  EXPECT_EQ(product->rows.loops, (std::vector<int>{0, 1, 2}));
  EXPECT_TRUE(product->columns.loops.empty());
  EXPECT_EQ(product->reduction.extent, 9);
  EXPECT_EQ(workload.tensors[static_cast<std::size_t>(product->stationary->tensor)].name, "w");
}

TEST(MatrixProduct, OtherEinsumsAreNone) {
  const ir::Workload workload = ir::parse_workload(
      "workload w\n"
      "input x activation int8 [4]\n"
      "output y activation int8 [4]\n"
      "einsum e i<4 : y[i] = relu(x[i])\n");
  EXPECT_FALSE(matrix_product(workload.einsums[0], 0).has_value());
  EXPECT_FALSE(matrix_product(workload.einsums[0], 1).has_value());
}

TEST(MatrixProduct, BlockingsTileTheLoopsExactly) {
  const ir::Workload workload = depthwise();
  for (const std::vector<int>& loops : std::vector<std::vector<int>>{{0, 1, 2}, {3}, {4, 5}, {1, 3, 4}, {0}, {}}) {
    LoopSet set;
    for (const int loop : loops) {
      set.loops.push_back(loop);
      set.extent *= workload.einsums[0].loops[static_cast<std::size_t>(loop)].extent;
    }
    std::set<std::vector<std::int64_t>> seen;
    const std::vector<Blocking> list = blockings(workload.einsums[0], set);
    ASSERT_FALSE(list.empty());
    EXPECT_EQ(list.front().size, set.extent) << "the whole comes first";
    EXPECT_EQ(list.back().size, 1) << "and single iterations last";
    for (const Blocking& blocking : list) {
      EXPECT_TRUE(seen.insert(blocking.extents).second) << "twice the same";
      EXPECT_EQ(blocking.size * (blocking.blocks - blocking.rests) + blocking.rest * blocking.rests, set.extent);
      std::int64_t size = 1;
      for (const std::int64_t extent : blocking.extents) {
        size *= extent;
      }
      EXPECT_EQ(size, blocking.size);
    }
  }
}

}  // namespace
}  // namespace cosearch::asic
