#include <utility>
#include <vector>

#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

using graph::Builder;

constexpr std::int64_t kMostLevels = 5;

/// Two 3 x 3 convolutions after the node added last.
int add_level(Builder& builder, const std::string& name, std::int64_t width) {
  for (const char* conv : {".conv1", ".conv2"}) {
    conv_bn_act(builder, name + conv,
                convolution(builder.shape(builder.last()), width, 3, 3, 1, PaddingRule::symmetric),
                graph::ActivationKind::relu);
  }
  return builder.last();
}

class UNetSpace final : public SearchSpace {
 public:
  explicit UNetSpace(TaskShape task) : task_(std::move(task)), params_(declare(task_)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    UNet net;
    net.input = task_.sample;
    net.classes = task_.classes;
    net.width = params_.integer(genome, "width");
    net.levels = params_.integer(genome, "levels");
    return build("unet", net);
  }

  [[nodiscard]] std::vector<Genome> corners() const override {
    return {extreme(params_, false), extreme(params_, true)};
  }

 private:
  /// Every level but the first halves the image, and the way up has to meet its sizes again.
  static ParamSet declare(const TaskShape& task) {
    std::int64_t levels = 1;
    for (std::int64_t cell = 2; levels < kMostLevels && task.sample[0] % cell == 0 && task.sample[1] % cell == 0;
         cell *= 2) {
      ++levels;
    }
    return ParamSet({{"levels", IntegerRange{1, levels, 1}, {}}, {"width", choices({4, 8, 16, 32, 64}), {}}});
  }

  TaskShape task_;
  ParamSet params_;
};

}  // namespace

graph::NetworkGraph build(const std::string& name, const UNet& net) {
  Builder builder(name, net.input);
  std::vector<int> skips;
  for (std::int64_t level = 0; level < net.levels; ++level) {
    const std::string prefix = "encoder." + std::to_string(level);
    if (level > 0) {
      builder.then(prefix + ".pool", graph::Pool2d{graph::PoolKind::max, 2, 2, {}});
    }
    skips.push_back(add_level(builder, prefix, net.width << level));
  }
  for (std::int64_t level = net.levels - 1; level-- > 0;) {
    const std::string prefix = "decoder." + std::to_string(level);
    const int up = builder.then(prefix + ".up", graph::Upsample{2});
    builder.add(prefix + ".concat", graph::Concat{}, {skips[static_cast<std::size_t>(level)], up});
    add_level(builder, prefix, net.width << level);
  }
  graph::Conv2d classifier;
  classifier.out_channels = net.classes;
  classifier.bias = true;
  builder.then("classifier", classifier);
  return std::move(builder).finish();
}

std::unique_ptr<SearchSpace> make_unet(const nlohmann::json& options, const TaskShape& task) {
  require_no_options(options);
  require_images(task);
  return std::make_unique<UNetSpace>(task);
}

}  // namespace cosearch::catalog
