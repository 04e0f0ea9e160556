#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "spaces/base/rng.hpp"
#include "trainer/kernels/moe.hpp"
#include "trainer/moe/balance.hpp"
#include "trainer/net/aligned_floats.hpp"
#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

/// Places of the weights.
enum Weight : std::size_t { kRouter, kW1, kB1, kW2, kB2, kTaskW1, kTaskW2, kTaskB2 };

std::int32_t* integers(float* memory) { return reinterpret_cast<std::int32_t*>(memory); }
const std::int32_t* integers(const float* memory) { return reinterpret_cast<const std::int32_t*>(memory); }

/// Hands out parts of a block, each at a 64-byte boundary; without a block it counts what they need.
template <class Float>
class Parts {
 public:
  explicit Parts(Float* block) : block_(block) {}
  Float* take(std::int64_t count) {
    Float* part = block_ == nullptr ? nullptr : block_ + used_;
    used_ += AlignedFloats::rounded_up(count);
    return part;
  }
  [[nodiscard]] std::int64_t used() const noexcept { return used_; }

 private:
  Float* block_;
  std::int64_t used_ = 0;
};

struct Sizes {
  std::int64_t rows, pairs, features, hidden, experts, embedding;
  bool noisy;  ///< there may be noise

  [[nodiscard]] kernels::MoeShape shape() const { return {rows, experts, pairs / rows}; }
};

Sizes sizes(const graph::MoeFfn& op, const Geometry& geometry, std::int64_t samples) {
  const std::int64_t rows = samples * geometry.output[0];
  return {.rows = rows,
          .pairs = rows * op.top_k,
          .features = geometry.output[1],
          .hidden = op.hidden,
          .experts = op.experts,
          .embedding = op.routing == graph::MoeRouting::conditioned ? op.embedding : 0,
          .noisy = op.noise > 0.0 && geometry.use == kernels::Use::training};
}

/// What forward leaves for backward.
template <class Float>
struct Saved {
  Saved(const Sizes& s, Float* block) {
    Parts<Float> parts(block);
    shares = parts.take(s.rows * s.experts);
    clean = parts.take(s.noisy ? s.rows * s.experts : 0);
    noisy = parts.take(s.noisy ? s.rows * s.experts : 0);
    begin = integers(parts.take(s.experts + 1));
    tokens = integers(parts.take(s.pairs));
    pair_shares = parts.take(s.pairs);
    before = parts.take(s.pairs * s.hidden);
    hidden = parts.take(s.pairs * s.hidden);
    outputs = parts.take(s.pairs * s.features);
    size = parts.used();
  }
  using Integer = std::conditional_t<std::is_const_v<Float>, const std::int32_t, std::int32_t>;
  Float *shares, *clean, *noisy;  ///< (rows, experts)
  Integer* begin;                 ///< (experts + 1), see kernels::sort_by_expert
  Integer* tokens;                ///< (pairs)
  Float* pair_shares;             ///< (pairs)
  Float *before, *hidden;         ///< (pairs, hidden), before and behind gelu
  Float* outputs;                 ///< (pairs, features), what the experts give
  std::int64_t size;
};

/// Working memory of a call.
struct Scratch {
  Scratch(const Sizes& s, float* block) {
    Parts<float> parts(block);
    inputs = parts.take(s.pairs * s.features);
    output_gradients = parts.take(s.pairs * s.features);
    hidden_gradients = parts.take(s.pairs * s.hidden);
    logits = parts.take(s.rows * s.experts);
    pairs = parts.take(s.pairs);
    picks = integers(parts.take(s.pairs));
    work = reinterpret_cast<double*>(parts.take(4 * s.experts));
    task_hidden = parts.take(s.embedding);
    task_sum = parts.take(s.embedding);
    task_embedding = parts.take(s.embedding);
    task_gradient = parts.take(s.embedding);
    task_logits = parts.take(s.experts);
    size = parts.used();
  }
  float *inputs, *output_gradients;                                ///< (pairs, features)
  float* hidden_gradients;                                         ///< (pairs, hidden)
  float* logits;                                                   ///< (rows, experts), or gradients
  float* pairs;                                                    ///< (pairs)
  std::int32_t* picks;                                             ///< (pairs)
  double* work;                                                    ///< (2 * experts)
  float *task_hidden, *task_sum, *task_embedding, *task_gradient;  ///< (embedding)
  float* task_logits;                                              ///< (experts)
  std::int64_t size;
};

