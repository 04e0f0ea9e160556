#include "experiments/reproduce/mcuformer.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "hwmodels/mcu/mcuformer_memory.hpp"
#include "spaces/base/check.hpp"
#include "spaces/catalog/patch_tiling.hpp"

namespace cosearch::mcuformer {
namespace {

constexpr std::int64_t kSide = 240;
constexpr std::int64_t kClasses = 1000;
constexpr std::int64_t kHeadDim = 64;
constexpr std::int64_t kBlocks = 12;
/// Of the supernet T.
constexpr std::int64_t kSupernetWidth = 256;
/// By which the authors decide what is legal.
constexpr std::int64_t kLegalBytes = 320 * 1024;

std::vector<double> numbers(const std::string& text) {
  std::istringstream stream(text);
  std::vector<double> values;
  for (double value = 0.0; stream >> value;) {
    values.push_back(value);
  }
  return values;
}

/// patch,R_attn,R_mlp,depth,embed_dim,mlp_ratio,heads,params_log,peak_bytes_log,...; lists by block.
LoggedNetwork parsed(const std::string& line) {
  std::vector<std::vector<double>> cells;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) {
    cells.push_back(numbers(cell));
  }
  COSEARCH_CHECK(cells.size() >= 9, "a row of the embedded log is short");
  const auto whole = [&](std::size_t cell) { return static_cast<std::int64_t>(cells[cell].at(0)); };
  LoggedNetwork network;
  network.design.patch = whole(0);
  network.design.rank_attn = cells[1].at(0);
  network.design.rank_mlp = cells[2].at(0);
  network.design.embed_dim = whole(4);
  for (std::size_t block = 0; block < cells[5].size(); ++block) {
    network.design.blocks.push_back({static_cast<std::int64_t>(cells[6].at(block)), cells[5][block]});
  }
  COSEARCH_CHECK(network.design.blocks.size() == static_cast<std::size_t>(whole(3)), "a row's lists have its depth");
  network.parameters = whole(7);
  network.peak_bytes = whole(8);
  return network;
}

/// Of a logged network; the class token counts.
std::int64_t tokens_of(const Design& design) {
  const catalog::PatchTiling cut = catalog::patch_tiling({kSide, kSide, 3}, design.patch);
  const std::int64_t per_side = (cut.height + 2 * cut.padding) / design.patch;
  return per_side * per_side + 1;
}

double largest_mlp_ratio(const Design& design) {
  return std::max_element(design.blocks.begin(), design.blocks.end(),
                          [](const auto& a, const auto& b) { return a.mlp_ratio < b.mlp_ratio; })
      ->mlp_ratio;
}

/// int(width * ratio), as the authors' code takes ranks.
std::int64_t rank_of(std::int64_t width, double ratio) {
  return static_cast<std::int64_t>(static_cast<double>(width) * ratio);
}

void account_flash(const program::Program& program, Accounting& sums) {
  const std::int64_t bytes = program.constant_bytes();
  sums.flash_legal += bytes <= kBoards.back().flash_bytes ? 1 : 0;
  sums.least_flash_bytes = sums.networks == 1 ? bytes : std::min(sums.least_flash_bytes, bytes);
  sums.most_flash_bytes = std::max(sums.most_flash_bytes, bytes);
}

void account_supernet(const Design& design, const graph::NetworkGraph& network, Accounting& sums) {
  const auto ours = static_cast<double>(mcu::mcuformer_supernet_layer(network).value().bytes());
  constexpr double kRounding = 1e-6;  // patches that do not divide the image give fractions
  sums.supernet_equal += ours == std::ceil(supernet_formula(design, true) - kRounding) ? 1 : 0;
  const double formula = supernet_formula(design, false);
  sums.supernet_largest_gap = std::max(sums.supernet_largest_gap, formula - ours);
  sums.supernet_legal += formula <= static_cast<double>(kLegalBytes) ? 1 : 0;
}

}  // namespace

