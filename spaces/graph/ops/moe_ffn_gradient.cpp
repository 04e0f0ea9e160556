#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "spaces/graph/ops/moe_ffn_lowering.hpp"

namespace cosearch::graph::ops {
namespace {

/// Added to the mean's square in CV^2.
constexpr double kMeanFloor = 1e-10;

class MixtureBackward : private Mixture {
 public:
  MixtureBackward(const MoeFfn& op, Scope& scope) : Mixture(op, scope), shares_(scope.made("shares")) {}

  void run() {
    if (scope_.wants_input_gradient()) {
      // Every part of it is added: the routers' covers it.
      input_gradient_ = scope_.input_gradient();
    }
    weight_gradients_ = {scope_.weight_gradient("w1"), scope_.weight_gradient("b1"), scope_.weight_gradient("w2"),
                         scope_.weight_gradient("b2")};
    share_gradient_ = scope_.make("shares.gradient", shares_shape(), ir::TensorKind::gradient);
    if (balances()) {
      balance();
    }
    for (std::int64_t e = 0; e < op_.experts; ++e) {
      share_gradients(e);
    }
    const int logits_gradient = softmax_gradient();
    router_gradient(logits_gradient);
    for (std::int64_t e = 0; e < op_.experts; ++e) {
      if (rows(e) == 0) {
        no_gradient(e);
      }
    }
    const std::int64_t matrices = scope_.wants_input_gradient() ? 2 : 1;  // w1 is read for the gradient of x alone
    scope_.emit_queue(queue_with(matrices * features_ * op_.hidden),
                      [&](const QueuedExpert& each) { expert_gradient(each.expert); });
  }

 private:
  struct WeightGradients {
    int w1 = 0, b1 = 0, w2 = 0, b2 = 0;
  };

  [[nodiscard]] bool balances() const { return op_.balance > 0.0 && op_.experts > 1; }

  /// The gradient of balance * CV^2(importance) by each expert's importance I of mean m and variance v:
  /// 2 (I - m) / ((experts - 1) (m^2 + floor)) - 2 v m / (experts (m^2 + floor)^2).
  void balance() {
    const auto vector = std::vector<std::int64_t>{op_.experts};
    const double experts = static_cast<double>(op_.experts);
    const auto kind = ir::TensorKind::gradient;
    const int importance = scope_.make("importance", vector, kind);
    for (std::int64_t e = 0; e < op_.experts; ++e) {
      const Element target{importance, {constant(e)}};
      if (rows(e) == 0) {
        map({}, of(e, "importance"), ir::Combine::copy, {0.0}, target);
        continue;
      }
      const Loops loops{{"i"}, {rows(e)}};
      sum(loops, of(e, "importance"), {loops.all(scope_.made(of(e, "share")))}, target);
    }
    const Loops all{{"e"}, vector};
    const auto scalar = [&](const std::string& name) { return Element{scope_.make(name, {1}, kind), {constant(0)}}; };
    const Element mean = scalar("importance_mean");
    sum(all, "importance_mean", {all.all(importance)}, mean, 1.0 / experts);
    const int deviations = scope_.make("importance_deviation", vector, kind);
    map(all, "importance_deviation", ir::Combine::sub, {all.all(importance), mean}, all.all(deviations));
    const Element variance = scalar("importance_variance");
    sum(all, "importance_variance", {all.all(deviations), all.all(deviations)}, variance, 1.0 / (experts - 1.0));
    const Element square = scalar("importance_square");
    map({}, "importance_square", ir::Combine::mul, {mean, mean}, square);
    const Element floored = scalar("importance_floored");
    map({}, "importance_floored", ir::Combine::add, {square, kMeanFloor}, floored);
    const Element relative = scalar("importance_relative");
    map({}, "importance_relative", ir::Combine::div, {variance, floored}, relative);
    const Element pull = scalar("importance_pull");
    map({}, "importance_pull", ir::Combine::mul, {relative, mean, (experts - 1.0) / experts}, pull);
    const int centred = scope_.make("importance_centred", vector, kind);
    map(all, "importance_centred", ir::Combine::sub, {all.all(deviations), pull}, all.all(centred));
    const int scaled = scope_.make("importance_scaled", vector, kind);
    map(all, "importance_scaled", ir::Combine::div, {all.all(centred), floored}, all.all(scaled));
    importance_gradient_ = scope_.make("importance.gradient", vector, kind);
    map(all, "importance.gradient", ir::Combine::mul, {all.all(scaled), 2.0 * op_.balance / (experts - 1.0)},
        all.all(importance_gradient_));
  }

