#include "trainer/quantize/interpreter.hpp"

#include <algorithm>
#include <variant>

#include "spaces/base/check.hpp"

namespace cosearch::quantize {
namespace {

using graph::Node;
using program::Buffer;
using program::Geometry;
using program::KernelCall;
using program::KernelKind;
using program::Rows;
using program::Window;

// What is in the arena before the first call, and in scratch memory after each: no value that a kernel may count on.
constexpr std::int8_t kPaint = 0x5a;

bool is_linear_map(const graph::Op& op) {
  return std::holds_alternative<graph::Conv2d>(op) || std::holds_alternative<graph::Linear>(op) ||
         std::holds_alternative<graph::PatchEmbed>(op);
}

/// Bytes that a call writes in a row of its output.
std::int64_t output_row_bytes(const KernelCall& call) {
  const Geometry& g = call.geometry;
  switch (call.kind) {
    case KernelKind::attention_scores:
      return kWordBytes * g.in_h;
    case KernelKind::softmax:
      return g.in_h;
    case KernelKind::attention_context:
      return g.out_c / g.heads;
    default:
      return g.out_c;
  }
}

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The part of the input that a call reads in a round: what its buffer holds, and the rectangle of the image in it.
struct Reading {
  Window wanted;  ///< may lie outside of the image in part
  Window inside;
};

Reading reading(const KernelCall& call, const Buffer& buffer, std::int64_t round) {
  const Geometry& g = call.geometry;
  Window wanted{0, 0, g.in_h, g.in_w};
  if (call.row_block >= 0) {
    const std::int64_t columns = (g.in_w + g.padding.left + g.padding.right) / g.kernel_w;
    wanted = {round / columns * g.kernel_h - g.padding.top, round % columns * g.kernel_w - g.padding.left, g.kernel_h,
              g.kernel_w};
  } else if (call.region) {
    wanted = *call.region;
  } else if (buffer.window) {
    wanted = *buffer.window;
  }
  Window inside;
  inside.y = std::max<std::int64_t>(0, wanted.y);
  inside.x = std::max<std::int64_t>(0, wanted.x);
  inside.h = std::min(g.in_h, wanted.y + wanted.h) - inside.y;
  inside.w = std::min(g.in_w, wanted.x + wanted.w) - inside.x;
  return {wanted, inside};
}

}  // namespace

Interpreter::Interpreter(const program::Program& program, const QuantizedNetwork& network)
    : program_(program), network_(network), plan_(program::plan_arena(program)) {
  auto shapes = graph::infer_shapes(network.graph);
  COSEARCH_CHECK(shapes.has_value(), "a quantised network with a malformed graph");
  shapes_ = std::move(*shapes);
  weights_.resize(network.layers.size());
  mixtures_.resize(network.layers.size());
  for (std::size_t node = 0; node < weights_.size(); ++node) {
    if (network.layers[node] && is_linear_map(network.graph.nodes[node].op)) {
      weights_[node] = prepare_weights(network.graph.nodes[node].op, *network.layers[node]);
    } else if (network.layers[node] && network.layers[node]->mixture) {
      mixtures_[node] = prepare_mixture(*network.layers[node]->mixture);
    }
  }
  arena_.resize(index(plan_.bytes));
}

std::span<std::int8_t> Interpreter::bytes_of(int buffer) {
  return std::span(arena_).subspan(index(plan_.offsets[index(buffer)]), index(program_.buffers[index(buffer)].bytes));
}

void Interpreter::written(const std::int8_t* end) {
  high_water_bytes_ = std::max<std::int64_t>(high_water_bytes_, end - arena_.data());
}

Operand Interpreter::operand(int buffer, const Rows& rows, std::int64_t element_bytes) {
  const Buffer& described = program_.buffers[index(buffer)];
  Operand operand;
  operand.bytes = bytes_of(buffer);
  operand.offset = rows.offset * element_bytes;
  operand.stride = rows.stride * element_bytes;
  operand.single_row = described.per_row;
  operand.window = described.window;
  return operand;
}

BoundCall Interpreter::bind(const KernelCall& call) {
  const Geometry& g = call.geometry;
  const auto first_node = index(call.nodes.front());
  const Node& node = network_.graph.nodes[first_node];
  BoundCall bound;
  bound.call = &call;
  const std::int32_t output_zero = network_.values[index(call.nodes.back())].zero_point;
  if (const auto& layer = network_.layers[first_node]) {
    bound.layer = &*layer;
    bound.finish = finish_of(*layer, output_zero);
  }
  if (const auto& weights = weights_[first_node]) {
    bound.weights = &*weights;
  }
  if (const auto& mixture = mixtures_[first_node]) {
    bound.mixture = &*mixture;
  }
  for (std::size_t i = 0; i < call.inputs.size() && call.kind != KernelKind::read_input; ++i) {
    // Both operands of a step of an attention come from its only input.
    const auto source = index(node.inputs[std::min(i, node.inputs.size() - 1)]);
    bound.channels.push_back(shapes_[source].back());
    const Rows rows = call.operands.empty() ? Rows{0, bound.channels.back()} : call.operands[i];
    const bool words = call.kind == KernelKind::token_embed || call.kind == KernelKind::softmax;
    bound.inputs.push_back(operand(call.inputs[i], rows, words ? kWordBytes : 1));
    bound.inputs.back().width = g.in_w;
    bound.inputs.back().zero_point = network_.values[source].zero_point;
  }
  const Rows rows = call.operands.empty() ? Rows{0, g.out_c} : call.operands.back();
  bound.output = operand(call.output, rows, call.kind == KernelKind::attention_scores ? kWordBytes : 1);
  bound.output.width = g.out_w;
  bound.output_bytes = output_row_bytes(call);
  // Rows of windows are overwritten while others need them: the kernels keep some rows, here all are kept.
  if (call.kind == KernelKind::depthwise_conv2d && bound.inputs[0].bytes.data() == bound.output.bytes.data()) {
    bound.copy.assign(bound.inputs[0].bytes.begin(), bound.inputs[0].bytes.end());
    bound.inputs[0].bytes = bound.copy;
  }
  return bound;
}

void Interpreter::read_input(const BoundCall& bound, std::int64_t round, const InputReader& reader) {
  COSEARCH_CHECK(reader != nullptr, "a program that streams its input needs a reader");
  const auto [wanted, inside] = reading(*bound.call, program_.buffers[index(bound.call->output)], round);
  const std::int64_t channels = bound.call->geometry.in_c;
  std::vector<std::int8_t> pixels(index(inside.h * inside.w * channels));
  reader(inside, pixels.data());
  const std::span<std::int8_t> out = bound.output.bytes.first(index(wanted.h * wanted.w * channels));
  std::fill(out.begin(), out.end(), static_cast<std::int8_t>(network_.values[0].zero_point));
  const std::int64_t row = inside.w * channels;
  for (std::int64_t y = 0; y < inside.h; ++y) {
    const std::int64_t first = ((inside.y + y - wanted.y) * wanted.w + inside.x - wanted.x) * channels;
    std::copy_n(pixels.data() + y * row, row, out.data() + first);
  }
  written(out.data() + out.size());
}

void Interpreter::run_round(const BoundCall& bound, std::int64_t round, const InputReader& reader) {
  const KernelCall& call = *bound.call;
  for (const int scratch : call.scratch) {
    const std::span<std::int8_t> bytes = bytes_of(scratch);
    std::fill(bytes.begin(), bytes.end(), kPaint);
    written(bytes.data() + bytes.size());
  }
  if (call.kind == KernelKind::read_input) {
    return read_input(bound, round, reader);
  }
  const auto compute = [&](std::int64_t t) {
    compute_row(bound, t, workspace_);
    written(bound.output.row(t, bound.output_bytes) + bound.output_bytes);
  };
  const Geometry& g = call.geometry;
  if (call.row_block >= 0) {
    compute(round);
    return;
  }
  const Window region = call.region.value_or(Window{0, 0, g.out_h, g.out_w});
  for (std::int64_t y = region.y; y < region.y + region.h; ++y) {
    for (std::int64_t x = region.x; x < region.x + region.w; ++x) {
      compute(y * g.out_w + x);
    }
  }
}

std::vector<std::int8_t> Interpreter::run(std::span<const std::int8_t> input, const InputReader& reader) {
  high_water_bytes_ = 0;
  std::fill(arena_.begin(), arena_.end(), kPaint);
  if (!program_.inputs.empty()) {
    const std::span<std::int8_t> bytes = bytes_of(program_.inputs.front());
    COSEARCH_CHECK(program_.inputs.size() == 1 && input.size() == bytes.size(), "an input of another size");
    std::copy(input.begin(), input.end(), bytes.begin());
    written(bytes.data() + bytes.size());
  }
  for (std::size_t first = 0, end = 0; first < program_.calls.size(); first = end) {
    const KernelCall& call = program_.calls[first];
    end = first + 1;
    while (call.row_block >= 0 && end < program_.calls.size() && program_.calls[end].row_block == call.row_block) {
      ++end;
    }
    std::vector<BoundCall> block;
    for (std::size_t i = first; i < end; ++i) {
      block.push_back(bind(program_.calls[i]));
    }
    const std::int64_t rounds = call.row_block >= 0 ? call.rows : 1;
    for (std::int64_t round = 0; round < rounds; ++round) {
      for (const BoundCall& bound : block) {
        run_round(bound, round, reader);
      }
    }
  }
  std::vector<std::int8_t> outputs;
  for (const int output : program_.outputs) {
    const std::span<std::int8_t> bytes = bytes_of(output);
    outputs.insert(outputs.end(), bytes.begin(), bytes.end());
  }
  return outputs;
}

}  // namespace cosearch::quantize
