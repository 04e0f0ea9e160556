#include "hwmodels/fpga/design.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "hwmodels/fpga/timeline.hpp"

namespace cosearch::fpga {
namespace {

constexpr std::int64_t kBitsPerByte = 8;

std::int64_t ceil_div(std::int64_t value, std::int64_t divisor) { return (value + divisor - 1) / divisor; }

/// DSPs of a product, in whichever order its operands fit better.
std::int64_t dsps_of_product(std::int64_t a, std::int64_t b, const FpgaData& data) {
  return std::min(ceil_div(a, data.wide_bits) * ceil_div(b, data.narrow_bits),
                  ceil_div(b, data.wide_bits) * ceil_div(a, data.narrow_bits));
}

}  // namespace

void LayerTime::operator+=(const LayerTime& other) {
  cycles += other.cycles;
  compute_cycles += other.compute_cycles;
  function_cycles += other.function_cycles;
  exposed_cycles += other.exposed_cycles;
  traffic_bytes += other.traffic_bytes;
}

Engines::Engines(const Genes& genes, const FpgaData& data, const graph::DataTypes& types)
    : genes_(genes),
      function_units_(data.function_units),
      activation_bits_(kBitsPerByte * ir::size_bytes(types.activation)),
      weight_bits_(kBitsPerByte * ir::size_bytes(types.weight)),
      dsps_per_weight_(dsps_of_product(activation_bits_, weight_bits_, data)),
      dsps_per_activation_(dsps_of_product(activation_bits_, activation_bits_, data)),
      engines_(genes.unified_linear ? 1 : kLinearKinds),
      tile_out_(genes.dsps / least_dsps()) {
  function_cycles_ = static_cast<double>(activation_bits_) / data.function_bits_per_cycle;
}

double Engines::peak_macs() const noexcept {
  return static_cast<double>(genes_.tile_in * tile_out_ + genes_.attention * genes_.lanes);
}

Resources Engines::resources(std::int64_t width) const {
  Resources result;
  // Scores and weighted values have units of their own.
  result.dsps = least_dsps() * tile_out_ + 2 * genes_.attention * genes_.lanes * dsps_per_activation_;
  result.buffers = {{"weights, ping", genes_.weight_buffer_bytes},
                    {"weights, pong", genes_.weight_buffer_bytes},
                    {"tokens", genes_.token_buffer_bytes}};
  if (width > 0) {  // p queries and the key that streams by; the same for scores' rows and values
    const std::int64_t bytes = (genes_.attention + 1) * width * activation_bits_ / kBitsPerByte;
    result.buffers.emplace_back("queries and key", bytes);
    result.buffers.emplace_back("results and value", bytes);
  }
  result.bytes_per_second =
      static_cast<double>(genes_.bits_per_cycle) / static_cast<double>(kBitsPerByte) * genes_.frequency_hz;
  return result;
}

double Engines::linear_cycles(std::int64_t in, std::int64_t out) const {
  return static_cast<double>(ceil_div(in, genes_.tile_in) * ceil_div(out, tile_out_));
}

double Engines::gelu_cycles(double elements) const {
  return genes_.table_gelu ? 0.0 : elements * function_cycles_ / function_units_;
}

double Engines::softmax_cycles(double rows, double elements) const {
  if (genes_.single_pass_softmax) {
    return 0.0;
  }
  // Comparisons, then exponentials with their sum, then products with the reciprocal of the sum.
  const double exact = rows * (elements + 1.0) * function_cycles_;
  return (rows * elements * 2.0 + exact) / function_units_;
}

double Engines::weight_bytes(std::int64_t elements) const {
  return static_cast<double>(elements * weight_bits_) / static_cast<double>(kBitsPerByte);
}

double Engines::activation_bytes(double elements) const {
  return elements * static_cast<double>(activation_bits_) / static_cast<double>(kBitsPerByte);
}

bool Engines::resident(double elements) const {
  return activation_bytes(elements) <= static_cast<double>(genes_.token_buffer_bytes);
}

LayerTime Engines::linear(const LinearShape& shape) const {
  const double bytes = weight_bytes(shape.weights);
  const auto buffer = static_cast<double>(genes_.weight_buffer_bytes);
  const auto count = static_cast<std::int64_t>(std::max(1.0, (bytes + buffer - 1.0) / buffer));
  LayerTime time;
  time.compute_cycles = static_cast<double>(shape.positions * shape.instances) * linear_cycles(shape.in, shape.out);
  const auto parts = static_cast<double>(count);
  const Piece piece{"", load_cycles(bytes / parts), time.compute_cycles / parts};
  const std::vector<Piece> pieces(static_cast<std::size_t>(count), piece);
  time.traffic_bytes = bytes;
  const auto input = static_cast<double>(shape.input_elements);
  const auto output = static_cast<double>(shape.output_elements);
  if (!resident(input + output)) {  // each piece of weights gives other outputs of all inputs
    time.traffic_bytes += activation_bytes(parts * input + output);
  }
  time.cycles = std::max(double_buffered_cycles(pieces), load_cycles(time.traffic_bytes));
  time.exposed_cycles = std::max(0.0, time.cycles - time.compute_cycles);
  return time;
}

LayerTime Engines::attention(const AttentionShape& shape) const {
  const auto batch = static_cast<double>(shape.batch);
  const auto tokens = static_cast<double>(shape.tokens);
  const auto width = static_cast<double>(shape.width);
  const auto heads = static_cast<double>(shape.heads);
  const double scores = tokens * tokens * heads;
  const bool on_chip = resident(4.0 * tokens * width + scores);
  const auto parallel = static_cast<double>(std::min(genes_.attention, shape.tokens));
  const double streams = genes_.reordered_attention ? 1.0 : parallel;
  const double key_cycles = on_chip ? 0.0 : load_cycles(activation_bytes(streams * width));
  const double softmax_step = genes_.single_pass_softmax ? heads : 0.0;  // exponentials of a query, one in a cycle
  const double step = std::max({static_cast<double>(ceil_div(shape.width, genes_.lanes)), key_cycles, softmax_step});
  const double steps = static_cast<double>(ceil_div(shape.tokens, genes_.attention)) * tokens;
  const double stagger = genes_.reordered_attention ? parallel - 1.0 : 0.0;
  LayerTime time;
  time.function_cycles = batch * softmax_cycles(tokens * heads, tokens);
  time.compute_cycles = batch * 2.0 * (steps + stagger) * step + time.function_cycles;
  if (!on_chip) {
    // Scores are written and read; more passes read them for the maximum, and read and write them twice more.
    const double passes = genes_.single_pass_softmax ? 2.0 : 7.0;
    time.traffic_bytes =
        batch * activation_bytes(2.0 * (steps * streams + stagger) * width + 2.0 * tokens * width + passes * scores);
  }
  time.cycles = std::max(time.compute_cycles, load_cycles(time.traffic_bytes));
  time.exposed_cycles = std::max(0.0, time.cycles - time.compute_cycles);
  return time;
}

LayerTime Engines::elementwise(double operations, double functions, std::int64_t weights, double elements) const {
  LayerTime time;
  time.function_cycles = gelu_cycles(functions);
  time.compute_cycles = std::max(operations / static_cast<double>(genes_.lanes), time.function_cycles);
  const double bytes = weight_bytes(weights);
  time.traffic_bytes = bytes + (resident(elements) ? 0.0 : activation_bytes(elements));
  time.cycles = std::max(load_cycles(bytes) + time.compute_cycles, load_cycles(time.traffic_bytes));
  time.exposed_cycles = std::max(0.0, time.cycles - time.compute_cycles);
  return time;
}

}  // namespace cosearch::fpga