  /// Of an expert's shares: the product of y's gradient and what the expert gave, and what the balance loss asks for.
  void share_gradients(std::int64_t e) {
    if (rows(e) == 0) {
      Loops loops;
      const Index n = loops.add("n", scope_.batch());
      const Index t = loops.add("t", tokens_);
      map(loops, of(e, "shares.gradient"), ir::Combine::copy, {0.0}, {share_gradient_, {n, t, constant(e)}});
      return;
    }
    const int dy = make_rows(e, "y.gradient", features_, ir::TensorKind::gradient);
    gather(e, "y.gradient", scope_.output_gradient(), std::nullopt, dy);
    const Loops loops{{"i", "c"}, {rows(e), features_}};
    int share = make_column(e, "share.gradient", ir::TensorKind::gradient);
    sum(loops, of(e, "share.gradient"), {loops.all(dy), loops.all(scope_.made(of(e, "sum2")))}, loops.positions(share));
    if (balances()) {
      const int balanced = make_column(e, "share.balanced", ir::TensorKind::gradient);
      const Loops list{{"i"}, {rows(e)}};
      map(list, of(e, "share.balanced"), ir::Combine::add,
          {list.all(share), Element{importance_gradient_, {constant(e)}}}, list.all(balanced));
      share = balanced;
    }
    scatter(e, of(e, "shares.gradient"), share, e, {share_gradient_, false});
  }

  /// d logit = share * (d share - sum over e of share * d share).
  int softmax_gradient() {
    const Loops loops = shares_loops();
    const int total = scope_.make("softmax_gradient.sum", {scope_.batch(), tokens_}, ir::TensorKind::gradient);
    const int difference = scope_.make("softmax_gradient.subtract", shares_shape(), ir::TensorKind::gradient);
    const int logits_gradient = scope_.make("logits.gradient", shares_shape(), ir::TensorKind::gradient);
    sum(loops, "softmax_gradient.sum", {loops.all(share_gradient_), loops.all(shares_)}, loops.positions(total));
    map(loops, "softmax_gradient.subtract", ir::Combine::sub, {loops.all(share_gradient_), loops.positions(total)},
        loops.all(difference));
    map(loops, "logits.gradient", ir::Combine::mul, {loops.all(difference), loops.all(shares_)},
        loops.all(logits_gradient));
    return logits_gradient;
  }

  void router_gradient(int logits_gradient) {
    Loops loops = shares_loops();
    const Index n = loops.index(0), t = loops.index(1), e = loops.index(2);
    const Index c = loops.add("c", features_);
    const std::string router = router_name(op_);
    const int gradient = scope_.weight_gradient(router);
    sum(loops, router + ".gradient", {Element{scope_.input(), {n, t, c}}, Element{logits_gradient, {n, t, e}}},
        {gradient, {c, e}});
    if (scope_.wants_input_gradient()) {
      sum(loops, "router.input_gradient", {Element{logits_gradient, {n, t, e}}, Element{scope_.weight(router), {c, e}}},
          {input_gradient_.tensor, {n, t, c}, input_gradient_.accumulate});
    }
    if (conditioned()) {
      task_gradient(logits_gradient, gradient);
    }
  }

  void task_gradient(int logits_gradient, int router_gradient) {
    const auto width = op_.embedding;
    const auto kind = ir::TensorKind::gradient;
    const Loops shares = shares_loops();
    const int logits = scope_.make("task_logits.gradient", {op_.experts}, kind);
    sum(shares, "task_logits.gradient", {shares.all(logits_gradient)}, shares.features(logits));
    Loops router;
    const Index d = router.add("d", width);
    const Index e = router.add("e", op_.experts);
    map(router, router_name(op_) + ".task_gradient", ir::Combine::mul,
        {Element{scope_.made("task_embedding"), {d}}, Element{logits, {e}}}, {router_gradient, {d + features_, e}});
    const int embedding = scope_.make("task_embedding.gradient", {width}, kind);
    sum(router, "task_embedding.gradient",
        {Element{scope_.weight(router_name(op_)), {d + features_, e}}, Element{logits, {e}}}, {embedding, {d}});
    const Loops vector{{"d"}, {width}};
    const int bias = scope_.weight_gradient("task_b2");
    map(vector, "task_b2.gradient", ir::Combine::relu_grad,
        {vector.all(scope_.made("task_sum")), vector.all(embedding)}, vector.all(bias));
    Loops square;
    const Index from = square.add("d", width);
    const Index to = square.add("f", width);
    map(square, "task_w2.gradient", ir::Combine::mul,
        {Element{scope_.made("task_hidden"), {from}}, Element{bias, {to}}},
        {scope_.weight_gradient("task_w2"), {from, to}});
    const int hidden = scope_.make("task_hidden.gradient", {width}, kind);
    sum(square, "task_hidden.gradient", {Element{scope_.weight("task_w2"), {from, to}}, Element{bias, {to}}},
        {hidden, {from}});
    // The rows of other tasks have no part in this step.
    const int rows = scope_.weight_gradient("task_w1");
    const Loops table{{"task", "d"}, {op_.tasks, width}};
    map(table, "task_w1.zero", ir::Combine::copy, {0.0}, table.all(rows));
    map(vector, "task_w1.gradient", ir::Combine::relu_grad,
        {Element{scope_.weight("task_w1"), {constant(op_.task), vector.index(0)}}, vector.all(hidden)},
        {rows, {constant(op_.task), vector.index(0)}});
  }

