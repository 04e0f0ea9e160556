#include "hwmodels/asic/systolic.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/asic/energy_table.hpp"
#include "hwmodels/asic/map.hpp"
#include "hwmodels/data_files.hpp"
#include "hwmodels/job_graph.hpp"
#include "hwmodels/layers.hpp"
#include "hwmodels/text.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

using asic::ArrayShape;
using asic::EnergyTable;
using asic::Mapping;

constexpr double kBitsPerByte = 8.0;

/// Which intermediate tensors stay in the buffer, and until when.
class Residency {
 public:
  Residency(const ir::Workload& workload, std::int64_t capacity_bytes)
      : workload_(workload), capacity_(capacity_bytes), last_read_(workload.tensors.size(), -1) {
    on_chip_.assign(workload.tensors.size(), false);
    for (std::size_t i = 0; i < workload.einsums.size(); ++i) {
      for (const ir::Operand& operand : workload.einsums[i].operands) {
        if (const auto* access = std::get_if<ir::Access>(&operand)) {
          last_read_[static_cast<std::size_t>(access->tensor)] = static_cast<int>(i);
        }
      }
    }
    for (const int output : workload.outputs) {
      last_read_[static_cast<std::size_t>(output)] = -1;  // has to leave the chip
    }
  }

  /// Before einsum `index`: keeps its output if somebody reads it later and it fits.
  void enter(std::size_t index) {
    const auto output = static_cast<std::size_t>(workload_.einsums[index].output.tensor);
    const std::int64_t bytes = bytes_of(output);
    const bool fresh = first_writer(output) == index;
    if (fresh && last_read_[output] > static_cast<int>(index) && used_ + bytes <= capacity_) {
      on_chip_[output] = true;
      used_ += bytes;
    }
  }
  /// After einsum `index`: frees what nobody reads any more.
  void leave(std::size_t index) {
    for (std::size_t tensor = 0; tensor < on_chip_.size(); ++tensor) {
      if (on_chip_[tensor] && last_read_[tensor] == static_cast<int>(index)) {
        on_chip_[tensor] = false;
        used_ -= bytes_of(tensor);
      }
    }
  }

  [[nodiscard]] std::int64_t used_bytes() const noexcept { return used_; }
  [[nodiscard]] const std::vector<bool>& on_chip() const noexcept { return on_chip_; }
  [[nodiscard]] std::vector<std::pair<std::string, std::int64_t>> buffers() const {
    std::vector<std::pair<std::string, std::int64_t>> list;
    for (std::size_t tensor = 0; tensor < on_chip_.size(); ++tensor) {
      if (on_chip_[tensor]) {
        list.emplace_back(workload_.tensors[tensor].name, bytes_of(tensor));
      }
    }
    return list;
  }

 private:
  [[nodiscard]] std::int64_t bytes_of(std::size_t tensor) const {
    return workload_.tensors[tensor].elements() * ir::size_bytes(workload_.tensors[tensor].type);
  }
  [[nodiscard]] std::size_t first_writer(std::size_t tensor) const {
    std::size_t writer = 0;
    while (static_cast<std::size_t>(workload_.einsums[writer].output.tensor) != tensor) {
      ++writer;
    }
    return writer;
  }

  const ir::Workload& workload_;
  std::int64_t capacity_;
  std::int64_t used_ = 0;
  std::vector<int> last_read_;
  std::vector<bool> on_chip_;
};

struct Hardware {
  ArrayShape array;
  std::int64_t buffer_bytes = 0;
  double bytes_per_second = 0.0;
  double frequency_hz = 0.0;
  double dram_pj_per_byte = 0.0;
};

class Systolic final : public Model {
 public:
  Systolic(const Hardware& hardware, std::shared_ptr<const EnergyTable> table)
      : hardware_(hardware), table_(std::move(table)), sram_(table_->sram(hardware.buffer_bytes)) {}

  [[nodiscard]] Expected<Cost, Infeasible> evaluate(std::span<const Job> jobs) const override {
    COSEARCH_CHECK(!jobs.empty(), "nothing to evaluate");
    Totals totals;
    for (const Job& job : jobs) {
      if (std::optional<Infeasible> refusal = refuse(job)) {
        return Unexpected{*std::move(refusal)};
      }
      const Expected<JobWorkload, Infeasible> lowered = job_workload(job);
      if (!lowered) {
        return Unexpected{lowered.error()};
      }
      totals.params += lowered->params;
      totals.area_um2 = std::max(totals.area_um2, area_um2(job));
      if (std::optional<Infeasible> overflow = add(*lowered, job.types, totals)) {
        return Unexpected{*std::move(overflow)};
      }
    }
    return finish(std::move(totals));
  }

