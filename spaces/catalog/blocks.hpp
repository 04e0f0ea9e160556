#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

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

/// Mean over all positions and a linear layer: nodes `pool` and `name`.
int pooled_classifier(graph::Builder& builder, const std::string& name, std::int64_t classes);

// --- for the spaces --------------------------------------------------------------------------------------------

[[nodiscard]] Choices choices(std::initializer_list<std::int64_t> values);
/// The indices of all values of a domain of `count` values from `first` on, for conditions.
[[nodiscard]] std::vector<std::int64_t> genes_from(std::int64_t first, std::int64_t count);
/// All active genes at the first (or last) value of their domain. No real parameters.
[[nodiscard]] Genome extreme(const ParamSet& params, bool last);
/// @throws ConfigError unless the samples are images of at least 8 x 8 pixels with two or more classes.
void require_images(const TaskShape& task);
/// @throws ConfigError unless `options` is an empty object.
void require_no_options(const nlohmann::json& options);

}  // namespace cosearch::catalog
