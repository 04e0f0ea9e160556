#include "experiments/export/c/parameters.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spaces/base/check.hpp"

namespace cosearch::c_export {
namespace {

using program::KernelCall;
using program::KernelKind;
using quantize::QuantizedLayer;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// cs_output.
std::string output_text(const Constants& constants, const KernelCall& call, const QuantizedLayer& layer,
                        std::int32_t zero_point) {
  if (layer.table.empty()) {
    return fmt::format("{{0, {}, {}, {}}}", zero_point, layer.low, layer.high);
  }
  return fmt::format("{{{}, {}, {}, {}}}", constants.pointer(call, "table"), layer.table_zero_point, quantize::kLowest,
                     quantize::kHighest);
}

/// `experts, top_k, hidden`.
std::string expert_sizes(const graph::MoeFfn& experts) {
  return fmt::format("{}, {}, {}", experts.experts, experts.top_k, experts.hidden);
}

const graph::MoeFfn& experts_of(const graph::NetworkGraph& graph, const KernelCall& call) {
  return std::get<graph::MoeFfn>(graph.nodes[at(call.nodes[0])].op);
}

/// cs_mixture.
std::string mixture_text(const Constants& constants, const KernelCall& call, const quantize::QuantizedNetwork& network,
                         const QuantizedLayer& layer, const std::string& out) {
  const quantize::QuantizedMixture& mixture = *layer.mixture;
  const auto part = [&](std::string_view name) { return constants.pointer(call, name); };
  return fmt::format("{}, {}, {}, {}, {}, {}, {}, {}, {{{}, {}, {}, {}}}, {}, {}, {}, {}, {}",
                     expert_sizes(experts_of(network.graph, call)), layer.softmax_multiplier, layer.softmax_shift,
                     part("router"), part("router_bias"), part("w1"), part("requantization1"), mixture.shift1,
                     part("table"), mixture.table_zero_point, quantize::kLowest, quantize::kHighest, part("w2"),
                     part("b2"), part("multiplier2"), mixture.shift2, out);
}

std::string activation_name(const std::optional<graph::ActivationKind>& kind) {
  if (!kind) {
    return "CS_NO_ACTIVATION";
  }
  switch (*kind) {
    case graph::ActivationKind::relu:
      return "CS_RELU";
    case graph::ActivationKind::relu6:
      return "CS_RELU6";
    case graph::ActivationKind::hard_swish:
      return "CS_HARD_SWISH";
    case graph::ActivationKind::gelu:
      return "CS_GELU";
  }
  COSEARCH_CHECK(false, "an activation that C does not have");
  return {};
}

}  // namespace

program::Window region_of(const KernelCall& call) {
  return call.region.value_or(program::Window{0, 0, call.geometry.out_h, call.geometry.out_w});
}

program::Window window_of(const program::Buffer& buffer, std::int64_t height, std::int64_t width) {
  return buffer.window.value_or(program::Window{0, 0, height, width});
}

std::int64_t patches_per_row(const program::Geometry& geometry) {
  return (geometry.in_w + geometry.padding.left + geometry.padding.right) / geometry.kernel_w;
}

std::string Parameters::declare(const std::string& type, const std::string& values, const std::string& stem) {
  const auto same = std::find_if(declared_.begin(), declared_.end(),
                                 [&](const Declared& other) { return other.type == type && other.values == values; });
  if (same != declared_.end()) {
    return "&" + same->name + ", ";
  }
  const auto taken = std::count_if(declared_.begin(), declared_.end(), [&](const Declared& other) {
    return other.name == stem || other.name.starts_with(stem + "_");
  });
  const std::string name = taken == 0 ? stem : fmt::format("{}_{}", stem, taken);
  declared_.push_back({type, values, name});
  declarations_ += fmt::format("static const {} {} = {{{}}};\n", type, name, values);
  return "&" + name + ", ";
}

std::string Parameters::of(const KernelCall& call, std::size_t input) {
  if (const auto* const network = std::get_if<const quantize::QuantizedNetwork*>(&project_.network)) {
    return integers(call, input, **network);
  }
  return floats(call, *std::get<const FloatNetwork*>(project_.network));
}

std::string Parameters::integers(const KernelCall& call, std::size_t input, const quantize::QuantizedNetwork& network) {
  const int node = call.nodes[0];
  if (!network.layers[at(node)]) {
    return {};  // moves values only
  }
  const QuantizedLayer& layer = *network.layers[at(node)];
  const auto zero_point = [&](std::size_t i) {
    return network.values[at(network.graph.nodes[at(node)].inputs[i])].zero_point;
  };
  const std::string out = output_text(constants_, call, layer, network.values[at(call.nodes.back())].zero_point);
  const std::string stem = fmt::format("layer{}", node);
  switch (call.kind) {
    case KernelKind::conv2d:
    case KernelKind::pointwise_conv2d:
    case KernelKind::depthwise_conv2d:
    case KernelKind::patch_embed:
    case KernelKind::fully_connected:
      return declare(
          "cs_linear",
          fmt::format("{}, {}, {}, {}, {}, {}", constants_.pointer(call, "weight"),
                      constants_.pointer(call, "requantization"), layer.weight_bits, layer.shift, zero_point(0), out),
          stem);
    case KernelKind::attention_scores:  // takes no parameters
      return {};
    case KernelKind::softmax:
    case KernelKind::attention_context:
      return declare("cs_attention",
                     fmt::format("{}, {}, {}, {}, {}", layer.softmax_multiplier, layer.softmax_shift,
                                 layer.multiplier[0], layer.shift, out),
                     stem);
    case KernelKind::mixture:
      return declare("cs_mixture", mixture_text(constants_, call, network, layer, out), stem);
    case KernelKind::batch_norm:
    case KernelKind::layer_norm:
      return declare("cs_norm",
                     fmt::format("{}, {}, {}, {}, {}", constants_.pointer(call, "requantization"), layer.epsilon,
                                 layer.shift, zero_point(0), out),
                     stem);
    case KernelKind::add:
    case KernelKind::position_embed:
      return declare(
          "cs_addition",
          fmt::format("{}, {{{}, {}}}, {{{}, {}}}, {}", layer.shift, zero_point(0),
                      call.kind == KernelKind::add ? zero_point(1) : 0, layer.multiplier[0], layer.multiplier[1], out),
          stem);
    case KernelKind::activation:
      return declare("cs_output", out.substr(1, out.size() - 2), stem);
    case KernelKind::concat:
    case KernelKind::average_pool:
    case KernelKind::global_average_pool:
      return declare("cs_rescaling",
                     fmt::format("{}, {}, {}, {}", layer.multiplier[input], layer.shift, zero_point(input), out), stem);
    case KernelKind::max_pool:
    case KernelKind::upsample:
    case KernelKind::token_embed:
    case KernelKind::read_input:
      return {};
  }
  return {};
}

std::string Parameters::floats(const KernelCall& call, const FloatNetwork& network) {
  const std::string stem = fmt::format("layer{}", call.nodes[0]);
  const std::string activation = activation_name(call.activation);
  switch (call.kind) {
    case KernelKind::conv2d:
    case KernelKind::pointwise_conv2d:
    case KernelKind::depthwise_conv2d:
    case KernelKind::patch_embed:
    case KernelKind::fully_connected:
      return declare(
          "cs_linear_f32",
          fmt::format("{}, {}, {}", constants_.pointer(call, "weight"), constants_.pointer(call, "bias"), activation),
          stem);
    case KernelKind::batch_norm:
    case KernelKind::layer_norm: {
      const auto* const norm = std::get_if<graph::LayerNorm>(&network.graph.nodes[at(call.nodes[0])].op);
      return declare("cs_norm_f32",
                     fmt::format("{}, {}, {:a}f, {}", constants_.pointer(call, "requantization"),
                                 constants_.pointer(call, "requantization", call.geometry.in_c),
                                 norm == nullptr ? 0.0F : static_cast<float>(norm->epsilon), activation),
                     stem);
    }
    case KernelKind::mixture: {
      const auto part = [&](std::string_view name) { return constants_.pointer(call, name); };
      return declare("cs_mixture_f32",
                     fmt::format("{}, {}, {}, {}, {}, {}, {}, {}", expert_sizes(experts_of(network.graph, call)),
                                 part("router"), part("router_bias"), part("w1"), part("b1"), part("w2"), part("b2"),
                                 activation_name(graph::ActivationKind::gelu)),
                     stem);
    }
    case KernelKind::add:
    case KernelKind::activation:
    case KernelKind::position_embed:
      return activation + ", ";
    default:
      return {};
  }
}

std::string Parameters::geometry(const KernelCall& call) {
  const program::Geometry& g = call.geometry;
  program::Window region = region_of(call);
  if (call.kind == KernelKind::patch_embed) {  // its tokens are a grid
    region.h = (g.in_h + g.padding.top + g.padding.bottom) / g.kernel_h;
    region.w = patches_per_row(g);
  }
  const program::Window in = window_of(project_.program.buffers[at(call.inputs[0])], g.in_h, g.in_w);
  const program::Window out = window_of(project_.program.buffers[at(call.output)], g.out_h, g.out_w);
  return declare(
      "cs_geometry",
      fmt::format("{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}", in.h, in.w, g.in_c, region.h, region.w,
                  g.out_c, g.kernel_h, g.kernel_w, g.stride, g.padding.top + in.y - region.y * g.stride,
                  g.padding.left + in.x - region.x * g.stride, g.groups, in.w * g.in_c, out.w * g.out_c),
      "geometry");
}

}  // namespace cosearch::c_export
