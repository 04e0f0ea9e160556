#include "experiments/export/c/constants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "experiments/export/c/c_text.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::c_export {
namespace {

using program::KernelCall;
using program::KernelKind;
using quantize::QuantizedLayer;

constexpr std::int64_t kInt8Bytes = 1;
constexpr std::int64_t kWordBytes = 4;
constexpr std::int64_t kPairs = 2;  // bias and multiplier, scale and shift

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

std::int64_t size_of(const auto& vector) { return static_cast<std::int64_t>(vector.size()); }

bool is_linear(KernelKind kind) {
  return kind == KernelKind::conv2d || kind == KernelKind::pointwise_conv2d || kind == KernelKind::depthwise_conv2d ||
         kind == KernelKind::patch_embed || kind == KernelKind::fully_connected;
}
bool is_norm(KernelKind kind) { return kind == KernelKind::batch_norm || kind == KernelKind::layer_norm; }
bool is_embedding(KernelKind kind) { return kind == KernelKind::position_embed || kind == KernelKind::token_embed; }

std::string array_name(const KernelCall& call, std::string_view part) {
  return fmt::format("layer{}_{}", call.nodes[0], part);
}

/// Biases that have the zero point of the inputs in them, which the kernels multiply as they are stored: of each one
/// the same number of `weight`.
std::vector<std::int32_t> folded_bias(const std::vector<std::int32_t>& bias, std::span<const std::int8_t> weight,
                                      std::int32_t in_zero_point) {
  const std::size_t column = weight.size() / bias.size();
  std::vector<std::int32_t> folded;
  for (const std::int32_t own : bias) {
    const auto part = weight.subspan(folded.size() * column, column);
    folded.push_back(own - in_zero_point * std::accumulate(part.begin(), part.end(), std::int32_t{0}));
  }
  return folded;
}

/// Bias and multiplier of each channel in turn.
std::vector<std::int32_t> interleaved(const std::vector<std::int32_t>& bias,
                                      const std::vector<std::int32_t>& multiplier) {
  std::vector<std::int32_t> pairs;
  for (std::size_t channel = 0; channel < bias.size(); ++channel) {
    pairs.push_back(bias[channel]);
    pairs.push_back(multiplier[channel]);
  }
  return pairs;
}

/// Where in SRAM the call's constants are copied to, if they are.
std::optional<int> copy_buffer(const Project& project, const KernelCall& call) {
  for (const int scratch : call.scratch) {
    if (project.program.buffers[at(scratch)].name == call.name + ".constants") {
      return scratch;
    }
  }
  return std::nullopt;
}

/// `blocks.0.fc.weight[0:16]` is the weight of `blocks.0.fc`.
std::string_view part_of(const program::Constant& constant) {
  const std::string_view name = std::string_view(constant.name).substr(0, constant.name.find('['));
  return name.substr(name.rfind('.') + 1);
}

}  // namespace

std::vector<std::int8_t> packed_int4(std::span<const std::int8_t> values, std::int64_t channels) {
  const std::size_t count = values.size() / at(channels);
  std::vector<std::int8_t> bytes;
  for (std::size_t channel = 0; channel < at(channels); ++channel) {
    const auto part = values.subspan(channel * count, count);
    for (std::size_t i = 0; i < count; i += 2) {
      const int low = part[i] & 0xF;
      const int high = i + 1 < count ? part[i + 1] & 0xF : 0;
      bytes.push_back(static_cast<std::int8_t>(low | high << 4));
    }
  }
  return bytes;
}

Constants::Constants(const Project& project) : project_(project) {
  std::set<int> done;
  for (const KernelCall& call : project.program.calls) {
    if (!done.insert(call.nodes[0]).second) {
      continue;
    }
    if (const auto* const network = std::get_if<const quantize::QuantizedNetwork*>(&project.network)) {
      add_integers(call, **network);
    } else {
      add_floats(call, *std::get<const FloatNetwork*>(project.network));
    }
  }
}

