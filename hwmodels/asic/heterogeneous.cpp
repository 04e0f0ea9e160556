#include "hwmodels/asic/heterogeneous.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/asic/array_arch.hpp"
#include "hwmodels/asic/asic_model.hpp"
#include "hwmodels/asic/chip_metrics.hpp"
#include "hwmodels/asic/heterogeneous_model.hpp"
#include "hwmodels/asic/maestro/target.hpp"
#include "hwmodels/asic/target_options.hpp"
#include "hwmodels/einsum_model.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

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
    fingerprint_ = "asic_heterogeneous/3/" + hex(hasher.value());
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }
  [[nodiscard]] std::vector<std::string> metric_names() const override { return asic::chip_metric_names(); }
  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    std::vector<int> there;
    std::int64_t pes = 0;
    std::int64_t bandwidth = 0;
    Shares all;
    for (int unit = 0; unit < units_; ++unit) {
      if (params_.text(genome, knob(unit, "dataflow")) != kNone) {
        there.push_back(unit);
        pes += params_.integer(genome, knob(unit, "pes"));
        bandwidth += params_.integer(genome, knob(unit, "bandwidth"));
        const Shares own = shares(genome, unit);
        all = {all.buffer + own.buffer, all.dram + own.dram};
      }
    }
    if (pes > pe_budget_ || bandwidth > bandwidth_budget_) {
      return Unexpected{over_budget(pes, bandwidth)};
    }
    std::vector<asic::SubAccelerator> units;
    for (const int unit : there) {
      const std::string& dataflow = params_.text(genome, knob(unit, "dataflow"));
      const std::int64_t own = params_.integer(genome, knob(unit, "pes"));
      units.push_back(
          {fmt::format("aic{} {} {}", unit + 1, dataflow, own), static_cast<double>(own),
           unit_model(dataflow, own, params_.integer(genome, knob(unit, "bandwidth")), shares(genome, unit), all)});
    }
    return std::unique_ptr<const Model>(std::make_unique<asic::HeterogeneousModel>(std::move(units), settings_));
  }

 private:
  static std::string knob(int unit, const std::string& name) { return fmt::format("aic{}.{}", unit + 1, name); }

  /// Parts of what the sub-accelerators share.
  struct Shares {
    std::int64_t buffer = 0;
    std::int64_t dram = 0;
  };
  [[nodiscard]] Shares shares(const Genome& genome, int unit) const {
    return maestro_ ? Shares{}
                    : Shares{params_.integer(genome, knob(unit, "buffer_share")),
                             params_.integer(genome, knob(unit, "dram_share"))};
  }

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
      if (reader.boolean("residency", false)) {
        reader.at("residency").refuse("false: layers of different sub-accelerators hand over through DRAM");
      }
      asic::TargetOptions options = asic::read_target_options(reader, data_directory);
      // What a layer costs is asked before it is known where the layers that it reads run.
      options.run.residency = false;
      options_ = std::make_shared<const asic::TargetOptions>(std::move(options));
      dataflows_ = asic::load_dataflows(data_directory);
      shared_.dram = asic::dram_kind(reader, options_->prices.macros);
      settings_.notes.emplace_back(
          "each sub-accelerator has its share of buffer and DRAM bandwidth to itself, also while others are idle; "
          "layers hand over through DRAM; filling and draining arrays is not counted; its network delivers what its "
          "bandwidth says");
    }
    settings_.notes.push_back(
        fmt::format("clock of {:g} MHz; layers with their element-wise followers are scheduled {}",
                    settings_.frequency_hz * 1e-6, settings_.exact ? "by branch and bound" : "by the heuristic"));
  }

  [[nodiscard]] std::unique_ptr<const EinsumModel> unit_model(const std::string& dataflow, std::int64_t pes,
                                                              std::int64_t bandwidth, const Shares& own,
                                                              const Shares& all) const {
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
    knobs.buffer_bytes = knobs.buffer_bytes * own.buffer / all.buffer;
    knobs.bytes_per_second *= static_cast<double>(own.dram) / static_cast<double>(all.dram);
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
      if (!maestro_) {
        params.push_back({knob(unit, "buffer_share"), IntegerRange{1, kMostShares, 1}, there});
        params.push_back({knob(unit, "dram_share"), IntegerRange{1, kMostShares, 1}, there});
      }
    }
    params_ = ParamSet(std::move(params));
  }

  static constexpr const char* kNone = "none";
  static constexpr std::int64_t kColumns = 32;
  static constexpr std::int64_t kMostShares = 8;

  ParamSet params_;
  asic::HeterogeneousSettings settings_;
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
