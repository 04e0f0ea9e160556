#include "trainer/net/schedule.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "spaces/base/check.hpp"
#include "trainer/net/aligned_floats.hpp"

namespace cosearch {
namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

/// For each batch norm whose only reader is an activation: that activation's node; else -1.
std::vector<int> fused_activations(const graph::NetworkGraph& graph) {
  std::vector<int> readers(graph.nodes.size(), 0);
  std::vector<int> reader(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const int input : graph.nodes[i].inputs) {
      ++readers[index(input)];
      reader[index(input)] = static_cast<int>(i);
    }
  }
  std::vector<int> fused(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const bool candidate = readers[i] == 1 && std::holds_alternative<graph::BatchNorm>(graph.nodes[i].op);
    if (candidate && std::holds_alternative<graph::Activation>(graph.nodes[index(reader[i])].op)) {
      fused[i] = reader[i];
    }
  }
  return fused;
}

bool has_trainable_weights(const graph::NetworkGraph& graph, int node, const std::vector<graph::Shape>& shapes) {
  const auto specs = graph::weights(graph, node, shapes);
  return std::any_of(specs.begin(), specs.end(), [](const graph::WeightSpec& spec) { return spec.trainable; });
}

std::vector<Unit> make_units(const graph::NetworkGraph& graph, std::int64_t chunk, kernels::Use use,
                             const kernels::Dense& dense, bool apart) {
  const auto shapes = graph::infer_shapes(graph);
  COSEARCH_CHECK(shapes.has_value(), "a malformed network reached the trainer");
  const std::vector<int> fused = apart ? std::vector<int>(graph.nodes.size(), -1) : fused_activations(graph);
  std::vector<int> unit_of(graph.nodes.size(), -1);
  std::vector<Unit> units;
  for (int node = 0; node < static_cast<int>(graph.nodes.size()); ++node) {
    if (unit_of[index(node)] >= 0) {  // fused into its batch norm
      continue;
    }
    const graph::Node& source = graph.nodes[index(node)];
    Unit unit;
    unit.node = node;
    unit.batch_norm = std::holds_alternative<graph::BatchNorm>(source.op);
    unit.token_ids = node == 0 && graph::takes_token_ids(graph);
    unit.geometry.output = (*shapes)[index(node)];
    unit.geometry.use = use;
    unit.geometry.dense = &dense;
    unit.needs_gradient = has_trainable_weights(graph, node, *shapes);
    for (const int input : source.inputs) {
      unit.inputs.push_back(unit_of[index(input)]);
      unit.geometry.inputs.push_back((*shapes)[index(input)]);
      unit.needs_gradient = unit.needs_gradient || units[index(unit.inputs.back())].needs_gradient;
    }
    unit.accumulates.assign(unit.inputs.size(), false);
    unit_of[index(node)] = static_cast<int>(units.size());
    if (const int activation = fused[index(node)]; activation >= 0) {
      const auto& op = std::get<graph::Activation>(graph.nodes[index(activation)].op);
      unit.geometry.activation = ops::activation_of(op.kind);
      unit_of[index(activation)] = static_cast<int>(units.size());
    }
    unit.needs = std::visit([&](const auto& op) { return ops::needs(op, unit.geometry, chunk); }, source.op);
    units.push_back(std::move(unit));
  }
  return units;
}

/// A buffer of a chunk: how large, and from which action to which it is in use.
struct Lifetime {
  std::int64_t size = 0;
  int first = std::numeric_limits<int>::max();
  int last = -1;

  void use(int time) {
    first = std::min(first, time);
    last = std::max(last, time);
  }
};

/// Lays out the work and records which buffers each action uses.
class Planner {
 public:
  explicit Planner(Schedule& schedule) : schedule_(schedule), value_(schedule.units.size(), -1) {
    schedule.regions.emplace_back();
    recomputed_.assign(schedule.units.size(), -1);
  }