void Constants::add(const KernelCall& call, std::string_view part, std::string type, std::string values,
                    std::int64_t count, std::int64_t element_bytes, std::int64_t per_channel) {
  const auto& graph =
      std::visit([](const auto* network) -> const graph::NetworkGraph& { return network->graph; }, project_.network);
  arrays_.emplace(array_name(call, part), Array{graph.nodes[at(call.nodes[0])].name, std::move(type), std::move(values),
                                                count, element_bytes, per_channel});
}

void Constants::add_integers(const KernelCall& call, const quantize::QuantizedNetwork& network) {
  if (!network.layers[at(call.nodes[0])]) {
    return;
  }
  const QuantizedLayer& layer = *network.layers[at(call.nodes[0])];
  const std::int32_t in_zero_point = network.values[at(network.graph.nodes[at(call.nodes[0])].inputs[0])].zero_point;
  if (layer.mixture) {
    add_mixture(call, *layer.mixture, in_zero_point);
  }
  if (!layer.table.empty()) {
    add(call, "table", "int8_t", list(layer.table), size_of(layer.table), kInt8Bytes, 0);
  }
  if (is_embedding(call.kind)) {
    add(call, "embedding", "int8_t", list(layer.weight), size_of(layer.weight), kInt8Bytes, 0);
  }
  if (is_linear(call.kind)) {
    const std::int64_t channels = size_of(layer.bias);
    const std::vector<std::int8_t> weight = layer.weight_bits == 4 ? packed_int4(layer.weight, channels) : layer.weight;
    add(call, "weight", "int8_t", list(weight), size_of(weight), kInt8Bytes, size_of(weight) / channels);
  }
  if (is_linear(call.kind) || is_norm(call.kind)) {
    const std::vector<std::int32_t> bias =
        is_linear(call.kind) ? folded_bias(layer.bias, layer.weight, in_zero_point) : layer.bias;
    const std::vector<std::int32_t> pairs = interleaved(bias, layer.multiplier);
    add(call, "requantization", "int32_t", list(pairs), size_of(pairs), kWordBytes, kPairs);
  }
}

void Constants::add_mixture(const KernelCall& call, const quantize::QuantizedMixture& mixture,
                            std::int32_t in_zero_point) {
  const auto bytes = [&](std::string_view part, const std::vector<std::int8_t>& values) {
    add(call, part, "int8_t", list(values), size_of(values), kInt8Bytes, 0);
  };
  const auto words = [&](std::string_view part, const std::vector<std::int32_t>& values) {
    add(call, part, "int32_t", list(values), size_of(values), kWordBytes, 0);
  };
  bytes("router", mixture.router);
  words("router_bias", folded_bias(mixture.router_bias, mixture.router, in_zero_point));
  bytes("w1", mixture.w1);
  words("requantization1", interleaved(folded_bias(mixture.b1, mixture.w1, in_zero_point), mixture.multiplier1));
  bytes("table", mixture.table);
  bytes("w2", mixture.w2);
  words("b2", folded_bias(mixture.b2, mixture.w2, mixture.hidden_zero_point));
  words("multiplier2", mixture.multiplier2);
}

void Constants::add_mixture(const KernelCall& call, const quantize::FoldedMixture& mixture) {
  const auto floats = [&](std::string_view part, const std::vector<float>& values) {
    add(call, part, "float", list(values), size_of(values), kWordBytes, 0);
  };
  floats("router", mixture.router);
  floats("router_bias", mixture.router_bias);
  floats("w1", mixture.w1);
  floats("b1", mixture.b1);
  floats("w2", mixture.w2);
  floats("b2", mixture.b2);
}

void Constants::add_floats(const KernelCall& call, const FloatNetwork& network) {
  if (!network.layers[at(call.nodes[0])]) {
    return;
  }
  const quantize::FoldedLayer& layer = *network.layers[at(call.nodes[0])];
  if (layer.mixture) {
    add_mixture(call, *layer.mixture);
  } else if (is_embedding(call.kind)) {
    add(call, "embedding", "float", list(layer.weight), size_of(layer.weight), kWordBytes, 0);
  } else if (is_norm(call.kind)) {  // all scales, then all shifts
    std::vector<float> both = layer.weight;
    both.insert(both.end(), layer.bias.begin(), layer.bias.end());
    add(call, "requantization", "float", list(both), size_of(both), kWordBytes, 0);
  } else if (is_linear(call.kind)) {
    const std::int64_t per_channel = size_of(layer.weight) / size_of(layer.bias);
    add(call, "weight", "float", list(layer.weight), size_of(layer.weight), kWordBytes, per_channel);
    add(call, "bias", "float", list(layer.bias), size_of(layer.bias), kWordBytes, 1);
  }
}

