#include <string>
#include <variant>
#include <vector>

#include "spaces/graph/ops/moe_ffn_lowering.hpp"

namespace cosearch::graph::ops {
namespace {

class MixtureForward : private Mixture {
 public:
  using Mixture::Mixture;

  void run() {
    choose();
    const ExpertQueue queue = queue_with(2 * features_ * op_.hidden + op_.hidden + features_);
    const int first = queue.experts.front().expert;
    const int last = queue.experts.back().expert;
    scope_.emit_queue(
        queue, [&](const QueuedExpert& each) { expert(each.expert, each.expert == first, each.expert == last); });
  }

 private:
  /// relu(relu(task_w1[task]) task_w2 + task_b2) times its part of the router: an addend of all logits.
  int task_logits() {
    const auto width = op_.embedding;
    const int hidden = scope_.make("task_hidden", {width}, ir::TensorKind::activation);
    const int product = scope_.make("task_product", {width}, ir::TensorKind::accumulator);
    const int sum_with_bias = scope_.make("task_sum", {width}, ir::TensorKind::accumulator);
    const int embedding = scope_.make("task_embedding", {width}, ir::TensorKind::activation);
    const int logits = scope_.make("task_logits", {op_.experts}, ir::TensorKind::accumulator);
    const Loops vector{{"d"}, {width}};
    Loops row;
    const Index d = row.add("d", width);
    map(row, "task_hidden", ir::Combine::relu, {Element{scope_.weight("task_w1"), {constant(op_.task), d}}},
        {hidden, {d}});
    Loops square;
    const Index f = square.add("f", width);
    const Index g = square.add("d", width);
    sum(square, "task_product", {Element{hidden, {g}}, Element{scope_.weight("task_w2"), {g, f}}}, {product, {f}});
    map(vector, "task_sum", ir::Combine::add, {vector.all(product), vector.all(scope_.weight("task_b2"))},
        vector.all(sum_with_bias));
    map(vector, "task_embedding", ir::Combine::relu, {vector.all(sum_with_bias)}, vector.all(embedding));
    Loops router;
    const Index e = router.add("e", op_.experts);
    const Index r = router.add("d", width);
    sum(router, "task_logits", {Element{embedding, {r}}, Element{scope_.weight(router_name(op_)), {r + features_, e}}},
        {logits, {e}});
    return logits;
  }

  int logits() {
    Loops loops = shares_loops();
    const Index n = loops.index(0), t = loops.index(1), e = loops.index(2);
    const Index c = loops.add("c", features_);
    const int product =
        scope_.make(conditioned() ? "router_product" : "logits", shares_shape(), ir::TensorKind::accumulator);
    sum(loops, conditioned() ? "router_product" : "logits",
        {Element{scope_.input(), {n, t, c}}, Element{scope_.weight(router_name(op_)), {c, e}}}, {product, {n, t, e}});
    if (!conditioned()) {
      return product;
    }
    const int task = task_logits();
    const int sums = scope_.make("logits", shares_shape(), ir::TensorKind::accumulator);
    const Loops all = shares_loops();
    map(all, "logits", ir::Combine::add, {all.all(product), all.features(task)}, all.all(sums));
    return sums;
  }

