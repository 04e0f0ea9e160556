#include <algorithm>
#include <array>
#include <utility>

#include "spaces/base/json_reader.hpp"
#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

/// A group of blocks of one width; the first block has the stride.
struct Group {
  std::int64_t channels;  ///< at width 1
  std::int64_t stride;
  std::int64_t least_depth, most_depth;
};
// Widths, strides and depths of tests/data/mcunet_cfg.
constexpr std::array kGroups{Group{24, 2, 2, 4}, Group{40, 2, 2, 4},  Group{80, 2, 2, 4},
                             Group{96, 1, 2, 4}, Group{192, 2, 2, 4}, Group{320, 1, 1, 1}};
constexpr std::int64_t kFirstConvChannels = 32;
constexpr std::int64_t kFirstBlockChannels = 16;

/// From this size on images have enough pixels for the published resolutions and widths.
constexpr std::int64_t kPublishedSide = 96;
constexpr double kLargestPublishedWidth = 1.5;
constexpr std::int64_t kLeastResolution = 48;
constexpr std::int64_t kMostResolution = 224;
constexpr std::int64_t kResolutionStep = 16;
constexpr std::int64_t kMostMultiples = 4;

/// The multiple of 8 that is nearest to channels * width, but the next one where that loses more than a tenth
/// (TensorFlow's rule for MobileNets).
std::int64_t scaled(std::int64_t channels, double width) {
  constexpr std::int64_t kMultiple = 8;
  const double exact = static_cast<double>(channels) * width;
  const std::int64_t nearest =
      std::max(kMultiple, static_cast<std::int64_t>(exact + kMultiple / 2.0) / kMultiple * kMultiple);
  return static_cast<double>(nearest) < 0.9 * exact ? nearest + kMultiple : nearest;
}

std::string group_name(std::size_t group) { return "groups." + std::to_string(group); }
std::string block_name(std::size_t group, std::int64_t block) {
  return group_name(group) + ".blocks." + std::to_string(block);
}

class McunetSpace final : public SearchSpace {
 public:
  McunetSpace(TaskShape task, bool mixed_bits)
      : task_(std::move(task)), mixed_bits_(mixed_bits), params_(declare(task_, mixed_bits)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    const double width = params_.real(genome, "width");
    graph::Builder builder("mcunet", resized(task_.sample, params_.integer(genome, "resolution")));
    conv_bn_act(builder, "first_conv",
                convolution(builder.shape(0), scaled(kFirstConvChannels, width), 3, 3, 2, PaddingRule::symmetric),
                graph::ActivationKind::relu6);
    inverted_residual(builder, "first_block",
                      {.out_channels = scaled(kFirstBlockChannels, width),
                       .expansion = 1,
                       .weight_bits = bits_of(genome, "first_block")});
    for (std::size_t group = 0; group < kGroups.size(); ++group) {
      const std::int64_t depth = depth_of(genome, group);
      for (std::int64_t i = 0; i < depth; ++i) {
        const std::string name = block_name(group, i);
        inverted_residual(builder, name,
                          {.out_channels = scaled(kGroups[group].channels, width),
                           .kernel = params_.integer(genome, name + ".kernel"),
                           .stride = i == 0 ? kGroups[group].stride : 1,
                           .expansion = params_.integer(genome, name + ".expansion"),
                           .weight_bits = bits_of(genome, name)});
      }
    }
    pooled_classifier(builder, "fully_connected", task_.classes);
    return std::move(builder).finish();
  }

  [[nodiscard]] std::vector<Genome> corners() const override {
    return {extreme(params_, false), extreme(params_, true)};
  }

 private:
  static Choices resolutions(const TaskShape& task) {
    const std::int64_t side = larger_side(task.sample);
    std::vector<std::int64_t> sides{side};
    if (side >= kPublishedSide) {
      for (std::int64_t resolution = kLeastResolution; resolution <= kMostResolution; resolution += kResolutionStep) {
        sides.push_back(resolution);
      }
    } else {
      for (std::int64_t multiple = 2; multiple <= kMostMultiples && multiple * side <= kMostResolution; ++multiple) {
        sides.push_back(multiple * side);
      }
    }
    std::sort(sides.begin(), sides.end());
    sides.erase(std::unique(sides.begin(), sides.end()), sides.end());
    return choices(sides);
  }

  static ParamSet declare(const TaskShape& task, bool mixed_bits) {
    Choices widths = hundredths(20, 100, 10);
    if (larger_side(task.sample) >= kPublishedSide) {
      widths.values.emplace_back(kLargestPublishedWidth);
    }
    std::vector<Param> params{{"resolution", resolutions(task), {}}, {"width", std::move(widths), {}}};
    const auto add_bits = [&](const std::string& block, const Condition& in_network) {
      if (mixed_bits) {
        params.push_back(weight_bits_gene(block, in_network));
      }
    };
    add_bits("first_block", {});
    for (std::size_t group = 0; group < kGroups.size(); ++group) {
      const auto [channels, stride, least, most] = kGroups[group];
      const std::string depth = group_name(group) + ".depth";
      if (least < most) {
        params.push_back({depth, IntegerRange{least, most, 1}, {}});
      }
      for (std::int64_t i = 0; i < most; ++i) {
        const Condition in_network =
            i < least ? Condition{} : Condition{depth, genes_from(i + 1 - least, most + 1 - least)};
        params.push_back({block_name(group, i) + ".kernel", choices({3, 5, 7}), in_network});
        params.push_back({block_name(group, i) + ".expansion", choices({3, 4, 5, 6}), in_network});
        add_bits(block_name(group, i), in_network);
      }
    }
    return ParamSet(std::move(params));
  }

  [[nodiscard]] std::int64_t depth_of(const Genome& genome, std::size_t group) const {
    const bool is_gene = kGroups[group].least_depth < kGroups[group].most_depth;
    return is_gene ? params_.integer(genome, group_name(group) + ".depth") : kGroups[group].least_depth;
  }

  [[nodiscard]] std::int64_t bits_of(const Genome& genome, const std::string& block) const {
    return mixed_bits_ ? params_.integer(genome, block + ".weight_bits") : graph::kDefaultWeightBits;
  }

  TaskShape task_;
  bool mixed_bits_;
  ParamSet params_;
};

}  // namespace

std::unique_ptr<SearchSpace> make_mcunet(const nlohmann::json& options, const TaskShape& task) {
  const JsonReader reader = JsonReader::of_options(options);
  reader.only({"weight_bits"});
  require_images(task);
  return std::make_unique<McunetSpace>(task, mixed_weight_bits(reader));
}

}  // namespace cosearch::catalog
