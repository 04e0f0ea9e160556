#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/dataflow.hpp"
#include "hwmodels/asic/map_memo.hpp"
#include "hwmodels/asic/mapper.hpp"
#include "hwmodels/asic/price.hpp"
#include "hwmodels/asic/walk.hpp"
#include "hwmodels/job_graph.hpp"
#include "hwmodels/layers.hpp"
#include "hwmodels/model.hpp"

namespace cosearch::asic {

/// One accelerator: runs workloads einsum by einsum. Products are mapped to the array (Mapper); what cannot be a nest
/// and all other operators run on the vector lanes, which stream their operands through the resident level (or from
/// DRAM where there is none). Transfers overlap with computing. A layer with a product that no mapping fits is
/// Infeasible.
class Accelerator {
 public:
  /// The memo may be shared by accelerators of any kind. The table has vector operations.
  /// @throws ConfigError, see Pricing.
  Accelerator(const Arch& arch, const PriceTable& table, std::optional<Dataflow> dataflow, const RunOptions& options,
              std::shared_ptr<MapMemo> memo);

  struct Run {
    /// Of the job's runs of einsums, in order; energies by component in `parts`. What a layer that cannot run would
    /// leave behind comes from the outermost level for those that read it.
    std::vector<Expected<LayerCost, Infeasible>> layers;
    std::vector<MemoryStep> memory;       ///< likewise; empty steps where a layer cannot run
    double bandwidth_bound_cycles = 0.0;  ///< of layers that mostly wait for a memory
  };
  [[nodiscard]] Run run(const JobWorkload& job) const;

  /// For each layer of `run`: the loop nest of each product, its accesses, and how far from the bound it is.
  [[nodiscard]] std::vector<std::string> explain(const JobWorkload& job) const;

  [[nodiscard]] const Arch& arch() const noexcept { return chip_.arch; }
  [[nodiscard]] double area_mm2() const noexcept;
  [[nodiscard]] double peak_macs_per_cycle() const noexcept { return static_cast<double>(chip_.arch.macs.size()); }

 private:
  [[nodiscard]] const Arch& arch_for(const Residents& residents) const {
    return residents.halved ? chip_.halved : chip_.arch;
  }
  [[nodiscard]] Expected<MappedEinsum, Infeasible> map(const ir::Workload& workload, const ir::Einsum& einsum,
                                                       const Residents& residents) const;
  [[nodiscard]] Expected<LayerCost, Infeasible> run_layer(const JobWorkload& job, const EinsumRun& run, Walk& walk,
                                                          MemoryStep& memory) const;
  [[nodiscard]] SharedProductCost product(const ir::Workload& workload, const ir::Einsum& einsum,
                                          std::span<const EinsumTensor> tensors, const Residents& residents) const;

  Chip chip_;
  std::optional<Dataflow> dataflow_;
  std::shared_ptr<MapMemo> memo_;
  double area_um2_ = 0.0;
  std::uint64_t identity_ = 0;
};

/// Everything about an architecture that a cost depends on; names do not count.
[[nodiscard]] std::uint64_t hash(const Arch& arch);

/// A mapping as text: the nest, what each level moves of each tensor, cycles and energy by component.
[[nodiscard]] std::string describe(const MappedEinsum& mapped, const ir::Workload& workload, const ir::Einsum& einsum,
                                   const Arch& arch);
/// How it was found, and how far from the bound it is.
[[nodiscard]] std::string describe_search(const MappedEinsum& mapped);

}  // namespace cosearch::asic