 private:
  struct Totals {
    Cost cost;
    double params = 0.0;
    double macs = 0.0;
    double cycles = 0.0;
    double dram_bound_cycles = 0.0;
    double picojoules = 0.0;
    double traffic_bytes = 0.0;
    double area_um2 = 0.0;
    std::int64_t sram_bytes = 0;
  };

  /// What the array multiplies.
  static std::vector<ir::ElementType> operand_types(const Job& job) {
    std::vector<ir::ElementType> types{job.types.activation, job.types.weight};
    if (job.phase == graph::Phase::training) {
      types.push_back(job.types.gradient);
    }
    return types;
  }

  std::optional<Infeasible> refuse(const Job& job) const {
    for (const ir::ElementType type : operand_types(job)) {
      if (table_->mac.find(type) == table_->mac.end()) {
        return Infeasible{{}, "the energy table has no multiply-accumulate of " + asic::type_name(type)};
      }
    }
    const std::int64_t needed =
        asic::minimum_buffer_bytes(hardware_.array, ir::size_bytes(job.types.weight),
                                   ir::size_bytes(job.types.activation), ir::size_bytes(job.types.accumulator));
    if (needed > hardware_.buffer_bytes / 2) {
      return Infeasible{
          {{"sram_bytes", 2.0 * static_cast<double>(needed), static_cast<double>(hardware_.buffer_bytes)}},
          fmt::format("an array of {} x {} needs {} bytes of buffer to be fed, there are {}", hardware_.array.rows,
                      hardware_.array.columns, grouped(2 * needed), grouped(hardware_.buffer_bytes))};
    }
    return std::nullopt;
  }

  std::optional<Infeasible> add(const JobWorkload& job, const graph::DataTypes& types, Totals& totals) const {
    Residency residency(job.workload, hardware_.buffer_bytes / 2);
    asic::Resources resources;
    resources.array = hardware_.array;
    resources.dram_bytes_per_cycle = hardware_.bytes_per_second / hardware_.frequency_hz;
    for (const EinsumRun& run : einsum_runs(job)) {
      LayerCost layer;
      layer.name = run.name;
      layer.kind = run.kind;
      MemoryStep memory{run.name, 0, {}};
      double dram_bound = 0.0;
      for (std::size_t i = run.first; i < run.end; ++i) {
        residency.enter(i);
        resources.free_bytes = hardware_.buffer_bytes - residency.used_bytes();
        resources.on_chip = residency.on_chip();
        const ir::Einsum& einsum = job.workload.einsums[i];
        const std::optional<Mapping> mapping = asic::map_einsum(job.workload, einsum, resources, *table_);
        if (!mapping) {
          return Infeasible{
              {},
              fmt::format("no tile of {} fits into {} bytes of buffer", einsum.name, grouped(resources.free_bytes))};
        }
        if (const std::int64_t live = residency.used_bytes() + mapping->buffer_bytes; live > memory.live_bytes) {
          memory = {run.name, live, residency.buffers()};
          memory.buffers.emplace_back("tiles of " + einsum.name, mapping->buffer_bytes);
        }
        const double cycles = mapping->cycles(resources);
        dram_bound += mapping->compute_cycles < cycles ? cycles : 0.0;
        accumulate(einsum, *mapping, cycles, types, layer);
        residency.leave(i);
      }
      finish_layer(dram_bound, layer);
      totals.dram_bound_cycles += dram_bound;
      totals.cycles += layer.cycles;
      totals.macs += static_cast<double>(layer.macs);
      totals.picojoules += layer.energy_uj * 1e6;
      totals.traffic_bytes += layer.traffic_bytes;
      totals.sram_bytes = std::max(totals.sram_bytes, memory.live_bytes);
      totals.cost.layers.push_back(std::move(layer));
      totals.cost.memory.push_back(std::move(memory));
    }
    return std::nullopt;
  }

