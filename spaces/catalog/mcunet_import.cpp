#include "spaces/catalog/mcunet_import.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

using graph::ActivationKind;
using nlohmann::json;

/// Beyond any network of the family; products of several such numbers are checked where they arise.
constexpr std::int64_t kMostChannels = 65536;
constexpr std::int64_t kLargestKernel = 255;
constexpr Interval kRatio{.lower = 0.0, .upper = 1024.0, .open_lower = true};
constexpr Interval kFraction{.lower = 0.0, .upper = 1.0, .open_lower = true};

/// A layer has no keys beside those that are `read`, those that must have `fixed` values where they are there, and
/// the dropout rate, which says nothing about inference.
void check_keys(const JsonReader& layer, std::vector<std::string> read, const json& fixed) {
  for (const auto& [key, value] : fixed.items()) {
    read.push_back(key);
    if (const auto member = layer.find(key); member && member->value() != value) {
      member->refuse(value.dump());
    }
  }
  read.insert(read.end(), {"name", "dropout_rate"});
  layer.only(read);
}

bool is_null(const JsonReader& value) { return value.value().is_null(); }

std::optional<ActivationKind> read_activation(const JsonReader& kind) {
  if (is_null(kind)) {
    return std::nullopt;
  }
  const std::string name = kind.name_of({"h_swish", "relu", "relu6"});
  return name == "relu" ? ActivationKind::relu : name == "relu6" ? ActivationKind::relu6 : ActivationKind::hard_swish;
}

std::int64_t read_channels(const JsonReader& count) { return count.integer(1, kMostChannels); }

/// The number of channels, written as itself or as a list of one.
void require_channels(const JsonReader& count, std::int64_t channels) {
  const bool listed = count.value().is_array() && count.value().size() == 1;
  if (read_channels(listed ? count.items().front() : count) != channels) {
    count.refuse(fmt::format("{}, the channels that there are", channels));
  }
}

/// Kernel, stride and padding.
graph::Conv2d read_window(const JsonReader& layer) {
  const JsonReader size = layer.at("kernel_size");
  graph::Conv2d conv;
  conv.kernel_h = conv.kernel_w = size.integer(1, kLargestKernel);
  if (conv.kernel_h % 2 == 0) {
    size.refuse("an odd number, which can be padded by the same on both sides");
  }
  conv.stride = layer.at("stride").integer(1, kMostMcunetPixels);
  conv.padding = graph::symmetric_padding(conv.kernel_h);
  return conv;
}

/// Height and width of the input.
std::int64_t read_resolution(const JsonReader& root, std::optional<std::int64_t> resolution) {
  if (resolution) {
    return *resolution;
  }
  return root.required("resolution", "the input's height and width in pixels, here or by --resolution")
      .integer(1, kMostMcunetPixels);
}

graph::BatchNorm read_batch_norm(const JsonReader& settings) {
  check_keys(settings, {"momentum", "eps"}, {{"ws_eps", nullptr}});
  graph::BatchNorm norm;
  norm.momentum = settings.number("momentum", norm.momentum, kFraction);
  norm.epsilon = settings.number("eps", norm.epsilon, kFraction);
  return norm;
}

/// Adds the layers of a description to a graph one after the other.
class Importer {
 public:
  Importer(const std::string& name, const graph::Shape& input, graph::BatchNorm norm)
      : builder_(name, input), norm_(norm) {}

  void conv_layer(const JsonReader& layer, const std::string& name);
  void block(const JsonReader& block, const std::string& name);
  void classifier(const JsonReader& layer);
  [[nodiscard]] graph::NetworkGraph finish() && { return std::move(builder_).finish(); }

 private:
  [[nodiscard]] std::int64_t channels() const { return builder_.shape(builder_.last()).back(); }
  /// `place`: what describes the node, and is wrong where the node does not fit.
  void add(const JsonReader& place, const std::string& name, graph::Op op, std::vector<int> inputs) {
    if (const auto added = builder_.try_add(name, std::move(op), std::move(inputs)); !added) {
      place.fail(added.error());
    }
  }
  void then(const JsonReader& place, const std::string& name, graph::Op op) {
    add(place, name, std::move(op), {builder_.last()});
  }
  void convolution(const JsonReader& place, const std::string& name, const graph::Conv2d& conv, bool normalized,
                   std::optional<ActivationKind> activation);
  void inverted_residual(const JsonReader& layer, const std::string& name);

  graph::Builder builder_;
  graph::BatchNorm norm_;
};

void Importer::convolution(const JsonReader& place, const std::string& name, const graph::Conv2d& conv, bool normalized,
                           std::optional<ActivationKind> activation) {
  then(place, name, conv);
  if (normalized) {
    then(place, name + ".bn", norm_);
  }
  if (activation) {
    then(place, name + ".act", graph::Activation{*activation});
  }
}

void Importer::conv_layer(const JsonReader& layer, const std::string& name) {
  static_cast<void>(layer.at("name").name_of({"ConvLayer"}));
  check_keys(layer, {"kernel_size", "stride", "bias", "in_channels", "out_channels", "use_bn", "act_func"},
             {{"dilation", 1}, {"groups", 1}, {"has_shuffle", false}, {"ops_order", "weight_bn_act"}});
  require_channels(layer.at("in_channels"), channels());
  graph::Conv2d conv = read_window(layer);
  conv.out_channels = read_channels(layer.at("out_channels"));
  conv.bias = layer.boolean("bias", false);
  convolution(layer, name, conv, layer.boolean("use_bn", true), read_activation(layer.at("act_func")));
}

