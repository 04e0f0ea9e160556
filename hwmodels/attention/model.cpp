#include "hwmodels/attention/model.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/asic/chip_metrics.hpp"
#include "hwmodels/layers.hpp"
#include "spaces/ir/passes.hpp"

namespace cosearch::attention {
namespace {

constexpr const char* kAttention = "multi_head_attention";
constexpr double kMilli = 1e3;
constexpr double kMicroPerPico = 1e-6;

void add_energy(const EnergyPj& energy, LayerCost& layer) {
  layer.parts["array_pj"] += energy.array_units;
  layer.parts["lanes_pj"] += energy.lane_units;
  layer.parts["registers_pj"] += energy.registers;
  layer.parts["buffer_pj"] += energy.buffer;
  layer.parts["dram_pj"] += energy.dram;
  layer.energy_uj += energy.total() * kMicroPerPico;
}

/// Queries of a node's attention and its heads.
struct AttentionNode {
  Shape shape;
  std::int64_t head_dim = 0;
};

std::optional<AttentionNode> attention_node(const JobWorkload& job, const EinsumRun& run, const JobOptions& options) {
  for (const graph::Node& node : job.graph.nodes) {
    const auto* op = std::get_if<graph::MultiHeadAttention>(&node.op);
    if (op == nullptr || node.name != run.name) {
      continue;
    }
    for (const ir::Tensor& tensor : job.workload.tensors) {
      if (tensor.name == node.name) {  // (batch, tokens, features)
        const std::int64_t tokens = tensor.shape.at(1);
        return AttentionNode{
            {tensor.shape.at(0) * op->heads, tokens, std::max(options.decode_keys, tokens), options.causal},
            tensor.shape.at(2) / op->heads};
      }
    }
  }
  return std::nullopt;
}

bool is_product(const ir::Einsum& einsum) {
  const auto tensors = std::count_if(einsum.operands.begin(), einsum.operands.end(), [](const ir::Operand& operand) {
    return std::holds_alternative<ir::Access>(operand);
  });
  return tensors > 1 && einsum.combine == ir::Combine::mul && einsum.reduce == ir::Reduce::sum;
}

bool names(const ir::Access& access, int loop) {
  return std::any_of(access.axes.begin(), access.axes.end(), [loop](const ir::AxisIndex& axis) {
    return std::any_of(axis.terms.begin(), axis.terms.end(),
                       [loop](const ir::Term& term) { return term.loop == loop; });
  });
}

/// Any product as a matrix product: loops of the output that only the first operand names are rows, those that only the
/// other names are outputs, those of both are instances; what the output lacks are inputs.
ProductShape matrix_product(const ir::Einsum& einsum) {
  const auto* first = std::get_if<ir::Access>(&einsum.operands[0]);
  const auto* second = std::get_if<ir::Access>(&einsum.operands[1]);
  ProductShape shape;
  for (std::size_t i = 0; i < einsum.loops.size(); ++i) {
    const auto loop = static_cast<int>(i);
    const bool a = first != nullptr && names(*first, loop);
    const bool b = second != nullptr && names(*second, loop);
    std::int64_t& extent = !names(einsum.output, loop) ? shape.inputs
                           : a && b                    ? shape.instances
                           : a                         ? shape.rows
                                                       : shape.outputs;
    extent *= einsum.loops[i].extent;
  }
  return shape;
}

/// Operations that no element has: a comparison and a selection.
UnitCounts operations_of(const ir::Einsum& einsum) {
  if (const std::optional<UnitCounts> units = units_of(einsum)) {
    return *units;
  }
  UnitCounts units;
  units[Unit::max] = 1;
  units[Unit::mac] = 1;
  return units;
}

void set_times(double seconds, const Arch& arch, LayerCost& layer) {
  const double peak_macs_per_cycle = static_cast<double>(arch.rows) * static_cast<double>(arch.columns);
  layer.latency_ms = seconds * kMilli;
  layer.cycles = seconds * arch.frequency_hz;
  layer.utilization = layer.cycles > 0.0 ? static_cast<double>(layer.macs) / (peak_macs_per_cycle * layer.cycles) : 0.0;
}

}  // namespace

Expected<Design, Infeasible> AttentionModel::design(std::int64_t head_dim) const {
  const JobOptions& options = shared_->options;
  return build_design(genes_, options.cascade ? *options.cascade : cascade_of(genes_, head_dim, head_dim),
                      options.design, shared_->data, shared_->published);
}

Expected<AttentionCost, Infeasible> AttentionModel::attention(const Design& design, const Shape& shape,
                                                              std::int64_t head_dim) const {
  if (genes_.fusion == Fusion::rows) {
    if (const auto mapping = shared_->published.flat_mapping(design.profile(), head_dim, shape)) {
      return design.evaluate(shape, *mapping);
    }
  }
  return design.evaluate(shape);
}

/// What the layers of all jobs add up to.
struct AttentionModel::Totals {
  Cost cost;
  asic::ChipTotals chip;
  std::map<std::int64_t, Expected<Design, Infeasible>> designs;  ///< by head dimension
  std::int64_t buffer_bytes = 0;
  double attending = 0.0;  ///< cycles
  double waiting = 0.0;    ///< cycles of layers that DRAM bounds
};

namespace {

LayerCost attention_layer(const Design& design, const AttentionCost& cost) {
  const Arch& arch = design.arch();
  LayerCost layer;
  layer.macs = static_cast<std::int64_t>(cost.macs);
  layer.traffic_bytes = cost.traffic_bytes;
  layer.bound = bound_of(cost, arch.frequency_hz);
  add_energy(cost.energy, layer);
  layer.parts["array_busy_cycles"] = cost.array_cycles;
  layer.parts["lanes_busy_cycles"] = cost.lane_cycles;
  layer.parts["array_utilization"] = cost.array_utilization;
  layer.parts["lanes_utilization"] = cost.lane_utilization;
  layer.parts["spilled_share"] = cost.spilled;
  set_times(cost.seconds, arch, layer);
  return layer;
}

/// Elements that an einsum of a layer without products exchanges with DRAM: its einsums hand their results on.
double outer_elements(const ir::Workload& workload, const EinsumRun& run, std::size_t index) {
  const ir::Einsum& einsum = workload.einsums[index];
  double elements = 0.0;
  if (index == run.first) {
    for (const ir::Operand& operand : einsum.operands) {
      const auto* access = std::get_if<ir::Access>(&operand);
      elements += access != nullptr ? static_cast<double>(touched_elements(workload, einsum, *access)) : 0.0;
    }
  }
  return elements +
         (index + 1 == run.end ? static_cast<double>(touched_elements(workload, einsum, einsum.output)) : 0.0);
}

/// Time of a layer by what its einsums wait for.
struct Waits {
  double dram = 0.0, array = 0.0, lanes = 0.0;

