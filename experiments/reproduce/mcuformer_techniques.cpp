#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>
#include <variant>

#include "experiments/reproduce/mcuformer.hpp"
#include "hwmodels/mcu/mcuformer_memory.hpp"
#include "hwmodels/mcu/plan.hpp"
#include "spaces/program/arena.hpp"
#include "spaces/program/variants.hpp"

namespace cosearch::mcuformer {
namespace {

using program::LoweringOptions;
using program::Streaming;

constexpr std::array<std::int64_t, 3> kPatches{16, 20, 24};

std::int64_t operations_of(const program::Program& program) {
  std::int64_t sum = 0;
  for (const program::KernelCall& call : program.calls) {
    sum += call.macs + call.elementwise;
  }
  return sum;
}

/// What an engine keeps that stores the int32 sums of convolutions and linear maps before they become int8.
void store_sums(program::Program& program) {
  for (program::KernelCall& call : program.calls) {
    if (call.kind != program::KernelKind::patch_embed && call.kind != program::KernelKind::fully_connected) {
      continue;
    }
    program::Buffer sums{call.name + ".sums", call.outputs * std::int64_t{sizeof(std::int32_t)},
                         program::BufferRole::scratch, alignof(std::int32_t)};
    call.scratch.push_back(static_cast<int>(program.buffers.size()));
    program.buffers.push_back(std::move(sums));
  }
}

program::Program lowered(const graph::NetworkGraph& network, const Technique& technique, bool weights_in_sram) {
  LoweringOptions options = technique.options;
  options.weights_in_sram = weights_in_sram;
  program::Program program = program::lower_program(network, options).value();
  if (technique.stores_sums) {
    store_sums(program);
  }
  return program;
}

std::int64_t& part_of(const std::string& call, PartBytes& parts) {
  const auto has = [&](std::string_view word) { return call.find(word) != std::string::npos; };
  if (has("blocks.") && (has(".attn.") || has(".norm1"))) {
    return parts.attention;
  }
  if (has("blocks.") && (has(".mlp.") || has(".norm2"))) {
    return parts.mlp;
  }
  return has("patch_embed") ? parts.embedding : parts.rest;
}

/// The most live bytes of each part's calls.
PartBytes parts_of(const program::Program& program) {
  const std::vector<program::LiveStep> steps = program::live_steps(program);
  PartBytes parts;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    std::int64_t& part = part_of(program.calls[i].name, parts);
    part = std::max(part, steps[i].bytes);
  }
  return parts;
}

/// What fit_program chooses from, with the image by patches. Not a technique after the other: with weights copied,
/// layer by layer needs less than rows, where weights of several layers are needed at once.
std::vector<program::Program> schedules(const graph::NetworkGraph& network, bool weights_in_sram) {
  std::vector<program::Program> programs;
  for (const Streaming streaming :
       {Streaming::layers, Streaming::rows, Streaming::heads, Streaming::heads_recomputed}) {
    LoweringOptions options = program::cosearch_options();
    options.streaming = streaming;
    options.streamed_input = true;
    options.weights_in_sram = weights_in_sram;
    programs.push_back(program::lower_program(network, options).value());
  }
  return programs;
}

/// The fewest bytes that some schedule has in use at once.
std::int64_t least_live_bytes(const graph::NetworkGraph& network, bool weights_in_sram) {
  std::vector<std::int64_t> bytes;
  for (const program::Program& program : schedules(network, weights_in_sram)) {
    bytes.push_back(program::peak_live_bytes(program));
  }
  return *std::min_element(bytes.begin(), bytes.end());
}

LowRankRow low_rank_row(std::int64_t patch, int factors, double rank_ratio) {
  const graph::NetworkGraph network = build(published_size(patch, factors, rank_ratio));
  const std::vector<graph::NodeCounts> counts = graph::node_counts(network);
  LowRankRow row;
  row.patch = patch;
  row.factors = factors;
  row.rank_ratio = rank_ratio;
  std::int64_t linear = 0;
  std::int64_t attention = 0;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const graph::Node& node = network.nodes[i];
    if (std::holds_alternative<graph::MultiHeadAttention>(node.op)) {
      attention += counts[i].macs;
    } else if (std::holds_alternative<graph::Linear>(node.op) && node.name.starts_with("blocks.")) {
      linear += counts[i].macs;
    } else if (std::holds_alternative<graph::PatchEmbed>(node.op)) {
      row.tokens = counts[i].output_elements / std::get<graph::PatchEmbed>(node.op).embed_dim;
    }
  }
  row.macs = linear + attention;
  row.parameters = linear / row.tokens;  // each weight is used once for each token
  const double more = static_cast<double>(row.tokens + 1) / static_cast<double>(row.tokens);
  row.class_token_macs = static_cast<double>(linear) * more + static_cast<double>(attention) * more * more;
  row.authors_bytes = mcu::mcuformer_peak_bytes(network);
  row.live_bytes = least_live_bytes(network, false);
  row.copied_bytes = least_live_bytes(network, true);
  row.flash_bytes = program::lower_program(network, program::cosearch_options()).value().constant_bytes();
  return row;
}

