#include "spaces/program/mixtures.hpp"

#include <string>
#include <variant>

#include <fmt/format.h>

namespace cosearch::program {
namespace {

constexpr std::int64_t kWordBytes = 4;
constexpr std::int64_t kRequantizationBytes = 8;  // bias and multiplier
constexpr std::int64_t kTableBytes = 256;         // gelu of every int8

}  // namespace

void describe_mixture(const graph::MoeFfn& op, const LoweringOptions& options, KernelCall& call) {
  const bool quantized = options.element_bytes == 1;
  const std::int64_t rows = call.geometry.out_h;
  const std::int64_t features = call.geometry.out_c;
  const std::int64_t all_hidden = op.experts * op.hidden;
  const auto constant = [&call](const char* name, std::int64_t bytes) {
    call.constants.push_back({call.name + "." + name, bytes});
  };
  constant("router", options.element_bytes * op.experts * features);
  constant("router_bias", kWordBytes * op.experts);
  constant("w1", options.element_bytes * all_hidden * features);
  if (quantized) {
    constant("requantization1", kRequantizationBytes * all_hidden);
    constant("table", kTableBytes);
  } else {
    constant("b1", kWordBytes * all_hidden);
  }
  constant("w2", options.element_bytes * all_hidden * features);
  constant("b2", kWordBytes * op.experts * features);
  if (quantized) {
    constant("multiplier2", kWordBytes * features);
  }
  call.weight_bits = 8 * options.element_bytes;
  call.macs = rows * features * (op.experts + 2 * op.top_k * op.hidden);
  call.elementwise = rows * (op.experts * (op.top_k + 4) / 2 + op.top_k * (op.hidden + features));
}

std::int64_t mixture_scratch_bytes(const graph::MoeFfn& op, std::int64_t features, const LoweringOptions& options) {
  const std::int64_t hidden = (options.element_bytes * op.hidden + kWordBytes - 1) / kWordBytes * kWordBytes;
  return kWordBytes * op.experts + hidden + kWordBytes * features;
}

std::optional<std::string> lacks_kernel(const graph::NetworkGraph& graph, const LoweringOptions& options) {
  for (const graph::Node& node : graph.nodes) {
    const auto* const moe = std::get_if<graph::MoeFfn>(&node.op);
    if (moe == nullptr) {
      continue;
    }
    if (!options.mixtures) {
      return fmt::format("node \"{}\": there is no kernel for {}", node.name, graph::kind_name(node.op));
    }
    if (moe->experts > kMostExperts) {
      return fmt::format("node \"{}\": {} experts; the kernel takes at most {}", node.name, moe->experts, kMostExperts);
    }
  }
  return std::nullopt;
}

}  // namespace cosearch::program
