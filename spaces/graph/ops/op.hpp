#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/graph/graph.hpp"

/// What every operator has to bring; internal to spaces/graph. One file `ops/<operator>.cpp` defines the overloads of
/// one operator, ops/fields.hpp lists its fields. The `Op` variant is visited with these functions, so an operator
/// without one of them does not compile.
namespace cosearch::graph::ops {

using Shapes = std::vector<Shape>;

/// Where an operator stands: what its weights and counts follow from.
struct Site {
  std::string name;  ///< of the node
  Shapes inputs;
  Shape output;
  /// Widths of the parts that the first input's last axis was put together from by Concats; one where by none.
  std::vector<std::int64_t> parts;
};

class Scope;  // ops/lowering.hpp

/// Output shape, or what is wrong with the operator or its inputs. The number of inputs is already right, every
/// extent is positive.
using Inferred = Expected<Shape, std::string>;
[[nodiscard]] Inferred infer(const Input& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const Conv2d& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const Linear& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const MultiHeadAttention& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const BatchNorm& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const LayerNorm& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const Activation& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const Pool2d& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const GlobalAveragePool& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const Add& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const PatchEmbed& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const PositionEmbed& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const Concat& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const Upsample& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const TokenEmbed& op, const Shapes& inputs);
[[nodiscard]] Inferred infer(const MoeFfn& op, const Shapes& inputs);

/// Weights and states, in the order in which the operator's description names them.
using Specs = std::vector<WeightSpec>;
[[nodiscard]] Specs weights(const Input& op, const Site& site);
[[nodiscard]] Specs weights(const Conv2d& op, const Site& site);
[[nodiscard]] Specs weights(const Linear& op, const Site& site);
[[nodiscard]] Specs weights(const MultiHeadAttention& op, const Site& site);
[[nodiscard]] Specs weights(const BatchNorm& op, const Site& site);
[[nodiscard]] Specs weights(const LayerNorm& op, const Site& site);
[[nodiscard]] Specs weights(const Activation& op, const Site& site);
[[nodiscard]] Specs weights(const Pool2d& op, const Site& site);
[[nodiscard]] Specs weights(const GlobalAveragePool& op, const Site& site);
[[nodiscard]] Specs weights(const Add& op, const Site& site);
[[nodiscard]] Specs weights(const PatchEmbed& op, const Site& site);
[[nodiscard]] Specs weights(const PositionEmbed& op, const Site& site);
[[nodiscard]] Specs weights(const Concat& op, const Site& site);
[[nodiscard]] Specs weights(const Upsample& op, const Site& site);
[[nodiscard]] Specs weights(const TokenEmbed& op, const Site& site);
[[nodiscard]] Specs weights(const MoeFfn& op, const Site& site);

/// Arithmetic of the inference lowering at batch 1.
struct Arithmetic {
  std::int64_t macs = 0;
  std::int64_t elementwise = 0;
};
[[nodiscard]] Arithmetic count(const Input& op, const Site& site);
[[nodiscard]] Arithmetic count(const Conv2d& op, const Site& site);
[[nodiscard]] Arithmetic count(const Linear& op, const Site& site);
[[nodiscard]] Arithmetic count(const MultiHeadAttention& op, const Site& site);
[[nodiscard]] Arithmetic count(const BatchNorm& op, const Site& site);
[[nodiscard]] Arithmetic count(const LayerNorm& op, const Site& site);
[[nodiscard]] Arithmetic count(const Activation& op, const Site& site);
[[nodiscard]] Arithmetic count(const Pool2d& op, const Site& site);
[[nodiscard]] Arithmetic count(const GlobalAveragePool& op, const Site& site);
[[nodiscard]] Arithmetic count(const Add& op, const Site& site);
[[nodiscard]] Arithmetic count(const PatchEmbed& op, const Site& site);
[[nodiscard]] Arithmetic count(const PositionEmbed& op, const Site& site);
[[nodiscard]] Arithmetic count(const Concat& op, const Site& site);
[[nodiscard]] Arithmetic count(const Upsample& op, const Site& site);
[[nodiscard]] Arithmetic count(const TokenEmbed& op, const Site& site);
[[nodiscard]] Arithmetic count(const MoeFfn& op, const Site& site);

/// Appends the einsums of the forward pass; the scope knows the phase.
void lower(const Input& op, Scope& scope);
void lower(const Conv2d& op, Scope& scope);
void lower(const Linear& op, Scope& scope);
void lower(const MultiHeadAttention& op, Scope& scope);
void lower(const BatchNorm& op, Scope& scope);
void lower(const LayerNorm& op, Scope& scope);
void lower(const Activation& op, Scope& scope);
void lower(const Pool2d& op, Scope& scope);
void lower(const GlobalAveragePool& op, Scope& scope);
void lower(const Add& op, Scope& scope);
void lower(const PatchEmbed& op, Scope& scope);
void lower(const PositionEmbed& op, Scope& scope);
void lower(const Concat& op, Scope& scope);
void lower(const Upsample& op, Scope& scope);
void lower(const TokenEmbed& op, Scope& scope);
void lower(const MoeFfn& op, Scope& scope);

/// Appends the einsums of the backward pass: gradients of the operator's trainable weights and of those inputs that
/// something trainable comes before. May read what `lower` left in the same scope.
void lower_gradient(const Input& op, Scope& scope);
void lower_gradient(const Conv2d& op, Scope& scope);
void lower_gradient(const Linear& op, Scope& scope);
void lower_gradient(const MultiHeadAttention& op, Scope& scope);
void lower_gradient(const BatchNorm& op, Scope& scope);
void lower_gradient(const LayerNorm& op, Scope& scope);
void lower_gradient(const Activation& op, Scope& scope);
void lower_gradient(const Pool2d& op, Scope& scope);
void lower_gradient(const GlobalAveragePool& op, Scope& scope);
void lower_gradient(const Add& op, Scope& scope);
void lower_gradient(const PatchEmbed& op, Scope& scope);
void lower_gradient(const PositionEmbed& op, Scope& scope);
void lower_gradient(const Concat& op, Scope& scope);
void lower_gradient(const Upsample& op, Scope& scope);
void lower_gradient(const TokenEmbed& op, Scope& scope);
void lower_gradient(const MoeFfn& op, Scope& scope);

// --- shared by the operators -----------------------------------------------------------------------------------

/// `(28, 28, 1)`
[[nodiscard]] std::string to_string(const Shape& shape);
/// Why `shape` is no (height, width, channels) image, if it is not.
[[nodiscard]] std::optional<std::string> not_an_image(const Shape& shape);
/// Why `shape` is no (tokens, features) sequence, if it is not.
[[nodiscard]] std::optional<std::string> not_a_sequence(const Shape& shape);

/// Product of positive factors; nothing above 2^45 (35 * 10^12), the most that one node's arithmetic, weights or output
/// may come to, so that sums over the passes and nodes of a network fit in 64 bits.
[[nodiscard]] std::optional<std::int64_t> bounded_product(std::initializer_list<std::int64_t> factors);
[[nodiscard]] std::optional<std::int64_t> bounded_product(const std::vector<std::int64_t>& factors);
/// `needs more than 2^45 <what>`
[[nodiscard]] std::string too_large(const std::string& what);

/// Positions of a sliding window along one axis; below 1 where it does not fit.
[[nodiscard]] std::int64_t window_positions(std::int64_t size, std::int64_t before, std::int64_t after,
                                            std::int64_t kernel, std::int64_t stride);

/// An axis of one segment whose factors all take their leading entries.
[[nodiscard]] WeightAxis leading_axis(const std::vector<std::int64_t>& factors);
/// A kernel's axis: a subnet takes the middle.
[[nodiscard]] WeightAxis kernel_axis(std::int64_t extent);
/// An axis along the first input's features: one segment of leading entries per part, each with `outputs` entries for
/// every feature where that is given.
[[nodiscard]] WeightAxis part_axis(const Site& site, std::optional<std::int64_t> outputs = std::nullopt);
/// A vector along the output's features that starts constant and does not decay: biases, norms, running statistics.
[[nodiscard]] WeightSpec feature_vector(const Site& site, const std::string& name, Initializer initializer,
                                        WeightAxis axis, bool trainable = true);

}  // namespace cosearch::graph::ops