/// Ranks r of r * (in + out) = in * out, and of r * (in + out) + r * r = in * out.
BreakEven break_even(const std::string& layer, std::int64_t inputs, std::int64_t outputs) {
  const auto sum = static_cast<double>(inputs + outputs);
  const auto product = static_cast<double>(inputs * outputs);
  return {layer, inputs, outputs, product / sum, (std::sqrt(sum * sum + 4.0 * product) - sum) / 2.0};
}

}  // namespace

bool fits(const graph::NetworkGraph& network, bool weights_in_sram, std::int64_t sram_bytes) {
  const std::vector<program::Program> programs = schedules(network, weights_in_sram);
  return std::any_of(programs.begin(), programs.end(), [&](const program::Program& program) {
    // Most programs that do not fit need no plan to say so.
    return program::peak_live_bytes(program) <= sram_bytes && program::plan_arena(program).bytes <= sram_bytes;
  });
}

std::vector<LowRankRow> low_rank_rows() {
  std::vector<LowRankRow> rows;
  for (const std::int64_t patch : kPatches) {
    rows.push_back(low_rank_row(patch, 1, 1.0));
    for (const double rank_ratio : {0.9, 0.6, 0.4}) {
      for (const int factors : {2, 3}) {
        rows.push_back(low_rank_row(patch, factors, rank_ratio));
      }
    }
  }
  return rows;
}

std::vector<BreakEven> break_even_ranks() {
  const graph::NetworkGraph network = build(published_size(kPatches.front(), 1, 1.0));
  const std::vector<graph::Shape> shapes = graph::infer_shapes(network).value();
  std::vector<BreakEven> layers;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const graph::Node& node = network.nodes[i];
    constexpr std::string_view kBlock = "blocks.0.";
    if (std::holds_alternative<graph::Linear>(node.op) && node.name.starts_with(kBlock)) {
      const graph::Shape& input = shapes[static_cast<std::size_t>(node.inputs.front())];
      layers.push_back(break_even(node.name.substr(kBlock.size()), input.back(), shapes[i].back()));
    }
  }
  return layers;
}

std::vector<Technique> techniques() {
  LoweringOptions options = program::cosearch_options();
  options.streaming = Streaming::layers;
  options.in_place_depthwise = options.in_place_rows = options.in_place_add = false;
  std::vector<Technique> steps{{"sums in int32, every tensor whole", options, true},
                               {"+ sums requantised at once", options}};
  options.in_place_rows = options.in_place_add = true;
  steps.push_back({"+ rows overwrite rows", options});
  options.streaming = Streaming::rows;
  steps.push_back({"+ layers of rows as one", options});
  options.streamed_input = true;
  steps.push_back({"+ image by patches", options});
  options.streaming = Streaming::heads;
  steps.push_back({"+ attention by heads", options});
  options.streaming = Streaming::heads_recomputed;
  steps.push_back({"+ recomputed per head", options});
  return steps;
}

std::vector<TechniqueRow> technique_rows() {
  std::vector<TechniqueRow> rows;
  for (const std::int64_t patch : kPatches) {
    const graph::NetworkGraph network = build(published_size(patch, 2, kTechniqueRank));
    for (const Technique& technique : techniques()) {
      const program::Program in_place = lowered(network, technique, false);
      rows.push_back({patch, technique.name, program::plan_arena(in_place).bytes,
                      program::plan_arena(lowered(network, technique, true)).bytes, parts_of(in_place),
                      operations_of(in_place)});
    }
  }
  return rows;
}

std::vector<FitRow> fit_rows() {
  std::vector<FitRow> rows;
  for (const std::int64_t patch : kPatches) {
    const graph::NetworkGraph network = build(published_size(patch, 2, kTechniqueRank));
    for (const BoardLimits& board : kBoards) {
      for (const bool weights_in_sram : {false, true}) {
        LoweringOptions options = program::cosearch_options();
        options.streamed_input = true;
        options.weights_in_sram = weights_in_sram;
        const program::PlannedProgram planned = program::fit_program(network, options, board.sram_bytes).value();
        rows.push_back({patch, board.name, weights_in_sram, planned.plan.bytes <= board.sram_bytes,
                        mcu::describe(planned.options), planned.plan.bytes, operations_of(planned.program)});
      }
    }
  }
  return rows;
}

}  // namespace cosearch::mcuformer
