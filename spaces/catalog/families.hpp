#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

/// Families of networks: plain descriptions and the graphs that they mean. The spaces decode into these, and the
/// reference networks are members of them.
namespace cosearch::catalog {

/// One inverted residual block (Sandler et al., "MobileNetV2", CVPR 2018): pointwise expansion (absent when expansion
/// is 1), depthwise convolution, linear projection; a residual Add where stride is 1 and the channels agree.
struct InvertedResidual {
  std::int64_t out_channels = 8;
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  std::int64_t expansion = 6;
  std::int64_t weight_bits = graph::kDefaultWeightBits;  ///< of all three
};

struct MobileNetV2 {
  graph::Shape input;
  std::int64_t classes = 10;
  std::int64_t stem_width = 16;  ///< 3 x 3, stride 2
  std::vector<std::vector<InvertedResidual>> stages;
  std::int64_t last_width = 128;  ///< 1 x 1 before the pooling
};
/// ReLU6, symmetric padding. Weighted nodes: `stem`, `stages.S.blocks.B.{expand,depthwise,project}`, `last`,
/// `classifier`.
[[nodiscard]] graph::NetworkGraph build(const std::string& name, const MobileNetV2& net);

/// A linear layer as a product of factors with no bias and nothing else between them: nodes `<layer>.a` (in x rank) and
/// `<layer>.b` (rank x out), or of three `<layer>.in`, `<layer>.core` (rank x rank) and `<layer>.out`.
struct LowRank {
  int factors = 1;         ///< 1 (one dense layer `<layer>`), 2 or 3
  double ratio = 1.0;      ///< rank = max(1, int(ratio * width))
  std::int64_t width = 0;  ///< 0: the smaller of the layer's inputs and outputs
};

struct TransformerBlock {
  std::int64_t heads = 4;
  double mlp_ratio = 2.0;                                ///< hidden width of the MLP over embed_dim
  std::int64_t weight_bits = graph::kDefaultWeightBits;  ///< of all linear maps
};

/// A vision transformer with pre-norm blocks and the mean over tokens before the head (Dosovitskiy et al., "An image is
/// worth 16x16 words", ICLR 2021; no class token). The head dimension is fixed, as in AutoFormer, so that heads and
/// embedding vary independently in shared weights.
struct VisionTransformer {
  graph::Shape input;
  std::int64_t classes = 10;
  std::int64_t patch = 4;
  std::int64_t padding = 0;  ///< zeros on all sides, so that the patches fit
  std::int64_t embed_dim = 64;
  std::int64_t head_dim = 16;
  std::vector<TransformerBlock> blocks = std::vector<TransformerBlock>(4);
  std::int64_t hidden_multiple = 8;  ///< hidden widths are rounded to a multiple of it
  LowRank qkv, proj, mlp;            ///< `attn.qkv`, `attn.proj`, both layers of the MLP
};
/// Weighted nodes: `patch_embed`, `position_embed`, `blocks.N.{norm1,attn.qkv,attn.proj,norm2,mlp.fc1,mlp.fc2}`,
/// `norm`, `head`; see LowRank for layers of several factors.
[[nodiscard]] graph::NetworkGraph build(const std::string& name, const VisionTransformer& net);

/// DS-CNN (Zhang et al., "Hello Edge: keyword spotting on microcontrollers", 2017): a convolution and `depth`
/// depthwise-separable blocks of one width; TensorFlow's SAME padding.
struct DepthwiseSeparableCnn {
  graph::Shape input;
  std::int64_t classes = 10;
  std::int64_t kernel_h = 3, kernel_w = 3;  ///< of the first convolution
  std::int64_t stride = 2;                  ///< of the first convolution
  std::int64_t width = 64;
  std::int64_t depth = 4;
};
/// Weighted nodes: `stem`, `blocks.N.{depthwise,pointwise}`, `classifier`.
[[nodiscard]] graph::NetworkGraph build(const std::string& name, const DepthwiseSeparableCnn& net);

/// A CIFAR-style residual network of three stages (He et al., "Deep residual learning for image recognition", CVPR
/// 2016, section 4.2) as in MLPerf Tiny: the second and third stage halve the image, and a 1 x 1 convolution with bias
/// is on the shortcut where shapes change; TensorFlow's SAME padding.
struct ResNet {
  graph::Shape input;
  std::int64_t classes = 10;
  std::int64_t stem_stride = 1;
  std::array<std::int64_t, 3> widths{16, 32, 64};  ///< the first is the stem's too
  std::array<std::int64_t, 3> depths{1, 1, 1};     ///< blocks
};
/// Weighted nodes: `stem`, `stages.S.blocks.B.{conv1,conv2,shortcut}`, `classifier`.
[[nodiscard]] graph::NetworkGraph build(const std::string& name, const ResNet& net);

/// The residual network that NASAIC searches around (Jiang et al., "Co-exploration of neural architectures and
/// heterogeneous ASIC accelerator designs targeting multiple tasks", DAC 2020): a first 3 x 3 convolution and three
/// blocks of a 3 x 3 convolution, residual layers of two 3 x 3 convolutions each, and a 2 x 2 maximum pool. Every
/// convolution has a batch norm and a ReLU. With residual layers {1, 0, 1} it is the ResNet-9 of the DAWNBench entries.
struct ResNet9 {
  graph::Shape input;
  std::int64_t classes = 10;
  std::int64_t stem_width = 32;
  std::array<std::int64_t, 3> widths{64, 128, 256};
  std::array<std::int64_t, 3> residuals{1, 0, 1};
};
/// Weighted nodes: `stem`, `blocks.B.conv`, `blocks.B.residuals.R.{conv1,conv2}`, `classifier`.
[[nodiscard]] graph::NetworkGraph build(const std::string& name, const ResNet9& net);

/// U-Net (Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015) with
/// padded convolutions and batch norms, so that the map has the image's size. Each level has two 3 x 3 convolutions and
/// twice the filters of the level above it; on the way down 2 x 2 maximum pools, on the way up nearest-neighbour
/// upsampling and the concatenation with the level's output of the way down. One level is a plain stack.
struct UNet {
  graph::Shape input;  ///< height and width are multiples of 2^(levels - 1)
  std::int64_t classes = 2;
  std::int64_t width = 16;  ///< filters of the first level
  std::int64_t levels = 4;
};
/// (height, width, classes): the logits of every pixel. Weighted nodes: `encoder.L.{conv1,conv2}`,
/// `decoder.L.{conv1,conv2}`, `classifier`.
[[nodiscard]] graph::NetworkGraph build(const std::string& name, const UNet& net);

}  // namespace cosearch::catalog
