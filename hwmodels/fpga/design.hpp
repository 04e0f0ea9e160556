#pragma once

#include <cstdint>
#include <string>

#include "hwmodels/fpga/part.hpp"
#include "spaces/graph/graph.hpp"

namespace cosearch::fpga {

/// When the weights of experts come to the chip (M3ViT, section 3.2 and table 4).
enum class Scheduling {
  all_on_chip,      ///< all experts of a layer before its first token
  cache_less,       ///< tokens in their order, weights fetched for each expert of each token
  cache,            ///< the same with as many experts kept as fit; what is needed is one of them by chance
  expert_by_expert  ///< experts in the order of the meta-queue, the next one's weights load meanwhile
};

/// A design, from the target's genes.
struct Genes {
  std::int64_t dsps = 0;            ///< of all linear engines together
  std::int64_t tile_in = 0;         ///< inputs of a linear engine in a cycle; its outputs follow from its DSPs
  std::int64_t attention = 0;       ///< queries that attend at once, p
  std::int64_t lanes = 0;           ///< features of a query, or elements of a stream, in a cycle
  std::int64_t bits_per_cycle = 0;  ///< of the external memory
  double frequency_hz = 0.0;
  std::int64_t weight_buffer_bytes = 0;  ///< of each of the two
  std::int64_t token_buffer_bytes = 0;   ///< for activations; larger ones stream through the external memory
  Scheduling scheduling = Scheduling::expert_by_expert;
  bool half_experts = false;  ///< Edge-MoE: the two matrices of an expert are pieces of their own
  bool single_pass_softmax = true;
  bool table_gelu = true;
  bool unified_linear = true;  ///< one engine for all linear maps, else one for each of kLinearKinds
  bool reordered_attention = true;
};

/// Kinds of linear maps that have an engine each where there is no unified one: projections of attention, other linear
/// maps, experts with their gate, convolutions with patch embeddings.
inline constexpr std::int64_t kLinearKinds = 4;

/// Time and bytes of one layer. Cycles are those of the part's clock.
struct LayerTime {
  double cycles = 0.0;
  double compute_cycles = 0.0;   ///< the engines are busy
  double function_cycles = 0.0;  ///< among these: exact exponentials, divisions and GELUs
  double exposed_cycles = 0.0;   ///< the engines wait for weights
  double traffic_bytes = 0.0;    ///< weights and activations

  /// Adds a layer that runs behind this one.
  void operator+=(const LayerTime& other);
};

/// Positions that one matrix maps: `instances` matrices (groups) of (in, out).
struct LinearShape {
  std::int64_t positions = 1, instances = 1, in = 1, out = 1;
  std::int64_t weights = 0;  ///< scalars, biases included
  std::int64_t input_elements = 0, output_elements = 0;
};

struct AttentionShape {
  std::int64_t batch = 1, tokens = 1, width = 1, heads = 1;
};

/// The engines of a design for operands of given types. All times follow from mechanisms: tiles, lanes, bits of a
/// cycle.
class Engines {
 public:
  Engines(const Genes& genes, const FpgaData& data, const graph::DataTypes& types);

  [[nodiscard]] const Genes& genes() const noexcept { return genes_; }
  [[nodiscard]] std::int64_t tile_out() const noexcept { return tile_out_; }  ///< 0: an engine lacks DSPs
  /// DSPs that the smallest tile of all engines takes.
  [[nodiscard]] std::int64_t least_dsps() const noexcept { return engines_ * genes_.tile_in * dsps_per_weight_; }
  /// Multiply-accumulates in a cycle of one linear engine and of attention.
  [[nodiscard]] double peak_macs() const noexcept;
  /// `width` is the widest token that attends.
  [[nodiscard]] Resources resources(std::int64_t width) const;

  /// Of one position through an (in, out) matrix.
  [[nodiscard]] double linear_cycles(std::int64_t in, std::int64_t out) const;
  /// What a GELU of `elements` adds to the engine before it: nothing by table, which keeps its pace.
  [[nodiscard]] double gelu_cycles(double elements) const;
  /// What softmax of `rows` times `elements` adds: nothing in a single pass, which runs with the scores (Edge-MoE).
  [[nodiscard]] double softmax_cycles(double rows, double elements) const;
  [[nodiscard]] double load_cycles(double bytes) const {
    return bytes * 8.0 / static_cast<double>(genes_.bits_per_cycle);
  }
  [[nodiscard]] double weight_bytes(std::int64_t elements) const;
  [[nodiscard]] double activation_bytes(double elements) const;
  /// Whether activations stay on the chip.
  [[nodiscard]] bool resident(double elements) const;

  /// Weights come in pieces as large as a buffer; the next one loads meanwhile.
  [[nodiscard]] LayerTime linear(const LinearShape& shape) const;
  /// Scores, softmax and weighted values, one after the other. Without reordering p queries attend to keys of their own
  /// in each step, which takes p times the bandwidth; with it they follow each other by a step, and one key is enough.
  [[nodiscard]] LayerTime attention(const AttentionShape& shape) const;
  /// `operations` of `lanes` in a cycle, or `functions` exact ones, on what streams by; `weights` are fetched first.
  [[nodiscard]] LayerTime elementwise(double operations, double functions, std::int64_t weights, double elements) const;

 private:
  Genes genes_;
  double function_units_;
  double function_cycles_;  ///< of one exact function
  std::int64_t activation_bits_;
  std::int64_t weight_bits_;
  std::int64_t dsps_per_weight_;      ///< for an activation times a weight
  std::int64_t dsps_per_activation_;  ///< for a product of activations
  std::int64_t engines_;
  std::int64_t tile_out_;
};

}  // namespace cosearch::fpga
