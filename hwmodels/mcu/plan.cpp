#include "hwmodels/mcu/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch::mcu {

bool can_stream(const Engine& engine) { return engine.rules.scratch == program::ScratchRule::cosearch; }

Expected<program::PlannedProgram, Infeasible> plan_program(const graph::NetworkGraph& network, const Engine& engine,
                                                           const Board& board, const PlanOptions& options) {
  if (const std::optional<std::string> reason = program::lacks_kernel(network, engine.rules)) {
    return Unexpected{Infeasible{{}, fmt::format("engine {}: {}", engine.name, *reason)}};
  }
  program::LoweringOptions rules = engine.rules;
  if (can_stream(engine)) {
    rules.streamed_input = options.streamed_input;
    rules.weights_in_sram = options.weights_in_sram;
    const std::int64_t left = std::max<std::int64_t>(0, board.sram_bytes - options.reserved_sram_bytes);
    Expected<program::PlannedProgram, std::string> planned = program::fit_program(network, rules, left);
    if (!planned) {
      return Unexpected{Infeasible{{}, "the network is malformed: " + planned.error()}};
    }
    return *std::move(planned);
  }
  if (options.streamed_input || options.weights_in_sram) {
    return Unexpected{Infeasible{
        {},
        fmt::format("engine {} {}", engine.name,
                    options.streamed_input ? "keeps the whole input in SRAM" : "reads weights from flash in place")}};
  }
  Expected<program::Program, std::string> lowered = program::lower_program(network, rules);
  if (!lowered) {
    return Unexpected{Infeasible{{}, "the network is malformed: " + lowered.error()}};
  }
  program::PlannedProgram planned{*std::move(lowered), {}, rules};
  planned.plan = program::plan_arena(planned.program);
  return planned;
}

std::string describe(const program::LoweringOptions& options) {
  std::string text;
  switch (options.streaming) {
    case program::Streaming::layers:
      break;
    case program::Streaming::rows:
      text = "neighbouring layers row by row";
      break;
    case program::Streaming::heads:
      text = "rows and heads one by one";
      break;
    case program::Streaming::heads_recomputed:
      text = "rows and heads one by one, what leads to these computed again";
      break;
  }
  if (options.patches > 1) {
    text +=
        fmt::format("{}first layers in {} x {} patches", text.empty() ? "" : ", ", options.patches, options.patches);
  }
  return text;
}

}  // namespace cosearch::mcu
