#include <algorithm>
#include <utility>

#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

using graph::ActivationKind;
using graph::Builder;

void add_block(Builder& builder, const std::string& name, std::int64_t width, std::int64_t stride) {
  const int input = builder.last();
  const graph::Shape shape = builder.shape(input);
  conv_bn_act(builder, name + ".conv1", convolution(shape, width, 3, 3, stride, PaddingRule::same),
              ActivationKind::relu);
  const int output =
      conv_bn(builder, name + ".conv2", convolution(builder.shape(builder.last()), width, 3, 3, 1, PaddingRule::same),
              builder.last());
  int shortcut = input;
  if (stride != 1 || shape.back() != width) {
    graph::Conv2d conv = convolution(shape, width, 1, 1, stride, PaddingRule::same);
    conv.bias = true;
    shortcut = builder.add(name + ".shortcut", conv, {input});
  }
  builder.add(name + ".add", graph::Add{}, {shortcut, output});
  builder.then(name + ".act", graph::Activation{ActivationKind::relu});
}

class ResNet8Space final : public SearchSpace {
 public:
  explicit ResNet8Space(TaskShape task) : task_(std::move(task)), params_(declare(task_)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    ResNet net;
    net.input = task_.sample;
    net.classes = task_.classes;
    net.stem_stride = params_.integer(genome, "stem.stride");
    for (std::size_t stage = 0; stage < net.widths.size(); ++stage) {
      const std::string name = "stages." + std::to_string(stage);
      net.depths[stage] = params_.integer(genome, name + ".depth");
      net.widths[stage] = net.depths[stage] == 0 ? 0 : params_.integer(genome, name + ".width");
    }
    return build("resnet8", net);
  }

  /// A larger stride makes a smaller network.
  [[nodiscard]] std::vector<Genome> corners() const override {
    Genome smallest = extreme(params_, false);
    Genome largest = extreme(params_, true);
    std::swap(smallest.genes[0], largest.genes[0]);
    return {smallest, largest};
  }

 private:
  static ParamSet declare(const TaskShape& task) {
    const bool large = std::min(task.sample[0], task.sample[1]) >= 48;
    // Only the last stage may be left out: those behind a missing one would see larger images and become dear.
    return ParamSet({{"stem.stride", large ? choices({2, 4}) : choices({1, 2}), {}},
                     {"stages.0.width", choices({8, 16}), {}},
                     {"stages.0.depth", IntegerRange{1, 2, 1}, {}},
                     {"stages.1.width", choices({16, 24, 32}), {}},
                     {"stages.1.depth", IntegerRange{1, 2, 1}, {}},
                     {"stages.2.depth", IntegerRange{0, 2, 1}, {}},
                     {"stages.2.width", choices({32, 48, 64}), {"stages.2.depth", {1, 2}}}});
  }

  TaskShape task_;
  ParamSet params_;
};

}  // namespace

graph::NetworkGraph build(const std::string& name, const ResNet& net) {
  Builder builder(name, net.input);
  conv_bn_act(builder, "stem", convolution(net.input, net.widths[0], 3, 3, net.stem_stride, PaddingRule::same),
              ActivationKind::relu);
  for (std::size_t stage = 0; stage < net.widths.size(); ++stage) {
    for (std::int64_t i = 0; i < net.depths[stage]; ++i) {
      add_block(builder, "stages." + std::to_string(stage) + ".blocks." + std::to_string(i), net.widths[stage],
                stage > 0 && i == 0 ? 2 : 1);
    }
  }
  pooled_classifier(builder, "classifier", net.classes);
  return std::move(builder).finish();
}

std::unique_ptr<SearchSpace> make_resnet8(const nlohmann::json& options, const TaskShape& task) {
  require_no_options(options);
  require_images(task);
  return std::make_unique<ResNet8Space>(task);
}

}  // namespace cosearch::catalog