graph::NetworkGraph build(const Design& design) {
  catalog::VisionTransformer net =
      catalog::transformer_on(catalog::patch_tiling({kSide, kSide, 3}, design.patch), {{kSide, kSide, 3}, kClasses});
  net.embed_dim = design.embed_dim;
  net.head_dim = kHeadDim;
  net.hidden_multiple = 1;
  net.blocks = design.blocks;
  if (design.factors > 1) {
    const std::int64_t width = design.rank_width > 0 ? design.rank_width : design.embed_dim;
    net.qkv = {design.factors, design.rank_attn, width};
    net.mlp = {design.factors, design.rank_mlp, design.embed_dim};
    net.proj = design.factors == 3 ? net.qkv : catalog::LowRank{};
  }
  return catalog::build("mcuformer", net);
}

Design published_size(std::int64_t patch, int factors, double rank_ratio) {
  Design design;
  design.patch = patch;
  design.blocks.assign(kBlocks, {4, 4.0});
  design.factors = factors;
  design.rank_attn = design.rank_mlp = rank_ratio;
  design.rank_width = kSupernetWidth;
  return design;
}

std::vector<LoggedNetwork> logged_networks() {
  std::vector<LoggedNetwork> networks;
  std::istringstream stream{std::string(embedded_log().front().text)};
  bool header = true;
  for (std::string line; std::getline(stream, line);) {
    if (line.empty() || line.front() == '#') {
      continue;
    }
    if (!header) {
      networks.push_back(parsed(line));
    }
    header = false;
  }
  return networks;
}

std::int64_t search_formula(const Design& design) {
  const std::int64_t tokens = tokens_of(design);
  const std::int64_t width = design.embed_dim;
  const std::int64_t mlp_rank = rank_of(width, design.rank_mlp);
  const std::int64_t attention_rank = rank_of(width, design.rank_attn);
  std::int64_t peak = 0;
  for (const catalog::TransformerBlock& block : design.blocks) {
    const auto hidden = static_cast<std::int64_t>(static_cast<double>(width) * block.mlp_ratio);
    const std::int64_t qkv = block.heads * kHeadDim * 3;
    peak = std::max({peak, hidden * tokens + mlp_rank * tokens + hidden * mlp_rank,
                     qkv * tokens + attention_rank * tokens + qkv * attention_rank});
  }
  return peak;
}

double supernet_formula(const Design& design, bool whole_rank) {
  const auto width = static_cast<double>(design.embed_dim);
  const double per_side = static_cast<double>(kSide) / static_cast<double>(design.patch);
  const double ratio = largest_mlp_ratio(design);
  const double rank =
      whole_rank ? static_cast<double>(rank_of(design.embed_dim, design.rank_mlp)) : width * design.rank_mlp;
  return width * ((per_side * per_side + 1.0) * (1.0 + ratio) + ratio * rank);
}

Accounting account(const std::vector<LoggedNetwork>& networks) {
  Accounting sums;
  for (const LoggedNetwork& logged : networks) {
    const graph::NetworkGraph network = build(logged.design);
    ++sums.networks;
    sums.formula_equal += search_formula(logged.design) == logged.peak_bytes ? 1 : 0;
    sums.network_equal += mcu::mcuformer_peak_bytes(network) == logged.peak_bytes ? 1 : 0;
    sums.search_legal += logged.peak_bytes <= kLegalBytes ? 1 : 0;
    account_supernet(logged.design, network, sums);
    sums.arena_legal += fits(network, false, kLegalBytes) ? 1 : 0;
    sums.arena_copied_legal += fits(network, true, kLegalBytes) ? 1 : 0;
    account_flash(program::lower_program(network, program::cosearch_options()).value(), sums);
    sums.least_parameters = sums.networks == 1 ? logged.parameters : std::min(sums.least_parameters, logged.parameters);
    sums.most_parameters = std::max(sums.most_parameters, logged.parameters);
  }
  return sums;
}

}  // namespace cosearch::mcuformer
