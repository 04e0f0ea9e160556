#pragma once

#include <cstdint>
#include <map>
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

/// How one einsum runs and what all of its steps cost.
struct EinsumCost {
  LayerCost layer;                     ///< under the einsum's name; its kind is "product" or "vector"
  std::int64_t steps = 1;              ///< of its iteration
  std::optional<MappedEinsum> mapped;  ///< one step of a product; nothing: on the vector lanes
  Residents residents;
  bool takes_over = false;  ///< works on what the einsum before sends out
  std::string queue;        ///< where a queue of experts ends: how its weights came, as text
};

/// One accelerator: runs workloads einsum by einsum. Products are mapped to the array (Mapper); what cannot be a nest
/// and all other operators run on the vector lanes, which stream their operands through the resident level (or from
/// DRAM where there is none). Transfers overlap with computing, and those of a mixture's next expert with the one that
/// computes (expert_prefetch.hpp); its energy and traffic stay as they are but for what leaks meanwhile. A layer with a
/// product that no mapping fits is Infeasible.
class Accelerator {
 public:
  /// The memo may be shared by accelerators of any kind. The table has vector operations, where they are needed.
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

  /// Einsum by einsum, with mappings, without the memo. Products run by their nest of `nests` (by the einsum's name, of
  /// one step; only without residency), or by the best one found. `queues` as in JobWorkload. Infeasible where one does
  /// not fit. @throws ConfigError when the table lacks the vector operation of what is no product.
  [[nodiscard]] Expected<std::vector<EinsumCost>, Infeasible> run_einsums(
      const ir::Workload& workload, const std::map<std::string, LoopNest>& nests = {},
      std::span<const graph::QueuedEinsums> queues = {}) const;

  /// How the einsum at `index` runs, as text.
  [[nodiscard]] std::string describe(const ir::Workload& workload, std::size_t index, const EinsumCost& cost) const;

  /// For each layer of `run`: the loop nest of each product, its accesses, and how far from the bound it is; of a
  /// mixture also which weights of experts came ahead.
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
  void require_operation(const ir::Einsum& einsum, const std::string& why) const;
  [[nodiscard]] Expected<MappedEinsum, Infeasible> by_nest(const ir::Workload& workload, const ir::Einsum& einsum,
                                                           const LoopNest& nest) const;
  [[nodiscard]] Expected<LayerCost, Infeasible> run_layer(const JobWorkload& job, const EinsumRun& run, Walk& walk,
                                                          MemoryStep& memory) const;
  [[nodiscard]] SharedProductCost product(const ir::Workload& workload, const ir::Einsum& einsum,
                                          std::span<const EinsumTensor> tensors, const Residents& residents) const;

  Chip chip_;
  std::optional<Dataflow> dataflow_;
  std::shared_ptr<MapMemo> memo_;
  double area_um2_ = 0.0;
  std::uint64_t identity_ = 0;
  std::string table_file_;  ///< for messages
};

/// Everything about an architecture that a cost depends on; names do not count.
[[nodiscard]] std::uint64_t hash(const Arch& arch);

}  // namespace cosearch::asic
