#include "spaces/graph/ops/moe_ffn_lowering.hpp"

#include <fmt/format.h>

namespace cosearch::graph::ops {

Mixture::Mixture(const MoeFfn& op, Scope& scope)
    : op_(op),
      scope_(scope),
      tokens_(scope.site().output[0]),
      features_(scope.site().output[1]),
      counts_(scope.expert_tokens(op)) {}

std::string Mixture::of(std::int64_t expert, const std::string& step) {
  return fmt::format("expert_{}.{}", expert, step);
}

int Mixture::make_rows(std::int64_t expert, const std::string& step, std::int64_t width, ir::TensorKind kind) {
  return scope_.make(of(expert, step), {rows(expert), width}, kind);
}

int Mixture::make_column(std::int64_t expert, const std::string& step, ir::TensorKind kind) {
  return scope_.make(of(expert, step), {rows(expert)}, kind);
}

void Mixture::map(const Loops& loops, const std::string& name, ir::Combine combine, Operands operands, Element output) {
  scope_.emit(loops, {.name = name, .combine = combine, .operands = std::move(operands), .output = std::move(output)});
}

void Mixture::sum(const Loops& loops, const std::string& name, Operands operands, Element output, double scale) {
  const ir::Combine combine = operands.size() > 1 ? ir::Combine::mul : ir::Combine::copy;
  scope_.emit(loops, {.name = name,
                      .combine = combine,
                      .operands = std::move(operands),
                      .output = std::move(output),
                      .reduce = ir::Reduce::sum,
                      .scale = scale});
}

void Mixture::gather(std::int64_t expert, const std::string& step, int source, std::optional<std::int64_t> column,
                     int target) {
  Loops loops;
  const Index i = loops.add("i", rows(expert));
  std::vector<Index> to = {i};
  Index last = column ? constant(*column) : Index{};
  if (!column) {
    last = loops.add("c", features_);
    to.push_back(last);
  }
  const Index n = loops.add("n", scope_.batch());
  const Index t = loops.add("t", tokens_);
  const std::int64_t fetched = rows(expert) * (column ? 1 : features_);
  scope_.emit(loops, {.name = of(expert, step),
                      .combine = ir::Combine::opaque,
                      .operands = {Element{scope_.made(of(expert, "queue")), {i}}, Element{source, {n, t, last}}},
                      .output = {target, to},
                      .opaque = ir::Opaque{"gather", fetched, fetched, fetched}});
}

void Mixture::scatter(std::int64_t expert, const std::string& name, int source, std::optional<std::int64_t> column,
                      Target target) {
  Loops loops;
  const Index n = loops.add("n", scope_.batch());
  const Index t = loops.add("t", tokens_);
  std::vector<Index> from;
  Index last = column ? constant(*column) : Index{};
  if (!column) {
    last = loops.add("c", features_);
  }
  const Index i = loops.add("i", rows(expert));
  from.push_back(i);
  if (!column) {
    from.push_back(last);
  }
  const std::int64_t width = column ? 1 : features_;
  const std::int64_t added = rows(expert) * width;
  const std::int64_t written = target.accumulate ? added : scope_.batch() * tokens_ * width;
  scope_.emit(loops, {.name = name,
                      .combine = ir::Combine::opaque,
                      .operands = {Element{scope_.made(of(expert, "queue")), {i}}, Element{source, from}},
                      .output = {target.tensor, {n, t, last}, target.accumulate},
                      .opaque = ir::Opaque{"scatter_add", added, added, written}});
}

}  // namespace cosearch::graph::ops