  [[nodiscard]] const char* bound() const {
    return dram >= std::max(array, lanes) ? "dram_bandwidth" : (array >= lanes ? "array" : "lanes");
  }
};

LayerCost other_layer(const Design& design, const ir::Workload& workload, const EinsumRun& run) {
  const Arch& arch = design.arch();
  const auto begin = workload.einsums.begin();
  const bool has_product = std::any_of(begin + static_cast<std::ptrdiff_t>(run.first),
                                       begin + static_cast<std::ptrdiff_t>(run.end), is_product);
  LayerCost layer;
  Waits waits;
  for (std::size_t i = run.first; i < run.end; ++i) {
    const ir::Einsum& einsum = workload.einsums[i];
    // What is opaque states its operations; a product with one tensor is none for the array.
    const ir::OperationCounts counts = ir::operation_counts(einsum);
    // Biases are added to what leaves the array.
    const double outer = has_product ? 0.0 : outer_elements(workload, run, i);
    const ProductCost cost = is_product(einsum)
                                 ? product_cost(design, matrix_product(einsum))
                                 : lanes_cost(design, static_cast<double>(counts.macs + counts.elementwise),
                                              operations_of(einsum), outer * static_cast<double>(arch.word_bytes));
    const bool waiting = cost.traffic_bytes / arch.dram_bytes_per_second >= cost.seconds;
    (waiting ? waits.dram : (cost.array_cycles > 0.0 ? waits.array : waits.lanes)) += cost.seconds;
    layer.parts["array_busy_cycles"] += cost.array_cycles;
    layer.traffic_bytes += cost.traffic_bytes;
    layer.macs += counts.macs;
    add_energy(cost.energy, layer);
  }
  layer.bound = waits.bound();
  set_times(waits.dram + waits.array + waits.lanes, arch, layer);
  return layer;
}

}  // namespace

std::optional<Infeasible> AttentionModel::add(const LoweredJob& job, const EinsumRun& run, Totals& totals) const {
  const std::optional<AttentionNode> node =
      run.kind == kAttention ? attention_node(job.workload, run, shared_->options) : std::nullopt;
  constexpr std::int64_t kAnyHead = 64;  // of designs that compute no attention
  const std::int64_t head_dim =
      node ? node->head_dim : (totals.designs.empty() ? kAnyHead : totals.designs.begin()->first);
  auto found = totals.designs.find(head_dim);
  if (found == totals.designs.end()) {
    found = totals.designs.emplace(head_dim, design(head_dim)).first;
  }
  const Expected<Design, Infeasible>& built = found->second;
  if (!built) {
    return built.error();
  }
  LayerCost layer;
  if (node) {
    const Expected<AttentionCost, Infeasible> cost = attention(*built, node->shape, node->head_dim);
    if (!cost) {
      return Infeasible{cost.error().violations, run.name + ": " + cost.error().reason};
    }
    totals.buffer_bytes = std::max(totals.buffer_bytes, std::min(cost->buffer_bytes, genes_.buffer_bytes));
    layer = attention_layer(*built, *cost);
    totals.attending += layer.cycles;
  } else {
    layer = other_layer(*built, job.workload.workload, run);
  }
  layer.name = job.prefix + run.name;
  layer.kind = run.kind;
  totals.waiting += layer.bound == "dram_bandwidth" ? layer.cycles : 0.0;
  totals.chip.area_mm2 = std::max(totals.chip.area_mm2, built->area_um2() * 1e-6);
  totals.chip.add(layer);
  totals.cost.layers.push_back(std::move(layer));
  return std::nullopt;
}

Expected<Cost, Infeasible> AttentionModel::evaluate(std::span<const Job> jobs) const {
  const Expected<std::vector<LoweredJob>, Infeasible> lowered = lower_jobs(jobs);
  if (!lowered) {
    return Unexpected{lowered.error()};
  }
  Totals totals;
  for (const LoweredJob& job : *lowered) {
    if (ir::size_bytes(job.job->types.activation) > shared_->data.word_bytes) {
      return Unexpected{Infeasible{{}, "the arrays compute with words of 16 bits; the job's activations are wider"}};
    }
    totals.chip.params += job.params;
    for (const EinsumRun& run : einsum_runs(job.workload)) {
      if (auto obstacle = add(job, run, totals)) {
        return Unexpected{*std::move(obstacle)};
      }
    }
  }
  totals.chip.sram_bytes = static_cast<double>(totals.buffer_bytes);
  totals.chip.frequency_hz = genes_.frequency_hz;
  totals.chip.peak_macs_per_cycle = static_cast<double>(genes_.rows) * static_cast<double>(genes_.columns);
  Cost cost = std::move(totals.cost);
  cost.metrics = asic::chip_metrics(totals.chip);
  const double percent = 100.0 / std::max(totals.chip.cycles, 1.0);
  cost.bound = fmt::format("attention takes {:.0f} % of the time; DRAM bounds {:.0f} % of it",
                           percent * totals.attending, percent * totals.waiting);
  cost.notes = notes();
  return cost;
}

std::vector<std::string> AttentionModel::notes() const {
  const DesignOptions& design = shared_->options.design;
  std::vector<std::string> notes{
      fmt::format("45 nm, clock of {:g} MHz; energies {} and {}, areas of the FuseMax artifact, whose register files "
                  "are most of the area",
                  genes_.frequency_hz * 1e-6, design.energy_table, design.dram),
      design.complete_energy ? "registers of all elements are counted"
                             : "registers are not counted, as in the artifact (complete_energy: true counts them)",
      "words of 16 bits; layers that are no attention go through DRAM one by one; operators without a unit take a "
      "comparison and a product"};
  if (genes_.fusion == Fusion::rows) {
    notes.emplace_back(
        "FLAT's published mapping where the artifact has one of the shape, else the best by enumeration");
  }
  if (shared_->options.causal && genes_.fusion != Fusion::tiles) {
    notes.emplace_back("causal: only tiles are left out, which this design does not fuse; everything is computed");
  }
  return notes;
}

std::string AttentionModel::explain_attention(const Design& design, const Shape& shape, std::int64_t head_dim) const {
  const Expected<AttentionCost, Infeasible> cost = attention(design, shape, head_dim);
  if (!cost) {
    return {};
  }
  const Profile& profile = design.profile();
  std::string text = fmt::format("  {} in {} passes, {} rows x {} streamed elements, {} heads and samples\n",
                                 profile.name, profile.passes, shape.rows, shape.keys, shape.instances);
  if (genes_.fusion == Fusion::tiles) {
    text += fmt::format("  slots: {}\n", to_text(design.binding(), profile));
    const std::vector<double> cycles = design.work_cycles(shape);
    for (std::size_t i = 0; i < cycles.size(); ++i) {
      text += fmt::format("  {:<6} {:<5} {:>14.0f} cycles\n", profile.works[i].name,
                          design.on_array(static_cast<int>(i)) ? "array" : "lanes", cycles[i]);
    }
  }
  text += fmt::format("  {} rows share a fetch of the streamed elements; {} bytes of buffer; {:.1f} % spilled\n",
                      cost->chunk_rows, cost->buffer_bytes, 100.0 * cost->spilled);
  text += fmt::format("  array {:.2f} %, lanes {:.2f} % used; bound: {}\n", 100.0 * cost->array_utilization,
                      100.0 * cost->lane_utilization, bound_of(*cost, genes_.frequency_hz));
  return text;
}

std::vector<std::string> AttentionModel::explain(std::span<const Job> jobs) const {
  std::vector<std::string> texts;
  bool described = false;
  for (const Job& job : jobs) {
    const Expected<JobWorkload, Infeasible> lowered = job_workload(job);
    if (!lowered) {
      return {};
    }
    for (const EinsumRun& run : einsum_runs(*lowered)) {
      const auto node = run.kind == kAttention ? attention_node(*lowered, run, shared_->options) : std::nullopt;
      std::string& text = texts.emplace_back();
      if (!node) {
        continue;
      }
      if (const Expected<Design, Infeasible> built = design(node->head_dim)) {
        text = explain_attention(*built, node->shape, node->head_dim);
      }
      if (!described) {
        text += ir::describe_passes(shared_->options.cascade ? *shared_->options.cascade
                                                             : cascade_of(genes_, node->head_dim, node->head_dim));
        described = true;
      }
    }
  }
  return texts;
}

}  // namespace cosearch::attention
