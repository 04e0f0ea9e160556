#include "spaces/program/program.hpp"

#include <array>
#include <map>
#include <numeric>

#include "spaces/base/check.hpp"

namespace cosearch::program {
namespace {

struct NamedKind {
  KernelKind kind;
  std::string_view name;
};
constexpr std::array kKinds{
    NamedKind{KernelKind::conv2d, "conv2d"},
    NamedKind{KernelKind::pointwise_conv2d, "pointwise_conv2d"},
    NamedKind{KernelKind::depthwise_conv2d, "depthwise_conv2d"},
    NamedKind{KernelKind::patch_embed, "patch_embed"},
    NamedKind{KernelKind::fully_connected, "fully_connected"},
    NamedKind{KernelKind::attention_scores, "attention_scores"},
    NamedKind{KernelKind::softmax, "softmax"},
    NamedKind{KernelKind::attention_context, "attention_context"},
    NamedKind{KernelKind::max_pool, "max_pool"},
    NamedKind{KernelKind::average_pool, "average_pool"},
    NamedKind{KernelKind::global_average_pool, "global_average_pool"},
    NamedKind{KernelKind::add, "add"},
    NamedKind{KernelKind::activation, "activation"},
    NamedKind{KernelKind::batch_norm, "batch_norm"},
    NamedKind{KernelKind::layer_norm, "layer_norm"},
    NamedKind{KernelKind::position_embed, "position_embed"},
    NamedKind{KernelKind::concat, "concat"},
    NamedKind{KernelKind::upsample, "upsample"},
    NamedKind{KernelKind::token_embed, "token_embed"},
    NamedKind{KernelKind::read_input, "read_input"},
    NamedKind{KernelKind::mixture, "mixture"},
};

}  // namespace

std::string_view kind_name(KernelKind kind) {
  for (const NamedKind& named : kKinds) {
    if (named.kind == kind) {
      return named.name;
    }
  }
  COSEARCH_CHECK(false, "kernel kind without a name");
  return {};
}

const std::vector<KernelKind>& all_kernel_kinds() {
  static const std::vector<KernelKind> kinds = [] {
    std::vector<KernelKind> list;
    list.reserve(kKinds.size());
    for (const NamedKind& named : kKinds) {
      list.push_back(named.kind);
    }
    return list;
  }();
  return kinds;
}

std::int64_t KernelCall::constant_bytes() const noexcept {
  return std::accumulate(constants.begin(), constants.end(), std::int64_t{0},
                         [](std::int64_t sum, const Constant& constant) { return sum + constant.bytes; });
}

std::int64_t Program::constant_bytes() const noexcept {
  std::map<std::string_view, std::int64_t> bytes;
  for (const KernelCall& call : calls) {
    for (const Constant& constant : call.constants) {
      bytes[constant.name] = constant.bytes;
    }
  }
  return std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0},
                         [](std::int64_t sum, const auto& constant) { return sum + constant.second; });
}

std::string_view streaming_name(Streaming streaming) {
  switch (streaming) {
    case Streaming::layers:
      return "layers";
    case Streaming::rows:
      return "rows";
    case Streaming::heads:
      return "heads";
    case Streaming::heads_recomputed:
      return "heads_recomputed";
  }
  COSEARCH_CHECK(false, "a streaming without a name");
  return {};
}

LoweringOptions tinyengine_options() { return {}; }

LoweringOptions cmsis_nn_options() {
  LoweringOptions options;
  options.scratch = ScratchRule::cmsis_nn;
  options.in_place_depthwise = false;
  return options;
}

LoweringOptions tflm_reference_options() {
  LoweringOptions options;
  options.scratch = ScratchRule::none;
  options.in_place_depthwise = false;
  options.in_place_rows = false;
  return options;
}

LoweringOptions cosearch_options() {
  LoweringOptions options;
  options.scratch = ScratchRule::cosearch;
  options.in_place_add = true;
  options.mixtures = true;
  return options;
}

LoweringOptions plain_options() {
  LoweringOptions options = tflm_reference_options();
  options.mixtures = true;
  return options;
}

}  // namespace cosearch::program
