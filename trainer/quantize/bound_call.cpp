#include "trainer/quantize/bound_call.hpp"

#include <algorithm>
#include <cstring>
#include <variant>

#include "spaces/base/check.hpp"

namespace cosearch::quantize {
namespace {

using program::Geometry;
using program::KernelKind;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The part of a kernel's window at output position t that lies inside of the image.
struct KernelWindow {
  std::int64_t y = 0, x = 0;  ///< of its first pixel, may be outside
  std::int64_t first_row = 0, end_row = 0, first_column = 0, end_column = 0;
};

KernelWindow kernel_window(const Geometry& g, std::int64_t t) {
  // Not out_w: the positions of a patch embedding are a row of tokens.
  const std::int64_t width = (g.in_w + g.padding.left + g.padding.right - g.kernel_w) / g.stride + 1;
  KernelWindow window;
  window.y = t / width * g.stride - g.padding.top;
  window.x = t % width * g.stride - g.padding.left;
  window.first_row = std::max<std::int64_t>(0, -window.y);
  window.end_row = std::clamp<std::int64_t>(g.in_h - window.y, 0, g.kernel_h);
  window.first_column = std::max<std::int64_t>(0, -window.x);
  window.end_column = std::clamp<std::int64_t>(g.in_w - window.x, 0, g.kernel_w);
  return window;
}

/// Calls f(row of the input, number of the kernel's position) for each pixel of the window inside of the image.
template <class F>
void for_each_pixel(const Geometry& g, std::int64_t t, F f) {
  const KernelWindow window = kernel_window(g, t);
  for (std::int64_t dy = window.first_row; dy < window.end_row; ++dy) {
    for (std::int64_t dx = window.first_column; dx < window.end_column; ++dx) {
      f((window.y + dy) * g.in_w + window.x + dx, dy * g.kernel_w + dx);
    }
  }
}

std::int8_t* output_row(const BoundCall& bound, std::int64_t t) { return bound.output.row(t, bound.output_bytes); }

/// Requantises the sums of the call's output channels.
void finish_channels(const BoundCall& bound, std::int64_t t, const RowWorkspace& workspace) {
  const std::int64_t first = bound.call->first_channel;
  requantize_channels(workspace.sums.data(), bound.layer->bias.data() + first, bound.layer->multiplier.data() + first,
                      bound.layer->shift, bound.finish, bound.call->geometry.out_c, output_row(bound, t));
}

void compute_depthwise(const BoundCall& bound, std::int64_t t, RowWorkspace& workspace) {
  const Geometry& g = bound.call->geometry;
  const std::int64_t first = bound.call->first_channel;
  workspace.sums.assign(index(g.out_c), 0);
  for_each_pixel(g, t, [&](std::int64_t pixel, std::int64_t position) {
    Centred x = bound.inputs[0].centred(pixel, g.in_c);
    x.values += first;
    accumulate_products(x, bound.weights->rows.values.data() + position * g.in_c + first, g.out_c,
                        workspace.sums.data());
  });
  finish_channels(bound, t, workspace);
}

void compute_convolution(const BoundCall& bound, std::int64_t t, RowWorkspace& workspace) {
  const Geometry& g = bound.call->geometry;
  const std::int64_t inputs = g.in_c / g.groups;
  const std::int64_t length = bound.weights->rows.length;
  const std::int64_t all_outputs = static_cast<std::int64_t>(bound.weights->rows.values.size()) / length;
  const std::int64_t outputs = all_outputs / g.groups;
  const std::int64_t end = bound.call->first_channel + g.out_c;
  workspace.sums.resize(index(g.out_c));
  for (std::int64_t o = bound.call->first_channel; o < end;) {
    const std::int64_t group = o / outputs;
    const std::int64_t next = std::min(end, (group + 1) * outputs);
    workspace.column.assign(index(length), 0);
    for_each_pixel(g, t, [&](std::int64_t pixel, std::int64_t position) {
      Centred x = bound.inputs[0].centred(pixel, g.in_c);
      x.values += group * inputs;
      centre(x, inputs, workspace.column.data() + position * inputs);
    });
    linear_sums(workspace.column.data(), bound.weights->rows.row(index(o)), length, next - o,
                workspace.sums.data() + (o - bound.call->first_channel));
    o = next;
  }
  finish_channels(bound, t, workspace);
}

/// A linear map of a row of n values.
void compute_linear(const BoundCall& bound, std::int64_t t, std::int64_t n, RowWorkspace& workspace) {
  const std::int64_t length = bound.weights->rows.length;
  workspace.column.assign(index(length), 0);
  const std::int64_t outputs = bound.call->geometry.out_c;
  workspace.sums.resize(index(outputs));
  centre(bound.inputs[0].centred(t, n), n, workspace.column.data());
  linear_sums(workspace.column.data(), bound.weights->rows.row(index(bound.call->first_channel)), length, outputs,
              workspace.sums.data());
  finish_channels(bound, t, workspace);
}

void compute_max_pool(const BoundCall& bound, std::int64_t t) {
  const Geometry& g = bound.call->geometry;
  std::int8_t* const out = output_row(bound, t);
  std::fill(out, out + g.out_c, static_cast<std::int8_t>(kLowest));
  for_each_pixel(g, t, [&](std::int64_t pixel, std::int64_t /*position*/) {
    accumulate_maximum(bound.inputs[0].row(pixel, g.in_c), g.in_c, out);
  });
}

void compute_average_pool(const BoundCall& bound, std::int64_t t, RowWorkspace& workspace) {
  const Geometry& g = bound.call->geometry;
  workspace.sums.assign(index(g.out_c), 0);
  const auto add_pixel = [&](std::int64_t pixel, std::int64_t /*position*/) {
    accumulate(bound.inputs[0].centred(pixel, g.in_c), g.in_c, workspace.sums.data());
  };
  if (bound.call->kind == KernelKind::average_pool) {
    for_each_pixel(g, t, add_pixel);
  } else {
    for (std::int64_t pixel = 0; pixel < g.in_h * g.in_w; ++pixel) {
      add_pixel(pixel, 0);
    }
  }
  requantize_row(workspace.sums.data(), bound.layer->multiplier[0], bound.layer->shift, bound.finish, g.out_c,
                 output_row(bound, t));
}

void compute_add(const BoundCall& bound, std::int64_t t) {
  const std::int64_t n = bound.call->geometry.out_c;
  add_rows(bound.inputs[0].centred(t, n), bound.inputs[1].centred(t, n), bound.layer->multiplier.data(),
           bound.layer->shift, bound.finish, n, output_row(bound, t));
}

void compute_position_embed(const BoundCall& bound, std::int64_t t) {
  const std::int64_t n = bound.call->geometry.out_c;
  add_rows(bound.inputs[0].centred(t, n), {bound.layer->weight.data() + t * n, 0}, bound.layer->multiplier.data(),
           bound.layer->shift, bound.finish, n, output_row(bound, t));
}

void compute_concat(const BoundCall& bound, std::int64_t t) {
  std::int8_t* out = output_row(bound, t);
  for (std::size_t i = 0; i < bound.inputs.size(); ++i) {
    rescale_row(bound.inputs[i].centred(t, bound.channels[i]), bound.layer->multiplier[i], bound.layer->shift,
                bound.finish, bound.channels[i], out);
    out += bound.channels[i];
  }
}

void compute_upsample(const BoundCall& bound, std::int64_t t) {
  const Geometry& g = bound.call->geometry;
  const std::int64_t y = t / g.out_w / (g.out_h / g.in_h);
  const std::int64_t x = t % g.out_w / (g.out_w / g.in_w);
  std::copy_n(bound.inputs[0].row(y * g.in_w + x, g.in_c), g.in_c, output_row(bound, t));
}

void compute_token_embed(const BoundCall& bound, std::int64_t t) {
  const std::int64_t width = bound.call->geometry.out_c;
  std::int32_t id = 0;
  std::memcpy(&id, bound.inputs[0].row(t, sizeof(id)), sizeof(id));
  const auto rows = static_cast<std::int64_t>(bound.layer->weight.size()) / width;
  COSEARCH_CHECK(id >= 0 && id < rows, "a token id that the table does not have");
  std::copy_n(bound.layer->weight.data() + id * width, width, output_row(bound, t));
}

std::int32_t* score_row(const Operand& operand, std::int64_t t, std::int64_t tokens) {
  return reinterpret_cast<std::int32_t*>(operand.row(t, kWordBytes * tokens));
}

std::int64_t head_dim(const Geometry& g) { return g.out_c / g.heads; }

/// The first of the keys or values of all tokens.
const std::int8_t* first_token(const Operand& operand, const Geometry& g) {
  static_cast<void>(operand.row(g.in_h - 1, head_dim(g)));  // the last one must be there too
  return operand.row(0, head_dim(g));
}

void compute_scores(const BoundCall& bound, std::int64_t t) {
  const Geometry& g = bound.call->geometry;
  attention_scores_row(bound.inputs[0].row(t, head_dim(g)), first_token(bound.inputs[1], g), bound.inputs[1].stride,
                       g.in_h, head_dim(g), score_row(bound.output, t, g.in_h));
}

void compute_softmax(const BoundCall& bound, std::int64_t t) {
  const std::int64_t tokens = bound.call->geometry.in_h;
  attention_weights_row(score_row(bound.inputs[0], t, tokens), bound.layer->softmax_multiplier,
                        bound.layer->softmax_shift, tokens, output_row(bound, t));
}

void compute_context(const BoundCall& bound, std::int64_t t, RowWorkspace& workspace) {
  const Geometry& g = bound.call->geometry;
  workspace.sums.resize(index(head_dim(g)));
  attention_context_means(bound.inputs[0].row(t, g.in_h), first_token(bound.inputs[1], g), bound.inputs[1].stride,
                          g.in_h, head_dim(g), workspace.sums.data());
  requantize_row(workspace.sums.data(), bound.layer->multiplier[0], bound.layer->shift, bound.finish, head_dim(g),
                 output_row(bound, t));
}

}  // namespace

std::int8_t* Operand::row(std::int64_t t, std::int64_t size) const {
  std::int64_t at = single_row ? 0 : t;
  if (window && !single_row) {
    const std::int64_t y = t / width - window->y;
    const std::int64_t x = t % width - window->x;
    COSEARCH_CHECK(y >= 0 && y < window->h && x >= 0 && x < window->w, "a pixel outside of the buffer's window");
    at = y * window->w + x;
  }
  const std::int64_t first = offset + at * stride;
  COSEARCH_CHECK(first >= 0 && first + size <= static_cast<std::int64_t>(bytes.size()), "a row outside of its buffer");
  return bytes.data() + first;
}

PreparedWeights prepare_weights(const graph::Op& op, const QuantizedLayer& layer) {
  const std::size_t outputs = layer.bias.size();
  const std::size_t length = layer.weight.size() / outputs;
  const auto* conv = std::get_if<graph::Conv2d>(&op);
  if (conv == nullptr || conv->groups == 1 || conv->groups != conv->out_channels ||
      static_cast<std::int64_t>(length) != conv->kernel_h * conv->kernel_w) {
    return {padded_rows(layer.weight, outputs), false};
  }
  PreparedRows rows{std::vector<std::int16_t>(outputs * length), static_cast<std::int64_t>(outputs)};
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < length; ++i) {
      rows.values[i * outputs + o] = std::int16_t{layer.weight[o * length + i]};
    }
  }
  return {std::move(rows), true};
}

