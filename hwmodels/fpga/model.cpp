#include "hwmodels/fpga/model.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/fpga/picture.hpp"
#include "hwmodels/job_graph.hpp"
#include "hwmodels/layers.hpp"
#include "hwmodels/text.hpp"
#include "spaces/base/check.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch::fpga {
namespace {

constexpr double kMilli = 1e3;
constexpr double kMicro = 1e6;
constexpr double kGiga = 1e9;  // divided by, not times 1e-9: limits are given as 2.4, and must hold for 2.4e9

/// What runs of a job, one network after the other: its tasks one by one where what runs depends on them.
struct TaskGraph {
  std::string task;
  graph::NetworkGraph graph;
};

std::vector<TaskGraph> task_graphs(const Job& job) {
  const std::vector<Job> parts = task_jobs(job);
  std::vector<TaskGraph> graphs;
  for (const Job& part : parts) {
    graphs.push_back(
        {parts.size() > 1 ? fmt::format("task {}", part.tasks[0]) : "", fold_batch_norms(job_graph(part))});
  }
  return graphs;
}

/// The nodes of one network on the engines.
class Walk {
 public:
  Walk(const Job& job, const TaskGraph& part, const Engines& engines)
      : job_(job),
        part_(part),
        engines_(engines),
        shapes_(graph::infer_shapes(part.graph).value()),
        counts_(graph::node_counts(part.graph)) {}

