#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/expert_prefetch.hpp"
#include "hwmodels/asic/map_memo.hpp"
#include "hwmodels/asic/mapper.hpp"
#include "hwmodels/asic/price.hpp"
#include "hwmodels/asic/residency.hpp"
#include "hwmodels/model.hpp"
#include "spaces/graph/moe.hpp"

/// Inside of hwmodels/asic: an accelerator's way through a workload.
namespace cosearch::asic {

/// How an accelerator runs networks.
struct RunOptions {
  MapOptions mapper;
  bool residency = true;        ///< activations stay in the resident level between layers, in up to half of it
  bool fusion = true;           ///< element-wise einsums take their producer's output as it leaves the array
  bool expert_prefetch = true;  ///< a mixture's next expert's weights load while one computes, where there is room
};

/// An accelerator with its prices.
struct Chip {
  Arch arch;
  Arch halved;  ///< the resident level without the half that is for residents
  Pricing pricing;
  EnergyTable vector;  ///< energy and number of vector operations
  int resident_level = -1;
  RunOptions options;
};

/// Which tensors of an einsum lie in the resident level: bit by operand in order, then the output.
struct Residents {
  std::uint32_t tensors = 0;
  bool halved = false;  ///< some tensor lies there, perhaps another einsum's
};

/// One pass over the einsums of a workload, in order: enter, cost, leave. Einsums of an iteration are costed for one
/// step, times their steps.
class Walk {
 public:
  /// All have to outlive the walk. `queues`: of the workload's mixtures, in the order of its einsums.
  Walk(const Chip& chip, const ir::Workload& workload, std::span<const graph::QueuedEinsums> queues = {});

  /// What is costed: the einsum, or one step of it.
  [[nodiscard]] const ir::Einsum& einsum(std::size_t index) const;

  /// Makes room for what the einsum and those fused with it leave behind.
  void enter(std::size_t index);
  /// In place of a cost: the einsum does not run here, what it would leave behind comes from elsewhere.
  void skip(std::size_t index) { residency_.release(final_tensor(index)); }
  void leave(std::size_t index) { residency_.leave(index); }

  /// Whether the einsum works on what the one before sends out.
  [[nodiscard]] bool takes_over(std::size_t index) const { return index > 0 && fused_[index - 1]; }
  [[nodiscard]] Residents residents(std::size_t index, std::span<const EinsumTensor> tensors) const;

  /// Energy by component and cycles by what they wait for go to `parts`.
  void add_product(std::size_t index, const ProductCost& cost, LayerCost& layer, MemoryStep& memory);
  void add_operation(std::size_t index, LayerCost& layer, MemoryStep& memory);

  /// Behind the last einsum of a queue, all of which were added: takes the time that prefetching saves from the layers
  /// to which `layer_of` says that the einsums were added. Returns how, as text; nothing where no queue ends.
  std::string finish_queue(std::size_t index, const std::function<LayerCost&(std::size_t)>& layer_of,
                           MemoryStep& memory);
  /// The highest rate of the outermost level since it was asked last, GB/s: the mean over einsums that work together.
  [[nodiscard]] double take_outer_rate();

 private:
  /// `add_step` costs one step into the layer that it is given.
  template <class AddStep>
  void for_all_steps(std::size_t index, LayerCost& layer, const AddStep& add_step) const;
  void add_product_step(std::size_t index, const ProductCost& cost, LayerCost& layer, MemoryStep& memory);
  void add_operation_step(std::size_t index, LayerCost& layer, MemoryStep& memory);
  /// Elements that an operation reads and writes, and those of them that come from and go to the outermost level.
  struct Streams {
    double read = 0.0;
    double written = 0.0;
    double outer_read = 0.0;
    double outer_written = 0.0;
  };
  [[nodiscard]] Streams streams(std::size_t index) const;
  /// What an einsum and those that take over from it keep busy, in cycles. All of it works at the same time.
  struct Busy {
    double computing = 0.0;  ///< of the array
    double vector = 0.0;
    std::array<double, kMaxLevels> levels{};
    double cycles = 0.0;       ///< until the last of them is done
    double outer_words = 0.0;  ///< from and to the outermost level

    /// Of the slowest of them, of the first `memories` levels; `level`: which memory that is, if it is one.
    [[nodiscard]] double slowest(int& level, std::size_t memories = kMaxLevels) const;
  };
  /// Of the einsum that was added last alone.
  struct Outer {
    double reads = 0.0;   ///< words
    double writes = 0.0;  ///< words
    int bound_level = -1;
    bool on_lanes = false;
  };
  /// For the rate of what works together and, in a queue, for prefetching.
  void note_outer(std::size_t index, const Outer& outer);
  void note_expert(std::size_t index, const Outer& outer);
  /// The queue that the einsum belongs to; null: none.
  [[nodiscard]] const graph::QueuedEinsums* queue_of(std::size_t index) const;
  /// Each weight that an einsum reads, once.
  [[nodiscard]] double weight_words(const ir::Einsum& einsum) const;
  /// Energy of an operation's streams; their cycles go to `busy`.
  void move(const Streams& streams, Busy& busy, LayerCost& layer) const;
  [[nodiscard]] int final_tensor(std::size_t index) const;
  void add_cycles(double cycles, int bound_level, LayerCost& layer) const;
  void note_memory(std::size_t index, double tile_words, MemoryStep& memory);

  const Chip& chip_;
  const ir::Workload& workload_;
  std::map<std::size_t, ir::Einsum> steps_;  ///< of einsums in an iteration, by index
  std::vector<bool> fused_;
  Residency residency_;
  Busy busy_;                  ///< with the einsum that takes nothing over and those fused with it so far
  bool from_product_ = false;  ///< the last einsum that takes nothing over is a product
  double outer_rate_ = 0.0;    ///< words per cycle
  std::span<const graph::QueuedEinsums> queues_;
  std::optional<WeightPath> path_;   ///< nothing: no prefetching
  std::vector<ExpertTime> experts_;  ///< of the present queue, so far
};

}  // namespace cosearch::asic