template <class Float>
moe::Gate gate_of(const graph::MoeFfn& op, const Sizes& s, const Saved<Float>& saved, bool noisy, double* work) {
  return {.shape = s.shape(),
          .shares = saved.shares,
          .begin = saved.begin,
          .tokens = saved.tokens,
          .clean = saved.clean,
          .noisy = saved.noisy,
          .deviation = noisy ? op.noise / static_cast<double>(op.experts) : 0.0,
          .work = work};
}

/// relu(relu(task_w1[task]) task_w2 + task_b2), its steps in scratch.
void embed_task(const graph::MoeFfn& op, const kernels::Dense& dense,
                const std::array<const float*, kMostWeights>& weights, const Scratch& scratch) {
  const std::int64_t d = op.embedding;
  kernels::activation(kernels::Activation::relu, d, weights[kTaskW1] + op.task * d, scratch.task_hidden);
  std::copy_n(weights[kTaskB2], d, scratch.task_sum);
  dense.gemm(false, false, 1, d, d, 1.0F, scratch.task_hidden, d, weights[kTaskW2], d, 1.0F, scratch.task_sum, d);
  kernels::activation(kernels::Activation::relu, d, scratch.task_sum, scratch.task_embedding);
}

void compute_logits(const graph::MoeFfn& op, const Geometry& geometry, const Sizes& s, const Forward& call,
                    const Scratch& scratch) {
  const kernels::Dense& dense = *geometry.dense;
  dense.gemm(false, false, s.rows, s.experts, s.features, 1.0F, call.x[0], s.features, call.weights[kRouter], s.experts,
             0.0F, scratch.logits, s.experts);
  if (s.embedding > 0) {
    embed_task(op, dense, call.weights, scratch);
    dense.gemm(false, false, 1, s.experts, s.embedding, 1.0F, scratch.task_embedding, s.embedding,
               call.weights[kRouter] + s.features * s.experts, s.experts, 0.0F, scratch.task_logits, s.experts);
    kernels::add_bias(s.rows, s.experts, scratch.task_logits, scratch.logits);
  }
}

/// Adds the noise of each sample, drawn from the sample's own stream.
void add_noise(const graph::MoeFfn& op, const Geometry& geometry, const Forward& call, float* logits) {
  const std::int64_t size = geometry.output[0] * op.experts;  // of a sample
  const double deviation = op.noise / static_cast<double>(op.experts);
  for (std::int64_t n = 0; n < call.samples; ++n) {
    RngStream rng(*call.noise_seed, Purpose::gate, static_cast<std::uint64_t>(call.first_sample + n));
    for (std::int64_t i = 0; i < size; ++i) {
      logits[n * size + i] += static_cast<float>(deviation * rng.normal());
    }
  }
}

/// Shares, choices and queues.
void choose(const graph::MoeFfn& op, const Geometry& geometry, const Sizes& s, const Forward& call,
            const Saved<float>& saved, const Scratch& scratch) {
  compute_logits(op, geometry, s, call, scratch);
  const bool noisy = s.noisy && call.noise_seed.has_value();
  if (noisy) {
    std::copy_n(scratch.logits, s.rows * s.experts, saved.clean);
    add_noise(op, geometry, call, scratch.logits);
    std::copy_n(scratch.logits, s.rows * s.experts, saved.noisy);
  }
  kernels::softmax(s.rows, s.experts, 1.0F, scratch.logits, saved.shares);
  std::int32_t* picks = call.picks != nullptr ? call.picks : scratch.picks;
  kernels::top_k(s.shape(), saved.shares, picks);
  kernels::sort_by_expert(s.shape(), picks, saved.begin, saved.tokens);
  for (std::int64_t e = 0; e < s.experts; ++e) {
    for (std::int32_t p = saved.begin[e]; p < saved.begin[e + 1]; ++p) {
      saved.pair_shares[p] = saved.shares[saved.tokens[p] * s.experts + e];
    }
  }
  if (call.added_loss != nullptr) {
    *call.added_loss = op.balance * moe::balance_loss(gate_of(op, s, saved, noisy, scratch.work));
  }
}

