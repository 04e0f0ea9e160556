#include "experiments/reproduce/m3vit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/fpga/moe.hpp"
#include "spaces/base/check.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch::m3vit {
namespace {

constexpr double kMib = 1024.0 * 1024.0;
constexpr double kFrequency = 300e6;  // of both papers

// M3ViT, table 4 and section 3: ZCU104, 16-bit words, 512 bits of external memory in a cycle (what its latencies
// imply).
constexpr std::int64_t kMixtures = 6;
constexpr std::int64_t kM3vitBits = 512;
constexpr double kDenseExperts = 4.0;  // fit where the dense feed-forward layer was
constexpr double kDenseMib = 4.828, kReorderedMib = 4.840, kAllMib = 11.610;
struct Latencies {
  const char* data;
  std::int64_t tokens;
  double reordered_ms, cached_ms;
};
constexpr std::array kLatencies{Latencies{"PASCAL-Context", 1025, 69.033, 637.478},
                                Latencies{"NYUD-v2", 1201, 84.538, 750.557}};

graph::DataTypes words(ir::ElementType activation) {
  graph::DataTypes types;
  types.activation = activation;
  types.weight = ir::ElementType::int16;
  return types;
}

fpga::MoeShape mixture(const MoeVit& sizes) {
  fpga::MoeShape shape;
  shape.tokens = sizes.tokens;
  shape.width = sizes.width;
  shape.hidden = sizes.expert_hidden;
  shape.experts = sizes.experts;
  shape.top_k = sizes.top_k;
  shape.gate_inputs = sizes.width;
  shape.gate_weights = sizes.width * sizes.experts;
  return shape;
}

/// M3ViT's bus; its engines are not published.
fpga::Engines m3vit_engines(const fpga::FpgaData& data) {
  fpga::Genes genes;
  genes.dsps = 256;
  genes.tile_in = genes.attention = genes.lanes = 1;
  genes.bits_per_cycle = kM3vitBits;
  genes.frequency_hz = kFrequency;
  return {genes, data, words(ir::ElementType::int16)};
}

/// Edge-MoE's final design: 16 x 16 products of 32 and 16 bits, 4 queries at once, 8 features and 16 weights in a
/// cycle, matrices of an expert one by one, features in the external memory.
nlohmann::json edge_moe_genes() {
  return {{"part", "zcu102"},
          {"dsps", 512},
          {"tile_in", 16},
          {"attention", 4},
          {"lanes", 8},
          {"bits_per_cycle", 256},
          {"frequency_mhz", 300},
          {"weight_buffer_kib", 256},
          {"token_buffer_kib", 16},
          {"pieces", "half"},
          {"softmax", "single_pass"},
          {"gelu", "table"},
          {"linear", "unified"},
          {"reordering", "on"},
          {"scheduling", "expert_by_expert"}};
}

/// The same with features on the chip: then experts wait for nothing but weights.
nlohmann::json resident_genes() {
  nlohmann::json genes = edge_moe_genes();
  genes["token_buffer_kib"] = 256;
  return genes;
}

std::unique_ptr<const Model> build(const nlohmann::json& genes, const std::string& data_directory) {
  const std::unique_ptr<Target> target = make_target("moe_fpga", nlohmann::json::object(), data_directory);
  return target->build(target->params().from_json(genes)).value();
}

Job job_of(const MoeVit& sizes, const std::string& name, ir::ElementType activation) {
  Job job{network(name, sizes)};
  job.types = words(activation);
  return job;
}

Job edge_moe_job() { return job_of(edge_moe_vit(), "edge_moe", ir::ElementType::int32); }

/// The same with expert e of every mixture chosen in proportion to 1 / (e + 1)^skew, as far as a token can.
Job skewed_job(double skew) {
  Job job = edge_moe_job();
  const MoeVit sizes = edge_moe_vit();
  std::vector<double> shares;
  double sum = 0.0;
  for (std::int64_t e = 0; e < sizes.experts; ++e) {
    shares.push_back(std::pow(static_cast<double>(e + 1), -skew));
    sum += shares.back();
  }
  for (double& share : shares) {
    share *= static_cast<double>(sizes.tokens * sizes.top_k) / sum;
  }
  job.evidence.emplace();
  for (const graph::Node& node : std::get<graph::NetworkGraph>(job.model).nodes) {
    if (std::holds_alternative<graph::MoeFfn>(node.op)) {
      job.evidence->histograms[graph::tokens_key(node.name)] = shares;
    }
  }
  return job;
}

Cost cost_of(const Model& model, const Job& job) {
  Expected<Cost, Infeasible> cost = model.evaluate(std::span(&job, 1));
  COSEARCH_CHECK(cost.has_value(), cost.error().reason.c_str());
  return *std::move(cost);
}

}  // namespace

MoeVit edge_moe_vit() { return {129, 192, 12, 3, 768, 16, 2, 384, 1}; }

