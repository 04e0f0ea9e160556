#include "hwmodels/mcu/cortex_m.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "hwmodels/job_graph.hpp"
#include "hwmodels/layers.hpp"
#include "hwmodels/mcu/accounting.hpp"
#include "hwmodels/mcu/arena_picture.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "hwmodels/mcu/coefficients.hpp"
#include "hwmodels/mcu/cycle_notes.hpp"
#include "hwmodels/mcu/mcuformer_memory.hpp"
#include "hwmodels/mcu/plan.hpp"
#include "hwmodels/text.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/program/arena.hpp"
#include "spaces/program/program.hpp"

namespace cosearch {
namespace {

using mcu::Accounting;
using mcu::Board;
using mcu::CycleModel;
using mcu::CycleTable;
using mcu::Engine;
using program::KernelCall;
using program::Program;

struct Options {
  Accounting accounting = Accounting::ours;
  std::int64_t reserved_sram_bytes = 0;
  std::int64_t reserved_flash_bytes = 0;
  bool streamed_input = false;
  std::optional<bool> weights_in_sram;  ///< nothing: as the board needs it
};

Options read_options(const nlohmann::json& json) {
  const JsonReader reader = JsonReader::of_options(json, "/target");
  reader.only({"accounting", "input", "reserved_flash_bytes", "reserved_sram_bytes", "weights"});
  Options options;
  options.accounting = mcu::read_accounting(reader);
  options.reserved_sram_bytes = reader.integer("reserved_sram_bytes", 0, 0);
  options.reserved_flash_bytes = reader.integer("reserved_flash_bytes", 0, 0);
  options.streamed_input = reader.name_of("input", "resident", {"resident", "streamed"}) == "streamed";
  const std::string weights = reader.name_of("weights", "board", {"board", "flash", "sram"});
  if (weights != "board") {
    options.weights_in_sram = weights == "sram";
  }
  return options;
}

double percent(double part, double whole) { return whole > 0.0 ? 100.0 * part / whole : 0.0; }

/// Of each buffer once.
std::int64_t buffer_bytes(const Program& program, const std::vector<int>& buffers) {
  std::int64_t bytes = 0;
  for (const int buffer : std::set<int>(buffers.begin(), buffers.end())) {
    bytes += program.buffers[static_cast<std::size_t>(buffer)].bytes;
  }
  return bytes;
}

class CortexM final : public Model {
 public:
  CortexM(Board board, Engine engine, CycleModel cycles, std::int64_t clock_mhz, Options options)
      : board_(std::move(board)),
        engine_(std::move(engine)),
        cycles_(std::move(cycles)),
        clock_mhz_(static_cast<double>(clock_mhz)),
        options_(options) {}

  [[nodiscard]] Expected<Cost, Infeasible> evaluate(std::span<const Job> jobs) const override {
    COSEARCH_CHECK(!jobs.empty(), "nothing to evaluate");
    Totals totals;
    totals.flash_bytes = engine_.code_bytes + options_.reserved_flash_bytes;
    const std::vector<Job> parts = runs(jobs);
    for (const Job& job : parts) {
      if (std::optional<Infeasible> refusal = refuse(job)) {
        return Unexpected{*std::move(refusal)};
      }
      const graph::NetworkGraph network = job_graph(job);
      const Expected<program::PlannedProgram, Infeasible> planned = plan(network);
      if (!planned) {
        return Unexpected{planned.error()};
      }
      const std::string prefix = layer_prefix(parts, job);
      add_layers(planned->program, prefix, totals);
      if (std::optional<Infeasible> refusal = count_memory(network, *planned, prefix, totals)) {
        return Unexpected{*std::move(refusal)};
      }
    }
    if (std::optional<Infeasible> overflow = check_capacity(totals)) {
      return Unexpected{*std::move(overflow)};
    }
    for (const double params : job_params(parts)) {
      totals.params += params;
    }
    return finish(std::move(totals));
  }

