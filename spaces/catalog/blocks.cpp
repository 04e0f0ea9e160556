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

int pooled_classifier(Builder& builder, const std::string& name, std::int64_t classes) {
  builder.then("pool", graph::GlobalAveragePool{});
  return builder.then(name, graph::Linear{{classes}, {}, true});
}

Choices choices(std::initializer_list<std::int64_t> values) {
  Choices list;
  list.values.assign(values.begin(), values.end());
  return list;
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
