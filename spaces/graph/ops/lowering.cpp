#include "spaces/graph/ops/lowering.hpp"

#include <algorithm>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch::graph::ops {
namespace {

/// `name`, made different from all of `names`; joins them.
std::string unused(std::string name, std::set<std::string>& names) {
  while (!names.insert(name).second) {
    name += "_";
  }
  return name;
}

}  // namespace

Index operator+(Index a, const Index& b) {
  a.axis.terms.insert(a.axis.terms.end(), b.axis.terms.begin(), b.axis.terms.end());
  a.axis.offset += b.axis.offset;
  return a;
}

Index operator+(Index a, std::int64_t offset) {
  a.axis.offset += offset;
  return a;
}

Index operator-(Index a, std::int64_t offset) { return std::move(a) + (-offset); }

Index operator*(std::int64_t factor, Index a) {
  for (ir::Term& term : a.axis.terms) {
    term.coefficient *= factor;
  }
  a.axis.offset *= factor;
  return a;
}

// --- Loops ------------------------------------------------------------------------------------------------------

Loops::Loops(const std::vector<std::string>& names, const std::vector<std::int64_t>& extents) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    loops_.push_back({names[i], extents[i]});
  }
}

Loops Loops::over_batch(std::int64_t batch, const Shape& sample) {
  std::vector<std::string> names;
  if (sample.size() == 3) {
    names = {"n", "y", "x", "c"};
  } else {
    names = sample.size() == 2 ? std::vector<std::string>{"n", "t", "e"} : std::vector<std::string>{"n", "e"};
  }
  std::vector<std::int64_t> extents = {batch};
  extents.insert(extents.end(), sample.begin(), sample.end());
  return {names, extents};
}

Index Loops::add(std::string name, std::int64_t extent) {
  loops_.push_back({std::move(name), extent});
  return {{{{static_cast<int>(loops_.size()) - 1, 1}}, 0}};
}

Index Loops::add_unless_single(std::string name, std::int64_t extent) {
  return extent == 1 ? Index{} : add(std::move(name), extent);
}

Element Loops::part(int tensor, std::size_t begin, std::size_t end) const {
  Element element;
  element.tensor = tensor;
  for (std::size_t i = begin; i < end; ++i) {
    element.axes.push_back({{{{static_cast<int>(i), 1}}, 0}});
  }
  return element;
}

Element Loops::all(int tensor) const { return part(tensor, 0, loops_.size()); }
Element Loops::positions(int tensor) const { return part(tensor, 0, loops_.size() - 1); }
Element Loops::features(int tensor) const { return part(tensor, loops_.size() - 1, loops_.size()); }
Element Loops::sample(int tensor) const { return part(tensor, 1, loops_.size()); }

Element Loops::all(Target target) const {
  Element element = all(target.tensor);
  element.accumulate = target.accumulate;
  return element;
}

// --- Lowering ---------------------------------------------------------------------------------------------------

Lowering::Lowering(const NetworkGraph& graph, Phase phase, std::int64_t batch, const DataTypes& types,
                   const Histograms& histograms)
    : phase_(phase), batch_(batch), types_(types), histograms_(histograms) {
  COSEARCH_CHECK(batch >= 1, "a batch has at least one sample");
  workload_.name = graph.name;
  for (const Node& node : graph.nodes) {
    einsum_names_.insert(node.name);
    tensor_names_.insert({node.name, node.name + ".gradient"});
  }
  for (const WeightSpec& spec : weights(graph)) {
    tensor_names_.insert({spec.name, spec.name + ".gradient", spec.name + ".updated"});
  }
}

int Lowering::add_tensor(std::string name, std::vector<std::int64_t> shape, ir::TensorKind kind) {
  ir::ElementType type = types_.activation;
  switch (kind) {
    case ir::TensorKind::activation:
      break;
    case ir::TensorKind::weight:
      type = types_.weight;
      break;
    case ir::TensorKind::accumulator:
      type = types_.accumulator;
      break;
    case ir::TensorKind::gradient:
      type = types_.gradient;
      break;
    case ir::TensorKind::state:
      type = types_.state;
      break;
  }
  workload_.tensors.push_back({std::move(name), std::move(shape), kind, type});
  return static_cast<int>(workload_.tensors.size()) - 1;
}