  /// Joins the layers; an obstacle where an expert does not fit, or evidence cannot be.
  [[nodiscard]] std::optional<Infeasible> add_to(std::vector<TimedLayer>& layers) const {
    if (job_.evidence) {
      if (auto wrong = graph::wrong_histogram(part_.graph, job_.evidence->histograms)) {
        return Infeasible{{}, *std::move(wrong)};
      }
    }
    for (std::size_t i = 0; i < part_.graph.nodes.size(); ++i) {
      const graph::Node& node = part_.graph.nodes[i];
      if (std::holds_alternative<graph::Input>(node.op)) {
        continue;
      }
      TimedLayer layer{node.name, graph::kind_name(node.op), part_.task, counts_[i].macs * job_.batch, {}, {}};
      if (const auto* op = std::get_if<graph::MoeFfn>(&node.op)) {
        Expected<MoeTime, Infeasible> moe = experts(*op, i);
        if (!moe) {
          moe.error().reason.insert(0, node.name + ": ");
          return std::move(moe).error();
        }
        layer.time = moe->all;
        layer.moe = *std::move(moe);
      } else {
        layer.time = time(node, i);
      }
      layers.push_back(std::move(layer));
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] const graph::Shape& input(std::size_t node) const {
    return shapes_[static_cast<std::size_t>(part_.graph.nodes[node].inputs[0])];
  }
  [[nodiscard]] std::int64_t input_elements(std::size_t node) const {
    std::int64_t sum = 0;
    for (const int each : part_.graph.nodes[node].inputs) {
      sum += graph::elements(shapes_[static_cast<std::size_t>(each)]);
    }
    return sum * job_.batch;
  }
  [[nodiscard]] std::int64_t output_elements(std::size_t node) const {
    return graph::elements(shapes_[node]) * job_.batch;
  }

  [[nodiscard]] LayerTime time(const graph::Node& node, std::size_t i) const {
    if (const auto* conv = std::get_if<graph::Conv2d>(&node.op)) {
      return matrix(i, conv->groups, conv->kernel_h * conv->kernel_w * input(i).back() / conv->groups);
    }
    if (std::holds_alternative<graph::Linear>(node.op)) {
      return matrix(i, 1, input(i).back());
    }
    if (const auto* embed = std::get_if<graph::PatchEmbed>(&node.op)) {
      return matrix(i, 1, embed->patch * embed->patch * input(i).back());
    }
    if (const auto* attention = std::get_if<graph::MultiHeadAttention>(&node.op)) {
      return engines_.attention({job_.batch, shapes_[i].at(0), shapes_[i].at(1), attention->heads});
    }
    const auto elements = static_cast<double>(input_elements(i) + output_elements(i));
    const auto operations = static_cast<double>(counts_[i].elementwise * job_.batch);
    const auto* activation = std::get_if<graph::Activation>(&node.op);
    const bool gelu = activation != nullptr && activation->kind == graph::ActivationKind::gelu;
    // Of a table of embeddings only the tokens' rows are fetched.
    const bool gathers = std::holds_alternative<graph::TokenEmbed>(node.op);
    return engines_.elementwise(operations, gelu ? static_cast<double>(output_elements(i)) : 0.0,
                                gathers ? output_elements(i) : counts_[i].parameters, elements);
  }

  /// A node whose outputs are positions times the columns of its matrices.
  [[nodiscard]] LayerTime matrix(std::size_t i, std::int64_t instances, std::int64_t in) const {
    LinearShape shape;
    shape.positions = output_elements(i) / shapes_[i].back();
    shape.instances = instances;
    shape.in = in;
    shape.out = shapes_[i].back() / instances;
    shape.weights = counts_[i].parameters;
    shape.input_elements = input_elements(i);
    shape.output_elements = output_elements(i);
    return engines_.linear(shape);
  }

  [[nodiscard]] Expected<MoeTime, Infeasible> experts(const graph::MoeFfn& op, std::size_t i) const {
    MoeShape shape;
    shape.tokens = shapes_[i].at(0) * job_.batch;
    shape.width = shapes_[i].at(1);
    shape.hidden = op.hidden;
    shape.experts = op.experts;
    shape.top_k = op.top_k;
    shape.gate_inputs = shape.width + (op.routing == graph::MoeRouting::conditioned ? op.embedding : 0);
    shape.gate_weights = counts_[i].parameters - op.experts * shape.expert_weights();
    const std::vector<double>* histogram =
        job_.evidence ? graph::find_histogram(job_.evidence->histograms, part_.graph.nodes[i].name, op) : nullptr;
    return moe_time(shape, graph::expert_tokens(op, shape.tokens, histogram), engines_);
  }

  const Job& job_;
  const TaskGraph& part_;
  const Engines& engines_;
  std::vector<graph::Shape> shapes_;
  std::vector<graph::NodeCounts> counts_;
};

/// The widest token that attends anywhere; 0 without attention.
std::int64_t attention_width(const Job& job) {
  const auto& graph = std::get<graph::NetworkGraph>(job.model);
  const std::vector<graph::Shape> shapes = graph::infer_shapes(graph).value();
  std::int64_t width = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (std::holds_alternative<graph::MultiHeadAttention>(graph.nodes[i].op)) {
      width = std::max(width, shapes[i].at(1));
    }
  }
  return width;
}

std::string bound_of(const LayerTime& time) {
  if (time.exposed_cycles > time.compute_cycles) {
    return "dram_bandwidth";
  }
  return time.function_cycles > 0.5 * time.cycles ? "functions" : "compute";
}

std::string explain_moe(const MoeTime& moe) {
  std::string text = fmt::format(
      "  gate {:.0f} cycles; weights of an expert load in {:.0f}, one token computes in {:.0f}: {:.1f} tokens hide the "
      "next expert's weights\n",
      moe.gate.cycles, moe.expert_load_cycles, moe.token_cycles,
      break_even_tokens(moe.expert_load_cycles, moe.token_cycles));
  text += "  queue";
  for (const QueuedExpert& each : moe.queue.experts) {
    text += fmt::format(" {}:{}", each.expert, each.tokens);
  }
  return text + " (expert:tokens)\n";
}

}  // namespace

MoeFpgaModel::MoeFpgaModel(Genes genes, Part part, std::shared_ptr<const FpgaData> data)
    : genes_(genes), part_(std::move(part)), data_(std::move(data)) {}