const Constants::Array& Constants::array(const KernelCall& call, std::string_view part) const {
  const auto found = arrays_.find(array_name(call, part));
  COSEARCH_CHECK(found != arrays_.end(), "a call needs a constant that its layer does not have");
  return found->second;
}

std::string Constants::place(const KernelCall& call, std::string_view part, std::int64_t skip) const {
  const std::int64_t elements = array(call, part).per_channel * call.first_channel + skip;
  const std::string name = array_name(call, part);
  return elements == 0 ? name : fmt::format("{} + {}", name, elements);
}

std::optional<std::int64_t> Constants::copy_offset(const KernelCall& call, std::string_view part) const {
  const std::optional<int> copy = copy_buffer(project_, call);
  if (!copy) {
    return std::nullopt;
  }
  std::int64_t offset = project_.plan.offsets[at(*copy)];
  for (const program::Constant& constant : call.constants) {
    if (part_of(constant) == part) {
      break;
    }
    offset += (constant.bytes + kWordBytes - 1) / kWordBytes * kWordBytes;
  }
  return offset;
}

std::string Constants::pointer(const KernelCall& call, std::string_view part, std::int64_t skip) const {
  const std::optional<std::int64_t> offset = copy_offset(call, part);
  if (!offset) {
    return place(call, part, skip);
  }
  const Array& source = array(call, part);
  return fmt::format("(const {} *)(const void *)(arena + {})", source.type, *offset + skip * source.element_bytes);
}

std::string Constants::copies(const KernelCall& call) const {
  std::string text;
  for (const program::Constant& constant : call.constants) {
    const std::string_view part = part_of(constant);
    const std::optional<std::int64_t> offset = copy_offset(call, part);
    if (offset && arrays_.contains(array_name(call, part))) {
      text += fmt::format("  memcpy(arena + {}, {}, {});\n", *offset, place(call, part, 0), constant.bytes);
    }
  }
  return text;
}

std::string Constants::declaration(const std::string& name, const Array& array) const {
  return fmt::format("const {} {}[{}]", array.type, name, array.count);
}

File Constants::header() const {
  std::string text =
      "/* Read-only data of the network, by the numbers of its operators. */\n"
      "#ifndef WEIGHTS_H\n#define WEIGHTS_H\n\n#include <stdint.h>\n\n";
  for (const auto& [name, array] : arrays_) {
    text += fmt::format("extern {}; /* {} */\n", declaration(name, array), in_comment(array.node));
  }
  return {"weights.h", text + "\n#endif\n"};
}

File Constants::source() const {
  std::string text =
      "#include \"weights.h\"\n\n"
      "/* Linear maps: weights by output channels, in each by kernel rows, columns and input channels (int8, or two "
      "int4\n"
      "   to a byte); requantization: bias and multiplier of each output channel. Mixtures: those of all experts. */\n"
      "#ifdef __ELF__\n#define IN_FLASH __attribute__((section(\".weights\")))\n#else\n#define IN_FLASH\n#endif\n";
  // The widest types first, so that nothing has to be skipped for alignment.
  for (const std::int64_t element_bytes : {kWordBytes, kInt8Bytes}) {
    for (const auto& [name, array] : arrays_) {
      if (array.element_bytes == element_bytes) {
        text += fmt::format("\n/* {} */\n{} IN_FLASH = {{\n{}\n}};\n", in_comment(array.node), declaration(name, array),
                            array.values);
      }
    }
  }
  return {"weights.c", std::move(text)};
}

}  // namespace cosearch::c_export