  /// The arena of the job that needs most.
  [[nodiscard]] std::string picture(std::span<const Job> jobs) const override {
    std::optional<program::PlannedProgram> largest;
    for (const Job& job : runs(jobs)) {
      Expected<program::PlannedProgram, Infeasible> planned = plan(job_graph(job));
      COSEARCH_CHECK(planned.has_value(), "a picture of a job that is not feasible");
      if (!largest || planned->plan.bytes > largest->plan.bytes) {
        largest = *std::move(planned);
      }
    }
    return largest ? mcu::arena_picture(largest->program, largest->plan) : std::string{};
  }

 private:
  struct Totals {
    Cost cost;
    double cycles = 0.0;
    double assumed_cycles = 0.0;
    std::int64_t macs = 0;
    double params = 0.0;
    std::int64_t sram_bytes = 0;
    std::int64_t flash_bytes = 0;
    std::map<std::string, double> cycles_by_kind;
    std::vector<std::string> streaming;  ///< how networks were made to fit
  };

  [[nodiscard]] Expected<program::PlannedProgram, Infeasible> plan(const graph::NetworkGraph& network) const {
    return mcu::plan_program(
        network, engine_, board_,
        {options_.streamed_input, options_.weights_in_sram.value_or(board_.weights_in_sram && mcu::can_stream(engine_)),
         options_.reserved_sram_bytes});
  }

  /// What is exported: each task by itself, one after the other, with integers of its own in flash.
  static std::vector<Job> runs(std::span<const Job> jobs) {
    std::vector<Job> all;
    for (const Job& job : jobs) {
      const std::vector<Job> parts = each_task(job);
      all.insert(all.end(), parts.begin(), parts.end());
    }
    return all;
  }

  static std::optional<Infeasible> refuse(const Job& job) {
    if (job.phase != graph::Phase::inference) {
      return Infeasible{{}, "cortex_m prices inference only; the job asks for a training step"};
    }
    if (job.batch != 1) {
      return Infeasible{{{"batch", static_cast<double>(job.batch), 1.0}},
                        fmt::format("cortex_m runs batch 1; the job asks for batch {}", job.batch)};
    }
    if (job.types.activation != ir::ElementType::int8 || job.types.weight != ir::ElementType::int8) {
      return Infeasible{{}, "cortex_m runs int8 kernels; the job asks for another element type"};
    }
    return std::nullopt;
  }

  void add_layers(const Program& lowered, const std::string& prefix, Totals& totals) const {
    totals.flash_bytes += lowered.constant_bytes();
    for (const KernelCall& call : lowered.calls) {
      totals.cost.layers.push_back(layer(lowered, call, prefix, totals));
    }
  }

  std::optional<Infeasible> count_memory(const graph::NetworkGraph& network, const program::PlannedProgram& planned,
                                         const std::string& prefix, Totals& totals) const {
    if (const std::string streaming = mcu::describe(planned.options); !streaming.empty()) {
      totals.streaming.push_back(prefix.empty() ? streaming : prefix + " " + streaming);
    }
    if (options_.accounting != Accounting::ours) {
      // None of the accountings of others says what a mixture of experts takes.
      if (const auto reason = program::lacks_kernel(network, program::tinyengine_options())) {
        return Infeasible{{}, fmt::format("accounting \"{}\": {}", mcu::name_of(options_.accounting), *reason)};
      }
    }
    if (options_.accounting == Accounting::ours) {
      add_memory(planned.program, planned.plan, prefix, totals);
    } else if (options_.accounting == Accounting::tinyengine) {
      const Program lowered = *program::lower_program(network, program::tinyengine_options());
      add_memory(lowered, program::plan_arena(lowered), prefix, totals);
    } else if (!count_mcuformer_memory(network, prefix, totals)) {
      return Infeasible{
          {},
          fmt::format("accounting \"{}\" counts the layers of transformers only; {} has none",
                      mcu::name_of(options_.accounting), network.name.empty() ? "the network" : network.name)};
    }
    return std::nullopt;
  }