  /// Adds one einsum to its layer. Energy in picojoules by component stands in `parts`.
  void accumulate(const ir::Einsum& einsum, const Mapping& mapping, double cycles, const graph::DataTypes& types,
                  LayerCost& layer) const {
    const double seconds = cycles / hardware_.frequency_hz;
    layer.macs += ir::operation_counts(einsum).macs;
    layer.cycles += cycles;
    layer.traffic_bytes += mapping.dram_bytes();
    // Each multiply-accumulate passes an activation to the right and a partial sum down.
    const double moved_bits =
        kBitsPerByte * static_cast<double>(ir::size_bytes(mapping.operand_type) + ir::size_bytes(types.accumulator));
    if (mapping.on_array) {
      layer.parts["mac_pj"] += mapping.macs * table_->mac.at(mapping.operand_type).energy_pj;
    }
    layer.parts["register_pj"] +=
        table_->register_bit.energy_pj * (mapping.macs * moved_bits + kBitsPerByte * mapping.weight_bytes_loaded);
    layer.parts["vector_pj"] += mapping.vector_operations * table_->vector_lane.energy_pj;
    layer.parts["sram_pj"] +=
        mapping.sram_read_bytes * sram_.read_pj_per_byte + mapping.sram_write_bytes * sram_.write_pj_per_byte;
    layer.parts["dram_pj"] += mapping.dram_bytes() * hardware_.dram_pj_per_byte;
    layer.parts["leakage_pj"] += sram_.leakage_mw * 1e9 * seconds;  // mW s = 1e9 pJ
    layer.parts["compute_cycles"] += mapping.compute_cycles;
    layer.parts["dram_cycles"] += mapping.dram_bytes() * hardware_.frequency_hz / hardware_.bytes_per_second;
  }

  void finish_layer(double dram_bound_cycles, LayerCost& layer) const {
    double picojoules = 0.0;
    for (const char* part : {"mac_pj", "register_pj", "vector_pj", "sram_pj", "dram_pj", "leakage_pj"}) {
      picojoules += layer.parts[part];
    }
    layer.energy_uj = picojoules * 1e-6;
    layer.latency_ms = layer.cycles / hardware_.frequency_hz * 1e3;
    layer.utilization = layer.cycles > 0.0 ? static_cast<double>(layer.macs) / (peak() * layer.cycles) : 0.0;
    layer.bound = 2.0 * dram_bound_cycles > layer.cycles ? "dram_bandwidth" : "compute";
  }

  [[nodiscard]] double peak() const {
    return static_cast<double>(hardware_.array.rows) * static_cast<double>(hardware_.array.columns);
  }

  /// Multipliers as large as the job's largest, registers for a weight, an activation and a partial sum.
  [[nodiscard]] double area_um2(const Job& job) const {
    double multiplier = 0.0;
    std::int64_t operand_bytes = 0;
    for (const ir::ElementType type : operand_types(job)) {
      multiplier = std::max(multiplier, table_->mac.at(type).area_um2);
      operand_bytes = std::max(operand_bytes, ir::size_bytes(type));
    }
    const double register_bits =
        kBitsPerByte * static_cast<double>(2 * operand_bytes + ir::size_bytes(job.types.accumulator));
    return peak() * (multiplier + register_bits * table_->register_bit.area_um2) +
           static_cast<double>(hardware_.array.columns) * table_->vector_lane.area_um2 + sram_.area_um2;
  }

  [[nodiscard]] Cost finish(Totals totals) const {
    Cost cost = std::move(totals.cost);
    const double seconds = totals.cycles / hardware_.frequency_hz;
    cost.metrics = {
        {"area_mm2", totals.area_um2 * 1e-6},
        {"cycles", totals.cycles},
        {"edp_nj_s", totals.picojoules * 1e-3 * seconds},
        {"energy_uj", totals.picojoules * 1e-6},
        {"latency_ms", seconds * 1e3},
        {"macs", totals.macs},
        {"params", totals.params},
        {"power_mw", seconds > 0.0 ? totals.picojoules * 1e-9 / seconds : 0.0},
        {"sram_bytes", static_cast<double>(totals.sram_bytes)},
        {"traffic_bytes", totals.traffic_bytes},
        {"utilization", totals.cycles > 0.0 ? totals.macs / (peak() * totals.cycles) : 0.0},
    };
    const auto slowest = std::max_element(cost.layers.begin(), cost.layers.end(),
                                          [](const LayerCost& a, const LayerCost& b) { return a.cycles < b.cycles; });
    cost.bound = slowest == cost.layers.end() || totals.cycles <= 0.0
                     ? "nothing to compute"
                     : fmt::format("DRAM bandwidth bounds {:.0f} % of the time, computing the rest; {} takes {:.0f} %",
                                   100.0 * totals.dram_bound_cycles / totals.cycles, slowest->name,
                                   100.0 * slowest->cycles / totals.cycles);
    cost.notes = {
        "the buffer has as many banks as the array needs ports; its energy is that of one bank with 64-bit words",
        "leakage is that of the buffer only; area without interconnect and controller",
        "batch norms are folded at inference",
    };
    return cost;
  }

