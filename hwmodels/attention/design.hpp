#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/attention/binding.hpp"
#include "hwmodels/attention/profile.hpp"
#include "hwmodels/attention/units.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"

namespace cosearch::attention {

struct Arch {
  std::int64_t rows = 256;     ///< of the 2-D array: streamed elements of a tile; sums go down its columns
  std::int64_t columns = 256;  ///< of the 2-D array: rows of the cascade in a tile
  std::int64_t lanes = 256;    ///< of the 1-D array
  std::int64_t buffer_bytes = 16 << 20;
  std::int64_t priced_buffer_bytes = 0;  ///< size that energy and area are of; 0: buffer_bytes
  std::int64_t word_bytes = 2;
  double dram_bytes_per_second = 0.0;
  double frequency_hz = 0.0;
  PeKind array;
  PeKind lane;

  [[nodiscard]] std::int64_t priced() const noexcept {
    return priced_buffer_bytes > 0 ? priced_buffer_bytes : buffer_bytes;
  }
};

/// How much of a cascade runs before the next data are fetched.
enum class Fusion {
  none,   ///< one array's works after the other's over everything; what is between them goes through DRAM
  rows,   ///< all works for a chunk of rows; whole fibers between passes stay in the buffer or spill (FLAT)
  tiles,  ///< all works for a tile; needs a cascade of one pass (FuseMax)
};

/// What stays in the array while a product runs (Fusion::none and rows): its output, its first or its second operand.
enum class Stationary { output, input, weight };

/// How Fusion::rows runs a cascade.
struct RowsMapping {
  std::int64_t chunk_rows = 0;       ///< 0: all rows of a head
  bool fibers_in_buffer = true;      ///< else they go to DRAM whole
  std::vector<Stationary> products;  ///< of each product, in order
  std::vector<bool> resident;        ///< by tensor, inputs and outputs: stays in the buffer for a chunk
  bool operator==(const RowsMapping&) const = default;
};

struct Choices {
  Fusion fusion = Fusion::tiles;
  bool softmax_on_array = true;         ///< works of tiles that are no products, where the array's elements can do them
  std::string binding = "interleaved";  ///< `sequential`, `pipelined`, `interleaved`, or slots as text
  bool even_chunks = true;              ///< chunks of rows divide the rows' tiles evenly, as in the FuseMax artifact
  /// Counts registers of all elements, and what lanes read back of a tile in the buffer. Without it, as the artifact:
  /// registers of one element, reads by lanes as the tile passes.
  bool complete_energy = false;
  /// Adds reads of the buffer that Timeloop counts where a product of 64 bits wraps, see wrapped_reads. For comparisons
  /// with the artifact's energies of long sequences; no hardware does them.
  bool timeloop_overflow = false;
};

/// Timeloop subtracts from the updates of an output in a buffer those that need no read first: its elements, for which
/// the artifact's results imply the product elements x tile in 64 bits, divided by the tile again. Where the product
/// wraps, so many reads too many are left. Both in words.
[[nodiscard]] double wrapped_reads(double elements, double tile) noexcept;

/// One layer of attention, or of another cascade.
struct Shape {
  std::int64_t instances = 1;  ///< batch * heads
  std::int64_t rows = 1;       ///< P: queries; 1 for a decoder step
  std::int64_t keys = 1;       ///< M: streamed elements
  bool causal = false;         ///< row i needs keys up to i + keys - rows; tiles beyond are left out (Fusion::tiles)
};

struct EnergyPj {
  double array_units = 0.0;
  double lane_units = 0.0;
  double registers = 0.0;
  double buffer = 0.0;
  double dram = 0.0;

  [[nodiscard]] double total() const noexcept { return array_units + lane_units + registers + buffer + dram; }
};

struct AttentionCost {
  double seconds = 0.0;
  double compute_seconds = 0.0;  ///< of the schedule alone
  double memory_seconds = 0.0;   ///< of the traffic alone
  double array_cycles = 0.0;     ///< in which the array works
  double lane_cycles = 0.0;
  double drain_cycles = 0.0;
  double array_utilization = 0.0;  ///< useful work / peak of all elements
  double lane_utilization = 0.0;   ///< busy time / time
  double traffic_bytes = 0.0;
  double macs = 0.0;              ///< of products
  std::int64_t buffer_bytes = 0;  ///< needed; more than there is where fibers spill
  std::int64_t chunk_rows = 0;    ///< rows whose state is in the buffer together
  double spilled = 0.0;           ///< share of what should be in the buffer that goes to DRAM instead
  EnergyPj energy;
};

/// What bounds the layer: `dram_bandwidth`, `array`, `lanes`, or `dependences` where both arrays wait.
[[nodiscard]] const char* bound_of(const AttentionCost& cost, double frequency_hz) noexcept;

/// A cascade on an architecture under a binding, ready to be evaluated for any number of rows and streamed elements.
class Design {
 public:
  /// Infeasible: the elements lack a unit or registers; the cascade needs several passes where tiles are fused; the
  /// binding is impossible.
  [[nodiscard]] static Expected<Design, Infeasible> make(Profile profile, const Arch& arch, const Choices& choices,
                                                         const Prices& prices);

