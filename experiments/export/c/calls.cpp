#include "experiments/export/c/calls.hpp"

#include <fmt/format.h>

#include "experiments/export/c/c_text.hpp"
#include "spaces/base/check.hpp"
#include "spaces/program/mixtures.hpp"

namespace cosearch::c_export {
namespace {

using program::Geometry;
using program::KernelCall;
using program::KernelKind;
using program::Window;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

const graph::NetworkGraph& graph_of(const Project& project) {
  return std::visit([](const auto* network) -> const graph::NetworkGraph& { return network->graph; }, project.network);
}

/// `text`, two spaces further right.
std::string indented(const std::string& text) {
  std::string result;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin) + 1;
    result += "  " + text.substr(begin, end - begin);
    begin = end;
  }
  return result;
}

/// Rows of a call: one in each round of a row block.
std::int64_t loop_rows(const KernelCall& call) {
  return call.row_block >= 0 ? 1 : call.geometry.out_h * call.geometry.out_w;
}

std::int64_t window_elements(const Geometry& g) { return g.kernel_h * g.kernel_w * (g.in_c / g.groups); }

}  // namespace

Calls::Calls(const Project& project, const Constants& constants, Parameters& parameters)
    : project_(project),
      program_(project.program),
      constants_(constants),
      parameters_(parameters),
      floats_(std::holds_alternative<const FloatNetwork*>(project.network)),
      element_bytes_(floats_ ? static_cast<std::int64_t>(sizeof(float)) : 1) {
  const auto shapes = graph::infer_shapes(graph_of(project));
  COSEARCH_CHECK(shapes.has_value(), "a malformed graph");
  shapes_ = *shapes;
}

std::string Calls::statements() {
  std::string text;
  const std::vector<KernelCall>& calls = program_.calls;
  for (std::size_t first = 0; first < calls.size();) {
    std::size_t end = first + 1;
    while (calls[first].row_block >= 0 && end < calls.size() && calls[end].row_block == calls[first].row_block) {
      ++end;
    }
    std::string copies, body;
    for (std::size_t i = first; i < end; ++i) {
      copies += constants_.copies(calls[i]);
      body += fmt::format("  /* {} */\n  {}", in_comment(calls[i].name), statement(calls[i]));
    }
    text += copies;
    text += calls[first].row_block < 0
                ? body
                : fmt::format("  for (int32_t t = 0; t < {}; ++t) {{\n{}  }}\n", calls[first].rows, indented(body));
    first = end;
  }
  return text;
}

std::string Calls::statement(const KernelCall& call) {
  switch (call.kind) {
    case KernelKind::conv2d:
    case KernelKind::pointwise_conv2d:
    case KernelKind::fully_connected:
      return linear(call);
    case KernelKind::depthwise_conv2d:
      return depthwise(call);
    case KernelKind::patch_embed:
      return patch_embed(call);
    case KernelKind::attention_scores:
    case KernelKind::softmax:
    case KernelKind::attention_context:
      return attention(call);
    case KernelKind::mixture:
      return mixture(call);
    case KernelKind::max_pool:
    case KernelKind::average_pool:
    case KernelKind::global_average_pool:
      return pool(call);
    case KernelKind::concat:
      return concat(call);
    case KernelKind::read_input:
      return read_input(call);
    case KernelKind::upsample:
      return upsample(call);
    case KernelKind::token_embed:
      return fmt::format("{}{}, {}, {}, {}, {});\n", begin("token_embed"), call.geometry.out_h, call.geometry.out_c,
                         constants_.pointer(call, "embedding"), words(call.inputs[0]), place(call.output));
    case KernelKind::add:
    case KernelKind::activation:
    case KernelKind::batch_norm:
    case KernelKind::layer_norm:
    case KernelKind::position_embed:
      return elementwise(call);
  }
  return {};
}

// --- operands ---

std::string Calls::begin(std::string_view kernel) const {
  return fmt::format("cs_{}{}(", kernel, floats_ ? "_f32" : "");
}

std::string Calls::place(int buffer, std::int64_t element) const {
  const std::int64_t byte = project_.plan.offsets[at(buffer)] + element * element_bytes_;
  return floats_ ? fmt::format("(float *)(void *)(arena + {})", byte) : fmt::format("arena + {}", byte);
}

