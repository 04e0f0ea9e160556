#include "spaces/catalog/blocks.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::catalog {

using graph::Builder;
using graph::Conv2d;

Conv2d convolution(const graph::Shape& input, std::int64_t out_channels, std::int64_t kernel_h, std::int64_t kernel_w,
                   std::int64_t stride, PaddingRule rule) {
  COSEARCH_CHECK(input.size() == 3, "a convolution needs (height, width, channels)");
  Conv2d conv;
  conv.out_channels = out_channels;
  conv.kernel_h = kernel_h;
  conv.kernel_w = kernel_w;
  conv.stride = stride;
  if (rule == PaddingRule::same) {
    conv.padding = graph::same_padding(input[0], input[1], kernel_h, kernel_w, stride);
  } else {
    COSEARCH_CHECK(kernel_h == kernel_w && kernel_h % 2 == 1, "symmetric padding needs an odd square kernel");
    conv.padding = graph::symmetric_padding(kernel_h);
  }
  return conv;
}

Conv2d depthwise(const graph::Shape& input, std::int64_t kernel, std::int64_t stride, PaddingRule rule) {
  Conv2d conv = convolution(input, input.back(), kernel, kernel, stride, rule);
  conv.groups = input.back();
  return conv;
}

int conv_bn(Builder& builder, const std::string& name, const Conv2d& conv, int input) {
  builder.add(name, conv, {input});
  return builder.then(name + ".bn", graph::BatchNorm{});
}

int conv_bn_act(Builder& builder, const std::string& name, const Conv2d& conv, graph::ActivationKind activation) {
  conv_bn(builder, name, conv, builder.last());
  return builder.then(name + ".act", graph::Activation{activation});
}

int depthwise_separable(Builder& builder, const std::string& name, std::int64_t out_channels, std::int64_t stride) {
  conv_bn_act(builder, name + ".depthwise", depthwise(builder.shape(builder.last()), 3, stride, PaddingRule::same),
              graph::ActivationKind::relu);
  return conv_bn_act(builder, name + ".pointwise",
                     convolution(builder.shape(builder.last()), out_channels, 1, 1, 1, PaddingRule::same),
                     graph::ActivationKind::relu);
}

void inverted_residual(Builder& builder, const std::string& name, const InvertedResidual& block) {
  const int input = builder.last();
  const std::int64_t in_channels = builder.shape(input).back();
  const auto pointwise = [&](std::int64_t out_channels) {
    Conv2d conv = convolution(builder.shape(builder.last()), out_channels, 1, 1, 1, PaddingRule::symmetric);
    conv.weight_bits = block.weight_bits;
    return conv;
  };
  if (block.expansion > 1) {
    conv_bn_act(builder, name + ".expand", pointwise(in_channels * block.expansion), graph::ActivationKind::relu6);
  }
  Conv2d window = depthwise(builder.shape(builder.last()), block.kernel, block.stride, PaddingRule::symmetric);
  window.weight_bits = block.weight_bits;
  conv_bn_act(builder, name + ".depthwise", window, graph::ActivationKind::relu6);
  const int output = conv_bn(builder, name + ".project", pointwise(block.out_channels), builder.last());
  if (block.stride == 1 && in_channels == block.out_channels) {
    builder.add(name + ".add", graph::Add{}, {output, input});
  }
}

int pooled_classifier(Builder& builder, const std::string& name, std::int64_t classes) {
  builder.then("pool", graph::GlobalAveragePool{});
  return builder.then(name, graph::Linear{{classes}, {}, true});
}

Choices choices(std::initializer_list<std::int64_t> values) { return choices(std::vector<std::int64_t>(values)); }

Choices choices(const std::vector<std::int64_t>& values) {
  Choices list;
  list.values.assign(values.begin(), values.end());
  return list;
}

Choices hundredths(int lower, int upper, int step) {
  Choices list;
  for (int value = lower; value <= upper; value += step) {
    list.values.emplace_back(static_cast<double>(value) / 100.0);
  }
  return list;
}

bool mixed_weight_bits(const JsonReader& options) {
  return options.name_of("weight_bits", "8", {"8", "mixed"}) == "mixed";
}

Param weight_bits_gene(const std::string& block, const Condition& in_network) {
  return {block + ".weight_bits", choices({4, 8}), in_network};
}

std::vector<std::int64_t> genes_from(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> genes;
  for (std::int64_t gene = first; gene < count; ++gene) {
    genes.push_back(gene);
  }
  return genes;
}

Genome extreme(const ParamSet& params, bool last) {
  Genome genome{std::vector<double>(params.size(), 0.0)};
  for (std::size_t i = 0; last && i < params.size(); ++i) {
    if (params.active(i, genome)) {
      genome.genes[i] = static_cast<double>(params.cardinality(i).value() - 1);
    }
  }
  return genome;
}

std::int64_t larger_side(const graph::Shape& image) { return std::max(image.at(0), image.at(1)); }

graph::Shape resized(const graph::Shape& image, std::int64_t side) {
  const std::int64_t larger = larger_side(image);
  const auto scaled = [&](std::int64_t extent) {
    return std::max<std::int64_t>(1, (2 * extent * side + larger) / (2 * larger));
  };
  return {scaled(image.at(0)), scaled(image.at(1)), image.at(2)};
}

void require_images(const TaskShape& task) {
  constexpr std::int64_t kSmallest = 8;
  if (task.sample.size() != 3 || task.sample[0] < kSmallest || task.sample[1] < kSmallest || task.sample[2] < 1) {
    throw ConfigError("/name", "this space needs images (height, width, channels) of at least 8 x 8 pixels");
  }
  if (task.classes < 2) {
    throw ConfigError("/name", "this space needs a task with two or more classes");
  }
}

void require_no_options(const nlohmann::json& options) {
  if (!options.is_object()) {
    throw ConfigError("", "expected an object");
  }
  if (!options.empty()) {
    const std::string key = options.begin().key();
    throw ConfigError("/" + key,
                      "\"" + key + "\" is not known; this space has no options besides \"name\" and \"genes\"");
  }
}

}  // namespace cosearch::catalog
