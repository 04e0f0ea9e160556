#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "spaces/graph/moe.hpp"
#include "spaces/graph/ops/op.hpp"
#include "spaces/ir/workload.hpp"

/// What operators write their einsums with; internal to spaces/graph.
namespace cosearch::graph::ops {

/// An affine expression over the loops of an einsum: `2 * oy + ky - 1`.
struct Index {
  ir::AxisIndex axis;
};
[[nodiscard]] Index operator+(Index a, const Index& b);
[[nodiscard]] Index operator+(Index a, std::int64_t offset);
[[nodiscard]] Index operator-(Index a, std::int64_t offset);
[[nodiscard]] Index operator*(std::int64_t factor, Index a);

/// An element of a tensor; as an output, `accumulate` adds to what is there.
struct Element {
  int tensor = 0;
  std::vector<Index> axes = {};
  bool accumulate = false;
};

/// Where a gradient goes: to a tensor that already holds another consumer's part, or not.
struct Target {
  int tensor = 0;
  bool accumulate = false;
};

/// The loops of an einsum.
class Loops {
 public:
  Loops() = default;
  /// One loop per axis.
  Loops(const std::vector<std::string>& names, const std::vector<std::int64_t>& extents);
  /// Over a batch of samples: n and then (y, x, c), (t, e) or (e).
  static Loops over_batch(std::int64_t batch, const Shape& sample);

  /// Adds an inner loop.
  Index add(std::string name, std::int64_t extent);
  /// The same, but without a loop when it would run only once.
  Index add_unless_single(std::string name, std::int64_t extent);

  /// Elements indexed by: all loops; all but the last; the last; all but the first.
  [[nodiscard]] Element all(int tensor) const;
  [[nodiscard]] Element all(Target target) const;
  [[nodiscard]] Element positions(int tensor) const;
  [[nodiscard]] Element features(int tensor) const;
  [[nodiscard]] Element sample(int tensor) const;

  /// Of the loop at a place in the list.
  [[nodiscard]] Index index(std::size_t loop) const { return {{{{static_cast<int>(loop), 1}}, 0}}; }

  [[nodiscard]] const std::vector<ir::Loop>& list() const noexcept { return loops_; }

 private:
  [[nodiscard]] Element part(int tensor, std::size_t begin, std::size_t end) const;
  std::vector<ir::Loop> loops_;
};

/// One einsum of a node.
struct Step {
  std::string name = {};  ///< the einsum is `<node>.<name>`, or `<node>` when empty
  ir::Combine combine = ir::Combine::copy;
  std::vector<std::variant<Element, double>> operands = {};
  Element output = {};
  ir::Reduce reduce = ir::Reduce::none;
  double scale = 1.0;
  double padding = 0.0;
  std::optional<ir::Opaque> opaque = std::nullopt;  ///< of Combine::opaque
};

/// A workload that grows: names, element types and gradients of all nodes.
class Lowering {
 public:
  /// `histograms` must outlive the lowering.
  Lowering(const NetworkGraph& graph, Phase phase, std::int64_t batch, const DataTypes& types,
           const Histograms& histograms);

  /// A tensor whose name is part of the contract. The element type follows from the kind.
  int add_tensor(std::string name, std::vector<std::int64_t> shape, ir::TensorKind kind);
  /// A tensor `<node>.<step>`; a `_` is added where something else is called so.
  int add_step_tensor(const std::string& node, const std::string& step, std::vector<std::int64_t> shape,
                      ir::TensorKind kind);
  /// Its name gets a `_` in the same way.
  void add_einsum(const std::string& node, const Loops& loops, const Step& step);

  [[nodiscard]] const Histograms& histograms() const noexcept { return histograms_; }
  [[nodiscard]] Phase phase() const noexcept { return phase_; }
  [[nodiscard]] std::int64_t batch() const noexcept { return batch_; }
  [[nodiscard]] std::vector<std::int64_t> batch_shape(const Shape& sample) const;
  [[nodiscard]] ir::Workload& workload() noexcept { return workload_; }
  [[nodiscard]] std::vector<QueuedEinsums>& queues() noexcept { return queues_; }

