#pragma once

#include <concepts>
#include <type_traits>

#include "spaces/graph/graph.hpp"

/// The fields of every operator, once: the JSON form, its checks and the content hash all go through these.
/// Internal to spaces/graph.
namespace cosearch::graph::ops {

enum class Presence { required, optional };
/// Stands in the place of a Presence for `weight_bits`: optional, and at their default of 8 neither written to JSON nor
/// hashed, so that networks without such a choice are written and known as before there was one.
struct BitsOfWeights {};
/// Stands in the place of a Presence: an optional real from 0 to 1, both included; other reals are above 0.
struct UnitInterval {};

/// Range of an integer field. The upper end keeps products of a few fields within 64 bits.
inline constexpr std::int64_t kMaxField = std::int64_t{1} << 24;

/// `op` is an operator of type T, const or not.
template <class U, class T>
concept Is = std::same_as<std::remove_const_t<U>, T>;

// visit(name, member, presence) for most members; the smallest allowed integer is 1 unless a further argument tells.

void visit_fields(Is<Input> auto& op, auto&& visit) { visit("shape", op.shape, Presence::required); }
void visit_fields(Is<Conv2d> auto& op, auto&& visit) {
  visit("out_channels", op.out_channels, Presence::required);
  visit("kernel_h", op.kernel_h, Presence::required);
  visit("kernel_w", op.kernel_w, Presence::required);
  visit("stride", op.stride, Presence::optional);
  visit("padding", op.padding, Presence::optional);
  visit("groups", op.groups, Presence::optional);
  visit("bias", op.bias, Presence::optional);
  visit("weight_bits", op.weight_bits, BitsOfWeights{});
}
void visit_fields(Is<Linear> auto& op, auto&& visit) {
  visit("out_factors", op.out_factors, Presence::required);
  visit("in_factors", op.in_factors, Presence::optional);
  visit("bias", op.bias, Presence::optional);
  visit("weight_bits", op.weight_bits, BitsOfWeights{});
}
void visit_fields(Is<MultiHeadAttention> auto& op, auto&& visit) { visit("heads", op.heads, Presence::required); }
void visit_fields(Is<BatchNorm> auto& op, auto&& visit) {
  visit("epsilon", op.epsilon, Presence::optional);
  visit("momentum", op.momentum, Presence::optional);
}
void visit_fields(Is<LayerNorm> auto& op, auto&& visit) { visit("epsilon", op.epsilon, Presence::optional); }
void visit_fields(Is<Activation> auto& op, auto&& visit) { visit("kind", op.kind, Presence::required); }
void visit_fields(Is<Pool2d> auto& op, auto&& visit) {
  visit("kind", op.kind, Presence::required);
  visit("kernel", op.kernel, Presence::required);
  visit("stride", op.stride, Presence::required);
  visit("padding", op.padding, Presence::optional);
}
void visit_fields(Is<GlobalAveragePool> auto&, auto&&) {}
void visit_fields(Is<Add> auto&, auto&&) {}
void visit_fields(Is<Concat> auto&, auto&&) {}
void visit_fields(Is<Upsample> auto& op, auto&& visit) { visit("factor", op.factor, Presence::required); }
void visit_fields(Is<TokenEmbed> auto& op, auto&& visit) {
  visit("vocabulary", op.vocabulary, Presence::required);
  visit("width", op.width, Presence::required);
}
void visit_fields(Is<MoeFfn> auto& op, auto&& visit) {
  visit("experts", op.experts, Presence::required);
  visit("top_k", op.top_k, Presence::required);
  visit("hidden", op.hidden, Presence::required);
  visit("tasks", op.tasks, Presence::optional);
  visit("task", op.task, Presence::optional, 0);
  visit("routing", op.routing, Presence::optional);
  visit("embedding", op.embedding, Presence::optional);
  visit("balance", op.balance, UnitInterval{});
  visit("noise", op.noise, UnitInterval{});
}
void visit_fields(Is<PatchEmbed> auto& op, auto&& visit) {
  visit("patch", op.patch, Presence::required);
  visit("embed_dim", op.embed_dim, Presence::required);
  visit("padding", op.padding, Presence::optional, 0);
  visit("weight_bits", op.weight_bits, BitsOfWeights{});
}
void visit_fields(Is<PositionEmbed> auto& op, auto&& visit) {
  visit("grid_h", op.grid_h, Presence::required);
  visit("grid_w", op.grid_w, Presence::required);
}

}  // namespace cosearch::graph::ops
