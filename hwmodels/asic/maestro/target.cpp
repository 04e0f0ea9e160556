#include "hwmodels/asic/maestro/target.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/asic/chip_metrics.hpp"
#include "hwmodels/asic/energy_table.hpp"
#include "hwmodels/asic/maestro/analysis.hpp"
#include "hwmodels/asic/maestro/lowering.hpp"
#include "hwmodels/asic/maestro/mapping.hpp"
#include "hwmodels/asic/maestro/price.hpp"
#include "hwmodels/data_files.hpp"
#include "hwmodels/einsum_model.hpp"
#include "hwmodels/layers.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

using maestro::LayerKind;

/// Elementary operations per element of what is no multiply-accumulate.
constexpr const char* kOperationTable = "energy_45nm";

struct Dataflow {
  maestro::Mapping convolution;
  maestro::Mapping depthwise;
  maestro::Mapping gemm;

  [[nodiscard]] const maestro::Mapping& mapping(LayerKind kind) const {
    return kind == LayerKind::gemm ? gemm : (kind == LayerKind::depthwise ? depthwise : convolution);
  }
};

struct Prices {
  maestro::Constants constants;
  std::map<ir::Combine, double> operations;
  double frequency_hz = 0.0;
};

class Maestro final : public EinsumModel {
 public:
  Maestro(const maestro::Hardware& hardware, Dataflow dataflow, Prices prices)
      : hardware_(hardware), dataflow_(std::move(dataflow)), prices_(std::move(prices)) {}

  [[nodiscard]] Expected<Cost, Infeasible> evaluate_lowered(std::span<const LoweredJob> jobs) const override {
    Totals totals;
    for (const LoweredJob& job : jobs) {
      totals.chip.params += job.params;
      for (EinsumRun& run : einsum_runs(job.workload)) {
        run.name.insert(0, job.prefix);
        Expected<LayerCost, Infeasible> layer = add(job.workload.workload, run, totals);
        if (!layer) {
          return Unexpected{std::move(layer).error()};
        }
        totals.cost.layers.push_back(*std::move(layer));
      }
    }
    return finish(std::move(totals));
  }

  [[nodiscard]] Expected<LayerCosts, Infeasible> layer_costs(const LoweredJob& job) const override {
    Totals totals;
    LayerCosts costs;
    for (EinsumRun& run : einsum_runs(job.workload)) {
      run.name.insert(0, job.prefix);
      const Totals before = totals;
      costs.layers.push_back(add(job.workload.workload, run, totals));
      if (!costs.layers.back()) {
        totals = before;  // parts of the layer may have been added
      }
    }
    size_chip(totals);
    costs.area_mm2 = totals.chip.area_mm2;
    costs.sram_bytes = totals.chip.sram_bytes;
    return costs;
  }

 private:
  struct Totals {
    Cost cost;
    asic::ChipTotals chip;
    double computing_cycles = 0.0;
    std::int64_t l1_bytes = 0;
    std::int64_t l2_bytes = 0;
    double corrected = 0.0;  ///< cycles of layers whose multiply-accumulates MAESTRO undercounts
  };
  /// Cycles of a layer by what they wait for.
  struct Waiting {
    double noc = 0.0;
    double offchip = 0.0;
  };

  Expected<LayerCost, Infeasible> add(const ir::Workload& workload, const EinsumRun& run, Totals& totals) const {
    LayerCost layer;
    layer.name = run.name;
    layer.kind = run.kind;
    layer.traffic_bytes = compulsory_bytes(workload, run);
    Waiting waiting;
    for (std::size_t i = run.first; i < run.end; ++i) {
      const ir::Einsum& einsum = workload.einsums[i];
      if (const auto lowered = maestro::lower_layer(workload, einsum)) {
        const auto analysis = analyse(lowered->layer, dataflow_.mapping(lowered->layer.kind), hardware_);
        if (!analysis) {
          return Unexpected{Infeasible{analysis.error().violations, einsum.name + ": " + analysis.error().reason}};
        }
        add_product(einsum, *analysis, static_cast<double>(lowered->repeats), layer, waiting, totals);
      } else {
        add_operation(workload, einsum, layer, waiting);
      }
    }
    finish_layer(waiting, layer);
    totals.chip.add(layer);
    totals.computing_cycles += layer.bound == "compute" ? layer.cycles : 0.0;
    return layer;
  }

