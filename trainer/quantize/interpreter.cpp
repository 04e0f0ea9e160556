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

bool is_attention(KernelKind kind) {
  return kind == KernelKind::attention_scores || kind == KernelKind::softmax || kind == KernelKind::attention_context;
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
  for (std::size_t node = 0; node < weights_.size(); ++node) {
    if (network.layers[node] && is_linear_map(network.graph.nodes[node].op)) {
      weights_[node] = prepare_weights(network.graph.nodes[node].op, *network.layers[node]);
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
  const Node& node = network_.graph.nodes[index(call.nodes.front())];
  BoundCall bound;
  bound.call = &call;
  const std::int32_t output_zero = network_.values[index(call.nodes.back())].zero_point;
  if (const auto& layer = network_.layers[index(call.nodes.front())]) {
    bound.layer = &*layer;
    bound.finish = finish_of(*layer, output_zero);
  }
  if (const auto& weights = weights_[index(call.nodes.front())]) {
    bound.weights = &*weights;
  }
  const std::int64_t element_bytes = call.kind == KernelKind::token_embed ? sizeof(std::int32_t) : 1;
  if (is_attention(call.kind)) {
    bind_attention(call, bound);
    return bound;
  }
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const auto source = index(node.inputs[i]);
    bound.channels.push_back(shapes_[source].back());
    const Rows rows = call.operands.empty() ? Rows{0, bound.channels.back()} : call.operands[i];
    bound.inputs.push_back(operand(call.inputs[i], rows, element_bytes));
    bound.inputs.back().width = g.in_w;
    bound.inputs.back().zero_point = network_.values[source].zero_point;
  }
  bound.output = operand(call.output, call.operands.empty() ? Rows{0, g.out_c} : call.operands.back(), 1);
  bound.output.width = g.out_w;
  bound.output.zero_point = output_zero;
  bound.output_bytes = g.out_c;
  // Rows of windows are overwritten while others need them: the kernels keep some rows, here all are kept.
  if (call.kind == KernelKind::depthwise_conv2d && bound.inputs[0].bytes.data() == bound.output.bytes.data()) {
    bound.copy.assign(bound.inputs[0].bytes.begin(), bound.inputs[0].bytes.end());
    bound.inputs[0].bytes = bound.copy;
  }
  return bound;
}

void Interpreter::bind_attention(const KernelCall& call, BoundCall& bound) {
  const std::int64_t features = shapes_[index(call.nodes.front())].back();
  const std::int64_t heads =
      std::get<graph::MultiHeadAttention>(network_.graph.nodes[index(call.nodes.front())].op).heads;
  const std::int64_t tokens = call.geometry.in_h;
  bound.head_dim = features / heads;
  // Parts of a packed row: queries, keys, values, and in each the heads one after the other.
  const auto packed = [&](std::int64_t part) {
    return Rows{part * features + call.geometry.head * bound.head_dim, 3 * features};
  };
  const auto rows = [&](std::size_t i, const Rows& otherwise) {
    return call.operands.empty() ? otherwise : call.operands[i];
  };
  const auto one_row = [this](int buffer, const Rows& where, std::int64_t element_bytes) {
    Operand result = operand(buffer, where, element_bytes);
    result.single_row = true;
    return result;
  };
  const std::size_t output = call.inputs.size();
  switch (call.kind) {
    case KernelKind::attention_scores:
      bound.inputs = {operand(call.inputs.front(), rows(0, packed(0)), 1),
                      operand(call.inputs.back(), rows(output - 1, packed(1)), 1)};
      bound.output = one_row(call.output, rows(output, {}), kScoreBytes);
      bound.output_bytes = kScoreBytes * tokens;
      return;
    case KernelKind::softmax:
      bound.inputs = {one_row(call.inputs[0], rows(0, {}), kScoreBytes)};
      bound.output = one_row(call.output, rows(output, {}), 1);
      bound.output_bytes = tokens;
      return;
    default:
      bound.inputs = {one_row(call.inputs[0], rows(0, {}), 1), operand(call.inputs[1], rows(1, packed(2)), 1)};
      bound.output = operand(call.output, rows(output, {call.geometry.head * bound.head_dim, features}), 1);
      bound.output_bytes = bound.head_dim;
      return;
  }
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