/// y (pairs, width) = x (pairs, inner) w[e] + b[e] on the rows of each expert e.
void layer(const kernels::Dense& dense, const Sizes& s, const std::int32_t* begin, std::int64_t inner,
           std::int64_t width, const float* x, const float* w, const float* b, float* y) {
  for (std::int64_t e = 0; e < s.experts; ++e, w += inner * width, b += width) {
    const std::int64_t first = begin[e];
    const std::int64_t rows = begin[e + 1] - first;
    if (rows > 0) {
      dense.gemm(false, false, rows, width, inner, 1.0F, x + first * inner, inner, w, width, 0.0F, y + first * width,
                 width);
      kernels::add_bias(rows, width, b, y + first * width);
    }
  }
}

/// dw[e] = x' dy, db[e] = sums of dy, and, unless dx is null, dx = dy w[e]', on the rows of each expert e.
void layer_backward(const kernels::Dense& dense, const Sizes& s, const std::int32_t* begin, std::int64_t inner,
                    std::int64_t width, const float* x, const float* w, const float* dy, float* dx, float* dw,
                    float* db) {
  for (std::int64_t e = 0; e < s.experts; ++e, w += inner * width, dw += inner * width, db += width) {
    const std::int64_t first = begin[e];
    const std::int64_t rows = begin[e + 1] - first;
    if (rows == 0) {
      std::fill_n(dw, inner * width, 0.0F);
      std::fill_n(db, width, 0.0F);
      continue;
    }
    dense.gemm(true, false, inner, width, rows, 1.0F, x + first * inner, inner, dy + first * width, width, 0.0F, dw,
               width);
    kernels::bias_backward(rows, width, dy + first * width, db);
    if (dx != nullptr) {
      dense.gemm(false, true, rows, inner, width, 1.0F, dy + first * width, width, w, width, 0.0F, dx + first * inner,
                 inner);
    }
  }
}

/// hidden = gelu(before), under a simulation both as their integers have them.
void activate(const Sizes& s, const Forward& call, const Saved<float>& saved) {
  const std::int64_t size = s.pairs * s.hidden;
  if (call.hidden_grids != nullptr) {
    const ValueGrid& grid = call.hidden_grids->before;
    kernels::round_to_int8(size, grid.scale, grid.zero_point, saved.before);
  }
  if (call.hidden_observer != nullptr) {
    (*call.hidden_observer)(call.hidden_value, {saved.before, static_cast<std::size_t>(size)});
  }
  kernels::activation(kernels::Activation::gelu, size, saved.before, saved.hidden);
  if (call.hidden_grids != nullptr) {
    const ValueGrid& grid = call.hidden_grids->behind;
    kernels::round_to_int8(size, grid.scale, grid.zero_point, saved.hidden);
  }
}

/// Gradients of the logits, in scratch, from those of the kept shares.
void logits_backward(const graph::MoeFfn& op, const Sizes& s, const Backward& call, const Saved<const float>& saved,
                     const Scratch& scratch) {
  std::fill_n(scratch.logits, s.rows * s.experts, 0.0F);
  for (std::int64_t e = 0; e < s.experts; ++e) {
    for (std::int32_t p = saved.begin[e]; p < saved.begin[e + 1]; ++p) {
      scratch.logits[saved.tokens[p] * s.experts + e] = scratch.pairs[p];
    }
  }
  const moe::Gate gate = gate_of(op, s, saved, call.noisy && s.noisy, scratch.work);
  const double scale = op.balance * call.loss_share;
  if (scale > 0.0) {
    moe::add_importance_gradient(gate, scale, scratch.logits);
  }
  kernels::softmax_backward(s.rows, s.experts, 1.0F, saved.shares, scratch.logits, scratch.logits);
  if (scale > 0.0) {
    moe::add_load_gradient(gate, scale, scratch.logits);
  }
}

/// Of the task's map, from the gradients of the logits.
void task_backward(const graph::MoeFfn& op, const Geometry& geometry, const Sizes& s, const Backward& call,
                   const Scratch& scratch) {
  const kernels::Dense& dense = *geometry.dense;
  const std::int64_t d = op.embedding;
  embed_task(op, dense, call.weights, scratch);
  kernels::bias_backward(s.rows, s.experts, scratch.logits, scratch.task_logits);
  const std::int64_t part = s.features * s.experts;  // the router's rows for the embedding
  dense.gemm(true, false, d, s.experts, 1, 1.0F, scratch.task_embedding, d, scratch.task_logits, s.experts, 0.0F,
             call.dweights[kRouter] + part, s.experts);
  dense.gemm(false, true, 1, d, s.experts, 1.0F, scratch.task_logits, s.experts, call.weights[kRouter] + part,
             s.experts, 0.0F, scratch.task_gradient, d);
  kernels::activation_backward(kernels::Activation::relu, d, scratch.task_sum, scratch.task_gradient,
                               call.dweights[kTaskB2]);
  dense.gemm(true, false, d, d, 1, 1.0F, scratch.task_hidden, d, call.dweights[kTaskB2], d, 0.0F,
             call.dweights[kTaskW2], d);
  dense.gemm(false, true, 1, d, d, 1.0F, call.dweights[kTaskB2], d, call.weights[kTaskW2], d, 0.0F,
             scratch.task_gradient, d);
  std::fill_n(call.dweights[kTaskW1], op.tasks * d, 0.0F);
  kernels::activation_backward(kernels::Activation::relu, d, call.weights[kTaskW1] + op.task * d, scratch.task_gradient,
                               call.dweights[kTaskW1] + op.task * d);
}

}  // namespace