  /// MAESTRO's edges can lose multiply-accumulates: its figures are then those of the part that it sees.
  void add_product(const ir::Einsum& einsum, const maestro::Analysis& analysis, double repeats, LayerCost& layer,
                   Waiting& waiting, Totals& totals) const {
    const std::int64_t macs = ir::operation_counts(einsum).macs;
    const double counted = repeats * static_cast<double>(analysis.macs);
    const double scale = repeats * std::max(1.0, static_cast<double>(macs) / std::max(counted, 1.0));
    const double cycles = std::max(scale * static_cast<double>(analysis.runtime_cycles),
                                   static_cast<double>(macs) / static_cast<double>(hardware_.pes));
    layer.macs += macs;
    layer.cycles += cycles;
    layer.parts["array_macs"] += scale * energy_macs(analysis, prices_.constants);
    layer.parts["array_cycles"] += cycles;
    waiting.noc += scale * static_cast<double>(analysis.noc_bound_cycles);
    waiting.offchip += scale * static_cast<double>(analysis.offchip_bound_cycles);
    totals.l1_bytes = std::max(totals.l1_bytes, analysis.l1_elements);
    totals.l2_bytes = std::max(totals.l2_bytes, analysis.l2_elements);
    totals.corrected += counted < static_cast<double>(macs) ? cycles : 0.0;
  }

  void add_operation(const ir::Workload& workload, const ir::Einsum& einsum, LayerCost& layer, Waiting& waiting) const {
    const ir::OperationCounts counts = ir::operation_counts(einsum);
    const double operations = static_cast<double>(counts.macs) +
                              static_cast<double>(counts.elementwise) * prices_.operations.at(einsum.combine);
    auto elements = static_cast<double>(touched_elements(workload, einsum, einsum.output));
    for (const ir::Operand& operand : einsum.operands) {
      if (const auto* access = std::get_if<ir::Access>(&operand)) {
        elements += static_cast<double>(touched_elements(workload, einsum, *access));
      }
    }
    const double computing = std::ceil(operations / static_cast<double>(hardware_.pes));
    const double moving = std::ceil(elements / static_cast<double>(hardware_.noc_bandwidth));
    layer.macs += counts.macs;
    layer.cycles += std::max(computing, moving);
    layer.parts["other_operations_cycles"] += std::max(computing, moving);
    layer.parts["other_operations_macs"] +=
        prices_.constants.mac_energy * operations + prices_.constants.l2_energy * elements;
    waiting.noc += moving > computing ? moving : 0.0;
  }

  void finish_layer(const Waiting& waiting, LayerCost& layer) const {
    layer.latency_ms = layer.cycles / prices_.frequency_hz * 1e3;
    // By cycles, not by the rounded latency: a network on chip that is full moves its bandwidth and not a bit more, so
    // that a limit of just that holds.
    layer.parts["dram_gbps"] = layer.traffic_bytes / layer.cycles * prices_.frequency_hz / 1e9;
    layer.energy_uj =
        (layer.parts["array_macs"] + layer.parts["other_operations_macs"]) * prices_.constants.nj_per_mac * 1e-3;
    layer.utilization = static_cast<double>(layer.macs) / (static_cast<double>(hardware_.pes) * layer.cycles);
    layer.bound = 2.0 * waiting.offchip > layer.cycles ? "dram_bandwidth"
                  : 2.0 * waiting.noc > layer.cycles   ? "noc_bandwidth"
                                                       : "compute";
  }

  [[nodiscard]] maestro::Array array_of(const Totals& totals) const {
    return {hardware_.pes, hardware_.simd_lanes, hardware_.noc_bandwidth, totals.l1_bytes, totals.l2_bytes};
  }

  void size_chip(Totals& totals) const {
    const auto pes = static_cast<double>(hardware_.pes);
    totals.chip.sram_bytes = static_cast<double>(totals.l2_bytes) + pes * static_cast<double>(totals.l1_bytes);
    totals.chip.area_mm2 = area_um2(array_of(totals), prices_.constants) * 1e-6;
    totals.chip.frequency_hz = prices_.frequency_hz;
    totals.chip.peak_macs_per_cycle = pes;
  }

