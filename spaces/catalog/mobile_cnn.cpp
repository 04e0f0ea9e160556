#include <algorithm>
#include <cmath>
#include <utility>

#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

using graph::Builder;

constexpr std::int64_t kStages = 3;

class MobileCnn final : public SearchSpace {
 public:
  explicit MobileCnn(TaskShape task) : task_(std::move(task)), params_(declare(task_)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    MobileNetV2 net;
    net.input = resized(task_.sample, params_.integer(genome, "resolution"));
    net.classes = task_.classes;
    net.stem_width = params_.integer(genome, "stem.width");
    net.last_width = params_.integer(genome, "last.width");
    for (std::int64_t stage = 0; stage < kStages; ++stage) {
      const std::string name = "stages." + std::to_string(stage);
      std::vector<InvertedResidual> blocks;
      for (std::int64_t i = 0; i < params_.integer(genome, name + ".depth"); ++i) {
        InvertedResidual block;
        block.out_channels = params_.integer(genome, name + ".width");
        block.kernel = params_.integer(genome, name + ".kernel");
        block.stride = i == 0 ? stage_stride(task_, stage) : 1;
        block.expansion = params_.integer(genome, name + ".expansion");
        blocks.push_back(block);
      }
      net.stages.push_back(std::move(blocks));
    }
    return build("mobile_cnn", net);
  }

  [[nodiscard]] std::vector<Genome> corners() const override {
    return {extreme(params_, false), extreme(params_, true)};
  }

 private:
  /// The first stage keeps the resolution of small images; from 48 pixels on it halves it like the others, so that
  /// the costs of the space stay in the range of microcontrollers.
  static std::int64_t stage_stride(const TaskShape& task, std::int64_t stage) {
    return stage > 0 || larger_side(task.sample) >= 48 ? 2 : 1;
  }

  /// {16, 20, 24, 28, 32} for 28 pixels, scaled for others to multiples of 4; the sample's own size is always among
  /// them.
  static Choices resolutions(const TaskShape& task) {
    const std::int64_t side = larger_side(task.sample);
    std::vector<std::int64_t> sides{side};
    for (const std::int64_t of_28 : {16, 20, 24, 32}) {
      // Nearest multiple of 4 to of_28 * side / 28.
      const std::int64_t fours = (of_28 * side + 56) / 112;
      sides.push_back(std::max<std::int64_t>(8, fours * 4));
    }
    std::sort(sides.begin(), sides.end());
    sides.erase(std::unique(sides.begin(), sides.end()), sides.end());
    return choices(sides);
  }

  static ParamSet declare(const TaskShape& task) {
    const std::vector<Choices> widths{choices({8, 16, 24}), choices({16, 24, 32, 40}), choices({32, 48, 64, 96})};
    std::vector<Param> params{{"resolution", resolutions(task), {}}, {"stem.width", choices({8, 16, 24}), {}}};
    for (std::int64_t stage = 0; stage < kStages; ++stage) {
      const std::string name = "stages." + std::to_string(stage);
      // A stage that halves the image may only be left out at the end: the stages behind it would become dear.
      const bool optional = stage_stride(task, stage) == 1 || stage == kStages - 1;
      const std::int64_t least = optional ? 0 : 1;
      params.push_back({name + ".depth", IntegerRange{least, 3, 1}, {}});
      const Condition present = optional ? Condition{name + ".depth", genes_from(1, 4)} : Condition{};
      params.push_back({name + ".width", widths[static_cast<std::size_t>(stage)], present});
      params.push_back({name + ".kernel", choices({3, 5, 7}), present});
      params.push_back({name + ".expansion", choices({1, 2, 3, 4, 6}), present});
    }
    params.push_back({"last.width", choices({64, 128}), {}});
    return ParamSet(std::move(params));
  }

  TaskShape task_;
  ParamSet params_;
};

}  // namespace

graph::NetworkGraph build(const std::string& name, const MobileNetV2& net) {
  Builder builder(name, net.input);
  conv_bn_act(builder, "stem", convolution(net.input, net.stem_width, 3, 3, 2, PaddingRule::symmetric),
              graph::ActivationKind::relu6);
  for (std::size_t stage = 0; stage < net.stages.size(); ++stage) {
    for (std::size_t i = 0; i < net.stages[stage].size(); ++i) {
      inverted_residual(builder, "stages." + std::to_string(stage) + ".blocks." + std::to_string(i),
                        net.stages[stage][i]);
    }
  }
  conv_bn_act(builder, "last",
              convolution(builder.shape(builder.last()), net.last_width, 1, 1, 1, PaddingRule::symmetric),
              graph::ActivationKind::relu6);
  pooled_classifier(builder, "classifier", net.classes);
  return std::move(builder).finish();
}

std::unique_ptr<SearchSpace> make_mobile_cnn(const nlohmann::json& options, const TaskShape& task) {
  require_no_options(options);
  require_images(task);
  return std::make_unique<MobileCnn>(task);
}

}  // namespace cosearch::catalog
