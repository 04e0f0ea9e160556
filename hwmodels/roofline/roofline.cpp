#include "hwmodels/roofline/roofline.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/asic/chip_metrics.hpp"
#include "hwmodels/asic/energy_table.hpp"
#include "hwmodels/data_files.hpp"
#include "hwmodels/job_graph.hpp"
#include "hwmodels/layers.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

constexpr double kGiga = 1e9;

struct Machine {
  double operations_per_second = 0.0;  ///< multiply-accumulates or other operations
  double bytes_per_second = 0.0;
};

struct Energy {
  asic::EnergyTable table;
  double dram_pj_per_byte = 0.0;
};

class Roofline final : public Model {
 public:
  Roofline(Machine machine, double frequency_hz, const std::optional<Energy>& energy)
      : machine_(machine), frequency_hz_(frequency_hz), energy_(energy) {}

  [[nodiscard]] Expected<Cost, Infeasible> evaluate(std::span<const Job> jobs) const override {
    COSEARCH_CHECK(!jobs.empty(), "nothing to evaluate");
    Cost cost;
    double seconds = 0.0;
    double compute_bound_seconds = 0.0;
    double picojoules = 0.0;
    for (const char* name : {"dram_gbps", "macs", "params", "traffic_bytes"}) {
      cost.metrics[name] = 0.0;
    }
    for (const Job& job : jobs) {
      const Expected<JobWorkload, Infeasible> lowered = job_workload(job);
      if (!lowered) {
        return Unexpected{lowered.error()};
      }
      if (energy_ && energy_->table.mac.find(job.types.activation) == energy_->table.mac.end()) {
        return Unexpected{
            Infeasible{{}, "the energy table has no multiply-accumulate of " + asic::type_name(job.types.activation)}};
      }
      const std::string prefix = layer_prefix(jobs, job);
      for (const EinsumRun& run : einsum_runs(*lowered)) {
        LayerCost layer = price(*lowered, run, job);
        layer.name.insert(0, prefix);
        seconds += layer.latency_ms * 1e-3;
        compute_bound_seconds += layer.bound == "compute" ? layer.latency_ms * 1e-3 : 0.0;
        picojoules += layer.energy_uj * 1e6;
        cost.metrics["macs"] += static_cast<double>(layer.macs);
        cost.metrics["traffic_bytes"] += layer.traffic_bytes;
        cost.metrics["dram_gbps"] =
            std::max(cost.metrics["dram_gbps"], std::min(asic::dram_gbps(layer), machine_.bytes_per_second / kGiga));
        cost.layers.push_back(std::move(layer));
      }
      if (lowered->graph.nodes.size() < job_graph(job).nodes.size() && cost.notes.empty() &&
          job.phase == graph::Phase::inference) {
        cost.notes.emplace_back("batch norms are folded into the layers before them");
      }
    }
    for (const double params : job_params(jobs)) {
      cost.metrics["params"] += params;
    }
    cost.metrics["cycles"] = seconds * frequency_hz_;
    cost.metrics["latency_ms"] = seconds * 1e3;
    cost.metrics["utilization"] =
        seconds > 0.0 ? std::min(1.0, cost.metrics["macs"] / (machine_.operations_per_second * seconds)) : 0.0;
    if (energy_) {
      cost.metrics["energy_uj"] = picojoules * 1e-6;
      cost.metrics["edp_nj_s"] = picojoules * 1e-3 * seconds;
      cost.metrics["power_mw"] = seconds > 0.0 ? picojoules * 1e-9 / seconds : 0.0;
      cost.notes.emplace_back("energy is that of operations and of the external memory only");
    }
    cost.bound = fmt::format("compute bounds {:.0f} % of the time, external memory bandwidth the rest",
                             seconds > 0.0 ? 100.0 * compute_bound_seconds / seconds : 100.0);
    return cost;
  }