std::optional<Infeasible> MoeFpgaModel::obstacle(const Job& job) const {
  if (job.batch < 1) {
    return Infeasible{{{"batch", 1.0, static_cast<double>(job.batch)}}, "the batch must be positive"};
  }
  if (job.phase != graph::Phase::inference) {
    return Infeasible{{}, "the engines run inference only"};
  }
  const auto& network = std::get<graph::NetworkGraph>(job.model);
  if (const auto shapes = graph::infer_shapes(network); !shapes) {
    return Infeasible{{}, "the network is malformed: " + shapes.error()};
  }
  const Engines engines(genes_, *data_, job.types);
  if (engines.tile_out() < 1) {
    return Infeasible{
        {{"dsps", static_cast<double>(engines.least_dsps()), static_cast<double>(genes_.dsps)}},
        fmt::format("the linear engines need {} DSPs for a tile of {} inputs and one output, the design gives them {}",
                    engines.least_dsps(), genes_.tile_in, genes_.dsps)};
  }
  return exceeded(part_, engines.resources(attention_width(job)), *data_);
}

Expected<std::vector<TimedLayer>, Infeasible> MoeFpgaModel::layers(const Job& job) const {
  if (auto found = obstacle(job)) {
    return Unexpected{*std::move(found)};
  }
  const Engines engines(genes_, *data_, job.types);
  std::vector<TimedLayer> all;
  for (const TaskGraph& part : task_graphs(job)) {
    if (auto found = Walk(job, part, engines).add_to(all)) {
      return Unexpected{*std::move(found)};
    }
  }
  return all;
}

LayerCost MoeFpgaModel::layer_cost(const TimedLayer& layer, double peak_macs) const {
  const double seconds = layer.time.cycles / genes_.frequency_hz;
  LayerCost cost;
  cost.name = layer.task.empty() ? layer.name : layer.name + "@" + layer.task.substr(layer.task.find(' ') + 1);
  cost.kind = layer.kind;
  cost.macs = layer.macs;
  cost.cycles = layer.time.cycles;
  cost.latency_ms = kMilli * seconds;
  cost.energy_uj = kMicro * seconds * part_.power_w;
  cost.traffic_bytes = layer.time.traffic_bytes;
  cost.utilization = static_cast<double>(layer.macs) / (peak_macs * layer.time.cycles);
  cost.bound = bound_of(layer.time);
  cost.parts["compute_cycles"] = layer.time.compute_cycles;
  cost.parts["function_cycles"] = layer.time.function_cycles;
  cost.parts["exposed_cycles"] = layer.time.exposed_cycles;
  return cost;
}