  [[nodiscard]] Cost finish(Totals totals) const {
    size_chip(totals);
    Cost cost = std::move(totals.cost);
    cost.metrics = asic::chip_metrics(totals.chip);
    const double computing = totals.chip.cycles > 0.0 ? 100.0 * totals.computing_cycles / totals.chip.cycles : 100.0;
    cost.bound =
        fmt::format("computing bounds {:.0f} % of the time, the NoC or the external memory the rest", computing);
    cost.notes = {
        fmt::format("clock of {:g} MHz; an element is a byte; buffers are as large as the layers need",
                    prices_.frequency_hz * 1e-6),
        "no padding in MAESTRO: the input extent of a convolution is (outputs - 1) * stride + kernel",
        "assumed: operators other than products take one elementary operation per processing element and cycle",
        "traffic is the compulsory one; MAESTRO has no energy for the external memory, the NoC and leakage",
        fmt::format("MAESTRO's static power, which is not part of the energy: {:.6g} mW",
                    maestro::power_mw(array_of(totals), prices_.constants)),
        "batch norms are folded at inference",
    };
    if (totals.corrected > 0.0) {
      cost.notes.push_back(
          fmt::format("layers with {:.1f} % of the cycles are scaled up to the exact number of "
                      "multiply-accumulates, which MAESTRO's edges undercount",
                      100.0 * totals.corrected / totals.chip.cycles));
    }
    return cost;
  }

  maestro::Hardware hardware_;
  Dataflow dataflow_;
  Prices prices_;
};

class MaestroTarget final : public Target {
 public:
  MaestroTarget(const nlohmann::json& options, const std::string& data_directory) : params_(make_params()) {
    const JsonReader reader = JsonReader::of_options(options, "/target");
    reader.only({"constants", "frequency_mhz", "offchip_bandwidth"});
    prices_.constants =
        maestro::load_constants(reader.text("constants", "current"), reader.pointer() + "/constants", data_directory);
    prices_.frequency_hz = 1e6 * reader.number("frequency_mhz", kDefaultMegahertz, kPositive);
    offchip_bandwidth_ = reader.integer("offchip_bandwidth", kDefaultOffchipBandwidth, 1, kLargestBandwidth);
    prices_.operations = asic::load_energy_table(kOperationTable, data_directory).vector_operations;
    Hasher hasher;
    hasher.add(load_data("maestro_constants", data_directory).dump());
    hasher.add(load_data(kOperationTable, data_directory).dump());
    hasher.add(JsonReader::of_options(options).without({}).dump());
    fingerprint_ = "maestro/3/" + hex(hasher.value());
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    const maestro::Template& chosen = maestro::template_named(params_.text(genome, "dataflow"), "/target/genes");
    maestro::Hardware hardware;
    hardware.pes = params_.integer(genome, "pes");
    hardware.noc_bandwidth = params_.integer(genome, "noc_bandwidth");
    hardware.offchip_bandwidth = offchip_bandwidth_;
    Dataflow dataflow{maestro::parse_mapping(chosen.convolution), maestro::parse_mapping(chosen.depthwise),
                      maestro::parse_mapping(chosen.gemm)};
    return std::unique_ptr<const Model>(std::make_unique<Maestro>(hardware, std::move(dataflow), prices_));
  }

  [[nodiscard]] std::vector<std::string> metric_names() const override { return asic::chip_metric_names(); }

  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }

 private:
  static constexpr double kDefaultMegahertz = 1000.0;
  static constexpr std::int64_t kDefaultOffchipBandwidth = 70'000;
  static constexpr std::int64_t kLargestBandwidth = std::int64_t{1} << 40;

  /// The grid of NASAIC: up to 4096 processing elements by 32, a NoC of up to 64 bytes per cycle by 8.
  static std::vector<Param> make_params() {
    Choices dataflows;
    for (const maestro::Template& entry : maestro::templates()) {
      if (entry.searchable) {
        dataflows.values.emplace_back(std::string(entry.name));
      }
    }
    return {{"dataflow", dataflows, {}},
            {"pes", IntegerRange{32, 4096, 32}, {}},
            {"noc_bandwidth", IntegerRange{8, 64, 8}, {}}};
  }

  ParamSet params_;
  Prices prices_;
  std::int64_t offchip_bandwidth_ = 1;
  std::string fingerprint_;
};

}  // namespace

std::unique_ptr<Target> make_maestro(const nlohmann::json& options, const std::string& data_directory) {
  return std::make_unique<MaestroTarget>(options, data_directory);
}

}  // namespace cosearch