  void add_memory(const Program& lowered, const program::ArenaPlan& plan, const std::string& prefix,
                  Totals& totals) const {
    const std::vector<program::LiveStep> steps = program::live_steps(lowered);
    totals.sram_bytes = std::max(totals.sram_bytes, plan.bytes + options_.reserved_sram_bytes);
    for (std::size_t i = 0; i < lowered.calls.size(); ++i) {
      MemoryStep step{prefix + lowered.calls[i].name, steps[i].bytes, {}};
      for (const int buffer : steps[i].buffers) {
        const program::Buffer& live = lowered.buffers[static_cast<std::size_t>(buffer)];
        step.buffers.emplace_back(live.name, live.bytes);
      }
      totals.cost.memory.push_back(std::move(step));
    }
  }

  [[nodiscard]] std::vector<mcu::McuformerLayer> counted_layers(const graph::NetworkGraph& network) const {
    if (options_.accounting == Accounting::mcuformer) {
      return mcu::mcuformer_layers(network);
    }
    const std::optional<mcu::McuformerLayer> layer = mcu::mcuformer_supernet_layer(network);
    return layer ? std::vector{*layer} : std::vector<mcu::McuformerLayer>{};
  }

  /// False for a network that has none of the layers.
  bool count_mcuformer_memory(const graph::NetworkGraph& network, const std::string& prefix, Totals& totals) const {
    const std::vector<mcu::McuformerLayer> layers = counted_layers(network);
    for (const mcu::McuformerLayer& layer : layers) {
      totals.sram_bytes = std::max(totals.sram_bytes, layer.bytes() + options_.reserved_sram_bytes);
      MemoryStep step{prefix + layer.name, layer.bytes(), {}};
      for (const auto& [part, bytes] :
           {std::pair{".tokens", layer.input_bytes}, std::pair{".act", layer.output_bytes},
            std::pair{".rank", layer.intermediate_bytes}, std::pair{".weight", layer.weight_bytes}}) {
        if (bytes > 0) {
          step.buffers.emplace_back(layer.name + part, bytes);
        }
      }
      totals.cost.memory.push_back(std::move(step));
    }
    return !layers.empty();
  }

  LayerCost layer(const Program& lowered, const KernelCall& call, const std::string& prefix, Totals& totals) const {
    const mcu::KernelCycles& rates = cycles_.kinds.at(call.kind);
    LayerCost layer;
    layer.name = prefix + call.name;
    layer.kind = program::kind_name(call.kind);
    layer.macs = call.macs;
    layer.cycles = mcu::cycles(call, rates);
    layer.latency_ms = layer.cycles / (clock_mhz_ * 1e3);
    layer.energy_uj = layer.cycles * board_.nanojoules_per_cycle * 1e-3;
    const std::int64_t constants = call.constant_bytes();
    layer.traffic_bytes = static_cast<double>(buffer_bytes(lowered, call.inputs) +
                                              lowered.buffers[static_cast<std::size_t>(call.output)].bytes + constants);
    const double peak_cycles = static_cast<double>(call.macs) / board_.peak_macs_per_cycle;
    layer.utilization = layer.cycles > 0.0 ? std::min(1.0, peak_cycles / layer.cycles) : 0.0;
    const mcu::KernelWork work = mcu::work_of(call);
    const double mac_cycles =
        rates.per_mac * work.macs + rates.per_slow_mac * work.slow_macs + rates.per_int4_mac * work.int4_macs;
    layer.bound = 2.0 * mac_cycles >= layer.cycles ? "compute" : "overhead";
    layer.parts["constant_bytes"] = static_cast<double>(constants);
    layer.parts["scratch_bytes"] = static_cast<double>(buffer_bytes(lowered, call.scratch));
    layer.parts["mac_cycles"] = mac_cycles;
    layer.parts["output_cycles"] = rates.per_output * work.outputs;
    layer.parts["element_cycles"] = rates.per_element * work.elements;
    if (cycles_.emulation) {
      layer.parts["row_cycles"] = rates.per_row * work.rows + rates.per_window_row * work.window_rows +
                                  rates.per_window_element * work.window_elements;
    }
    totals.cycles += layer.cycles;
    totals.macs += call.macs;
    totals.cycles_by_kind[layer.kind] += layer.cycles;
    if (!cycles_.emulation) {
      totals.assumed_cycles += rates.assumed ? layer.cycles : layer.parts["element_cycles"];
    }
    return layer;
  }

