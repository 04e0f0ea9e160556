#include "hwmodels/fpga/moe.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "hwmodels/text.hpp"

namespace cosearch::fpga {
namespace {

Infeasible does_not_fit(const std::string& what, double bytes, const std::string& where, std::int64_t limit) {
  return {{{"weight_buffer_bytes", bytes, static_cast<double>(limit)}},
          fmt::format("{} of {} bytes do not fit {} of {} bytes", what, grouped(static_cast<std::int64_t>(bytes)),
                      where, grouped(limit))};
}

/// One of the two matrices of an expert, or both.
struct Matrices {
  const char* name;
  double bytes;
  double token_cycles;
};

std::vector<Matrices> parts_of(const MoeShape& shape, const Engines& engines) {
  const double first =
      engines.linear_cycles(shape.width, shape.hidden) + engines.gelu_cycles(static_cast<double>(shape.hidden));
  const double second = engines.linear_cycles(shape.hidden, shape.width);
  const double first_bytes = engines.weight_bytes(shape.width * shape.hidden + shape.hidden);
  const double second_bytes = engines.weight_bytes(shape.width * shape.hidden + shape.width);
  if (engines.genes().half_experts) {
    return {{" w1", first_bytes, first}, {" w2", second_bytes, second}};
  }
  return {{"", first_bytes + second_bytes, first + second}};
}

/// The gate reads every token before the first expert computes: only then is it known which experts do.
LayerTime gate_time(const MoeShape& shape, const Engines& engines) {
  const auto tokens = static_cast<double>(shape.tokens);
  const double bytes = engines.weight_bytes(shape.gate_weights);
  LayerTime time;
  time.function_cycles = engines.softmax_cycles(tokens, static_cast<double>(shape.experts));
  time.compute_cycles = tokens * engines.linear_cycles(shape.gate_inputs, shape.experts) + time.function_cycles;
  time.exposed_cycles = engines.load_cycles(bytes);
  time.cycles = time.compute_cycles + time.exposed_cycles;
  time.traffic_bytes = bytes;
  return time;
}

/// Experts one by one; their outputs are added up, so results that do not stay on the chip are read and written.
Expected<LayerTime, Infeasible> by_queue(const MoeShape& shape, const Engines& engines, MoeTime& moe) {
  const std::vector<Matrices> parts = parts_of(shape, engines);
  std::vector<Piece> pieces;
  LayerTime time;
  for (const QueuedExpert& each : moe.queue.experts) {
    for (const Matrices& part : parts) {
      pieces.push_back({std::to_string(each.expert) + part.name, engines.load_cycles(part.bytes),
                        static_cast<double>(each.tokens) * part.token_cycles, each.expert});
      time.traffic_bytes += part.bytes;
    }
  }
  const double largest = std::max(parts.front().bytes, parts.back().bytes);
  if (largest > static_cast<double>(engines.genes().weight_buffer_bytes)) {
    return Unexpected{does_not_fit(parts.size() > 1 ? "weights of half an expert" : "weights of an expert", largest,
                                   "a weight buffer", engines.genes().weight_buffer_bytes)};
  }
  const double elements = static_cast<double>(shape.tokens * shape.width);
  if (!engines.resident(2.0 * elements)) {
    time.traffic_bytes += engines.activation_bytes(3.0 * static_cast<double>(moe.queue.tokens() * shape.width));
  }
  moe.timeline = simulate(std::move(pieces), 2);
  time.cycles = moe.timeline.cycles();
  return time;
}

/// Tokens one by one: their weights are there, or are waited for.
Expected<LayerTime, Infeasible> by_tokens(const MoeShape& shape, const Engines& engines, const MoeTime& moe) {
  const double bytes = engines.weight_bytes(shape.expert_weights());
  const std::int64_t buffer = 2 * engines.genes().weight_buffer_bytes;
  const auto experts = static_cast<double>(shape.experts);
  const auto activations = static_cast<double>(moe.queue.tokens());
  const double compute = activations * moe.token_cycles;
  double waiting = 0.0;
  if (engines.genes().scheduling == Scheduling::all_on_chip) {
    if (experts * bytes > static_cast<double>(buffer)) {
      return Unexpected{does_not_fit(fmt::format("weights of {} experts", shape.experts), experts * bytes,
                                     "the two weight buffers", buffer)};
    }
    waiting = experts * moe.expert_load_cycles;
  } else {
    const bool cache = engines.genes().scheduling == Scheduling::cache;
    const auto fitting = static_cast<double>(static_cast<std::int64_t>(static_cast<double>(buffer) / bytes));
    const double kept = cache ? std::min(experts, fitting) : 0.0;
    if (cache && kept < 1.0) {
      return Unexpected{does_not_fit("weights of an expert", bytes, "the two weight buffers", buffer)};
    }
    waiting = token_order_load_cycles(activations, moe.expert_load_cycles, kept, experts);
    if (kept >= experts) {  // each is still fetched once
      waiting = experts * moe.expert_load_cycles;
    }
  }
  LayerTime time;
  time.cycles = compute + waiting;
  time.traffic_bytes = waiting * static_cast<double>(engines.genes().bits_per_cycle) / 8.0;
  const double elements = static_cast<double>(shape.tokens * shape.width);
  if (!engines.resident(2.0 * elements)) {
    time.traffic_bytes += engines.activation_bytes(2.0 * elements);
  }
  return time;
}

}  // namespace

Expected<MoeTime, Infeasible> moe_time(const MoeShape& shape, std::span<const std::int64_t> counts,
                                       const Engines& engines) {
  MoeTime moe;
  const double bytes = engines.weight_bytes(shape.expert_weights());
  moe.expert_load_cycles = engines.load_cycles(bytes);
  for (const Matrices& part : parts_of(shape, engines)) {
    moe.token_cycles += part.token_cycles;
  }
  moe.queue = queue_of_counts(counts, bytes);
  moe.gate = gate_time(shape, engines);
  Expected<LayerTime, Infeasible> experts = engines.genes().scheduling == Scheduling::expert_by_expert
                                                ? by_queue(shape, engines, moe)
                                                : by_tokens(shape, engines, moe);
  if (!experts) {
    return Unexpected{std::move(experts).error()};
  }
  const auto activations = static_cast<double>(moe.queue.tokens());
  experts->compute_cycles = activations * moe.token_cycles;
  experts->function_cycles = activations * engines.gelu_cycles(static_cast<double>(shape.hidden));
  experts->cycles = std::max(experts->cycles, engines.load_cycles(experts->traffic_bytes));
  experts->exposed_cycles = std::max(0.0, experts->cycles - experts->compute_cycles);
  moe.all = moe.gate;
  moe.all += *experts;
  return moe;
}

double token_order_load_cycles(double activations, double expert_load_cycles, double kept, double experts) {
  return activations * (1.0 - kept / experts) * expert_load_cycles;
}

double reordered_bytes(double dense_bytes, double gate_bytes) { return dense_bytes + gate_bytes; }

double all_on_chip_bytes(double dense_bytes, double gate_bytes, double expert_bytes, double experts,
                         double dense_experts) {
  return reordered_bytes(dense_bytes, gate_bytes) + (experts - dense_experts) * expert_bytes;
}

}  // namespace cosearch::fpga