Expected<Cost, Infeasible> MoeFpgaModel::evaluate(std::span<const Job> jobs) const {
  COSEARCH_CHECK(!jobs.empty(), "nothing to evaluate");
  Cost cost;
  LayerTime total;
  Resources resources;
  double macs = 0.0;
  double peak_cycles = 0.0;  // what the engines could have multiplied in the time
  double params = 0.0;
  bool has_experts = false;
  for (const Job& job : jobs) {
    Expected<std::vector<TimedLayer>, Infeasible> timed = layers(job);
    if (!timed) {
      return Unexpected{timed.error()};
    }
    const Engines engines(genes_, *data_, job.types);
    const Resources needs = engines.resources(attention_width(job));
    resources = needs.buffer_bytes() > resources.buffer_bytes() ? needs : resources;
    const std::string prefix = layer_prefix(jobs, job);
    for (TimedLayer& layer : *timed) {
      if (!prefix.empty() && job.tasks.size() == 1) {
        layer.task.clear();  // the prefix tells it
      }
      cost.layers.push_back(layer_cost(layer, engines.peak_macs()));
      cost.layers.back().name.insert(0, prefix);
      total += layer.time;
      macs += static_cast<double>(layer.macs);
      peak_cycles += engines.peak_macs() * layer.time.cycles;
      has_experts = has_experts || layer.moe.has_value();
    }
  }
  for (const double own : job_params(jobs)) {
    params += own;
  }
  const double seconds = total.cycles / genes_.frequency_hz;
  const double joules = part_.power_w * seconds;
  // Each load runs at the whole rate of the port, and the first of every layer has nothing to hide behind: less
  // bandwidth is a longer latency.
  cost.metrics = {{"cycles", total.cycles},
                  {"dram_gbps", resources.bytes_per_second / kGiga},
                  {"edp_nj_s", 1e9 * joules * seconds},
                  {"energy_uj", kMicro * joules},
                  {"latency_ms", kMilli * seconds},
                  {"macs", macs},
                  {"params", params},
                  {"power_mw", kMilli * part_.power_w},
                  {"sram_bytes", static_cast<double>(resources.buffer_bytes())},
                  {"traffic_bytes", total.traffic_bytes},
                  {"utilization", peak_cycles > 0.0 ? macs / peak_cycles : 0.0}};
  cost.memory.push_back({"all layers", resources.buffer_bytes(), resources.buffers});
  const double percent = 100.0 / std::max(total.cycles, 1.0);
  cost.bound = fmt::format(
      "the engines compute {:.0f} % of the time ({:.0f} % exact functions), the rest waits for the "
      "external memory",
      percent * total.compute_cycles, percent * total.function_cycles);
  cost.notes = notes(resources, has_experts);
  return cost;
}

std::vector<std::string> MoeFpgaModel::notes(const Resources& resources, bool has_experts) const {
  std::vector<std::string> list{
      fmt::format("energy is {:g} W times the latency, a model of the whole board: {}", part_.power_w,
                  part_.power_source),
      fmt::format("{}: {} DSPs of {}, {} bytes of buffers of {}; LUTs and flip-flops are estimated from the DSPs",
                  part_.name, grouped(resources.dsps), grouped(part_.dsps), grouped(resources.buffer_bytes()),
                  grouped(part_.on_chip_bytes)),
      "cycles follow from tiles, lanes and bits of a cycle, with full pipelines: synthesised designs have been slower "
      "(Edge-MoE's 1.6 to 2.9 times)"};
  if (has_experts && genes_.scheduling == Scheduling::cache) {
    list.emplace_back("a token's experts are among the kept ones by chance, however unevenly they are chosen");
  }
  for (const std::string& field : part_.remembered) {
    list.push_back(fmt::format("{}: {} is remembered, not read in a source", part_.name, field));
  }
  return list;
}

std::vector<std::string> MoeFpgaModel::explain(std::span<const Job> jobs) const {
  std::vector<std::string> texts;
  for (const Job& job : jobs) {
    const Expected<std::vector<TimedLayer>, Infeasible> timed = layers(job);
    if (!timed) {
      return {};
    }
    for (const TimedLayer& layer : *timed) {
      texts.push_back(
          fmt::format("  engines busy {:.0f} cycles, {:.0f} of them exact functions; {:.0f} wait for memory\n",
                      layer.time.compute_cycles, layer.time.function_cycles, layer.time.exposed_cycles) +
          (layer.moe ? explain_moe(*layer.moe) : ""));
    }
  }
  return texts;
}

std::string MoeFpgaModel::picture(std::span<const Job> jobs) const {
  for (const Job& job : jobs) {
    const Expected<std::vector<TimedLayer>, Infeasible> timed = layers(job);
    if (!timed) {
      return {};
    }
    for (const TimedLayer& layer : *timed) {
      if (layer.moe) {
        const std::string task = layer.task.empty() ? "" : ", " + layer.task;
        return expert_picture(fmt::format("{}{}{}: tokens of its experts", layer_prefix(jobs, job), layer.name, task),
                              *layer.moe);
      }
    }
  }
  return {};
}

}  // namespace cosearch::fpga
