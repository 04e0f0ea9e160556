#include "spaces/graph/ops/normalization.hpp"

namespace cosearch::graph::ops {

Normalization::Normalization(Statistics statistics, const Scope& scope) : statistics_(statistics) {
  batch_shape_ = {scope.batch()};
  batch_shape_.insert(batch_shape_.end(), scope.site().output.begin(), scope.site().output.end());
}

std::vector<std::int64_t> Normalization::statistics_shape() const {
  return statistics_ == Statistics::of_features
             ? std::vector<std::int64_t>{batch_shape_.back()}
             : std::vector<std::int64_t>(batch_shape_.begin(), batch_shape_.end() - 1);
}

double Normalization::share() const {
  return static_cast<double>(elements(statistics_shape())) / static_cast<double>(elements(batch_shape_));
}

Element Normalization::statistic(const Loops& loops, int tensor) const {
  return statistics_ == Statistics::of_features ? loops.features(tensor) : loops.positions(tensor);
}

int Normalization::elementwise(const std::string& name, ir::Combine combine, const Element& a, const Element& b,
                               Scope& scope) const {
  const Loops loops = scope.output_loops();
  const int tensor = scope.make(name, ir::TensorKind::accumulator);
  scope.emit(loops, {.name = name, .combine = combine, .operands = {a, b}, .output = loops.all(tensor)});
  return tensor;
}

int Normalization::mean_of(const std::string& name, int values, Scope& scope) const {
  const Loops loops = scope.output_loops();
  const int tensor = scope.make(name, statistics_shape(), ir::TensorKind::accumulator);
  scope.emit(loops, {.name = name,
                     .operands = {loops.all(values)},
                     .output = statistic(loops, tensor),
                     .reduce = ir::Reduce::sum,
                     .scale = share()});
  return tensor;
}

void Normalization::lower(double epsilon, Scope& scope) const {
  const Loops loops = scope.output_loops();
  const int mean = mean_of("mean", scope.input(), scope);
  const int centered =
      elementwise("centered", ir::Combine::sub, loops.all(scope.input()), statistic(loops, mean), scope);
  const int squared = elementwise("squared", ir::Combine::mul, loops.all(centered), loops.all(centered), scope);
  const int variance = mean_of("variance", squared, scope);

  const std::vector<std::int64_t> shape = statistics_shape();
  const Loops all_statistics = statistics_ == Statistics::of_features
                                   ? Loops{{"c"}, shape}
                                   : Loops{shape.size() == 1   ? std::vector<std::string>{"n"}
                                           : shape.size() == 2 ? std::vector<std::string>{"n", "t"}
                                                               : std::vector<std::string>{"n", "y", "x"},
                                           shape};
  const int stabilized = scope.make("stabilized", shape, ir::TensorKind::accumulator);
  const int rsqrt = scope.make("rsqrt", shape, ir::TensorKind::accumulator);
  scope.emit(all_statistics, {.name = "stabilized",
                              .combine = ir::Combine::add,
                              .operands = {all_statistics.all(variance), epsilon},
                              .output = all_statistics.all(stabilized)});
  scope.emit(all_statistics, {.name = "rsqrt",
                              .combine = ir::Combine::rsqrt,
                              .operands = {all_statistics.all(stabilized)},
                              .output = all_statistics.all(rsqrt)});

  const int normalized =
      elementwise("normalized", ir::Combine::mul, loops.all(centered), statistic(loops, rsqrt), scope);
  const int scaled =
      elementwise("scaled", ir::Combine::mul, loops.all(normalized), loops.features(scope.weight("scale")), scope);
  scope.emit(loops, {.combine = ir::Combine::add,
                     .operands = {loops.all(scaled), loops.features(scope.weight("shift"))},
                     .output = loops.all(scope.output())});
}

void Normalization::lower_weight_gradients(Scope& scope) const {
  const Loops loops = scope.output_loops();
  const Element gradient = loops.all(scope.output_gradient());
  scope.emit(loops, {.name = "scale.gradient",
                     .combine = ir::Combine::mul,
                     .operands = {gradient, loops.all(scope.made("normalized"))},
                     .output = loops.features(scope.weight_gradient("scale")),
                     .reduce = ir::Reduce::sum});
  scope.emit(loops, {.name = "shift.gradient",
                     .operands = {gradient},
                     .output = loops.features(scope.weight_gradient("shift")),
                     .reduce = ir::Reduce::sum});
}

void Normalization::lower_input_gradient(int upstream, int mean, int projection, int factor, Scope& scope) const {
  const Loops loops = scope.output_loops();
  const auto step = [&](const std::string& name, ir::Combine combine, const Element& a, const Element& b) {
    const int tensor = scope.make(name, ir::TensorKind::gradient);
    scope.emit(loops, {.name = name, .combine = combine, .operands = {a, b}, .output = loops.all(tensor)});
    return loops.all(tensor);
  };
  const Element without_mean =
      step("input_gradient.centered", ir::Combine::sub, loops.all(upstream), statistic(loops, mean));
  const Element projected = step("input_gradient.projected", ir::Combine::mul, loops.all(scope.made("normalized")),
                                 statistic(loops, projection));
  const Element difference = step("input_gradient.subtract", ir::Combine::sub, without_mean, projected);
  scope.emit(loops, {.name = "input_gradient",
                     .combine = ir::Combine::mul,
                     .operands = {difference, statistic(loops, factor)},
                     .output = loops.all(scope.input_gradient())});
}

}  // namespace cosearch::graph::ops
