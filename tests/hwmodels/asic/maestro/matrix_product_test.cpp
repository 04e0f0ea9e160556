#include "hwmodels/asic/maestro/matrix_product.hpp"

#include <gtest/gtest.h>

namespace cosearch::maestro {
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

}  // namespace
}  // namespace cosearch::maestro
