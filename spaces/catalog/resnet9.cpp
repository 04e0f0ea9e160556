#include <utility>

#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

using graph::Builder;

/// A 3 x 3 convolution with batch norm and ReLU after the node added last.
int add_layer(Builder& builder, const std::string& name, std::int64_t width) {
  return conv_bn_act(builder, name, convolution(builder.shape(builder.last()), width, 3, 3, 1, PaddingRule::symmetric),
                     graph::ActivationKind::relu);
}

class ResNet9Space final : public SearchSpace {
 public:
  explicit ResNet9Space(TaskShape task) : task_(std::move(task)), params_(declare()) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    ResNet9 net;
    net.input = task_.sample;
    net.classes = task_.classes;
    net.stem_width = params_.integer(genome, "stem.width");
    for (std::size_t block = 0; block < net.widths.size(); ++block) {
      const std::string name = "blocks." + std::to_string(block);
      net.widths[block] = params_.integer(genome, name + ".width");
      net.residuals[block] = params_.integer(genome, name + ".residuals");
    }
    return build("resnet9", net);
  }

  [[nodiscard]] std::vector<Genome> corners() const override {
    return {extreme(params_, false), extreme(params_, true)};
  }

 private:
  static ParamSet declare() {
    std::vector<Param> params{{"stem.width", choices({8, 16, 32}), {}}};
    for (std::size_t block = 0; block < ResNet9{}.widths.size(); ++block) {
      const std::string name = "blocks." + std::to_string(block);
      params.push_back({name + ".width", choices({32, 64, 128, 256}), {}});
      params.push_back({name + ".residuals", IntegerRange{0, 2, 1}, {}});
    }
    return ParamSet(std::move(params));
  }

  TaskShape task_;
  ParamSet params_;
};

}  // namespace

graph::NetworkGraph build(const std::string& name, const ResNet9& net) {
  Builder builder(name, net.input);
  add_layer(builder, "stem", net.stem_width);
  for (std::size_t block = 0; block < net.widths.size(); ++block) {
    const std::string prefix = "blocks." + std::to_string(block);
    add_layer(builder, prefix + ".conv", net.widths[block]);
    for (std::int64_t i = 0; i < net.residuals[block]; ++i) {
      const std::string residual = prefix + ".residuals." + std::to_string(i);
      const int input = builder.last();
      add_layer(builder, residual + ".conv1", net.widths[block]);
      const int output = add_layer(builder, residual + ".conv2", net.widths[block]);
      builder.add(residual + ".add", graph::Add{}, {input, output});
    }
    builder.then(prefix + ".pool", graph::Pool2d{graph::PoolKind::max, 2, 2, {}});
  }
  pooled_classifier(builder, "classifier", net.classes);
  return std::move(builder).finish();
}

std::unique_ptr<SearchSpace> make_resnet9(const nlohmann::json& options, const TaskShape& task) {
  require_no_options(options);
  require_images(task);
  return std::make_unique<ResNet9Space>(task);
}

}  // namespace cosearch::catalog