  /// dw (inner, width) = x' dy, db = the sums of dy; dx (rows, inner) = dy w'.
  int layer_gradient(std::int64_t e, const std::string& number, int x, int dy, std::int64_t inner, std::int64_t width,
                     std::pair<int, int> weight_and_bias, bool wants_input) {
    Loops loops;
    const Index i = loops.add("i", rows(e));
    const Index k = loops.add("k", width);
    const Index c = loops.add("c", inner);
    sum(loops, of(e, "w" + number + ".gradient"), {Element{x, {i, c}}, Element{dy, {i, k}}},
        {weight_and_bias.first, {constant(e), c, k}});
    Loops all;
    const Index row = all.add("i", rows(e));
    const Index column = all.add("k", width);
    sum(all, of(e, "b" + number + ".gradient"), {Element{dy, {row, column}}},
        {weight_and_bias.second, {constant(e), column}});
    if (!wants_input) {
      return -1;
    }
    const int dx = make_rows(e, "input" + number + ".gradient", inner, ir::TensorKind::gradient);
    sum(loops, of(e, "input" + number + ".gradient"),
        {Element{dy, {i, k}}, Element{scope_.weight("w" + number), {constant(e), c, k}}}, {dx, {i, c}});
    return dx;
  }

  /// Of an expert that no token chose.
  void no_gradient(std::int64_t e) {
    zero(e, "w1", weight_gradients_.w1, {features_, op_.hidden});
    zero(e, "b1", weight_gradients_.b1, {op_.hidden});
    zero(e, "w2", weight_gradients_.w2, {op_.hidden, features_});
    zero(e, "b2", weight_gradients_.b2, {features_});
  }

  void expert_gradient(std::int64_t e) {
    const Loops loops{{"i", "c"}, {rows(e), features_}};
    const int dy = make_rows(e, "sum2.gradient", features_, ir::TensorKind::gradient);
    map(loops, of(e, "sum2.gradient"), ir::Combine::mul,
        {loops.all(scope_.made(of(e, "y.gradient"))), loops.positions(scope_.made(of(e, "share")))}, loops.all(dy));
    const int hidden = layer_gradient(e, "2", scope_.made(of(e, "hidden")), dy, op_.hidden, features_,
                                      {weight_gradients_.w2, weight_gradients_.b2}, true);
    const Loops gelu{{"i", "h"}, {rows(e), op_.hidden}};
    const int before = make_rows(e, "sum1.gradient", op_.hidden, ir::TensorKind::gradient);
    map(gelu, of(e, "sum1.gradient"), ir::Combine::gelu_grad, {gelu.all(scope_.made(of(e, "sum1"))), gelu.all(hidden)},
        gelu.all(before));
    const bool wants_input = scope_.wants_input_gradient();
    const int dx = layer_gradient(e, "1", scope_.made(of(e, "x")), before, features_, op_.hidden,
                                  {weight_gradients_.w1, weight_gradients_.b1}, wants_input);
    if (wants_input) {
      scatter(e, of(e, "input_gradient"), dx, std::nullopt, {input_gradient_.tensor, true});
    }
  }

  void zero(std::int64_t e, const std::string& weight, int gradient, const std::vector<std::int64_t>& shape) {
    Loops loops;
    std::vector<Index> axes = {constant(e)};
    for (std::size_t a = 0; a < shape.size(); ++a) {
      axes.push_back(loops.add("i" + std::to_string(a), shape[a]));
    }
    map(loops, of(e, weight + ".gradient"), ir::Combine::copy, {0.0}, {gradient, axes});
  }

  int shares_;
  Target input_gradient_;
  WeightGradients weight_gradients_;
  int share_gradient_ = 0;
  int importance_gradient_ = 0;
};

}  // namespace

void lower_gradient(const MoeFfn& op, Scope& scope) { MixtureBackward(op, scope).run(); }

}  // namespace cosearch::graph::ops