int Lowering::add_step_tensor(const std::string& node, const std::string& step, std::vector<std::int64_t> shape,
                              ir::TensorKind kind) {
  return add_tensor(unused(node + "." + step, tensor_names_), std::move(shape), kind);
}

void Lowering::add_einsum(const std::string& node, const Loops& loops, const Step& step) {
  const auto access = [](const Element& element) {
    ir::Access result{element.tensor, {}};
    for (const Index& index : element.axes) {
      result.axes.push_back(index.axis);
    }
    return result;
  };
  ir::Einsum einsum;
  einsum.name = step.name.empty() ? node : unused(node + "." + step.name, einsum_names_);
  einsum.source = node;
  einsum.loops = loops.list();
  einsum.output = access(step.output);
  for (const auto& operand : step.operands) {
    const auto* element = std::get_if<Element>(&operand);
    einsum.operands.push_back(element != nullptr ? ir::Operand(access(*element))
                                                 : ir::Operand(std::get<double>(operand)));
  }
  einsum.combine = step.combine;
  einsum.accumulate = step.output.accumulate;
  einsum.reduce = einsum.accumulate && step.reduce == ir::Reduce::none ? ir::Reduce::sum : step.reduce;
  einsum.scale = step.scale;
  einsum.padding = step.padding;
  einsum.opaque = step.opaque;
  workload_.einsums.push_back(std::move(einsum));
}

std::vector<std::int64_t> Lowering::batch_shape(const Shape& sample) const {
  std::vector<std::int64_t> shape = {batch_};
  shape.insert(shape.end(), sample.begin(), sample.end());
  return shape;
}

// --- Scope ------------------------------------------------------------------------------------------------------

Scope::Scope(Lowering& lowering, Site site, std::vector<Value> inputs, Value output)
    : lowering_(&lowering), site_(std::move(site)), inputs_(std::move(inputs)), output_(output) {}

int Scope::make(const std::string& name, ir::TensorKind kind) {
  return make(name, lowering_->batch_shape(site_.output), kind);
}

int Scope::make(const std::string& name, std::vector<std::int64_t> shape, ir::TensorKind kind) {
  const int tensor = lowering_->add_step_tensor(site_.name, name, std::move(shape), kind);
  COSEARCH_CHECK(made_.emplace(name, tensor).second, "a step's tensor is made once");
  return tensor;
}

std::vector<std::int64_t> Scope::expert_tokens(const MoeFfn& op) const {
  return graph::expert_tokens(op, batch() * site_.output[0], find_histogram(lowering_->histograms(), site_.name, op));
}

double Scope::weight_bytes(const std::string& name, std::int64_t elements) const {
  const auto tensor = static_cast<std::size_t>(weight(name));
  return static_cast<double>(elements * ir::size_bytes(lowering_->workload().tensors[tensor].type));
}

void Scope::emit_queue(ExpertQueue queue, const std::function<void(const QueuedExpert&)>& expert) {
  const std::vector<ir::Einsum>& einsums = lowering_->workload().einsums;
  QueuedEinsums queued{site_.name, std::move(queue), {}};
  for (const QueuedExpert& each : queued.queue.experts) {
    const std::size_t first = einsums.size();
    expert(each);
    queued.ranges.push_back({first, einsums.size()});
  }
  lowering_->queues().push_back(std::move(queued));
}

int Scope::make_positions(const std::string& name, std::vector<std::int64_t> shape) {
  const int tensor = make(name, std::move(shape), ir::TensorKind::accumulator);
  lowering_->workload().tensors[static_cast<std::size_t>(tensor)].type = ir::ElementType::int32;
  return tensor;
}