std::string Calls::words(int buffer) const {
  return fmt::format("(int32_t *)(void *)(arena + {})", project_.plan.offsets[at(buffer)]);
}

int Calls::buffer_of(const KernelCall& call, std::size_t operand) const {
  return operand < call.inputs.size() ? call.inputs[operand] : call.output;
}

std::int64_t Calls::channels(const KernelCall& call, std::size_t operand) const {
  if (operand == call.inputs.size()) {
    return call.geometry.out_c;
  }
  return operand == 0 ? call.geometry.in_c
                      : shapes_[at(graph_of(project_).nodes[at(call.nodes[0])].inputs[operand])].back();
}

program::Rows Calls::rows(const KernelCall& call, std::size_t operand) const {
  return call.operands.empty() ? program::Rows{0, channels(call, operand)} : call.operands[operand];
}

std::string Calls::row(const KernelCall& call, std::size_t operand) const {
  const int buffer = buffer_of(call, operand);
  const program::Rows where = rows(call, operand);
  const std::string first = place(buffer, where.offset);
  const bool moves = call.row_block >= 0 && !program_.buffers[at(buffer)].per_row && where.stride != 0;
  return moves ? fmt::format("{} + t * {}", first, where.stride) : first;
}

std::string Calls::scratch(const KernelCall& call, std::int64_t elements) const {
  COSEARCH_CHECK(!call.scratch.empty() && program_.buffers[at(call.scratch[0])].bytes >= elements * element_bytes_,
                 "the program was not lowered for our kernels (ScratchRule::cosearch)");
  return place(call.scratch[0]);
}

// --- calls ---

std::string Calls::linear(const KernelCall& call) {
  const Geometry& g = call.geometry;
  if (call.kind == KernelKind::fully_connected || call.row_block >= 0) {
    return fmt::format("{}{}{}, {}, {}, {}, {}, {}, {});\n", begin("fully_connected"), parameters_.of(call),
                       loop_rows(call), g.in_c, g.out_c, row(call, 0), rows(call, 0).stride, row(call, 1),
                       rows(call, 1).stride);
  }
  const std::string start = parameters_.geometry(call) + parameters_.of(call) + place(call.inputs[0]) + ", ";
  const std::string out = region_place(call, 1);
  if (call.kind == KernelKind::pointwise_conv2d) {
    return fmt::format("{}{}{});\n", begin("pointwise_conv2d"), start, out);
  }
  return fmt::format("{}{}{}, {});\n", begin("conv2d"), start, out, scratch(call, 2 * window_elements(g)));
}

std::string Calls::depthwise(const KernelCall& call) {
  const std::string start = parameters_.geometry(call) + parameters_.of(call) + place(call.inputs[0]) + ", ";
  if (project_.plan.offsets[at(call.inputs[0])] != project_.plan.offsets[at(call.output)]) {
    return fmt::format("{}{}{});\n", begin("depthwise_conv2d"), start, region_place(call, 1));
  }
  const Geometry& g = call.geometry;
  const Window in = window_of(program_.buffers[at(call.inputs[0])], g.in_h, g.in_w);
  return fmt::format("{}{}{});\n", begin("depthwise_conv2d_in_place"), start,
                     scratch(call, g.kernel_h * in.w * g.in_c));
}

std::string Calls::patch_embed(const KernelCall& call) {
  const Geometry& g = call.geometry;
  const std::int64_t patch = window_elements(g);
  if (call.row_block < 0) {
    return fmt::format("{}{}{}{}, {}, {});\n", begin("patch_embed"), parameters_.geometry(call), parameters_.of(call),
                       place(call.inputs[0]), place(call.output), scratch(call, patch));
  }
  if (program_.buffers[at(call.inputs[0])].per_row) {  // gathered by the caller
    return fmt::format("{}{}1, {}, {}, {}, {}, {}, {});\n", begin("fully_connected"), parameters_.of(call), patch,
                       g.out_c, place(call.inputs[0]), patch, row(call, 1), rows(call, 1).stride);
  }
  return fmt::format("{}{}{}t, {}, {}, {});\n", begin("patch_embed_token"), parameters_.geometry(call),
                     parameters_.of(call), place(call.inputs[0]), row(call, 1), scratch(call, patch));
}