 private:
  ir::Workload workload_;
  std::vector<QueuedEinsums> queues_;
  std::set<std::string> tensor_names_;  ///< of steps, and all that the contract names
  std::set<std::string> einsum_names_;  ///< so far, and those of all nodes
  Phase phase_;
  std::int64_t batch_;
  DataTypes types_;
  const Histograms& histograms_;
};

/// The output of a node: its tensor and, in the backward pass, the gradient of that.
struct Value {
  int tensor = 0;
  bool wants_gradient = false;             ///< something trainable comes before it
  std::optional<int>* gradient = nullptr;  ///< shared by all consumers; empty until the first one writes it
};

/// A node during lowering. Lives from its forward to its backward pass.
class Scope {
 public:
  Scope(Lowering& lowering, Site site, std::vector<Value> inputs, Value output);

  [[nodiscard]] const Site& site() const noexcept { return site_; }
  [[nodiscard]] bool training() const noexcept { return lowering_->phase() == Phase::training; }
  [[nodiscard]] std::int64_t batch() const noexcept { return lowering_->batch(); }

  [[nodiscard]] int input(std::size_t i = 0) const { return inputs_[i].tensor; }
  [[nodiscard]] int output() const noexcept { return output_.tensor; }
  /// Loops over the batch of the output's or an input's samples.
  [[nodiscard]] Loops output_loops() const { return Loops::over_batch(batch(), site_.output); }
  [[nodiscard]] Loops input_loops(std::size_t i = 0) const { return Loops::over_batch(batch(), site_.inputs[i]); }
  /// The weight or state `<node>.<name>`.
  [[nodiscard]] int weight(const std::string& name) const { return weights_.at(name); }

  /// How many tokens of the batch choose each expert of this mixture.
  [[nodiscard]] std::vector<std::int64_t> expert_tokens(const MoeFfn& op) const;
  /// Of some elements of the weight `<node>.<name>`.
  [[nodiscard]] double weight_bytes(const std::string& name, std::int64_t elements) const;

  /// A new tensor `<node>.<name>` between two steps; of the shape of the batch of outputs where none is given.
  int make(const std::string& name, ir::TensorKind kind);
  int make(const std::string& name, std::vector<std::int64_t> shape, ir::TensorKind kind);
  /// A tensor of positions or other whole numbers, whatever the type of activations.
  int make_positions(const std::string& name, std::vector<std::int64_t> shape);
  /// One that was made before.
  [[nodiscard]] int made(const std::string& name) const { return made_.at(name); }
  /// The successor of a state: `<node>.<state>.updated`, an output of the workload.
  int make_updated_state(const std::string& state);
  void emit(const Loops& loops, const Step& step) { lowering_->add_einsum(site_.name, loops, step); }
  /// What `expert` emits for each entry of a queue, one after the other; the lowering notes where each of them stands.
  void emit_queue(ExpertQueue queue, const std::function<void(const QueuedExpert&)>& expert);

  // The backward pass.
  [[nodiscard]] int output_gradient() const;
  /// The new tensor `<node>.<weight>.gradient`.
  int weight_gradient(const std::string& weight);
  [[nodiscard]] bool wants_input_gradient(std::size_t i = 0) const { return inputs_[i].wants_gradient; }
  /// Where this node adds its part of the gradient of input i. `covers` tells whether the coming einsums write every
  /// element; where they leave gaps, zeros are written first.
  [[nodiscard]] Target input_gradient(std::size_t i = 0, bool covers = true);

  /// Weights and states by the last part of their names; gradients of those that have one.
  void set_weight(const std::string& name, int tensor) { weights_[name] = tensor; }
  [[nodiscard]] const std::map<std::string, int>& weight_gradients() const noexcept { return weight_gradients_; }

 private:
  Lowering* lowering_;
  Site site_;
  std::vector<Value> inputs_;
  Value output_;
  std::map<std::string, int> weights_;
  std::map<std::string, int> made_;
  std::map<std::string, int> weight_gradients_;
};

/// y += w * x over shared loops: what convolutions, linear maps and patch embeddings are. The accumulators of a
/// contraction with a bias are a tensor of their own, `<node>.product`.
struct Contraction {
  Loops loops;
  std::vector<Index> input;
  std::vector<Index> weight;
  std::vector<Index> output;
  bool bias = false;
  bool covers_input = true;  ///< whether every input element takes part
};
void lower_contraction(const Contraction& contraction, Scope& scope);
void lower_contraction_gradient(const Contraction& contraction, Scope& scope);

/// Whether sliding windows touch every element of an axis. May say no where gaps lie in the padding alone.
[[nodiscard]] bool windows_cover(std::int64_t size, std::int64_t before, std::int64_t kernel, std::int64_t stride,
                                 std::int64_t positions);

}  // namespace cosearch::graph::ops