  void plan_forward(bool batch_statistics) {
    for (int u = 0; u < count(); ++u) {
      Unit& unit = schedule_.units[index(u)];
      if (batch_statistics && unit.batch_norm) {
        end_region({.kind = ActionKind::statistics, .unit = u, .x = forward_values(unit)});
      }
      value_[index(u)] = new_buffer(graph::elements(unit.geometry.output));
      unit.saved = unit.needs.saved > 0 ? new_buffer(unit.needs.saved) : -1;
      append({.kind = ActionKind::forward, .unit = u, .x = forward_values(unit), .y = value_[index(u)]});
    }
  }

  void plan_backward() {
    for (Unit& unit : schedule_.units) {
      unit.gradient = unit.needs_gradient ? new_buffer(graph::elements(unit.geometry.output)) : -1;
    }
    append({.kind = ActionKind::loss, .unit = count() - 1, .y = value_.back()});
    std::vector<bool> written(schedule_.units.size(), false);
    for (int u = count() - 1; u >= 0; --u) {
      Unit& unit = schedule_.units[index(u)];
      if (!unit.needs_gradient) {
        continue;
      }
      if (unit.batch_norm) {
        end_region({.kind = ActionKind::gradient_statistics, .unit = u, .x = backward_values(unit)});
      }
      for (std::size_t i = 0; i < unit.inputs.size(); ++i) {
        unit.accumulates[i] = written[index(unit.inputs[i])];
        written[index(unit.inputs[i])] = true;
      }
      append({.kind = ActionKind::backward, .unit = u, .x = backward_values(unit)});
    }
  }

  void place_buffers();

 private:
  [[nodiscard]] int count() const { return static_cast<int>(schedule_.units.size()); }
  int new_buffer(std::int64_t floats_per_sample) {
    lifetimes_.push_back({.size = AlignedFloats::rounded_up(schedule_.chunk * floats_per_sample)});
    return static_cast<int>(lifetimes_.size()) - 1;
  }

  void append(const Action& action) {
    const int time = static_cast<int>(region_of_time_.size());
    const Unit& unit = schedule_.units[index(action.unit)];
    const auto use = [&](int buffer) {
      if (buffer >= 0) {
        lifetimes_[index(buffer)].use(time);
      }
    };
    std::for_each(action.x.begin(), action.x.end(), use);
    use(action.y);
    if (action.kind == ActionKind::forward || action.kind == ActionKind::backward) {
      use(unit.saved);
    }
    if (action.kind != ActionKind::forward && action.kind != ActionKind::statistics) {
      use(unit.gradient);
    }
    if (action.kind == ActionKind::backward) {
      for (const int input : unit.inputs) {
        use(schedule_.units[index(input)].gradient);
      }
    }
    region_of_time_.push_back(static_cast<int>(schedule_.regions.size()) - 1);
    schedule_.regions.back().actions.push_back(action);
  }

  /// Appends partial sums of a batch norm and begins the region after the barrier.
  void end_region(const Action& action) {
    append(action);
    schedule_.regions.back().batch_norm = action.unit;
    schedule_.regions.back().of_gradients = action.kind == ActionKind::gradient_statistics;
    schedule_.regions.emplace_back();
    recomputed_.assign(schedule_.units.size(), -1);
  }

  [[nodiscard]] std::vector<int> forward_values(const Unit& unit) const {
    std::vector<int> values;
    for (const int input : unit.inputs) {
      values.push_back(value_[index(input)]);
    }
    return values;
  }

  /// The values of a unit's inputs in the backward pass, where it reads them.
  std::vector<int> backward_values(const Unit& unit) {
    std::vector<int> values;
    for (std::size_t i = 0; i < unit.inputs.size() && unit.needs.inputs_in_backward; ++i) {
      values.push_back(value_in_backward(unit.inputs[i]));
    }
    return values;
  }
  int value_in_backward(int u) {
    const Unit& unit = schedule_.units[index(u)];
    if (!unit.batch_norm) {
      return value_[index(u)];
    }
    if (recomputed_[index(u)] < 0) {
      const std::vector<int> x = backward_values(unit);
      recomputed_[index(u)] = new_buffer(graph::elements(unit.geometry.output));
      append({.kind = ActionKind::forward, .unit = u, .x = x, .y = recomputed_[index(u)]});
    }
    return recomputed_[index(u)];
  }

