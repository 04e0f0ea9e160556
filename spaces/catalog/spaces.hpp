#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "spaces/space/search_space.hpp"

/// The spaces of the catalogue, see SpaceEntry::make. Places of errors are relative to the space's part of the config.
namespace cosearch::catalog {

/// Inverted residuals in three stages; genes `resolution`, `stem.width`, `stages.S.{depth,width,kernel,expansion}`,
/// `last.width`. A stage of depth 0 is left out.
[[nodiscard]] std::unique_ptr<SearchSpace> make_mobile_cnn(const nlohmann::json& options, const TaskShape& task);
/// Vision transformers; genes `patch`, `embed_dim`, `depth`, `heads`, `mlp_ratio`, `low_rank` (1: dense layers).
[[nodiscard]] std::unique_ptr<SearchSpace> make_vit(const nlohmann::json& options, const TaskShape& task);
/// MCUFormer's transformers (Liang et al., "MCUFormer: deploying vision transformers on microcontrollers with limited
/// memory", NeurIPS 2023), whose layers are products of low rank; genes `patch`, `embed_dim`, `depth`,
/// `blocks.N.{heads,mlp_ratio}` (of the blocks that `depth` has), `rank_attn`, `rank_mlp`, `factors`.
///
/// Layers have `factors` factors: 2 as in the authors' later code (qkv and MLP; the projection behind the heads is
/// dense), 3 as in their first (qkv, projection and MLP). The MLP's rank is int(embed_dim * rank_mlp), the attention's
/// int(width * rank_attn) with the width by the option `rank_of`: "own" (default, the later code) is embed_dim,
/// "largest" the largest embed_dim that the space has (the first code: that of the supernet). Heads have `head_dim`
/// features (option) whatever embed_dim; hidden widths are embed_dim * mlp_ratio. With the option `weight_bits` "mixed"
/// (default "8") each block has a gene `blocks.N.weight_bits` in {4, 8} for all its linear maps. Images that a patch
/// does not divide get the least padding by zeros that makes it do so, see PatchTiling. Unlike the original there is no
/// class token (the head takes the mean over the tokens there too), and positions are absolute, not relative.
///
/// Images of 160 x 160 pixels or more have the published sets of values (of MCUFormer-T; patches 16 to 32, head_dim
/// 64), smaller ones sets scaled down: patches as in `vit`, 32 to 80 features, 2 to 5 blocks, head_dim 16.
[[nodiscard]] std::unique_ptr<SearchSpace> make_mcu_vit(const nlohmann::json& options, const TaskShape& task);
/// Vision transformers with mixtures of experts for one or several tasks, after M3ViT (Liang et al., NeurIPS 2022),
/// whose ViT-small does not fit small images: genes `patch`, `embed_dim`, `depth` (3 to 6), `moe` (which blocks have
/// experts in place of the MLP: none, every_second as in M3ViT, the last_half, all), `experts`, `top_k` (no more than
/// the fewest experts), `expert_ratio` (hidden width of an expert over embed_dim), `mlp_ratio` (of the other blocks),
/// for several tasks `routing` (a router for each task, or one conditioned on the task), and `blocks.N.heads`. top_k *
/// expert_ratio = mlp_ratio is as much work for a token as without experts. Patches as in `vit`; where a task is about
/// pixels, those that cut the image without padding or resizing. Options: `balance` (weight of the load-balancing loss,
/// default 0.01) and `noise` (of the routers in training, default 0), see graph::MoeFfn.
[[nodiscard]] std::unique_ptr<SearchSpace> make_moe_vit(const nlohmann::json& options, const TaskShape& task);
/// MCUNet's networks (Lin et al., "MCUNet: tiny deep learning on IoT devices", NeurIPS 2020): a 3 x 3 convolution, an
/// inverted residual without expansion and six groups of inverted residuals, of 24, 40, 80, 96, 192 and 320 channels
/// times `width`, each in multiples of 8. Genes `resolution`, `width`, `groups.G.depth` (2 to 4; the last group has one
/// block) and `groups.G.blocks.B.{kernel,expansion}` of the blocks that the depth has. The eight networks mcunet-* of
/// tests/data/mcunet_cfg are members, structures of the int4 ones too. Those named proxyless and mbv2 are not: they
/// have other widths in some groups and a further convolution before the pooling.
///
/// Widths are 0.2, 0.3, ..., 1. Images whose larger side has 96 pixels or more have the resolutions 48, 64, ..., 224
/// and their own, and the width 1.5 (that of the largest published network) too; smaller ones their own resolution and
/// up to three multiples of it. With the option `weight_bits` "mixed" (default "8") each block has a gene
/// `<block>.weight_bits` in {4, 8} for its convolutions, also `first_block`.
[[nodiscard]] std::unique_ptr<SearchSpace> make_mcunet(const nlohmann::json& options, const TaskShape& task);
/// One of several spaces: gene `family`, and the genes of each as `<family>.*`. Option `families`: which and in which
/// order, of `cnn` (mobile_cnn), `mcu_vit`, `mcunet` and `vit`; default ["cnn", "vit"]. Option `options`: those of the
/// families, {"mcunet": {"weight_bits": "mixed"}}. Networks and their weights' names are those of the spaces, so a
/// network found here is the same network there; `vit` and `mcu_vit` have common names, and so share these weights in a
/// supernet.
[[nodiscard]] std::unique_ptr<SearchSpace> make_hybrid(const nlohmann::json& options, const TaskShape& task);
/// Depthwise-separable CNNs; genes `stem.kernel_h`, `stem.kernel_w`, `width`, `depth`.
[[nodiscard]] std::unique_ptr<SearchSpace> make_ds_cnn(const nlohmann::json& options, const TaskShape& task);
/// Residual networks around ResNet8; genes `stem.stride`, `stages.S.{width,depth}`.
[[nodiscard]] std::unique_ptr<SearchSpace> make_resnet8(const nlohmann::json& options, const TaskShape& task);
/// NASAIC's residual networks; genes `stem.width` (FN0), `blocks.B.{width,residuals}` (FN, SK). The sets of values are
/// the paper's as remembered, not read; its search on STL-10 has more and deeper blocks.
[[nodiscard]] std::unique_ptr<SearchSpace> make_resnet9(const nlohmann::json& options, const TaskShape& task);
/// U-Nets that give logits for every pixel; genes `levels` (1 to 5, as far as both sides of the image can be halved
/// without a rest; one value is a gene all the same) and `width` (filters of the first level). After NASAIC's space for
/// segmentation, whose sets of values are remembered, not read.
[[nodiscard]] std::unique_ptr<SearchSpace> make_unet(const nlohmann::json& options, const TaskShape& task);

/// Parameters and a network template from the config:
///
///   "params": [{"name": "width", "choices": [8, 16, 32]},             numbers or strings
///              {"name": "depth", "min": 0, "max": 4, "step": 1},      integers; step 1 unless given
///              {"name": "ratio", "min": 0.1, "max": 1, "real": true, "logarithmic": true},
///              {"name": "kernel", "choices": [3, 5], "active_when": {"depth": [1, 2, 3, 4]}}],
///   "input": [28, 28, 1],                                             the task's sample shape unless given
///   "template": [
///     {"name": "stem", "op": "conv2d", "out_channels": "$width", "kernel_h": 3, "kernel_w": 3, "padding": "same"},
///     {"repeat": "$depth", "index": "i", "nodes": [
///       {"name": "blocks.{$i}.conv", "op": "conv2d", ...},
///       {"name": "blocks.{$i}.add", "op": "add", "inputs": ["@previous", "@group"], "when": "$i > 0"}]},
///     ...]
///
/// Nodes are those of the graph's JSON form. In every field a string with a `$` is an expression (see Expression) over
/// the genes, the indices of repeats around it, `$classes`, `$sample.height`, `$sample.width` and `$sample.channels`;
/// results of reals that are whole numbers count as integers. In names and inputs, expressions stand in braces.
/// `inputs` is the node before, `@previous`, unless given; `@group` is the node before this repetition of the group.
/// `padding` may be "same" (TensorFlow's) or "symmetric". `repeat` (default 1) and `when` (default 1) belong to nodes
/// and groups; `when` sees the index. The last node is the output and must have the shape (classes).
///
/// At construction every expression is parsed and its variables are looked up; all corners and either all genomes or,
/// where there are more than a few hundred, a fixed sample of them are decoded. @throws ConfigError there, and from
/// `decode` for a genome outside the sample whose network is wrong. `corners` holds, for each combination of string
/// choices, the genomes with all numbers at their lower and at their upper ends.
[[nodiscard]] std::unique_ptr<SearchSpace> make_custom(const nlohmann::json& options, const TaskShape& task);

}  // namespace cosearch::catalog