MoeVit m3vit_small(std::int64_t tokens) { return {tokens, 384, 12, 12, 1536, 16, 4, 384, 1}; }

graph::NetworkGraph network(const std::string& name, const MoeVit& sizes) {
  graph::Builder builder(name, {sizes.tokens, sizes.width});
  for (std::int64_t i = 0; i < sizes.depth; ++i) {
    const std::string block = fmt::format("blocks.{}", i);
    const int input = builder.last();
    builder.then(block + ".norm1", graph::LayerNorm{});
    builder.then(block + ".qkv", graph::Linear{{3, sizes.heads, sizes.width / sizes.heads}});
    builder.then(block + ".attention", graph::MultiHeadAttention{sizes.heads});
    const int attention =
        builder.then(block + ".proj", graph::Linear{{sizes.width}, {sizes.heads, sizes.width / sizes.heads}});
    const int middle = builder.add(block + ".add1", graph::Add{}, {input, attention});
    builder.then(block + ".norm2", graph::LayerNorm{});
    if (i % 2 == 0) {
      builder.then(block + ".fc1", graph::Linear{{sizes.hidden}});
      builder.then(block + ".gelu", graph::Activation{graph::ActivationKind::gelu});
      builder.then(block + ".fc2", graph::Linear{{sizes.width}});
    } else {
      graph::MoeFfn moe;
      moe.experts = sizes.experts;
      moe.top_k = sizes.top_k;
      moe.hidden = sizes.expert_hidden;
      moe.tasks = sizes.tasks;
      builder.then(block + ".moe", moe);
    }
    builder.add(block + ".add2", graph::Add{}, {middle, builder.last()});
  }
  const int trunk = builder.then("norm", graph::LayerNorm{});
  std::vector<int> outputs;
  for (std::int64_t task = 0; task < sizes.tasks; ++task) {
    outputs.push_back(builder.add(fmt::format("head{}", task), graph::Linear{{sizes.width}}, {trunk}));
  }
  graph::NetworkGraph result = std::move(builder).finish();
  result.outputs = outputs;
  return result;
}

std::vector<Figure> table4(const std::string& data_directory) {
  const fpga::FpgaData data = fpga::load_fpga_data(data_directory);
  const fpga::Engines engines = m3vit_engines(data);
  const MoeVit sizes = m3vit_small(kLatencies.front().tokens);
  const fpga::MoeShape shape = mixture(sizes);
  const double expert = engines.weight_bytes(shape.expert_weights());
  const double gate = engines.weight_bytes(shape.gate_weights);
  const auto experts = static_cast<double>(sizes.experts);
  const double reordered = fpga::reordered_bytes(kDenseMib * kMib, gate) / kMib;
  const double all = fpga::all_on_chip_bytes(kDenseMib * kMib, gate, expert, experts, kDenseExperts) / kMib;
  std::vector<Figure> figures{{"memory, experts one by one", "MiB", reordered, kReorderedMib},
                              {"memory, all experts", "MiB", all, kAllMib},
                              {"memory saved by reordering", "x", all / reordered, kAllMib / kReorderedMib}};
  for (const Latencies& each : kLatencies) {
    const auto activations = static_cast<double>(each.tokens * sizes.top_k);
    const double waiting =
        static_cast<double>(kMixtures) *
        fpga::token_order_load_cycles(activations, engines.load_cycles(expert), kDenseExperts, experts);
    const double cached = each.reordered_ms + 1e3 * waiting / kFrequency;
    figures.push_back({fmt::format("latency with a cache, {}", each.data), "ms", cached, each.cached_ms});
    figures.push_back({fmt::format("faster by reordering, {}", each.data), "x", cached / each.reordered_ms,
                       each.cached_ms / each.reordered_ms});
  }
  return figures;
}

double published_dsp_share(const std::string& data_directory) {
  const Latencies& pascal = kLatencies.front();
  const auto macs = static_cast<double>(graph::total_counts(network("m3vit", m3vit_small(pascal.tokens))).macs);
  const auto dsps = static_cast<double>(fpga::load_fpga_data(data_directory).parts.at("zcu104").dsps);
  return macs / (dsps * kFrequency * pascal.reordered_ms * 1e-3);
}

std::optional<Infeasible> published_design(const std::string& data_directory) {
  const fpga::FpgaData data = fpga::load_fpga_data(data_directory);
  fpga::Resources resources;
  resources.buffers = {{"all", std::llround(kReorderedMib * kMib)}};
  return fpga::exceeded(data.parts.at("zcu104"), resources, data);
}