  /// Fusion::tiles, or Fusion::none. Infeasible: the buffer does not hold the state of one tile's rows.
  [[nodiscard]] Expected<AttentionCost, Infeasible> evaluate(const Shape& shape) const;
  /// Fusion::rows under the given mapping.
  [[nodiscard]] Expected<AttentionCost, Infeasible> evaluate(const Shape& shape, const RowsMapping& mapping) const;
  /// The mapping of the shortest latency, then of the least traffic; enumerated.
  [[nodiscard]] RowsMapping best_mapping(const Shape& shape) const;

  /// Cycles that each work takes on its array, all repetitions together (Fusion::tiles).
  [[nodiscard]] std::vector<double> work_cycles(const Shape& shape) const;

  [[nodiscard]] const Profile& profile() const noexcept { return profile_; }
  [[nodiscard]] const Arch& arch() const noexcept { return arch_; }
  [[nodiscard]] const Choices& choices() const noexcept { return choices_; }
  [[nodiscard]] const Prices& prices() const noexcept { return prices_; }
  [[nodiscard]] const Binding& binding() const noexcept { return binding_; }
  [[nodiscard]] bool on_array(int work) const { return on_array_[static_cast<std::size_t>(work)]; }
  [[nodiscard]] double area_um2() const noexcept { return area_um2_; }

 private:
  /// A number for each time that works of an extent run.
  using PerExtent = std::array<double, kExtents>;
  struct SlotCycles {
    PerExtent array{};
    PerExtent lanes{};
    PerExtent drains{};
  };
  /// Words of the buffer and of DRAM, by what they repeat with.
  struct Words {
    double per_row = 0.0;                      ///< state of one row
    double tile_per_row = 0.0;                 ///< of a tile, for one row: what goes from one array to the other
    double tiles_in_flight = 1.0;              ///< of those, at least
    double fixed = 0.0;                        ///< tiles of streamed tensors, whatever the rows
    double dram_rows = 0.0;                    ///< of each row once
    double dram_tiles = 0.0;                   ///< of each pair of row and streamed element once
    double dram_keys_chunk = 0.0;              ///< of each streamed element once a chunk
    double dram_keys = 0.0;                    ///< of each streamed element once
    double fill_rows = 0.0;                    ///< of dram_rows: inputs, which are written to the buffer
    double read_step = 0.0, write_step = 0.0;  ///< of each row once a tile
    double read_row = 0.0;                     ///< of each row once
    double read_key_tile = 0.0;                ///< of each streamed element once a tile of rows
    double read_tile = 0.0, write_tile = 0.0;  ///< of each pair
    std::vector<double> tile_outputs;          ///< tensors of tiles written to the buffer: words of a pair
    std::vector<double> step_outputs;          ///< states: words of a row
  };

  Design(Profile profile, const Arch& arch, const Choices& choices, const Prices& prices)
      : profile_(std::move(profile)), arch_(arch), choices_(choices), prices_(prices) {}

  std::optional<Infeasible> place_works();
  std::optional<Infeasible> bind();
  void set_cycles();
  void set_words();
  void set_energies();
  [[nodiscard]] std::optional<Infeasible> check_registers() const;

  /// Works that read what the step before wrote.
  [[nodiscard]] double reads_of_last_step(const TensorUse& tensor) const;
  [[nodiscard]] bool hands_scalar_to_lanes(const TensorUse& tensor) const;
  [[nodiscard]] double array_cycles(const Work& work) const;
  [[nodiscard]] double lane_cycles(const Work& work) const;
  /// Times that works of each extent run: as tiles on the arrays, and as points.
  [[nodiscard]] PerExtent repetitions(const Shape& shape) const;
  [[nodiscard]] PerExtent points(const Shape& shape) const;
  [[nodiscard]] double useful_array_cycles(const PerExtent& points) const;

  /// Bytes of the buffer while so many tiles of rows share the streamed ones.
  [[nodiscard]] double buffer_needed(std::int64_t row_tiles) const;
  /// The most of `row_tiles` that the buffer has room for, which has room for one.
  [[nodiscard]] std::int64_t row_tiles_that_fit(std::int64_t row_tiles) const;
  [[nodiscard]] Expected<AttentionCost, Infeasible> fused_tiles(const Shape& shape) const;
  [[nodiscard]] double overflow_reads(const PerExtent& points, std::int64_t chunk_rows) const;
  [[nodiscard]] AttentionCost unfused(const Shape& shape) const;
  [[nodiscard]] RowsMapping unfused_mapping(const Shape& shape) const;
  /// Works of tiles on the array: what RowsMapping::products lists.
  [[nodiscard]] std::size_t tile_products() const;
  void finish(const PerExtent& points, AttentionCost& cost) const;

  friend class RowsEvaluation;

  Profile profile_;
  Arch arch_;
  Choices choices_;
  Prices prices_;
  std::vector<bool> on_array_;
  std::vector<UnitCounts> expanded_;  ///< by work
  std::vector<std::int64_t> cycles_;  ///< by work, of one operation
  Binding binding_;
  std::vector<SlotCycles> slots_;
  PerExtent useful_{};  ///< array cycles of a point, if all elements worked
  PerExtent array_unit_pj_{}, lane_unit_pj_{};
  PerExtent array_operations_{}, lane_operations_{};
  PerExtent macs_{};
  Words words_;
  double area_um2_ = 0.0;
};

}  // namespace cosearch::attention