  Hardware hardware_;
  std::shared_ptr<const EnergyTable> table_;
  asic::SramCost sram_;
};

class SystolicTarget final : public Target {
 public:
  SystolicTarget(const nlohmann::json& options, const std::string& data_directory) : params_(make_params()) {
    const JsonReader reader = JsonReader::of_options(options, "/target");
    reader.only({"dram", "energy_table"});
    const std::string table = reader.text("energy_table", "energy_45nm");
    table_ = std::make_shared<const EnergyTable>(asic::load_energy_table(table, data_directory));
    const std::string kind = asic::dram_kind(reader, *table_);
    dram_pj_per_byte_ = kBitsPerByte * table_->dram_pj_per_bit.at(kind);
    check_sizes(data_file_name(table, data_directory));
    Hasher hasher;
    hasher.add(load_data(table, data_directory).dump()).add(kind);
    fingerprint_ = "systolic/1/" + hex(hasher.value());
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    Hardware hardware;
    hardware.array = {params_.integer(genome, "rows"), params_.integer(genome, "columns")};
    hardware.buffer_bytes = kKibibyte * params_.integer(genome, "buffer_kib");
    hardware.bytes_per_second = params_.real(genome, "bandwidth_gb_s") * 1e9;
    hardware.frequency_hz = params_.real(genome, "frequency_mhz") * 1e6;
    hardware.dram_pj_per_byte = dram_pj_per_byte_;
    return std::unique_ptr<const Model>(std::make_unique<Systolic>(hardware, table_));
  }

  [[nodiscard]] std::vector<std::string> metric_names() const override {
    return {"area_mm2", "cycles",   "edp_nj_s",   "energy_uj",     "latency_ms", "macs",
            "params",   "power_mw", "sram_bytes", "traffic_bytes", "utilization"};
  }

  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }

 private:
  static constexpr std::int64_t kKibibyte = 1024;

  static std::vector<Param> make_params() {
    const auto choices = [](std::initializer_list<std::int64_t> list) {
      Choices result;
      for (const std::int64_t value : list) {
        result.values.emplace_back(value);
      }
      return result;
    };
    return {{"rows", choices({4, 8, 16, 32, 64, 128}), {}},
            {"columns", choices({4, 8, 16, 32, 64, 128}), {}},
            {"buffer_kib", choices({16, 32, 64, 128, 256, 512, 1024, 2048, 4096}), {}},
            {"bandwidth_gb_s", choices({1, 2, 4, 8, 16, 32}), {}},
            {"frequency_mhz", choices({100, 200, 400, 800}), {}}};
  }

  /// Every buffer that the knobs offer must lie within the table's SRAM sizes.
  void check_sizes(const std::string& file) const {
    const auto& sizes = std::get<Choices>(params_.params()[*params_.find("buffer_kib")].domain).values;
    const std::int64_t smallest = kKibibyte * std::get<std::int64_t>(sizes.front());
    const std::int64_t largest = kKibibyte * std::get<std::int64_t>(sizes.back());
    if (table_->srams.front().bytes > smallest || table_->srams.back().bytes < largest) {
      throw ConfigError("/sram/macros",
                        fmt::format("range from {} to {} bytes; needed: from {} to {}", table_->srams.front().bytes,
                                    table_->srams.back().bytes, smallest, largest),
                        file);
    }
  }

  ParamSet params_;
  std::shared_ptr<const EnergyTable> table_;
  double dram_pj_per_byte_ = 0.0;
  std::string fingerprint_;
};

}  // namespace

std::unique_ptr<Target> make_systolic(const nlohmann::json& options, const std::string& data_directory) {
  return std::make_unique<SystolicTarget>(options, data_directory);
}

}  // namespace cosearch