  std::optional<Infeasible> check_capacity(const Totals& totals) const {
    Infeasible infeasible;
    const auto check = [&](const char* metric, const char* memory, std::int64_t required, std::int64_t limit,
                           const std::string& where) {
      if (required > limit) {
        infeasible.violations.push_back({metric, static_cast<double>(required), static_cast<double>(limit)});
        infeasible.reason +=
            fmt::format("{}{} bytes of {}{}, {} has {}: {} too many", infeasible.reason.empty() ? "needs " : "; ",
                        grouped(required), memory, where, board_.part, grouped(limit), grouped(required - limit));
      }
    };
    const MemoryStep* const peak = fullest(totals.cost);
    check("sram_bytes", "SRAM", totals.sram_bytes, board_.sram_bytes, peak == nullptr ? "" : " at " + peak->name);
    check("flash_bytes", "flash", totals.flash_bytes, board_.flash_bytes, "");
    return infeasible.violations.empty() ? std::nullopt : std::optional(std::move(infeasible));
  }

  /// The first of the calls with most bytes alive; null where there is none.
  static const MemoryStep* fullest(const Cost& cost) {
    const auto found = std::max_element(cost.memory.begin(), cost.memory.end(),
                                        [](const auto& a, const auto& b) { return a.live_bytes < b.live_bytes; });
    return found == cost.memory.end() ? nullptr : &*found;
  }

  Cost finish(Totals totals) const {
    Cost cost = std::move(totals.cost);
    const double latency_ms = totals.cycles / (clock_mhz_ * 1e3);
    const double energy_uj = totals.cycles * board_.nanojoules_per_cycle * 1e-3;
    cost.metrics = {
        {"cycles", totals.cycles},
        {"edp_nj_s", energy_uj * latency_ms},
        {"energy_uj", energy_uj},
        {"flash_bytes", static_cast<double>(totals.flash_bytes)},
        {"latency_ms", latency_ms},
        {"macs", static_cast<double>(totals.macs)},
        {"params", totals.params},
        {"power_mw", board_.nanojoules_per_cycle * clock_mhz_},  // nJ/cycle * MHz = mW
        {"sram_bytes", static_cast<double>(totals.sram_bytes)},
        {"utilization", totals.cycles > 0.0 ? std::min(1.0, static_cast<double>(totals.macs) /
                                                                (board_.peak_macs_per_cycle * totals.cycles))
                                            : 0.0},
    };
    cost.bound = bound(totals, cost);
    cost.notes = notes(totals);
    return cost;
  }

  std::string bound(const Totals& totals, const Cost& cost) const {
    const auto slowest = std::max_element(totals.cycles_by_kind.begin(), totals.cycles_by_kind.end(),
                                          [](const auto& a, const auto& b) { return a.second < b.second; });
    const MemoryStep* const peak = fullest(cost);
    if (slowest == totals.cycles_by_kind.end() || peak == nullptr) {
      return "nothing to compute";
    }
    return fmt::format("{} takes {:.0f} % of the cycles; {} fills {:.0f} % of the SRAM", slowest->first,
                       percent(slowest->second, totals.cycles), peak->name,
                       percent(static_cast<double>(totals.sram_bytes), static_cast<double>(board_.sram_bytes)));
  }

