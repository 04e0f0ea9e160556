#include "hwmodels/asic/asic_model.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "hwmodels/asic/chip_metrics.hpp"

namespace cosearch::asic {
namespace {

double sram_bytes(const Accelerator::Run& run) {
  std::int64_t most = 0;
  for (const MemoryStep& step : run.memory) {
    most = std::max(most, step.live_bytes);
  }
  return static_cast<double>(most);
}

/// A run of which every layer runs.
void add(Accelerator::Run run, const Accelerator& chip, const std::string& prefix, ChipTotals& totals, double& waiting,
         Cost& cost) {
  totals.sram_bytes = std::max(totals.sram_bytes, sram_bytes(run));
  for (Expected<LayerCost, Infeasible>& layer : run.layers) {
    layer->name.insert(0, prefix);
    totals.add(*layer);
    cost.layers.push_back(*std::move(layer));
  }
  for (MemoryStep& step : run.memory) {
    step.name.insert(0, prefix);
    cost.memory.push_back(std::move(step));
  }
  waiting += run.bandwidth_bound_cycles;
  totals.area_mm2 = std::max(totals.area_mm2, chip.area_mm2());
  totals.frequency_hz = chip.arch().frequency_hz;
  totals.peak_macs_per_cycle = static_cast<double>(chip.arch().macs.size());
}

/// What the architecture says of filling, draining and networks. Sources for other presets were not found; a guess
/// would hide in every number.
std::string overheads(const Arch& arch) {
  const bool hops =
      std::any_of(arch.levels.begin(), arch.levels.end(), [](const MemoryLevel& level) { return level.hop_pj > 0.0; });
  return fmt::format(
      "filling and draining the array {}; the energy of networks is {}counted",
      arch.fill_cycles > 0 ? fmt::format("takes {} cycles a product", arch.fill_cycles) : std::string("is not counted"),
      hops ? "" : "not ");
}

std::string bound(const Cost& cost, const ChipTotals& totals, double waiting) {
  const auto slowest = std::max_element(cost.layers.begin(), cost.layers.end(),
                                        [](const LayerCost& a, const LayerCost& b) { return a.cycles < b.cycles; });
  return slowest == cost.layers.end() || totals.cycles <= 0.0
             ? "nothing to compute"
             : fmt::format("memories bound {:.0f} % of the time, computing the rest; {} takes {:.0f} %",
                           100.0 * waiting / totals.cycles, slowest->name, 100.0 * slowest->cycles / totals.cycles);
}

}  // namespace

Expected<Cost, Infeasible> AsicModel::evaluate_lowered(std::span<const LoweredJob> jobs) const {
  ChipTotals totals;
  Cost cost;
  double waiting = 0.0;
  for (const LoweredJob& job : jobs) {
    const Expected<Accelerator, Infeasible> chip = accelerator(*job.job);
    if (!chip) {
      return Unexpected{chip.error()};
    }
    Accelerator::Run run = chip->run(job.workload);
    const auto obstacle = std::find_if(run.layers.begin(), run.layers.end(), [](const auto& layer) { return !layer; });
    if (obstacle != run.layers.end()) {
      return Unexpected{std::move(*obstacle).error()};
    }
    add(std::move(run), *chip, job.prefix, totals, waiting, cost);
    totals.params += job.params;
  }
  cost.metrics = chip_metrics(totals);
  cost.bound = bound(cost, totals, waiting);
  cost.notes = notes(*jobs[0].job);
  return cost;
}

Expected<LayerCosts, Infeasible> AsicModel::layer_costs(const LoweredJob& job) const {
  const Expected<Accelerator, Infeasible> chip = accelerator(*job.job);
  if (!chip) {
    return Unexpected{chip.error()};
  }
  Accelerator::Run run = chip->run(job.workload);
  LayerCosts costs{{}, chip->area_mm2(), sram_bytes(run)};
  for (Expected<LayerCost, Infeasible>& layer : run.layers) {
    if (layer) {
      layer->name.insert(0, job.prefix);
    }
    costs.layers.push_back(std::move(layer));
  }
  return costs;
}

std::vector<std::string> AsicModel::explain(std::span<const Job> jobs) const {
  std::vector<std::string> texts;
  for (const Job& job : jobs) {
    const Expected<Accelerator, Infeasible> chip = accelerator(job);
    const Expected<JobWorkload, Infeasible> lowered = job_workload(job);
    if (chip && lowered) {
      std::vector<std::string> more = chip->explain(*lowered);
      std::move(more.begin(), more.end(), std::back_inserter(texts));
    }
  }
  return texts;
}

Expected<Accelerator, Infeasible> AsicModel::accelerator(const Job& job) const {
  const ir::ElementType type = widest_operand(job);
  Arch arch = arch_(type);
  if (!can_multiply(arch.mac_type, type)) {
    return Unexpected{Infeasible{
        {}, fmt::format("{} multiplies {}; the job needs {}", arch.name, type_name(arch.mac_type), type_name(type))}};
  }
  if (options_->prices.mac.find(arch.mac_type) == options_->prices.mac.end()) {
    return Unexpected{Infeasible{{}, "the energy table has no multiply-accumulate of " + type_name(arch.mac_type)}};
  }
  return Accelerator(arch, options_->prices, dataflow_, options_->run, options_->memo);
}

std::vector<std::string> AsicModel::notes(const Job& job) const {
  const Arch arch = arch_(widest_operand(job));
  return {
      fmt::format("clock of {:g} MHz, {:g} nm; energies and areas from {}", arch.frequency_hz * 1e-6, arch.node_nm,
                  options_->prices.file),
      "a word holds one element, partial sums too; transfers overlap with computing; " + overheads(arch),
      "vector lanes: elementary operations per element as in the energy table; area without interconnect and "
      "controller",
      "batch norms are folded at inference; element-wise operators run on what leaves the array where they are its "
      "only reader",
  };
}

}  // namespace cosearch::asic