void compute_row(const BoundCall& bound, std::int64_t t, RowWorkspace& workspace) {
  const Geometry& g = bound.call->geometry;
  switch (bound.call->kind) {
    case KernelKind::conv2d:
      return compute_convolution(bound, t, workspace);
    case KernelKind::patch_embed:
      return bound.inputs[0].single_row ? compute_linear(bound, t, g.kernel_h * g.kernel_w * g.in_c, workspace)
                                        : compute_convolution(bound, t, workspace);
    case KernelKind::depthwise_conv2d:
      return bound.weights->by_position ? compute_depthwise(bound, t, workspace)
                                        : compute_convolution(bound, t, workspace);
    case KernelKind::pointwise_conv2d:
      // A pointwise convolution with a stride reads some of the pixels only.
      return g.stride == 1 ? compute_linear(bound, t, g.in_c, workspace) : compute_convolution(bound, t, workspace);
    case KernelKind::fully_connected:
      return compute_linear(bound, t, g.in_c, workspace);
    case KernelKind::attention_scores:
      return compute_scores(bound, t);
    case KernelKind::softmax:
      return compute_softmax(bound, t);
    case KernelKind::attention_context:
      return compute_context(bound, t, workspace);
    case KernelKind::max_pool:
      return compute_max_pool(bound, t);
    case KernelKind::average_pool:
    case KernelKind::global_average_pool:
      return compute_average_pool(bound, t, workspace);
    case KernelKind::add:
      return compute_add(bound, t);
    case KernelKind::activation:
      return activation_row(bound.inputs[0].row(t, g.out_c), bound.finish, g.out_c, output_row(bound, t));
    case KernelKind::batch_norm:
      return batch_norm_row(bound.inputs[0].centred(t, g.out_c), bound.layer->multiplier.data(),
                            bound.layer->bias.data(), bound.layer->shift, bound.finish, g.out_c, output_row(bound, t));
    case KernelKind::layer_norm:
      return layer_norm_row(bound.inputs[0].row(t, g.out_c), *bound.layer, bound.finish, g.out_c, output_row(bound, t));
    case KernelKind::position_embed:
      return compute_position_embed(bound, t);
    case KernelKind::concat:
      return compute_concat(bound, t);
    case KernelKind::upsample:
      return compute_upsample(bound, t);
    case KernelKind::token_embed:
      return compute_token_embed(bound, t);
    case KernelKind::mixture:
      return mixture_row(bound.inputs[0].centred(t, g.in_c), *bound.layer, *bound.mixture, bound.finish,
                         workspace.mixture, output_row(bound, t));
    case KernelKind::read_input:
      COSEARCH_CHECK(false, "reading the input is the interpreter's own");
  }
}

}  // namespace cosearch::quantize