  std::vector<std::string> notes(const Totals& totals) const {
    std::vector<std::string> notes = mcu::cycle_notes(cycles_, board_, clock_mhz_);
    if (totals.assumed_cycles > 0.0) {
      notes.push_back(fmt::format("{:.1f} % of the cycles are of kernels with assumed instruction counts",
                                  percent(totals.assumed_cycles, totals.cycles)));
    }
    notes.push_back(fmt::format("energy {}: {:.3f} nJ per cycle, {}",
                                board_.energy_calibrated ? "calibrated" : "uncalibrated", board_.nanojoules_per_cycle,
                                board_.energy_source));
    notes.push_back(engine_.note);
    for (const std::string& streaming : totals.streaming) {
      notes.push_back("to fit: " + streaming);
    }
    if (options_.accounting != Accounting::ours) {
      notes.emplace_back(mcu::note_of(options_.accounting));
    }
    return notes;
  }

  Board board_;
  Engine engine_;
  CycleModel cycles_;
  double clock_mhz_;
  Options options_;
};

class CortexMTarget final : public Target {
 public:
  CortexMTarget(Options options, const std::string& data_directory)
      : options_(options), boards_(mcu::load_boards(data_directory)) {
    std::map<std::string, std::string> cores;
    for (const Board& board : boards_) {
      cores[board.name] = board.core;
    }
    table_ = mcu::load_cycle_table(data_directory, cores);
    params_ = ParamSet(make_params());
    Hasher hasher;
    hasher.add(load_data("boards", data_directory).dump());
    hasher.add(load_data("mcu_coefficients", data_directory).dump());
    hasher.add(options_.reserved_sram_bytes).add(options_.reserved_flash_bytes);
    hasher.add(options_.streamed_input)
        .add(options_.weights_in_sram ? 1 + static_cast<int>(*options_.weights_in_sram) : 0);
    if (options_.accounting != Accounting::ours) {
      hasher.add(mcu::name_of(options_.accounting));
    }
    fingerprint_ = "cortex_m/2/" + hex(hasher.value());
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    const std::string& name = params_.text(genome, "board");
    const std::string& engine = params_.text(genome, "engine");
    const auto board = std::find_if(boards_.begin(), boards_.end(), [&](const Board& b) { return b.name == name; });
    COSEARCH_CHECK(board != boards_.end(), "a board that the target does not have");
    const CycleModel* const cycles = table_.find(name, engine);
    if (cycles == nullptr) {
      return Unexpected{Infeasible{{},
                                   fmt::format("nobody published latencies of {} on {}, or of both beside others that "
                                               "could tell; {} was measured there",
                                               engine, board->part, table_.best_calibrated(name).name)}};
    }
    return std::unique_ptr<const Model>(std::make_unique<CortexM>(
        *board, table_.engine(engine), *cycles, params_.integer(genome, name + ".clock_mhz"), options_));
  }

  [[nodiscard]] std::vector<std::string> metric_names() const override {
    return {"cycles", "edp_nj_s", "energy_uj", "flash_bytes", "latency_ms",
            "macs",   "params",   "power_mw",  "sram_bytes",  "utilization"};
  }

  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }

 private:
  std::vector<Param> make_params() const {
    Choices names;
    Choices engines;
    Preference calibrated{"board", {}};
    for (const Board& board : boards_) {
      names.values.emplace_back(board.name);
      calibrated.values.emplace_back(board.name, table_.best_calibrated(board.name).name);
    }
    for (const Engine& engine : table_.engines) {
      engines.values.emplace_back(engine.name);
    }
    std::vector<Param> params{{"board", names, {}}, {"engine", engines, {}, calibrated}};
    for (std::size_t i = 0; i < boards_.size(); ++i) {
      Choices clocks;
      for (const std::int64_t clock : boards_[i].clocks_mhz) {
        clocks.values.emplace_back(clock);
      }
      params.push_back({boards_[i].name + ".clock_mhz", clocks, {"board", {static_cast<std::int64_t>(i)}}});
    }
    return params;
  }

  Options options_;
  std::vector<Board> boards_;
  CycleTable table_;
  ParamSet params_;
  std::string fingerprint_;
};

}  // namespace

std::unique_ptr<Target> make_cortex_m(const nlohmann::json& options, const std::string& data_directory) {
  return std::make_unique<CortexMTarget>(read_options(options), data_directory);
}

}  // namespace cosearch
