#include "hwmodels/asic/heterogeneous.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/asic/array_arch.hpp"
#include "hwmodels/asic/asic_model.hpp"
#include "hwmodels/asic/chip_metrics.hpp"
#include "hwmodels/asic/layer_tasks.hpp"
#include "hwmodels/asic/maestro/target.hpp"
#include "hwmodels/asic/schedule/exact.hpp"
#include "hwmodels/asic/schedule/gantt.hpp"
#include "hwmodels/asic/schedule/heuristic.hpp"
#include "hwmodels/asic/target_options.hpp"
#include "hwmodels/einsum_model.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

/// One sub-accelerator of a design.
struct Unit {
  std::string name;
  double pes = 0.0;
  std::unique_ptr<const EinsumModel> model;
};

struct Settings {
  std::optional<std::int64_t> deadline_cycles;
  bool exact = false;
  double frequency_hz = 1e9;
  std::vector<std::string> notes;
};

class Heterogeneous final : public EinsumModel {
 public:
  Heterogeneous(std::vector<Unit> units, Settings settings)
      : units_(std::move(units)), settings_(std::move(settings)) {}

  [[nodiscard]] Expected<Cost, Infeasible> evaluate_lowered(std::span<const LoweredJob> jobs) const override {
    const Expected<Plan, Infeasible> plan = make_plan(jobs);
    if (!plan) {
      return Unexpected{plan.error()};
    }
    asic::ChipTotals totals;
    Cost cost;
    for (std::size_t job = 0; job < jobs.size(); ++job) {
      for (std::size_t layer = 0; layer < plan->tasks[job].task_of.size(); ++layer) {
        const int unit = plan->unit_of(job, layer);
        const Cost& on_unit = *plan->costs[job][static_cast<std::size_t>(unit)];
        LayerCost chosen = on_unit.layers[layer];
        chosen.kind += " on " + units_[static_cast<std::size_t>(unit)].name;
        totals.add(chosen);
        totals.sram_bytes = std::max(totals.sram_bytes, on_unit.metrics.at("sram_bytes"));
        cost.layers.push_back(std::move(chosen));
      }
      totals.params += jobs[job].workload.params;
    }
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      totals.area_mm2 += plan->areas_mm2[unit];
      totals.peak_macs_per_cycle += unit == 0 ? units_[unit].pes - 1.0 : units_[unit].pes;
    }
    totals.frequency_hz = settings_.frequency_hz;
    totals.cycles = static_cast<double>(plan->schedule.makespan);
    cost.metrics = asic::chip_metrics(totals);
    cost.bound = bound(*plan);
    cost.notes = settings_.notes;
    return cost;
  }

  [[nodiscard]] std::vector<std::string> explain(std::span<const Job> jobs) const override {
    const Expected<Plan, Infeasible> plan = make_plan(jobs);
    std::vector<std::string> texts;
    for (std::size_t job = 0; plan && job < jobs.size(); ++job) {
      for (std::size_t layer = 0; layer < plan->tasks[job].task_of.size(); ++layer) {
        const schedule::Placement& placement = plan->placement_of(job, layer);
        texts.push_back(fmt::format("  on {}, with its task from cycle {} to {}\n",
                                    units_[static_cast<std::size_t>(placement.unit)].name, placement.start,
                                    placement.end));
      }
    }
    if (plan && !texts.empty()) {
      texts.back() += "\n" + schedule::schedule_table(plan->problem, plan->schedule);
    }
    return texts;
  }

  [[nodiscard]] std::string picture(std::span<const Job> jobs) const override {
    const Expected<Plan, Infeasible> plan = make_plan(jobs);
    return plan ? schedule::gantt_svg(plan->problem, plan->schedule) : std::string{};
  }

 private:
  struct Plan {
    std::vector<asic::LayerTasks> tasks;                  ///< by job
    std::vector<int> first_task;                          ///< by job: its first task in the problem
    std::vector<std::vector<std::optional<Cost>>> costs;  ///< [job][unit]; nothing where the unit cannot run the job
    std::vector<double> areas_mm2;                        ///< by unit
    schedule::Problem problem;
    schedule::Schedule schedule;

    [[nodiscard]] const schedule::Placement& placement_of(std::size_t job, std::size_t layer) const {
      const int task = first_task[job] + tasks[job].task_of[layer];
      return schedule.placements[static_cast<std::size_t>(task)];
    }
    [[nodiscard]] int unit_of(std::size_t job, std::size_t layer) const { return placement_of(job, layer).unit; }
  };

  /// The same for jobs that are not lowered yet.
  [[nodiscard]] Expected<Plan, Infeasible> make_plan(std::span<const Job> jobs) const {
    const Expected<std::vector<LoweredJob>, Infeasible> lowered = lower_jobs(jobs);
    if (!lowered) {
      return Unexpected{lowered.error()};
    }
    return make_plan(std::span<const LoweredJob>(*lowered));
  }

  [[nodiscard]] Expected<Plan, Infeasible> make_plan(std::span<const LoweredJob> jobs) const {
    Plan plan;
    plan.areas_mm2.assign(units_.size(), 0.0);
    plan.problem.deadline = settings_.deadline_cycles;
    plan.problem.objective = settings_.deadline_cycles ? schedule::Objective::energy : schedule::Objective::makespan;
    for (const Unit& unit : units_) {
      plan.problem.units.push_back(unit.name);
    }
    for (const LoweredJob& job : jobs) {
      if (auto obstacle = add(job, plan)) {
        return Unexpected{*std::move(obstacle)};
      }
    }
    Expected<schedule::Instance, Infeasible> instance = schedule::check(plan.problem);
    if (!instance) {
      return Unexpected{std::move(instance).error()};
    }
    plan.schedule =
        settings_.exact ? schedule::exact_schedule(*instance).schedule : schedule::heuristic_schedule(*instance);
    return plan;
  }

  std::optional<Infeasible> add(const LoweredJob& job, Plan& plan) const {
    plan.tasks.push_back(asic::layer_tasks(job.workload));
    plan.first_task.push_back(static_cast<int>(plan.problem.tasks.size()));
    std::vector<std::optional<Cost>> costs;
    std::vector<std::string> reasons;
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      Expected<Cost, Infeasible> cost = units_[unit].model->evaluate_lowered(std::span(&job, 1));
      reasons.push_back(cost ? std::string{} : cost.error().reason);
      if (cost) {
        plan.areas_mm2[unit] = std::max(plan.areas_mm2[unit], cost->metrics.at("area_mm2"));
      }
      costs.push_back(cost ? std::optional(*std::move(cost)) : std::nullopt);
    }
    const asic::LayerTasks& tasks = plan.tasks.back();
    const std::vector<EinsumRun> runs = einsum_runs(job.workload);
    for (const int layer : tasks.first_layer) {
      schedule::Task task;
      task.name = runs[static_cast<std::size_t>(layer)].name;
      task.network = static_cast<int>(plan.problem.networks.size());
      for (std::size_t unit = 0; unit < units_.size(); ++unit) {
        task.on.push_back(execution(
            costs[unit], tasks, static_cast<int>(plan.problem.tasks.size()) - plan.first_task.back(), reasons[unit]));
      }
      plan.problem.tasks.push_back(std::move(task));
    }
    for (const schedule::Edge& edge : tasks.edges) {
      plan.problem.edges.push_back({edge.before + plan.first_task.back(), edge.after + plan.first_task.back()});
    }
    plan.problem.networks.push_back(std::get<graph::NetworkGraph>(job.job->model).name);
    plan.costs.push_back(std::move(costs));
    return std::nullopt;
  }

  static Expected<schedule::Execution, std::string> execution(const std::optional<Cost>& cost,
                                                              const asic::LayerTasks& tasks, int task,
                                                              const std::string& reason) {
    if (!cost) {
      return Unexpected{reason};
    }
    COSEARCH_CHECK(cost->layers.size() == tasks.task_of.size(), "one cost for each layer");
    schedule::Execution execution;
    double cycles = 0.0;
    for (std::size_t layer = 0; layer < tasks.task_of.size(); ++layer) {
      if (tasks.task_of[layer] == task) {
        cycles += cost->layers[layer].cycles;
        execution.energy += cost->layers[layer].energy_uj;
      }
    }
    execution.cycles = static_cast<std::int64_t>(std::ceil(cycles));
    return execution;
  }

  [[nodiscard]] std::string bound(const Plan& plan) const {
    std::string shares;
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      std::int64_t busy = 0;
      for (const schedule::Placement& placement : plan.schedule.placements) {
        busy += placement.unit == static_cast<int>(unit) ? placement.end - placement.start : 0;
      }
      shares += fmt::format(
          "{}{} is busy {:.0f} % of the time", unit > 0 ? ", " : "", units_[unit].name,
          100.0 * static_cast<double>(busy) / static_cast<double>(std::max<std::int64_t>(plan.schedule.makespan, 1)));
    }
    return shares + (plan.schedule.in_time ? "" : "; no schedule was found that meets the deadline");
  }

  std::vector<Unit> units_;
  Settings settings_;
};