std::string Calls::attention(const KernelCall& call) {
  const std::int64_t tokens = call.geometry.in_h;
  const std::int64_t head_dim = call.geometry.out_c / call.geometry.heads;
  // Scores are int32 in a quantised network.
  const auto scores = [&](int buffer) { return floats_ ? place(buffer) : words(buffer); };
  if (call.kind == KernelKind::softmax) {
    return fmt::format("{}{}{}, {}, {});\n", begin("softmax"), parameters_.of(call), tokens, scores(call.inputs[0]),
                       place(call.output));
  }
  const program::Rows others = rows(call, 1);  // keys or values: all of them in each round
  const std::string all = fmt::format("{}, {}", place(call.inputs[1], others.offset), others.stride);
  if (call.kind == KernelKind::attention_scores) {
    return fmt::format("{}{}, {}, {}, {}, {});\n", begin("attention_scores"), tokens, head_dim, row(call, 0), all,
                       scores(call.output));
  }
  return fmt::format("{}{}{}, {}, {}, {}, {});\n", begin("attention_context"), parameters_.of(call), tokens, head_dim,
                     place(call.inputs[0]), all, row(call, 2));
}

std::string Calls::mixture(const KernelCall& call) {
  const auto& experts = std::get<graph::MoeFfn>(graph_of(project_).nodes[at(call.nodes[0])].op);
  const std::int64_t width = call.geometry.out_c;
  program::LoweringOptions options;
  options.element_bytes = element_bytes_;
  const std::int64_t bytes = program::mixture_scratch_bytes(experts, width, options);
  return fmt::format("{}{}{}, {}, {}, {}, {}, {}, {});\n", begin("moe"), parameters_.of(call), loop_rows(call), width,
                     row(call, 0), rows(call, 0).stride, row(call, 1), rows(call, 1).stride,
                     scratch(call, bytes / element_bytes_));
}

std::string Calls::pool(const KernelCall& call) {
  const std::string operands = place(call.inputs[0]) + ", " + region_place(call, 1);
  if (call.kind == KernelKind::max_pool) {
    return fmt::format("{}{}{});\n", begin("max_pool"), parameters_.geometry(call), operands);
  }
  if (call.kind == KernelKind::average_pool) {
    return fmt::format("{}{}{}{});\n", begin("average_pool"), parameters_.geometry(call), parameters_.of(call),
                       operands);
  }
  return fmt::format("{}{}{}, {}, {});\n", begin("global_average_pool"), parameters_.of(call),
                     call.geometry.in_h * call.geometry.in_w, call.geometry.in_c, operands);
}

// --- calls on all positions of a region ---

Calls::Walk Calls::walk(const KernelCall& call) const {
  const Geometry& g = call.geometry;
  if (call.row_block >= 0) {
    return {1, 1};
  }
  const Window region = region_of(call);
  for (std::size_t operand = 0; operand <= call.inputs.size(); ++operand) {
    if (window_of(program_.buffers[at(buffer_of(call, operand))], g.out_h, g.out_w).w != region.w) {
      return {region.h, region.w};
    }
  }
  return {1, region.h * region.w};
}

std::string Calls::region_place(const KernelCall& call, std::size_t operand, std::int64_t element) const {
  const Geometry& g = call.geometry;
  const int buffer = buffer_of(call, operand);
  const Window window = window_of(program_.buffers[at(buffer)], g.out_h, g.out_w);
  const Window region = region_of(call);
  const std::int64_t first = (region.y - window.y) * window.w + region.x - window.x;
  return place(buffer, first * channels(call, operand) + element);
}

std::string Calls::walked(const Walk& walk, const std::string& text) {
  return walk.loops == 1 ? text : fmt::format("for (int32_t y = 0; y < {}; ++y) {{\n    {}  }}\n", walk.loops, text);
}

std::string Calls::walking(const KernelCall& call, std::size_t operand, std::int64_t element) const {
  if (call.row_block >= 0) {
    return row(call, operand);
  }
  const Window window =
      window_of(program_.buffers[at(buffer_of(call, operand))], call.geometry.out_h, call.geometry.out_w);
  const std::string first = region_place(call, operand, element);
  return walk(call).loops == 1 ? first : fmt::format("{} + y * {}", first, window.w * channels(call, operand));
}