  Schedule& schedule_;
  std::vector<int> value_;       ///< buffer of each unit's value
  std::vector<int> recomputed_;  ///< buffer of a batch norm's value computed again in the current region
  std::vector<Lifetime> lifetimes_;
  std::vector<int> region_of_time_;
};

/// First fit in order of first use, over the buffers of one block. Returns the size of the block.
std::int64_t place(const std::vector<Lifetime>& lifetimes, const std::vector<int>& buffers,
                   std::vector<Place>& places) {
  std::int64_t block = 0;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Lifetime& lifetime = lifetimes[index(buffers[i])];
    // What is in use at the same time, by offset; the first gap that is wide enough wins.
    std::vector<std::pair<std::int64_t, std::int64_t>> taken;
    for (std::size_t j = 0; j < i; ++j) {
      const Lifetime& other = lifetimes[index(buffers[j])];
      if (other.last >= lifetime.first) {
        const std::int64_t begin = places[index(buffers[j])].offset;
        taken.emplace_back(begin, begin + other.size);
      }
    }
    std::sort(taken.begin(), taken.end());
    std::int64_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + lifetime.size <= begin) {
        break;
      }
      at = std::max(at, end);
    }
    places[index(buffers[i])].offset = at;
    block = std::max(block, at + lifetime.size);
  }
  return block;
}

void Planner::place_buffers() {
  std::vector<int> order(lifetimes_.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return lifetimes_[index(a)].first < lifetimes_[index(b)].first; });
  schedule_.places.resize(lifetimes_.size());
  std::vector<int> kept;
  std::vector<int> transient;
  for (const int buffer : order) {
    const Lifetime& lifetime = lifetimes_[index(buffer)];
    const bool spans = region_of_time_[index(lifetime.first)] != region_of_time_[index(lifetime.last)];
    schedule_.places[index(buffer)].kept = spans;
    (spans ? kept : transient).push_back(buffer);
  }
  schedule_.kept_size = place(lifetimes_, kept, schedule_.places);
  schedule_.transient_size = place(lifetimes_, transient, schedule_.places);
}

/// The operator's own scratch, and behind it room for a gradient that is to be added to another.
std::int64_t scratch_floats(const Schedule& schedule, const Unit& unit) {
  std::int64_t extra = 0;
  for (std::size_t i = 0; i < unit.inputs.size(); ++i) {
    if (unit.accumulates[i]) {
      extra += AlignedFloats::rounded_up(schedule.chunk * graph::elements(unit.geometry.inputs[i]));
    }
  }
  return AlignedFloats::rounded_up(unit.needs.scratch) + extra;
}

template <class Plan>
Schedule planned(const graph::NetworkGraph& graph, std::int64_t chunk, kernels::Use use, kernels::Precision precision,
                 bool apart, const Plan& plan) {
  COSEARCH_CHECK(graph.outputs.size() == 1, "the trainer executes networks with one output");
  Schedule schedule;
  schedule.chunk = chunk;
  schedule.units = make_units(graph, chunk, use, kernels::dense(precision), apart);
  Planner planner(schedule);
  plan(planner);
  planner.place_buffers();
  for (const Unit& unit : schedule.units) {
    schedule.scratch_size = std::max(schedule.scratch_size, scratch_floats(schedule, unit));
  }
  return schedule;
}

}  // namespace

Schedule make_schedule(const graph::NetworkGraph& graph, std::int64_t chunk, kernels::Use use,
                       kernels::Precision precision, bool apart) {
  const bool training = use == kernels::Use::training;
  return planned(graph, chunk, use, precision, apart, [&](Planner& planner) {
    planner.plan_forward(training && !apart);
    if (training) {
      planner.plan_backward();
    }
  });
}

Schedule make_calibration_schedule(const graph::NetworkGraph& graph, std::int64_t chunk, kernels::Precision precision) {
  Schedule schedule = planned(graph, chunk, kernels::Use::inference, precision, false,
                              [](Planner& planner) { planner.plan_forward(true); });
  schedule.regions.pop_back();  // what follows the last batch norm
  return schedule;
}

}  // namespace cosearch
