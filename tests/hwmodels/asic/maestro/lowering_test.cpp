#include "hwmodels/asic/maestro/lowering.hpp"

#include <gtest/gtest.h>

namespace cosearch::maestro {
namespace {

/// The layer of the last einsum.
std::optional<LoweredLayer> lowered(const std::string& text) {
  const ir::Workload workload = ir::parse_workload("workload w\n" + text);
  return lower_layer(workload, workload.einsums.back());
}

void expect_extents(const Layer& layer, const std::array<std::int64_t, 4>& channels_and_kernel, Plane input) {
  EXPECT_EQ(layer[Dimension::k], channels_and_kernel[0]);
  EXPECT_EQ(layer[Dimension::c], channels_and_kernel[1]);
  EXPECT_EQ(layer[Dimension::r], channels_and_kernel[2]);
  EXPECT_EQ(layer[Dimension::s], channels_and_kernel[3]);
  EXPECT_EQ(layer[Dimension::y], input.rows);
  EXPECT_EQ(layer[Dimension::x], input.columns);
}

TEST(MaestroLowering, ConvolutionsKeepKernelAndStrideAndGetThePaddedInput) {
  const auto layer = lowered(
      "input x activation int8 [2,8,9,3]\ntensor w weight int8 [3,5,3,16]\noutput y accumulator int32 [2,4,9,16]\n"
      "einsum conv n<2 oy<4 ox<9 k<16 ky<3 kx<5 c<3 : y[n,oy,ox,k] += mul(x[n,2*oy+ky-1,ox+kx-2,c], w[ky,kx,c,k])\n");
  ASSERT_TRUE(layer.has_value());
  EXPECT_EQ(layer->layer.kind, LayerKind::convolution);
  expect_extents(layer->layer, {16, 3, 3, 5}, {3 * 2 + 3, 8 + 5});
  EXPECT_EQ(layer->layer.stride_y, 2);
  EXPECT_EQ(layer->layer.stride_x, 1);
  EXPECT_EQ(layer->repeats, 2);
}

TEST(MaestroLowering, OneChannelPerGroupIsDepthwise) {
  const auto layer = lowered(
      "input x activation int8 [1,8,8,16]\ntensor w weight int8 [3,3,16]\noutput y accumulator int32 [1,8,8,16]\n"
      "einsum dw n<1 g<16 oy<8 ox<8 ky<3 kx<3 : y[n,oy,ox,g] += mul(x[n,oy+ky-1,ox+kx-1,g], w[ky,kx,g])\n");
  ASSERT_TRUE(layer.has_value());
  EXPECT_EQ(layer->layer.kind, LayerKind::depthwise);
  expect_extents(layer->layer, {1, 16, 3, 3}, {10, 10});
  EXPECT_EQ(layer->repeats, 1);
}

TEST(MaestroLowering, AttentionProductsAreOneMatrixProductPerHead) {
  const auto layer = lowered(
      "input q activation fp16 [6,50,32]\ninput k activation fp16 [6,40,32]\noutput s activation fp16 [6,50,40]\n"
      "einsum scores h<6 i<50 j<40 d<32 : s[h,i,j] += mul(q[h,i,d], k[h,j,d])\n");
  ASSERT_TRUE(layer.has_value());
  EXPECT_EQ(layer->layer.kind, LayerKind::gemm);
  EXPECT_EQ(layer->layer[Dimension::m], 50);
  EXPECT_EQ(layer->layer[Dimension::n], 40);
  EXPECT_EQ(layer->layer[Dimension::k], 32);
  EXPECT_EQ(layer->repeats, 6);
}

TEST(MaestroLowering, OtherOperatorsAreNoLayers) {
  EXPECT_FALSE(lowered("input x activation fp16 [4]\ninput z activation fp16 [4]\noutput y activation fp16 [4]\n"
                       "einsum sum i<4 : y[i] = add(x[i], z[i])\n")
                   .has_value());
  EXPECT_FALSE(lowered("input x activation fp16 [4]\noutput y activation fp16 [4]\n"
                       "einsum clamp i<4 : y[i] = relu(x[i])\n")
                   .has_value());
}

}  // namespace
}  // namespace cosearch::maestro
