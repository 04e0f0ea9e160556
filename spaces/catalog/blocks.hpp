#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/base/json_reader.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/space/search_space.hpp"

/// What the spaces and reference networks of the catalogue are made of.
namespace cosearch::catalog {

/// Where the zeros of a padded convolution go. Both give ceil(size / stride) positions; for odd kernels they differ in
/// which side gets the odd pixel.
enum class PaddingRule { same, symmetric };

/// A convolution whose output has ceil(size / stride) positions; weights without bias, as batch norm follows.
[[nodiscard]] graph::Conv2d convolution(const graph::Shape& input, std::int64_t out_channels, std::int64_t kernel_h,
                                        std::int64_t kernel_w, std::int64_t stride, PaddingRule rule);
/// The same with one group per channel.
[[nodiscard]] graph::Conv2d depthwise(const graph::Shape& input, std::int64_t kernel, std::int64_t stride,
                                      PaddingRule rule);

/// Nodes `name` and `name.bn`. Returns the last node's index.
int conv_bn(graph::Builder& builder, const std::string& name, const graph::Conv2d& conv, int input);
/// Nodes `name`, `name.bn` and `name.act` after the node added last.
int conv_bn_act(graph::Builder& builder, const std::string& name, const graph::Conv2d& conv,
                graph::ActivationKind activation);

/// Depthwise convolution and pointwise convolution, each with batch norm and ReLU (MobileNetV1, DS-CNN): nodes
/// `name.depthwise`, `name.pointwise`, ...
int depthwise_separable(graph::Builder& builder, const std::string& name, std::int64_t out_channels,
                        std::int64_t stride);

/// Nodes `name.{expand,depthwise,project}` and `name.add` as InvertedResidual has them, after the node added last;
/// ReLU6, symmetric padding.
void inverted_residual(graph::Builder& builder, const std::string& name, const InvertedResidual& block);

/// Mean over all positions and a linear layer: nodes `pool` and `name`.
int pooled_classifier(graph::Builder& builder, const std::string& name, std::int64_t classes);

// --- for the spaces --------------------------------------------------------------------------------------------

[[nodiscard]] Choices choices(std::initializer_list<std::int64_t> values);
[[nodiscard]] Choices choices(const std::vector<std::int64_t>& values);
/// lower, lower + step, ..., upper hundredths.
[[nodiscard]] Choices hundredths(int lower, int upper, int step);
/// The option `weight_bits` of spaces whose blocks can have weights of 4 bits: "8" (default: all have 8) or "mixed"
/// (true: a gene for each block). What is behind the data and before the classes stays at 8.
[[nodiscard]] bool mixed_weight_bits(const JsonReader& options);
/// The gene `<block>.weight_bits`.
[[nodiscard]] Param weight_bits_gene(const std::string& block, const Condition& in_network);
/// The indices of all values of a domain of `count` values from `first` on, for conditions.
[[nodiscard]] std::vector<std::int64_t> genes_from(std::int64_t first, std::int64_t count);
/// All active genes at the first (or last) value of their domain. No real parameters.
[[nodiscard]] Genome extreme(const ParamSet& params, bool last);
/// The larger of an image's height and width.
[[nodiscard]] std::int64_t larger_side(const graph::Shape& image);
/// The image's shape with its larger side set to `side`, the other one in proportion (rounded, at least 1).
[[nodiscard]] graph::Shape resized(const graph::Shape& image, std::int64_t side);
/// @throws ConfigError unless the samples are images of at least 8 x 8 pixels with two or more classes.
void require_images(const TaskShape& task);
/// @throws ConfigError unless `options` is an empty object.
void require_no_options(const nlohmann::json& options);

}  // namespace cosearch::catalog