  /// Shares, and for each token the experts that it chooses.
  void choose() {
    const int scores = logits();
    const std::vector<std::int64_t> rows = {scope_.batch(), tokens_};
    const int maximum = scope_.make("maximum", rows, ir::TensorKind::accumulator);
    const int exponentials = scope_.make("exp", shares_shape(), ir::TensorKind::accumulator);
    const int total = scope_.make("sum", rows, ir::TensorKind::accumulator);
    shares_ = scope_.make("shares", shares_shape(), ir::TensorKind::activation);
    const Loops loops = shares_loops();
    scope_.emit(loops, {.name = "maximum",
                        .operands = {loops.all(scores)},
                        .output = loops.positions(maximum),
                        .reduce = ir::Reduce::max});
    map(loops, "exp", ir::Combine::exp_sub, {loops.all(scores), loops.positions(maximum)}, loops.all(exponentials));
    sum(loops, "sum", {loops.all(exponentials)}, loops.positions(total));
    map(loops, "divide", ir::Combine::div, {loops.all(exponentials), loops.positions(total)}, loops.all(shares_));

    Loops picking{{"n", "t", "j", "e"}, {scope_.batch(), tokens_, op_.top_k, op_.experts}};
    picks_ = scope_.make_positions("picks", {scope_.batch(), tokens_, op_.top_k});
    const std::int64_t shares = scope_.batch() * tokens_ * op_.experts;
    const std::int64_t choices = scope_.batch() * tokens_ * op_.top_k;
    scope_.emit(picking, {.name = "picks",
                          .combine = ir::Combine::opaque,
                          .operands = {Element{shares_, {picking.index(0), picking.index(1), picking.index(3)}}},
                          .output = {picks_, {picking.index(0), picking.index(1), picking.index(2)}},
                          .opaque = ir::Opaque{"top_k", shares * op_.top_k, shares, choices}});
  }

  void queue(std::int64_t e) {
    Loops loops{{"i", "n", "t", "j"}, {rows(e), scope_.batch(), tokens_, op_.top_k}};
    const int queue = scope_.make_positions(of(e, "queue"), {rows(e)});
    scope_.emit(
        loops, {.name = of(e, "queue"),
                .combine = ir::Combine::opaque,
                .operands = {Element{picks_, {loops.index(1), loops.index(2), loops.index(3)}}, static_cast<double>(e)},
                .output = {queue, {loops.index(0)}},
                .opaque = ir::Opaque{"queue", rows(e), rows(e), rows(e)}});
  }

  /// y (rows, width) = x (rows, inner) w[e] + b[e]
  int layer(std::int64_t e, const std::string& number, int x, std::int64_t inner, std::int64_t width) {
    Loops loops;
    const Index i = loops.add("i", rows(e));
    const Index k = loops.add("k", width);
    const Index c = loops.add("c", inner);
    const int product = make_rows(e, "product" + number, width, ir::TensorKind::accumulator);
    const int sums = make_rows(e, "sum" + number, width, ir::TensorKind::activation);
    sum(loops, of(e, "product" + number),
        {Element{x, {i, c}}, Element{scope_.weight("w" + number), {constant(e), c, k}}}, {product, {i, k}});
    Loops all;
    const Index row = all.add("i", rows(e));
    const Index column = all.add("k", width);
    map(all, of(e, "sum" + number), ir::Combine::add,
        {Element{product, {row, column}}, Element{scope_.weight("b" + number), {constant(e), column}}},
        {sums, {row, column}});
    return sums;
  }

  void expert(std::int64_t e, bool first, bool last) {
    queue(e);
    const int x = make_rows(e, "x", features_, ir::TensorKind::activation);
    gather(e, "x", scope_.input(), std::nullopt, x);
    const int before = layer(e, "1", x, features_, op_.hidden);
    const int hidden = make_rows(e, "hidden", op_.hidden, ir::TensorKind::activation);
    const Loops gelu{{"i", "h"}, {rows(e), op_.hidden}};
    map(gelu, of(e, "hidden"), ir::Combine::gelu, {gelu.all(before)}, gelu.all(hidden));
    const int y = layer(e, "2", hidden, op_.hidden, features_);
    const int share = make_column(e, "share", ir::TensorKind::activation);
    gather(e, "share", shares_, e, share);
    const int weighted = make_rows(e, "weighted", features_, ir::TensorKind::activation);
    const Loops loops{{"i", "c"}, {rows(e), features_}};
    map(loops, of(e, "weighted"), ir::Combine::mul, {loops.all(y), loops.positions(share)}, loops.all(weighted));
    scatter(e, last ? "" : of(e, "y"), weighted, std::nullopt, {scope_.output(), !first});
  }

  int shares_ = 0;
  int picks_ = 0;
};

}  // namespace

void lower(const MoeFfn& op, Scope& scope) { MixtureForward(op, scope).run(); }

}  // namespace cosearch::graph::ops