constexpr double kGiga = 1e9;

class HeterogeneousTarget final : public Target {
 public:
  HeterogeneousTarget(const nlohmann::json& options, const std::string& data_directory) {
    const JsonReader reader = JsonReader::of_options(options, "/target");
    units_ = static_cast<int>(reader.integer("sub_accelerators", 2, 1, 4));
    maestro_ = reader.name_of("cost_model", "maestro", {"maestro", "nest"}) == "maestro";
    settings_.exact = reader.name_of("schedule", "heuristic", {"exact", "heuristic"}) == "exact";
    pe_budget_ = reader.integer("pe_budget", 4096, 1, 1 << 20);
    bandwidth_budget_ = reader.integer("bandwidth_budget", 64, 1, 1 << 20);
    const double megahertz = reader.number("frequency_mhz", 1000.0, kPositive);
    settings_.frequency_hz = megahertz * 1e6;
    if (const auto deadline = reader.find("deadline_cycles")) {
      settings_.deadline_cycles = deadline->integer(1, schedule::kLargestCycles);
    }
    read_cost_model(reader, data_directory);
    set_params();
    Hasher hasher;
    hasher.add(reader.without({}).dump()).add(maestro_ ? unit_target_->fingerprint() : options_->fingerprint);
    fingerprint_ = "asic_heterogeneous/1/" + hex(hasher.value());
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }
  [[nodiscard]] std::vector<std::string> metric_names() const override { return asic::chip_metric_names(); }
  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    std::vector<int> there;
    std::int64_t pes = 0;
    std::int64_t bandwidth = 0;
    for (int unit = 0; unit < units_; ++unit) {
      if (params_.text(genome, knob(unit, "dataflow")) != kNone) {
        there.push_back(unit);
        pes += params_.integer(genome, knob(unit, "pes"));
        bandwidth += params_.integer(genome, knob(unit, "bandwidth"));
      }
    }
    if (pes > pe_budget_ || bandwidth > bandwidth_budget_) {
      return Unexpected{over_budget(pes, bandwidth)};
    }
    std::vector<Unit> units;
    for (const int unit : there) {
      const std::string& dataflow = params_.text(genome, knob(unit, "dataflow"));
      const std::int64_t own = params_.integer(genome, knob(unit, "pes"));
      units.push_back({fmt::format("aic{} {} {}", unit + 1, dataflow, own), static_cast<double>(own),
                       unit_model(dataflow, own, params_.integer(genome, knob(unit, "bandwidth")),
                                  static_cast<std::int64_t>(there.size()))});
    }
    return std::unique_ptr<const Model>(std::make_unique<Heterogeneous>(std::move(units), settings_));
  }

 private:
  static std::string knob(int unit, const std::string& name) { return fmt::format("aic{}.{}", unit + 1, name); }

  [[nodiscard]] Infeasible over_budget(std::int64_t pes, std::int64_t bandwidth) const {
    Infeasible result;
    if (pes > pe_budget_) {
      result.violations.push_back({"pes", static_cast<double>(pes), static_cast<double>(pe_budget_)});
    }
    if (bandwidth > bandwidth_budget_) {
      result.violations.push_back(
          {"bandwidth", static_cast<double>(bandwidth), static_cast<double>(bandwidth_budget_)});
    }
    result.reason = fmt::format("{} processing elements and {} bytes a cycle together; the budgets are {} and {}", pes,
                                bandwidth, pe_budget_, bandwidth_budget_);
    return result;
  }

  void read_cost_model(const JsonReader& reader, const std::string& data_directory) {
    std::vector<std::string> own{"sub_accelerators", "cost_model",      "schedule",     "pe_budget",
                                 "bandwidth_budget", "deadline_cycles", "frequency_mhz"};
    if (maestro_) {
      nlohmann::json rest = reader.without(own);
      rest["frequency_mhz"] = settings_.frequency_hz * 1e-6;
      unit_target_ = make_maestro(rest, data_directory);
      settings_.notes.emplace_back("each sub-accelerator by MAESTRO's equations; its buffers are as large as needed");
    } else {
      shared_.buffer_bytes = 1024 * reader.integer("buffer_kib", 512, 1, 1 << 20);
      shared_.bytes_per_second = kGiga * reader.number("dram_gb_s", 16.0, kPositive);
      shared_.register_words = reader.integer("registers", 64, 1, 1 << 20);
      own.insert(own.end(), {"buffer_kib", "dram_gb_s", "registers"});
      shared_.frequency_hz = settings_.frequency_hz;
      own.emplace_back("dram");
      asic::check_target_options(reader, own);
      options_ = std::make_shared<const asic::TargetOptions>(asic::read_target_options(reader, data_directory));
      dataflows_ = asic::load_dataflows(data_directory);
      shared_.dram = asic::dram_kind(reader, options_->prices.macros);
      settings_.notes.emplace_back(
          "each sub-accelerator has its share of buffer and DRAM bandwidth to itself; its network delivers what its "
          "bandwidth says");
    }
    settings_.notes.push_back(
        fmt::format("clock of {:g} MHz; layers with their element-wise followers are scheduled {}",
                    settings_.frequency_hz * 1e-6, settings_.exact ? "by branch and bound" : "by the heuristic"));
  }

  [[nodiscard]] std::unique_ptr<const EinsumModel> unit_model(const std::string& dataflow, std::int64_t pes,
                                                              std::int64_t bandwidth, std::int64_t there) const {
    if (maestro_) {
      const nlohmann::json genes{{"dataflow", dataflow}, {"pes", pes}, {"noc_bandwidth", bandwidth}};
      auto built = unit_target_->build(unit_target_->params().from_json(genes));
      COSEARCH_CHECK(built && dynamic_cast<const EinsumModel*>(built->get()) != nullptr,
                     "MAESTRO builds all its knobs");
      return std::unique_ptr<const EinsumModel>(dynamic_cast<const EinsumModel*>(built->release()));
    }
    asic::ArrayKnobs knobs = shared_;
    knobs.columns = kColumns;
    knobs.rows = pes / kColumns;
    knobs.buffer_bytes /= there;
    knobs.bytes_per_second /= static_cast<double>(there);
    knobs.buffer_bytes_per_cycle = static_cast<double>(bandwidth);
    const auto found = std::find_if(dataflows_.begin(), dataflows_.end(),
                                    [&](const asic::Dataflow& known) { return known.name == dataflow; });
    return std::make_unique<asic::AsicModel>([knobs](ir::ElementType type) { return asic::array_arch(knobs, type); },
                                             *found, options_);
  }

  [[nodiscard]] Choices dataflow_choices() const {
    if (maestro_) {
      const ParamSet& params = unit_target_->params();
      return std::get<Choices>(params.params()[*params.find("dataflow")].domain);
    }
    Choices choices;
    for (const asic::Dataflow& dataflow : dataflows_) {
      choices.values.emplace_back(dataflow.name);
    }
    return choices;
  }

  void set_params() {
    const Choices dataflows = dataflow_choices();
    std::vector<Param> params;
    for (int unit = 0; unit < units_; ++unit) {
      Choices choices = dataflows;
      Condition there{knob(unit, "dataflow"), {}};
      for (std::size_t i = 0; i < choices.values.size(); ++i) {
        there.values.push_back(static_cast<std::int64_t>(i));
      }
      if (unit > 0) {
        choices.values.emplace_back(std::string(kNone));
      }
      params.push_back({knob(unit, "dataflow"), std::move(choices), {}});
      params.push_back({knob(unit, "pes"), IntegerRange{32, 4096, 32}, there});
      params.push_back({knob(unit, "bandwidth"), IntegerRange{8, 64, 8}, there});
    }
    params_ = ParamSet(std::move(params));
  }

  static constexpr const char* kNone = "none";
  static constexpr std::int64_t kColumns = 32;

  ParamSet params_;
  Settings settings_;
  int units_ = 2;
  bool maestro_ = true;
  std::int64_t pe_budget_ = 0;
  std::int64_t bandwidth_budget_ = 0;
  std::unique_ptr<Target> unit_target_;                 ///< with MAESTRO's equations
  std::shared_ptr<const asic::TargetOptions> options_;  ///< with nests, like the next two
  std::vector<asic::Dataflow> dataflows_;
  asic::ArrayKnobs shared_;
  std::string fingerprint_;
};

}  // namespace

std::unique_ptr<Target> make_heterogeneous(const nlohmann::json& options, const std::string& data_directory) {
  return std::make_unique<HeterogeneousTarget>(options, data_directory);
}

}  // namespace cosearch