Needs needs(const graph::MoeFfn& op, const Geometry& geometry, std::int64_t samples) {
  const Sizes s = sizes(op, geometry, samples);
  // What a sample needs is the most for one alone: several share the experts' places and what rounding up leaves.
  const Sizes one = sizes(op, geometry, 1);
  return {.saved = Saved<float>(one, nullptr).size, .scratch = Scratch(s, nullptr).size, .inputs_in_backward = true};
}

void forward(const graph::MoeFfn& op, const Geometry& geometry, const Forward& call) {
  const Sizes s = sizes(op, geometry, call.samples);
  const Saved<float> saved(s, call.saved);
  const Scratch scratch(s, call.scratch);
  const kernels::Dense& dense = *geometry.dense;
  choose(op, geometry, s, call, saved, scratch);
  kernels::gather_rows(s.pairs, s.features, saved.tokens, call.x[0], scratch.inputs);
  layer(dense, s, saved.begin, s.features, s.hidden, scratch.inputs, call.weights[kW1], call.weights[kB1],
        saved.before);
  activate(s, call, saved);
  layer(dense, s, saved.begin, s.hidden, s.features, saved.hidden, call.weights[kW2], call.weights[kB2], saved.outputs);
  std::fill_n(call.y, s.rows * s.features, 0.0F);
  kernels::scatter_add_weighted(s.pairs, s.features, saved.tokens, saved.pair_shares, saved.outputs, call.y);
}

void backward(const graph::MoeFfn& op, const Geometry& geometry, const Backward& call) {
  const Sizes s = sizes(op, geometry, call.samples);
  const Saved<const float> saved(s, call.saved);
  const Scratch scratch(s, call.scratch);
  const kernels::Dense& dense = *geometry.dense;
  kernels::gather_rows(s.pairs, s.features, saved.tokens, call.x[0], scratch.inputs);
  kernels::scatter_weighted_backward(s.pairs, s.features, saved.tokens, saved.pair_shares, saved.outputs, call.dy,
                                     scratch.output_gradients, scratch.pairs);
  logits_backward(op, s, call, saved, scratch);
  dense.gemm(true, false, s.features, s.experts, s.rows, 1.0F, call.x[0], s.features, scratch.logits, s.experts, 0.0F,
             call.dweights[kRouter], s.experts);
  layer_backward(dense, s, saved.begin, s.hidden, s.features, saved.hidden, call.weights[kW2], scratch.output_gradients,
                 scratch.hidden_gradients, call.dweights[kW2], call.dweights[kB2]);
  kernels::activation_backward(kernels::Activation::gelu, s.pairs * s.hidden, saved.before, scratch.hidden_gradients,
                               scratch.hidden_gradients);
  // What the outputs' gradients were is no longer needed: the inputs' take their place.
  float* input_gradients = call.dx[0] != nullptr ? scratch.output_gradients : nullptr;
  layer_backward(dense, s, saved.begin, s.features, s.hidden, scratch.inputs, call.weights[kW1],
                 scratch.hidden_gradients, input_gradients, call.dweights[kW1], call.dweights[kB1]);
  if (call.dx[0] != nullptr) {
    dense.gemm(false, true, s.rows, s.features, s.experts, 1.0F, scratch.logits, s.experts, call.weights[kRouter],
               s.experts, 0.0F, call.dx[0], s.features);
    kernels::scatter_add_rows(s.pairs, s.features, saved.tokens, input_gradients, call.dx[0]);
  }
  if (s.embedding > 0) {
    task_backward(op, geometry, s, call, scratch);
  }
}

}  // namespace cosearch::ops
