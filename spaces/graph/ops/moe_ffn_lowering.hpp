#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

/// What the forward and the backward lowering of a mixture of experts share; internal to spaces/graph. Loops: n, t of
/// tokens, e of experts, c and h of features, i of the rows of one expert's queue.
namespace cosearch::graph::ops {

/// `router`, or `router_<task>` where each of several tasks has its own.
[[nodiscard]] std::string router_name(const MoeFfn& op);

class Mixture {
 public:
  Mixture(const MoeFfn& op, Scope& scope);

 protected:
  using Operands = std::vector<std::variant<Element, double>>;

  /// An index that no loop moves.
  [[nodiscard]] static Index constant(std::int64_t value) { return Index{} + value; }
  /// The step `expert_<e>.<step>`.
  [[nodiscard]] static std::string of(std::int64_t expert, const std::string& step);
  /// Tokens of the batch that choose an expert: the length of its queue.
  [[nodiscard]] std::int64_t rows(std::int64_t expert) const { return counts_[static_cast<std::size_t>(expert)]; }
  /// The experts that tokens choose, with the bytes of as many elements of their weights.
  [[nodiscard]] ExpertQueue queue_with(std::int64_t weights) const {
    return queue_of_counts(counts_, scope_.weight_bytes("w1", weights));
  }
  [[nodiscard]] bool conditioned() const { return op_.routing == MoeRouting::conditioned; }
  /// (batch, tokens, experts)
  [[nodiscard]] std::vector<std::int64_t> shares_shape() const { return {scope_.batch(), tokens_, op_.experts}; }
  [[nodiscard]] Loops shares_loops() const { return {{"n", "t", "e"}, shares_shape()}; }
  /// A new tensor (rows, width) of an expert.
  int make_rows(std::int64_t expert, const std::string& step, std::int64_t width, ir::TensorKind kind);
  /// A new tensor (rows) of an expert.
  int make_column(std::int64_t expert, const std::string& step, ir::TensorKind kind);

  /// output = combine(operands), element by element.
  void map(const Loops& loops, const std::string& name, ir::Combine combine, Operands operands, Element output);
  /// output = scale * the sum of the operands' products, or of the one operand.
  void sum(const Loops& loops, const std::string& name, Operands operands, Element output, double scale = 1.0);
  /// The entries of `source` that the rows of an expert's queue name, (n, t, c) or only `column` of them.
  void gather(std::int64_t expert, const std::string& step, int source, std::optional<std::int64_t> column, int target);
  /// Adds the rows of an expert's queue to their tokens, (n, t, c) or only `column` of them. Without `accumulate` the
  /// other tokens become 0.
  void scatter(std::int64_t expert, const std::string& name, int source, std::optional<std::int64_t> column,
               Target target);

  const MoeFfn& op_;
  Scope& scope_;
  std::int64_t tokens_;    ///< of a sample
  std::int64_t features_;  ///< of a token

 private:
  std::vector<std::int64_t> counts_;
};

}  // namespace cosearch::graph::ops