std::string Calls::elementwise(const KernelCall& call) {
  const Walk steps = walk(call);
  const std::int64_t width = call.geometry.out_c;
  const std::int64_t elements = steps.count * width;
  const std::string parameters = parameters_.of(call);
  const std::string in = walking(call, 0);
  const std::string out = walking(call, call.inputs.size());
  const std::string name(program::kind_name(call.kind));
  switch (call.kind) {
    case KernelKind::layer_norm:
      return walked(steps, fmt::format("{}{}{}, {}, {}, {}, {}, {});\n", begin(name), parameters, steps.count, width,
                                       in, rows(call, 0).stride, out, rows(call, 1).stride));
    case KernelKind::batch_norm:
      return walked(steps, fmt::format("{}{}{}, {}, {}, {});\n", begin(name), parameters, steps.count, width, in, out));
    case KernelKind::activation:
      return walked(steps, fmt::format("{}{}{}, {}, {});\n", begin(name), parameters, elements, in, out));
    case KernelKind::position_embed:
      return fmt::format("{}{}{}, {}, {}{}, {});\n", begin("add"), parameters, elements, in,
                         constants_.pointer(call, "embedding"),
                         call.row_block >= 0 ? fmt::format(" + t * {}", width) : "", out);
    default:
      return walked(
          steps, fmt::format("{}{}{}, {}, {}, {});\n", begin("add"), parameters, elements, in, walking(call, 1), out));
  }
}

std::string Calls::concat(const KernelCall& call) {
  const Walk steps = walk(call);
  std::string text;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const std::int64_t width = channels(call, i);
    text += (text.empty() ? "" : "  ") +
            walked(steps, fmt::format("{}{}{}, {}, {}, {}, {}, {});\n", begin("concat_input"), parameters_.of(call, i),
                                      steps.count, width, walking(call, i), width,
                                      walking(call, call.inputs.size(), first), call.geometry.out_c));
    first += width;
  }
  return text;
}

std::string Calls::upsample(const KernelCall& call) const {
  const Geometry& g = call.geometry;
  const std::int64_t factor = g.out_h / g.in_h;
  if (!call.region) {
    return fmt::format("{}{}, {}, {}, {}, {}, {});\n", begin("upsample"), g.in_h, g.in_w, g.in_c, factor,
                       place(call.inputs[0]), place(call.output));
  }
  // A region may begin and end within a square of equal pixels.
  const Window in = window_of(program_.buffers[at(call.inputs[0])], g.in_h, g.in_w);
  const Window out = window_of(program_.buffers[at(call.output)], g.out_h, g.out_w);
  const Window& region = *call.region;
  return fmt::format(
      "for (int32_t y = {}; y < {}; ++y) {{\n    for (int32_t x = {}; x < {}; ++x) {{\n"
      "      memcpy({} + ((y - {}) * {} + x - {}) * {},\n             {} + ((y / {} - {}) * {} + x / {} - {}) * {}, "
      "{});\n"
      "    }}\n  }}\n",
      region.y, region.y + region.h, region.x, region.x + region.w, place(call.output), out.y, out.w, out.x, g.out_c,
      place(call.inputs[0]), factor, in.y, in.w, factor, in.x, g.in_c, g.in_c * element_bytes_);
}

std::string Calls::read_input(const KernelCall& call) const {
  const Geometry& g = call.geometry;
  const std::string in_tokens =
      call.row_block >= 0
          ? fmt::format("read_patch(read, context, t / {0} * {1} - {2}, t % {0} * {1} - {3}, {1}, {1}, ",
                        patches_per_row(g), g.kernel_h, g.padding.top, g.padding.left)
          : fmt::format("read_patch(read, context, {}, {}, {}, {}, ", region_of(call).y, region_of(call).x,
                        region_of(call).h, region_of(call).w);
  return fmt::format("if ({}{}) != 0) {{\n    return 1;\n  }}\n", in_tokens, place(call.output));
}

}  // namespace cosearch::c_export
