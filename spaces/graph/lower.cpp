#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "spaces/base/check.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/graph/inference.hpp"
#include "spaces/graph/moe.hpp"
#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph {
namespace {

/// Walks a graph forwards, then backwards, then over its weights.
class Walk {
 public:
  Walk(const NetworkGraph& graph, Phase phase, std::int64_t batch, const DataTypes& types, const Histograms& histograms)
      : graph_(graph), lowering_(graph, phase, batch, types, histograms), gradients_(graph.nodes.size()) {
    auto shapes = infer_shapes(graph);
    COSEARCH_CHECK(shapes.has_value(), shapes.error().c_str());
    shapes_ = std::move(*shapes);
  }

  LoweredNetwork run() && {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      forward(i);
    }
    ir::Workload& workload = lowering_.workload();
    workload.inputs.push_back(values_.front().tensor);
    // Updated states have become outputs on the way; the network's own outputs stand before them.
    std::vector<int> outputs;
    for (const int output : graph_.outputs) {
      outputs.push_back(values_[static_cast<std::size_t>(output)].tensor);
    }
    workload.outputs.insert(workload.outputs.begin(), outputs.begin(), outputs.end());
    if (lowering_.phase() == Phase::training) {
      for (const int output : graph_.outputs) {
        seed(static_cast<std::size_t>(output));
      }
      for (std::size_t i = graph_.nodes.size(); i-- > 0;) {
        if (values_[i].wants_gradient) {
          std::visit([&](const auto& op) { ops::lower_gradient(op, scopes_[i]); }, graph_.nodes[i].op);
        }
      }
      update_weights();
    }
    return {std::move(workload), std::move(lowering_.queues())};
  }

 private:
  void forward(std::size_t i) {
    const Node& node = graph_.nodes[i];
    std::vector<ops::Value> inputs;
    for (const int input : node.inputs) {
      inputs.push_back(values_[static_cast<std::size_t>(input)]);
    }
    const std::vector<WeightSpec> specs = weights(graph_, static_cast<int>(i), shapes_);
    ops::Value output;
    output.tensor = lowering_.add_tensor(node.name, lowering_.batch_shape(shapes_[i]), ir::TensorKind::activation);
    if (i == 0 && takes_token_ids(graph_)) {
      lowering_.workload().tensors.back().type = ir::ElementType::int32;
    }
    output.wants_gradient =
        std::any_of(inputs.begin(), inputs.end(), [](const ops::Value& value) { return value.wants_gradient; }) ||
        std::any_of(specs.begin(), specs.end(), [](const WeightSpec& spec) { return spec.trainable; });
    output.gradient = &gradients_[i];
    values_.push_back(output);

    ops::Scope scope{lowering_, site_of(graph_, static_cast<int>(i), shapes_), std::move(inputs), output};
    for (const WeightSpec& spec : specs) {
      const ir::TensorKind kind = spec.trainable ? ir::TensorKind::weight : ir::TensorKind::state;
      scope.set_weight(spec.name.substr(node.name.size() + 1), lowering_.add_tensor(spec.name, spec.shape(), kind));
    }
    std::visit([&](const auto& op) { ops::lower(op, scope); }, node.op);
    scopes_.push_back(std::move(scope));
  }

  /// The gradient that the caller gives for an output.
  void seed(std::size_t output) {
    const Node& node = graph_.nodes[output];
    const int given =
        lowering_.add_tensor(node.name + ".gradient", lowering_.batch_shape(shapes_[output]), ir::TensorKind::gradient);
    lowering_.workload().inputs.push_back(given);
    const bool consumed = std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [&](const Node& other) {
      return std::find(other.inputs.begin(), other.inputs.end(), static_cast<int>(output)) != other.inputs.end();
    });
    if (!consumed) {
      gradients_[output] = given;
    } else if (values_[output].wants_gradient) {
      // Later nodes add theirs; what the caller gave stays as it is.
      ops::Scope& scope = scopes_[output];
      const ops::Loops loops = scope.output_loops();
      gradients_[output] = scope.make("total_gradient", ir::TensorKind::gradient);
      scope.emit(loops,
                 {.name = "total_gradient", .operands = {loops.all(given)}, .output = loops.all(*gradients_[output])});
    }
  }

  /// Plain SGD: updated = weight - learning_rate * gradient.
  void update_weights() {
    std::optional<int> learning_rate;
    for (ops::Scope& scope : scopes_) {
      for (const auto& [name, gradient] : scope.weight_gradients()) {
        if (!learning_rate) {
          learning_rate = lowering_.add_tensor("learning_rate", {1}, ir::TensorKind::state);
        }
        const int weight = scope.weight(name);
        const std::vector<std::int64_t> shape = lowering_.workload().tensors[static_cast<std::size_t>(weight)].shape;
        ops::Loops loops;
        for (std::size_t axis = 0; axis < shape.size(); ++axis) {
          loops.add("i" + std::to_string(axis), shape[axis]);
        }
        const int step = scope.make(name + ".step", shape, ir::TensorKind::gradient);
        const int updated =
            lowering_.add_tensor(scope.site().name + "." + name + ".updated", shape, ir::TensorKind::weight);
        scope.emit(loops, {.name = name + ".step",
                           .combine = ir::Combine::mul,
                           .operands = {loops.all(gradient), ops::Element{*learning_rate, {ops::Index{}}}},
                           .output = loops.all(step)});
        scope.emit(loops, {.name = name + ".updated",
                           .combine = ir::Combine::sub,
                           .operands = {loops.all(weight), loops.all(step)},
                           .output = loops.all(updated)});
        lowering_.workload().outputs.push_back(updated);
      }
    }
  }

  const NetworkGraph& graph_;
  ops::Lowering lowering_;
  std::vector<Shape> shapes_;
  std::vector<std::optional<int>> gradients_;  ///< by node; never resized, values point into it
  std::vector<ops::Value> values_;
  std::vector<ops::Scope> scopes_;
};

}  // namespace

ir::Workload lower(const NetworkGraph& graph, Phase phase, std::int64_t batch, const DataTypes& types,
                   const Histograms& histograms) {
  return lower_with_queues(graph, phase, batch, types, histograms).workload;
}

LoweredNetwork lower_with_queues(const NetworkGraph& graph, Phase phase, std::int64_t batch, const DataTypes& types,
                                 const Histograms& histograms) {
  return Walk{graph, phase, batch, types, histograms}.run();
}

}  // namespace cosearch::graph