 private:
  LayerCost price(const JobWorkload& job, const EinsumRun& run, const Job& types) const {
    LayerCost layer;
    layer.name = run.name;
    layer.kind = run.kind;
    double elementwise = 0.0;
    double vector_operations = 0.0;
    for (std::size_t i = run.first; i < run.end; ++i) {
      const ir::Einsum& einsum = job.workload.einsums[i];
      const ir::OperationCounts counts = ir::operation_counts(einsum);
      layer.macs += counts.macs;
      elementwise += static_cast<double>(counts.elementwise);
      if (energy_) {
        vector_operations +=
            static_cast<double>(counts.elementwise) * energy_->table.vector_operations.at(einsum.combine);
      }
    }
    layer.traffic_bytes = compulsory_bytes(job.workload, run);
    const double compute = (static_cast<double>(layer.macs) + elementwise) / machine_.operations_per_second;
    const double memory = layer.traffic_bytes / machine_.bytes_per_second;
    const double seconds = std::max(compute, memory);
    layer.bound = compute >= memory ? "compute" : "dram_bandwidth";
    layer.latency_ms = seconds * 1e3;
    layer.cycles = seconds * frequency_hz_;
    layer.utilization =
        seconds > 0.0 ? static_cast<double>(layer.macs) / (machine_.operations_per_second * seconds) : 0.0;
    layer.parts["compute_ms"] = compute * 1e3;
    layer.parts["dram_ms"] = memory * 1e3;
    if (energy_) {
      layer.parts["mac_pj"] = static_cast<double>(layer.macs) * energy_->table.mac.at(types.types.activation).energy_pj;
      layer.parts["vector_pj"] = vector_operations * energy_->table.vector_lane.energy_pj;
      layer.parts["dram_pj"] = layer.traffic_bytes * energy_->dram_pj_per_byte;
      layer.energy_uj = (layer.parts["mac_pj"] + layer.parts["vector_pj"] + layer.parts["dram_pj"]) * 1e-6;
    }
    return layer;
  }

  Machine machine_;
  double frequency_hz_;
  std::optional<Energy> energy_;
};

class RooflineTarget final : public Target {
 public:
  RooflineTarget(const nlohmann::json& options, const std::string& data_directory) : params_(make_params()) {
    const JsonReader reader = JsonReader::of_options(options, "/target");
    reader.only({"dram", "energy_table"});
    Hasher hasher;
    if (const auto name = reader.find("energy_table")) {
      Energy energy{asic::load_energy_table(name->text(), data_directory), 0.0};
      const std::string kind = asic::dram_kind(reader, energy.table);
      constexpr double kBitsPerByte = 8.0;
      energy.dram_pj_per_byte = kBitsPerByte * energy.table.dram_pj_per_bit.at(kind);
      energy_ = std::move(energy);
      hasher.add(load_data(name->text(), data_directory).dump()).add(kind);
    } else if (const auto dram = reader.find("dram")) {
      dram->fail("means nothing without \"energy_table\"");
    }
    fingerprint_ = "roofline/2/" + hex(hasher.value());
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    const double frequency_hz = params_.real(genome, "frequency_mhz") * 1e6;
    const Machine machine{params_.real(genome, "cores") * params_.real(genome, "lanes") * frequency_hz,
                          params_.real(genome, "bandwidth_gb_s") * 1e9};
    return std::unique_ptr<const Model>(std::make_unique<Roofline>(machine, frequency_hz, energy_));
  }

  [[nodiscard]] std::vector<std::string> metric_names() const override {
    if (energy_) {
      return {"cycles", "dram_gbps", "edp_nj_s", "energy_uj",     "latency_ms",
              "macs",   "params",    "power_mw", "traffic_bytes", "utilization"};
    }
    return {"cycles", "dram_gbps", "latency_ms", "macs", "params", "traffic_bytes", "utilization"};
  }

  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }

 private:
  static std::vector<Param> make_params() {
    using Values = std::vector<std::variant<std::int64_t, double, std::string>>;
    const auto integers = [](std::initializer_list<std::int64_t> list) {
      Values values;
      for (const std::int64_t value : list) {
        values.emplace_back(value);
      }
      return Choices{values};
    };
    return {{"cores", integers({1, 2, 4, 8, 16, 32, 64}), {}},
            {"lanes", integers({1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096}), {}},
            {"frequency_mhz", integers({100, 200, 400, 800, 1000, 2000, 3000}), {}},
            {"bandwidth_gb_s", integers({1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}), {}}};
  }

  ParamSet params_;
  std::optional<Energy> energy_;
  std::string fingerprint_;
};

}  // namespace

std::unique_ptr<Target> make_roofline(const nlohmann::json& options, const std::string& data_directory) {
  return std::make_unique<RooflineTarget>(options, data_directory);
}

}  // namespace cosearch