std::vector<Step> ablation(const std::string& data_directory) {
  struct Change {
    const char* name;
    double published_ms;
    nlohmann::json genes;
  };
  // Edge-MoE, ablation table: measured on the board.
  const std::vector<Change> changes{
      {"baseline", 650.3, {}},
      {"expert by expert", 433.4, {{"scheduling", "expert_by_expert"}, {"pieces", "half"}}},
      {"single-pass softmax", 353.4, {{"softmax", "single_pass"}}},
      {"GELU by table", 212.9, {{"gelu", "table"}}},
      {"unified linear engine", 104.3, {{"linear", "unified"}}},
      {"attention reordering", 34.6, {{"reordering", "on"}}}};
  nlohmann::json genes = edge_moe_genes();
  genes.erase("pieces");
  genes.update({{"scheduling", "cache_less"},
                {"softmax", "three_pass"},
                {"gelu", "exact"},
                {"linear", "per_kind"},
                {"reordering", "off"}});
  const Job job = edge_moe_job();
  std::vector<Step> steps;
  for (const Change& change : changes) {
    if (!change.genes.is_null()) {
      genes.update(change.genes);
    }
    const Cost cost = cost_of(*build(genes, data_directory), job);
    Step step{change.name, change.published_ms, cost.metrics.at("latency_ms")};
    for (const LayerCost& layer : cost.layers) {
      const double share = layer.latency_ms / step.ours_ms;
      step.attention_share += layer.kind == "multi_head_attention" ? share : 0.0;
      step.linear_share += layer.kind == "linear" || layer.kind == "moe_ffn" ? share : 0.0;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

std::vector<Skewed> skewed(const std::string& data_directory) {
  const std::unique_ptr<const Model> model = build(resident_genes(), data_directory);
  std::vector<Skewed> rows;
  for (const double skew : {0.0, 0.25, 0.5, 0.75}) {
    const Job job = skewed_job(skew);
    Skewed row{skew, cost_of(*model, job).metrics.at("latency_ms"), 0.0};
    for (const double tokens : job.evidence->histograms.begin()->second) {
      row.largest_queue = std::max(row.largest_queue, tokens);
    }
    rows.push_back(row);
  }
  return rows;
}

std::string skewed_picture(double skew, const std::string& data_directory) {
  const Job job = skewed_job(skew);
  return build(resident_genes(), data_directory)->picture(std::span(&job, 1));
}

BreakEven break_even() {
  const MoeVit sizes = edge_moe_vit();
  // 16 weights and 16 x 16 products in a cycle, whatever the sizes of an expert.
  constexpr double kWeights = 16.0, kProducts = 256.0;
  const auto matrices = static_cast<double>(2 * sizes.width * sizes.expert_hidden);
  return {fpga::break_even_tokens(matrices / kWeights, matrices / kProducts),
          static_cast<double>(sizes.tokens * sizes.top_k) / static_cast<double>(sizes.experts)};
}

Switch task_switch(const std::string& data_directory) {
  MoeVit sizes = edge_moe_vit();
  sizes.tasks = 2;
  const std::unique_ptr<const Model> model = build(edge_moe_genes(), data_directory);
  Job job = job_of(sizes, "edge_moe_two_tasks", ir::ElementType::int32);
  const auto latency = [&](std::vector<int> tasks) {
    job.tasks = std::move(tasks);
    return cost_of(*model, job).metrics.at("latency_ms");
  };
  return {latency({0}), latency({1}), latency({0, 1})};
}

Fastest fastest_on_zcu104(const std::string& data_directory) {
  const std::unique_ptr<Target> target = make_target("moe_fpga", nlohmann::json::object(), data_directory);
  const Job job = job_of(m3vit_small(kLatencies.front().tokens), "m3vit_small", ir::ElementType::int16);
  Fastest best{std::numeric_limits<double>::infinity(), "", 0, 0};
  nlohmann::json genes{{"part", "zcu104"}, {"bits_per_cycle", 512}, {"frequency_mhz", 300}};
  for (const std::int64_t dsps : {512, 768, 1024, 1280}) {
    for (const std::int64_t tile_in : {8, 16, 32}) {
      for (const std::int64_t attention : {2, 4, 8, 16}) {
        for (const std::int64_t lanes : {8, 16, 32, 64}) {
          for (const auto& [weights_kib, tokens_kib] :
               {std::pair{640, 1024}, std::pair{640, 2048}, std::pair{384, 2048}}) {
            genes.update({{"dsps", dsps},
                          {"tile_in", tile_in},
                          {"attention", attention},
                          {"lanes", lanes},
                          {"weight_buffer_kib", weights_kib},
                          {"token_buffer_kib", tokens_kib},
                          {"pieces", weights_kib < 640 ? "half" : "expert"}});
            ++best.designs;
            const auto cost = (*target->build(target->params().from_json(genes)))->evaluate(std::span(&job, 1));
            best.feasible += cost ? 1 : 0;
            if (cost && cost->metrics.at("latency_ms") < best.latency_ms) {
              best.latency_ms = cost->metrics.at("latency_ms");
              best.design = fmt::format(
                  "{} DSPs in tiles of {} inputs, {} queries x {} lanes, weights 2 x {} KiB, "
                  "tokens {} KiB",
                  dsps, tile_in, attention, lanes, weights_kib, tokens_kib);
            }
          }
        }
      }
    }
  }
  return best;
}

}  // namespace cosearch::m3vit
