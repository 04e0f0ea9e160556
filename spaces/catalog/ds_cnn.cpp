#include <algorithm>
#include <utility>

#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

class DsCnnSpace final : public SearchSpace {
 public:
  explicit DsCnnSpace(TaskShape task) : task_(std::move(task)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    DepthwiseSeparableCnn net;
    net.input = task_.sample;
    net.classes = task_.classes;
    net.kernel_h = params_.integer(genome, "stem.kernel_h");
    net.kernel_w = params_.integer(genome, "stem.kernel_w");
    // All blocks run at the stem's resolution, so large images are cut down more.
    net.stride = std::min(task_.sample[0], task_.sample[1]) >= 48 ? 4 : 2;
    net.width = params_.integer(genome, "width");
    net.depth = params_.integer(genome, "depth");
    return build("ds_cnn", net);
  }

  [[nodiscard]] std::vector<Genome> corners() const override {
    return {extreme(params_, false), extreme(params_, true)};
  }

 private:
  TaskShape task_;
  ParamSet params_{{{"stem.kernel_h", choices({3, 5, 7, 10}), {}},
                    {"stem.kernel_w", choices({3, 4, 5, 7}), {}},
                    {"width", choices({16, 24, 32, 48, 64, 80, 96}), {}},
                    {"depth", IntegerRange{1, 6, 1}, {}}}};
};

}  // namespace

graph::NetworkGraph build(const std::string& name, const DepthwiseSeparableCnn& net) {
  graph::Builder builder(name, net.input);
  conv_bn_act(builder, "stem",
              convolution(net.input, net.width, net.kernel_h, net.kernel_w, net.stride, PaddingRule::same),
              graph::ActivationKind::relu);
  for (std::int64_t i = 0; i < net.depth; ++i) {
    depthwise_separable(builder, "blocks." + std::to_string(i), net.width, 1);
  }
  pooled_classifier(builder, "classifier", net.classes);
  return std::move(builder).finish();
}

std::unique_ptr<SearchSpace> make_ds_cnn(const nlohmann::json& options, const TaskShape& task) {
  require_no_options(options);
  require_images(task);
  return std::make_unique<DsCnnSpace>(task);
}

}  // namespace cosearch::catalog
