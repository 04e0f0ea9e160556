#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/net/simulation.hpp"

/// Forward and backward of every operator on a chunk of samples, in terms of the kernels. One file per operator, three
/// overloads each; `std::visit` over graph::Op refuses to compile when one is missing. All functions are serial and
/// allocate nothing.
namespace cosearch::ops {

/// What is fixed about a node.
struct Geometry {
  std::vector<graph::Shape> inputs;
  graph::Shape output;
  /// Applied to the result in the same pass; only a batch norm may have one.
  kernels::Activation activation = kernels::Activation::identity;
  kernels::Use use = kernels::Use::training;
  const kernels::Dense* dense = nullptr;  ///< what products are computed with

  /// Shape of the first input.
  [[nodiscard]] const graph::Shape& input() const { return inputs.front(); }
};

/// What a node needs beside its inputs, weights and output.
struct Needs {
  std::int64_t saved = 0;    ///< floats per sample that forward leaves for backward
  std::int64_t scratch = 0;  ///< floats of a call's working memory
  std::int64_t shared = 0;   ///< floats for the whole batch, filled between two parallel regions (batch norm)
  std::int64_t packed = 0;   ///< floats for the weights as the kernels like them, filled by `pack` before each step
  bool inputs_in_backward = false;
};

/// One pointer for each input of a node; the rest is null.
template <class Float>
using Inputs = std::array<Float*, graph::kMostInputs>;

/// Most weights and states of an operator.
inline constexpr std::size_t kMostWeights = 8;

/// Tensors are (samples, shape...). Weights are in the order of graph::weights(node).
struct Forward {
  std::int64_t samples = 0;
  Inputs<const float> x{};
  std::array<const float*, kMostWeights> weights{};
  float* y = nullptr;
  float* saved = nullptr;
  float* scratch = nullptr;
  const float* shared = nullptr;
  const float* packed = nullptr;
  // A mixture of experts only.
  std::int64_t first_sample = 0;                           ///< the call's first sample in the batch
  std::optional<std::uint64_t> noise_seed = std::nullopt;  ///< of this node; none: no gate noise
  double* added_loss = nullptr;                            ///< receives the mixture's own loss; null: not wanted
  std::int32_t* picks = nullptr;              ///< receives the experts that tokens choose (samples, T, top_k), or null
  const HiddenGrids* hidden_grids = nullptr;  ///< of the values between the experts' layers; null: all bits
  const ValueObserver* hidden_observer = nullptr;  ///< sees those before gelu, as number `hidden_value`
  std::size_t hidden_value = 0;
};

struct Backward {
  std::int64_t samples = 0;
  Inputs<const float> x{};  ///< null unless Needs::inputs_in_backward
  std::array<const float*, kMostWeights> weights{};
  const float* dy = nullptr;
  const float* saved = nullptr;
  const float* shared = nullptr;
  const float* packed = nullptr;
  float* scratch = nullptr;
  Inputs<float> dx{};                           ///< overwritten; null: not wanted
  std::array<float*, kMostWeights> dweights{};  ///< overwritten; null for states
  bool noisy = false;                           ///< forward had a noise seed
  double loss_share = 0.0;                      ///< of what is minimised, how much `Forward::added_loss` counts
};

[[nodiscard]] Needs needs(const graph::Input& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::Conv2d& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::Linear& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::MultiHeadAttention& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::BatchNorm& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::LayerNorm& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::Activation& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::Pool2d& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::GlobalAveragePool& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::Add& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::PatchEmbed& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::PositionEmbed& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::Concat& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::Upsample& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::TokenEmbed& op, const Geometry& geometry, std::int64_t samples);
[[nodiscard]] Needs needs(const graph::MoeFfn& op, const Geometry& geometry, std::int64_t samples);

/// The input has no inputs: `y` is what the caller put there.
void forward(const graph::Input& op, const Geometry& geometry, const Forward& call);
void forward(const graph::Conv2d& op, const Geometry& geometry, const Forward& call);
void forward(const graph::Linear& op, const Geometry& geometry, const Forward& call);
void forward(const graph::MultiHeadAttention& op, const Geometry& geometry, const Forward& call);
/// Applies the statistics in `shared`.
void forward(const graph::BatchNorm& op, const Geometry& geometry, const Forward& call);
void forward(const graph::LayerNorm& op, const Geometry& geometry, const Forward& call);
void forward(const graph::Activation& op, const Geometry& geometry, const Forward& call);
void forward(const graph::Pool2d& op, const Geometry& geometry, const Forward& call);
void forward(const graph::GlobalAveragePool& op, const Geometry& geometry, const Forward& call);
void forward(const graph::Add& op, const Geometry& geometry, const Forward& call);
void forward(const graph::PatchEmbed& op, const Geometry& geometry, const Forward& call);
void forward(const graph::PositionEmbed& op, const Geometry& geometry, const Forward& call);
void forward(const graph::Concat& op, const Geometry& geometry, const Forward& call);
void forward(const graph::Upsample& op, const Geometry& geometry, const Forward& call);
/// @throws ConfigError for an id that is no row of the table.
void forward(const graph::TokenEmbed& op, const Geometry& geometry, const Forward& call);
/// One product per expert and layer on the rows that chose it. The tokens of the call are one set of the balance loss.
/// Between its layers values are fp32 whatever the storage of tensors.
void forward(const graph::MoeFfn& op, const Geometry& geometry, const Forward& call);

void backward(const graph::Input& op, const Geometry& geometry, const Backward& call);
void backward(const graph::Conv2d& op, const Geometry& geometry, const Backward& call);
void backward(const graph::Linear& op, const Geometry& geometry, const Backward& call);
void backward(const graph::MultiHeadAttention& op, const Geometry& geometry, const Backward& call);
/// Applies the sums in `shared`; writes no dweights: `batch_norm_combine_gradients` has done it for the whole batch.
void backward(const graph::BatchNorm& op, const Geometry& geometry, const Backward& call);
void backward(const graph::LayerNorm& op, const Geometry& geometry, const Backward& call);
void backward(const graph::Activation& op, const Geometry& geometry, const Backward& call);
void backward(const graph::Pool2d& op, const Geometry& geometry, const Backward& call);
void backward(const graph::GlobalAveragePool& op, const Geometry& geometry, const Backward& call);
void backward(const graph::Add& op, const Geometry& geometry, const Backward& call);
void backward(const graph::PatchEmbed& op, const Geometry& geometry, const Backward& call);
void backward(const graph::PositionEmbed& op, const Geometry& geometry, const Backward& call);
void backward(const graph::Concat& op, const Geometry& geometry, const Backward& call);
void backward(const graph::Upsample& op, const Geometry& geometry, const Backward& call);
void backward(const graph::TokenEmbed& op, const Geometry& geometry, const Backward& call);
void backward(const graph::MoeFfn& op, const Geometry& geometry, const Backward& call);

/// Fills the packed weights of the operators that have them.
template <class Op>
void pack(const Op& /*op*/, const Geometry& /*geometry*/, const float* /*weights*/, float* /*packed*/) {}
void pack(const graph::Conv2d& op, const Geometry& geometry, const float* weights, float* packed);
void pack(const graph::Linear& op, const Geometry& geometry, const float* weights, float* packed);
void pack(const graph::PatchEmbed& op, const Geometry& geometry, const float* weights, float* packed);

[[nodiscard]] kernels::Activation activation_of(graph::ActivationKind kind);

// --- batch norm over a batch in chunks -------------------------------------------------------------------------
// Each chunk leaves partial sums, they are combined in chunk order, then each chunk applies the result: the statistics
// are those of the whole batch, and do not depend on the number of threads.

/// Doubles of partial sums that one chunk leaves.
[[nodiscard]] std::int64_t batch_norm_partials(const Geometry& geometry);

/// Forward partial sums of a chunk.
void batch_norm_statistics(const Geometry& geometry, std::int64_t samples, const float* x, double* partial);
/// Batch statistics from the chunks' partial sums (`samples[c]` samples in chunk c, `partials` one after the other)
/// into `shared`; moves the running statistics. Variances are those of the batch, without Bessel's correction.
void batch_norm_combine(const graph::BatchNorm& op, const Geometry& geometry, std::span<const std::int64_t> samples,
                        const double* partials, const float* scale, const float* shift, float* running_mean,
                        float* running_variance, float* shared);
/// `shared` from the running statistics, for inference.
void batch_norm_freeze(const graph::BatchNorm& op, const Geometry& geometry, const float* scale, const float* shift,
                       const float* running_mean, const float* running_variance, float* shared);

/// Backward partial sums of a chunk.
void batch_norm_gradient_statistics(const Geometry& geometry, std::int64_t samples, const float* x, const float* dy,
                                    const float* shared, double* partial);
/// Gradients of scale and shift, and the sums that `backward` applies, from the chunks' partial sums. `frozen`: the
/// statistics do not depend on the batch, and no gradient flows through them.
void batch_norm_combine_gradients(const Geometry& geometry, std::span<const std::int64_t> samples,
                                  const double* partials, bool frozen, float* shared, float* dscale, float* dshift);

}  // namespace cosearch::ops