int Scope::make_updated_state(const std::string& state) {
  const std::vector<std::int64_t> shape = lowering_->workload().tensors[static_cast<std::size_t>(weight(state))].shape;
  const int tensor = lowering_->add_tensor(site_.name + "." + state + ".updated", shape, ir::TensorKind::state);
  lowering_->workload().outputs.push_back(tensor);
  return tensor;
}

int Scope::output_gradient() const {
  COSEARCH_CHECK(output_.gradient->has_value(), "consumers are lowered before their producer");
  return **output_.gradient;
}

int Scope::weight_gradient(const std::string& weight_name) {
  const std::vector<std::int64_t> shape =
      lowering_->workload().tensors[static_cast<std::size_t>(weight(weight_name))].shape;
  const int tensor =
      lowering_->add_tensor(site_.name + "." + weight_name + ".gradient", shape, ir::TensorKind::gradient);
  weight_gradients_[weight_name] = tensor;
  return tensor;
}

Target Scope::input_gradient(std::size_t i, bool covers) {
  std::optional<int>& gradient = *inputs_[i].gradient;
  if (gradient) {
    return {*gradient, true};
  }
  // Not the node's own loops: a copy, because adding a tensor moves the others.
  const ir::Tensor input = lowering_->workload().tensors[static_cast<std::size_t>(inputs_[i].tensor)];
  gradient = lowering_->add_tensor(input.name + ".gradient", input.shape, ir::TensorKind::gradient);
  if (!covers) {
    const Loops loops = input_loops(i);
    emit(loops, {.name = "input_gradient.zero", .operands = {0.0}, .output = loops.all(*gradient)});
  }
  return {*gradient, !covers};
}

// --- contractions -----------------------------------------------------------------------------------------------

void lower_contraction(const Contraction& contraction, Scope& scope) {
  const int sums = contraction.bias ? scope.make("product", ir::TensorKind::accumulator) : scope.output();
  scope.emit(contraction.loops, {.name = contraction.bias ? "product" : "",
                                 .combine = ir::Combine::mul,
                                 .operands = {Element{scope.input(), contraction.input},
                                              Element{scope.weight("weight"), contraction.weight}},
                                 .output = {sums, contraction.output},
                                 .reduce = ir::Reduce::sum});
  if (contraction.bias) {
    const Loops loops = scope.output_loops();
    scope.emit(loops, {.name = "",
                       .combine = ir::Combine::add,
                       .operands = {loops.all(sums), loops.features(scope.weight("bias"))},
                       .output = loops.all(scope.output())});
  }
}

void lower_contraction_gradient(const Contraction& contraction, Scope& scope) {
  const Element output_gradient{scope.output_gradient(), contraction.output};
  if (contraction.bias) {
    const Loops loops = scope.output_loops();
    scope.emit(loops, {.name = "bias.gradient",
                       .operands = {loops.all(scope.output_gradient())},
                       .output = loops.features(scope.weight_gradient("bias")),
                       .reduce = ir::Reduce::sum});
  }
  scope.emit(contraction.loops, {.name = "weight.gradient",
                                 .combine = ir::Combine::mul,
                                 .operands = {Element{scope.input(), contraction.input}, output_gradient},
                                 .output = {scope.weight_gradient("weight"), contraction.weight},
                                 .reduce = ir::Reduce::sum});
  if (scope.wants_input_gradient()) {
    const Target target = scope.input_gradient(0, contraction.covers_input);
    scope.emit(contraction.loops, {.name = "input_gradient",
                                   .combine = ir::Combine::mul,
                                   .operands = {output_gradient, Element{scope.weight("weight"), contraction.weight}},
                                   .output = {target.tensor, contraction.input, target.accumulate},
                                   .reduce = ir::Reduce::sum});
  }
}

bool windows_cover(std::int64_t size, std::int64_t before, std::int64_t kernel, std::int64_t stride,
                   std::int64_t positions) {
  const bool seamless = stride <= kernel || positions == 1;
  return seamless && (positions - 1) * stride + kernel - before >= size;
}

}  // namespace cosearch::graph::ops
