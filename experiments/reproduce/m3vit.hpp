#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/model.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/graph/graph.hpp"

/// The hardware of M3ViT (NeurIPS 2022) and Edge-MoE (ICCAD 2023): mixtures of experts that stream into an FPGA.
namespace cosearch::m3vit {

/// A figure of ours beside the published one.
struct Figure {
  std::string name, unit;
  double ours = 0.0;
  double published = 0.0;
};

/// Sizes of a vision transformer in which every second feed-forward layer is a mixture.
struct MoeVit {
  std::int64_t tokens = 1, width = 1, depth = 12, heads = 1, hidden = 1;
  std::int64_t experts = 16, top_k = 1, expert_hidden = 1;
  std::int64_t tasks = 1;
};
/// Edge-MoE's: 129 tokens of 192 features, 2 of 16 experts of 384.
[[nodiscard]] MoeVit edge_moe_vit();
/// M3ViT's small one: 384 features, 4 of 16 experts of 384; 1,025 tokens (PASCAL-Context) or 1,201 (NYUD-v2).
[[nodiscard]] MoeVit m3vit_small(std::int64_t tokens);
/// The encoder, norms before each part, with one linear output per task; what turns pictures into tokens is left out.
[[nodiscard]] graph::NetworkGraph network(const std::string& name, const MoeVit& sizes);

/// M3ViT's table 4 by its equations: memory on the chip and latency without reordering, from the published memory of
/// the dense network and latency with reordering.
[[nodiscard]] std::vector<Figure> table4(const std::string& data_directory);
/// Of the published latency with reordering on PASCAL-Context: what share of all products of the part's DSPs it takes.
[[nodiscard]] double published_dsp_share(const std::string& data_directory);
/// What the published design exceeds of its own part.
[[nodiscard]] std::optional<Infeasible> published_design(const std::string& data_directory);

/// One step of Edge-MoE's ablation; each has what those before it have.
struct Step {
  std::string name;
  double published_ms = 0.0;
  double ours_ms = 0.0;
  double attention_share = 0.0, linear_share = 0.0;  ///< of our latency; experts count as linear
};
/// By the target `moe_fpga`, even queues.
[[nodiscard]] std::vector<Step> ablation(const std::string& data_directory);

/// The final design of Edge-MoE's ablation, with features on the chip, and experts of unequal popularity: expert e in
/// proportion to 1 / (e + 1)^skew (synthetic).
struct Skewed {
  double skew = 0.0;
  double latency_ms = 0.0;
  double largest_queue = 0.0;  ///< tokens
};
[[nodiscard]] std::vector<Skewed> skewed(const std::string& data_directory);
/// Its picture: tokens of the experts and the timeline of the first mixture (SVG).
[[nodiscard]] std::string skewed_picture(double skew, const std::string& data_directory);
/// Tokens of an expert from which on the next one's weights are hidden, and how many there are on the average.
struct BreakEven {
  double tokens = 0.0, mean_tokens = 0.0;
};
[[nodiscard]] BreakEven break_even();

/// Latencies of two tasks by themselves and of both in turn.
struct Switch {
  double first_ms = 0.0, second_ms = 0.0, both_ms = 0.0;
};
[[nodiscard]] Switch task_switch(const std::string& data_directory);

/// The fastest design of M3ViT's part for its network on PASCAL-Context, by enumeration.
struct Fastest {
  double latency_ms = 0.0;
  std::string design;
  std::int64_t designs = 0, feasible = 0;
};
[[nodiscard]] Fastest fastest_on_zcu104(const std::string& data_directory);

}  // namespace cosearch::m3vit
