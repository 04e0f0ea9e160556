#include <algorithm>

#include <fmt/format.h>

#include "hwmodels/asic/accelerator.hpp"
#include "hwmodels/asic/einsum_steps.hpp"

namespace cosearch::asic {
namespace {

std::string traffic_lines(const MappedEinsum& mapped, const Arch& arch, std::span<const EinsumTensor> tensors) {
  std::string text = fmt::format("  {:<16} {:<12} {:>12} {:>14} {:>14} {:>14} {:>10} {:>12}\n", "level", "tensor",
                                 "tile", "reads", "fills", "updates", "multicast", "energy [uJ]");
  for (std::size_t level = arch.levels.size(); level-- > 0;) {
    for (std::size_t tensor = 0; tensor < tensors.size(); ++tensor) {
      const TensorTraffic& traffic = mapped.counts.levels[level].tensors[tensor];
      if (!mapped.nest.levels[level].keeps(static_cast<int>(tensor))) {
        continue;
      }
      const bool output = tensors[tensor].role == Role::output;
      const std::int64_t served = output ? traffic.updates : traffic.reads;
      text += fmt::format("  {:<16} {:<12} {:>12} {:>14} {:>14} {:>14} {:>10.4g} {:>12.4g}\n", arch.levels[level].name,
                          tensors[tensor].name, traffic.tile, traffic.reads, traffic.fills, traffic.updates,
                          served > 0 ? static_cast<double>(traffic.delivered) / static_cast<double>(served) : 0.0,
                          mapped.price.access_pj[level][tensor] * 1e-6);
    }
  }
  return text;
}

std::string bound_line(const MappedEinsum& mapped, const Arch& arch) {
  std::string text = fmt::format("  cycles: computing {}", mapped.counts.compute_cycles);
  for (std::size_t level = 0; level < arch.levels.size(); ++level) {
    if (mapped.counts.levels[level].cycles > 0) {
      text += fmt::format(", {} {}", arch.levels[level].name, mapped.counts.levels[level].cycles);
    }
  }
  if (arch.fill_cycles > 0) {
    text += fmt::format("; then filling and draining the array {}", arch.fill_cycles);
  }
  return text + fmt::format(
                    "\n  energy [uJ]: multiply-accumulates {:.4g}, additions of sums {:.4g}, networks {:.4g}, all "
                    "{:.4g}\n",
                    mapped.price.mac_pj * 1e-6, mapped.price.reduction_pj * 1e-6, mapped.price.network_pj * 1e-6,
                    mapped.price.total_pj * 1e-6);
}

/// A mapping as text: the nest, what each level moves of each tensor, cycles and energy by component.
std::string mapping_lines(const MappedEinsum& mapped, const ir::Workload& workload, const ir::Einsum& einsum,
                          const Arch& arch) {
  std::string nest = to_text(mapped.nest, workload, einsum, arch);
  std::string text;
  for (std::size_t begin = 0; begin < nest.size();) {
    const std::size_t end = std::min(nest.find('\n', begin), nest.size());
    text += "  " + nest.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return text + traffic_lines(mapped, arch, einsum_tensors(workload, einsum)) + bound_line(mapped, arch);
}

/// How it was found, and how far from the bound it is.
std::string search_line(const MappedEinsum& mapped) {
  return fmt::format("  {:.3g} times the lower bound of the objective; counted {} of {:.3g} mappings: {}\n",
                     mapped.lower_bound > 0.0 ? mapped.value / mapped.lower_bound : 1.0, mapped.evaluations,
                     mapped.space, to_string(mapped.stop));
}

}  // namespace

std::string Accelerator::describe(const ir::Workload& workload, std::size_t index, const EinsumCost& cost) const {
  const ir::Einsum einsum = one_step(workload, workload.einsums[index]);
  const std::string times = cost.steps > 1 ? fmt::format(", each of {} steps", cost.steps) : "";
  if (!cost.mapped) {
    return fmt::format("{}: on the vector lanes{}{}\n", einsum.name,
                       cost.takes_over ? ", on what the einsum before sends out" : "", times);
  }
  std::string text = einsum.name + times + ":\n" +
                     mapping_lines(*cost.mapped, workload, einsum, arch_for(cost.residents)) +
                     (cost.mapped->evaluations > 0 ? search_line(*cost.mapped) : "");
  const std::vector<EinsumTensor> tensors = einsum_tensors(workload, einsum);
  for (std::size_t tensor = 0; tensor < tensors.size(); ++tensor) {
    if (((cost.residents.tensors >> tensor) & 1U) != 0) {
      text += fmt::format("  {} stays in {}\n", tensors[tensor].name,
                          chip_.arch.levels[static_cast<std::size_t>(chip_.resident_level)].name);
    }
  }
  return text;
}

std::vector<std::string> Accelerator::explain(const JobWorkload& job) const {
  std::vector<std::string> texts;
  const Expected<std::vector<EinsumCost>, Infeasible> costs = run_einsums(job.workload, {}, job.queues);
  if (!costs) {
    return texts;
  }
  for (const EinsumRun& run : einsum_runs(job)) {
    std::string text;
    for (std::size_t i = run.first; i < run.end; ++i) {
      text += describe(job.workload, i, (*costs)[i]) + (*costs)[i].queue;
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace cosearch::asic