/// Expansion, depthwise convolution, projection. Early files leave out what is the default here.
void Importer::inverted_residual(const JsonReader& layer, const std::string& name) {
  check_keys(layer,
             {"in_channels", "out_channels", "kernel_size", "stride", "expand_ratio", "mid_channels", "act_func"},
             {{"use_se", false}});
  require_channels(layer.at("in_channels"), channels());
  const auto activation = layer.has("act_func") ? read_activation(layer.at("act_func")) : ActivationKind::relu6;
  const double ratio = layer.at("expand_ratio").number(kRatio);
  const auto middle = layer.find("mid_channels");
  graph::Conv2d pointwise;
  if (ratio == 1.0) {
    if (middle && !is_null(*middle)) {
      require_channels(*middle, channels());
    }
  } else {
    // nearbyint takes halves to the even number, as Python's round does.
    pointwise.out_channels = middle && !is_null(*middle)
                                 ? read_channels(*middle)
                                 : static_cast<std::int64_t>(std::nearbyint(static_cast<double>(channels()) * ratio));
    convolution(layer, name + ".expand", pointwise, true, activation);
  }
  graph::Conv2d depthwise = read_window(layer);
  depthwise.out_channels = depthwise.groups = channels();
  convolution(layer, name + ".depthwise", depthwise, true, activation);
  pointwise.out_channels = read_channels(layer.at("out_channels"));
  convolution(layer, name + ".project", pointwise, true, std::nullopt);
}

/// What a block's input does beside its convolution: null and a ZeroLayer are nothing.
bool read_shortcut(const JsonReader& shortcut, std::int64_t in_channels) {
  if (is_null(shortcut)) {
    return false;
  }
  if (shortcut.at("name").name_of({"IdentityLayer", "ZeroLayer"}) == "ZeroLayer") {
    check_keys(shortcut, {"stride"}, json::object());
    return false;
  }
  check_keys(shortcut, {"in_channels", "out_channels"},
             {{"use_bn", false}, {"act_func", nullptr}, {"ops_order", "weight_bn_act"}});
  require_channels(shortcut.at("in_channels"), in_channels);
  require_channels(shortcut.at("out_channels"), in_channels);
  return true;
}

void Importer::block(const JsonReader& block, const std::string& name) {
  static_cast<void>(block.at("name").name_of({"MobileInvertedResidualBlock"}));
  block.only({"name", "mobile_inverted_conv", "shortcut"});
  const JsonReader layer = block.required("mobile_inverted_conv", "an MBInvertedConvLayer or a ZeroLayer");
  const JsonReader shortcut = block.required("shortcut", "an IdentityLayer or null");
  const int input = builder_.last();
  const bool residual = read_shortcut(shortcut, channels());
  if (layer.at("name").name_of({"MBInvertedConvLayer", "ZeroLayer"}) == "ZeroLayer") {
    check_keys(layer, {}, {{"stride", 1}});
    if (!residual) {
      layer.fail("a ZeroLayer needs an IdentityLayer as shortcut; without it nothing goes on to the next block");
    }
    return;
  }
  inverted_residual(layer, name);
  if (residual) {
    add(shortcut, name + ".add", graph::Add{}, {builder_.last(), input});
  }
}

void Importer::classifier(const JsonReader& layer) {
  static_cast<void>(layer.at("name").name_of({"LinearLayer"}));
  check_keys(layer, {"in_features", "out_features", "bias"},
             {{"use_bn", false}, {"act_func", nullptr}, {"ops_order", "weight_bn_act"}});
  require_channels(layer.at("in_features"), channels());
  then(layer, "pool", graph::GlobalAveragePool{});
  then(layer, "classifier", graph::Linear{{read_channels(layer.at("out_features"))}, {}, layer.boolean("bias", true)});
}

}  // namespace

bool is_mcunet(const json& json) {
  return json.is_object() && (json.contains("first_conv") || json.contains("blocks"));
}

graph::NetworkGraph mcunet_from_json(const json& json, const std::string& name,
                                     std::optional<std::int64_t> resolution) {
  const JsonReader root(json);
  root.only({"name", "bn", "first_conv", "blocks", "feature_mix_layer", "classifier", "resolution"});
  static_cast<void>(root.at("name").name_of({"ProxylessNASNets"}));
  const JsonReader stem = root.required("first_conv", "a ConvLayer");
  const std::int64_t size = read_resolution(root, resolution);
  Importer importer(name, {size, size, read_channels(stem.at("in_channels"))}, read_batch_norm(root.section("bn")));
  importer.conv_layer(stem, "stem");
  std::size_t index = 0;
  for (const JsonReader& block : root.at("blocks").items("an array of blocks")) {
    importer.block(block, fmt::format("blocks.{}", index++));
  }
  const JsonReader mix = root.required("feature_mix_layer", "a ConvLayer or null");
  if (!is_null(mix)) {
    importer.conv_layer(mix, "mix");
  }
  importer.classifier(root.at("classifier"));
  return std::move(importer).finish();
}

}  // namespace cosearch
