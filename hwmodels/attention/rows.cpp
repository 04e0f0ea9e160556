// Fusion::rows and Fusion::none: works one after the other over a chunk of rows, or over everything.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/attention/design.hpp"
#include "hwmodels/attention/nest.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::attention {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Buffer and DRAM words of a run; `spillable` are those accesses of the buffer that go to DRAM in the share that does
/// not fit.
struct Moved {
  double dram = 0.0;
  double kept = 0.0;  ///< DRAM words of what stays in the buffer: only where it does not spill
  double spillable = 0.0;
  double reads = 0.0;
  double writes = 0.0;
};

}  // namespace

/// One evaluation; a friend of Design.
class RowsEvaluation {
 public:
  RowsEvaluation(const Design& design, const Shape& shape, RowsMapping mapping)
      : design_(design),
        profile_(design.profile_),
        arch_(design.arch_),
        shape_{shape.instances, shape.rows, shape.keys, false},  // no tile is left out
        mapping_(std::move(mapping)),
        chunk_(mapping_.chunk_rows > 0 ? std::min(mapping_.chunk_rows, shape.rows) : shape.rows),
        chunks_(static_cast<double>(ceil_div(shape.rows, chunk_))) {}

  Expected<AttentionCost, Infeasible> run() {
    const double needed = needed_bytes();
    const auto buffer = static_cast<double>(arch_.buffer_bytes);
    cost_.spilled = mapping_.fibers_in_buffer ? 1.0 - std::min(1.0, buffer / needed) : 0.0;
    if (!mapping_.fibers_in_buffer && needed > buffer) {
      return Unexpected{Infeasible{{{"buffer_bytes", needed, buffer}},
                                   fmt::format("tiles and what stays in the buffer need {:.0f} bytes, there are {}",
                                               needed, arch_.buffer_bytes)}};
    }
    const double fiber_bytes = static_cast<double>(shape_.keys * arch_.word_bytes);
    const double lanes_spilled =
        mapping_.fibers_in_buffer ? cost_.spilled : 1.0 - std::min(1.0, (buffer - needed) / fiber_bytes);
    walk();
    const double instances = static_cast<double>(shape_.instances);
    const auto word = static_cast<double>(arch_.word_bytes);
    const double dram = array_.dram + lanes_.dram + (1.0 - cost_.spilled) * array_.kept +
                        cost_.spilled * array_.spillable + lanes_spilled * lanes_.spillable;
    cost_.traffic_bytes = word * instances * dram;
    cost_.buffer_bytes = static_cast<std::int64_t>(needed);
    cost_.chunk_rows = chunk_;
    cost_.compute_seconds = std::max(cost_.array_cycles, cost_.lane_cycles) / arch_.frequency_hz;
    cost_.memory_seconds = cost_.traffic_bytes / arch_.dram_bytes_per_second;
    finish();
    return cost_;
  }

  /// Phases: runs of works on the same array, each bound by its work or its traffic.
  AttentionCost run_unfused() {
    walk();
    double compute = 0.0;
    double waiting = 0.0;
    for (const Phase& phase : phases_) {
      const double busy = phase.cycles / arch_.frequency_hz;
      const double moving = phase.bytes / arch_.dram_bytes_per_second;
      cost_.traffic_bytes += phase.bytes;
      compute += busy;
      waiting += std::max(moving - busy, 0.0);
    }
    // Phases wait one by one: the time is more than that of all computing and that of all traffic.
    cost_.compute_seconds = compute;
    cost_.memory_seconds = cost_.traffic_bytes / arch_.dram_bytes_per_second;
    cost_.chunk_rows = chunk_;
    const double seconds = compute + waiting;
    finish();
    set_seconds(seconds);
    return cost_;
  }

 private:
  struct Phase {
    bool array = false;
    double cycles = 0.0;
    double bytes = 0.0;
  };

  [[nodiscard]] const TensorUse& tensor(int index) const { return profile_.tensors[static_cast<std::size_t>(index)]; }
  [[nodiscard]] bool resident(int index) const { return mapping_.resident[static_cast<std::size_t>(index)]; }
  [[nodiscard]] static bool is_fiber(const TensorUse& tensor) {
    return tensor.extent == Extent::tile && !tensor.input && !tensor.output;
  }

  /// Bytes: the fibers of a chunk, in place of one another; of inputs and outputs two tiles, or what stays: rows are
  /// fetched for the next chunk meanwhile, streamed elements are replaced tile by tile.
  [[nodiscard]] double needed_bytes() const {
    double words = 0.0;
    bool fibers = false;
    for (std::size_t i = 0; i < profile_.tensors.size(); ++i) {
      const TensorUse& use = profile_.tensors[i];
      const auto inner = static_cast<double>(use.inner_words);
      const bool stays = resident(static_cast<int>(i));
      fibers = fibers || is_fiber(use);
      if (use.extent == Extent::row && (use.input || use.output)) {
        words += 2.0 * inner * static_cast<double>(stays ? chunk_ : arch_.columns);
      } else if (use.extent == Extent::key) {
        words += inner * static_cast<double>(stays ? shape_.keys + arch_.rows : 2 * arch_.rows);
      } else if (use.extent == Extent::head) {
        words += inner;
      }
    }
    if (fibers && mapping_.fibers_in_buffer) {
      words += static_cast<double>(shape_.keys) * static_cast<double>(chunk_);
    }
    return words * static_cast<double>(arch_.word_bytes);
  }

  void walk() {
    std::size_t product = 0;
    for (std::size_t i = 0; i < profile_.works.size(); ++i) {
      const Work& work = profile_.works[i];
      const bool array = design_.on_array_[i];
      if (phases_.empty() || phases_.back().array != array) {
        phases_.push_back({array, 0.0, 0.0});
      }
      const double before = array ? cost_.array_cycles : cost_.lane_cycles;
      if (array && work.extent == Extent::tile) {
        add_product(i, mapping_.products[product++]);
      } else {
        add_work(i);
      }
      phases_.back().cycles += (array ? cost_.array_cycles : cost_.lane_cycles) - before;
      phases_.back().bytes += unfused_bytes(i);
    }
  }

  void add_product(std::size_t index, Stationary stationary) {
    const Work& work = profile_.works[index];
    const ProductNest nest(arch_, {work.inner_points(), shape_.keys, chunk_},
                           innermost_rank(profile_, work, stationary));
    const double runs = static_cast<double>(shape_.instances) * chunks_;
    const double cycles = static_cast<double>(design_.cycles_[index]) * nest.cycles() * runs;
    cost_.array_cycles += cycles;
    for (const int read : work.reads) {
      const double words = nest.words(ranks_of(tensor(read))) * chunks_;
      if (is_fiber(tensor(read))) {
        add_fiber(words, true);
      } else if (resident(read)) {
        const double once = nest.elements(ranks_of(tensor(read))) * chunks_;
        array_.kept += once;
        array_.spillable += words;
        array_.reads += words;
        array_.writes += once;
      } else {
        array_.dram += words;
      }
    }
    const double updates = nest.words(ranks_of(tensor(work.writes))) * chunks_;
    const double once = nest.elements(ranks_of(tensor(work.writes))) * chunks_;
    if (is_fiber(tensor(work.writes))) {
      add_fiber(updates, false);
      if (mapping_.fibers_in_buffer) {
        add_overflow(once, static_cast<double>(shape_.keys) * static_cast<double>(chunk_));
      }
    } else if (resident(work.writes)) {
      array_.kept += tensor(work.writes).output ? once : 0.0;
      array_.spillable += updates;
      array_.writes += updates;
      array_.reads += updates - once;
    } else {
      array_.dram += updates + (updates - once);
    }
  }

  void add_fiber(double words, bool read) {
    if (mapping_.fibers_in_buffer) {
      array_.spillable += words;
      (read ? array_.reads : array_.writes) += words;
    } else {
      array_.dram += words;
    }
  }

  /// A work of the lanes, or a product of the array without pairs of rows and streamed elements.
  void add_work(std::size_t index) {
    const Work& work = profile_.works[index];
    const auto instances = static_cast<double>(shape_.instances);
    const auto rows = static_cast<double>(shape_.rows);
    const double steps = static_cast<double>(ceil_div(shape_.keys, arch_.rows));
    const auto inner = static_cast<double>(work.inner_points());
    const auto lanes = static_cast<double>(arch_.lanes);
    double cycles = 0.0;
    if (design_.on_array_[index]) {
      const double tiles = work.extent == Extent::row || work.extent == Extent::step
                               ? static_cast<double>(ceil_div(shape_.rows, arch_.columns))
                               : 1.0;
      const double key_tiles = work.extent == Extent::row || work.extent == Extent::head ? 1.0 : steps;
      cycles = design_.array_cycles(work) * tiles * key_tiles;
      cost_.array_cycles += static_cast<double>(design_.cycles_[index]) * cycles * instances;
      add_small_tensors(work);
      return;
    }
    switch (work.extent) {
      case Extent::tile:
        cycles = rows * static_cast<double>(ceil_div(shape_.keys, arch_.lanes)) * inner;
        break;
      case Extent::step:
        cycles = std::ceil(rows * steps * inner / lanes);
        break;
      case Extent::row:
        cycles = std::ceil(rows * inner / lanes);
        break;
      case Extent::key:
        cycles = std::ceil(static_cast<double>(shape_.keys) * inner / lanes);
        break;
      case Extent::key_step:
      case Extent::head:
        cycles = std::ceil((work.extent == Extent::head ? 1.0 : steps) * inner / lanes);
        break;
    }
    cost_.lane_cycles += static_cast<double>(design_.cycles_[index]) * cycles * instances;
    add_small_tensors(work);
    add_lane_fibers(index);
  }

  /// Inputs and outputs of works that are no products of tiles: each element once.
  void add_small_tensors(const Work& work) {
    const auto words = [&](const TensorUse& use) {
      const double streamed =
          use.extent == Extent::tile || use.extent == Extent::key ? static_cast<double>(shape_.keys) : 1.0;
      const double rows =
          use.extent == Extent::tile || use.extent == Extent::row ? static_cast<double>(shape_.rows) : 1.0;
      return streamed * rows * static_cast<double>(use.inner_words);
    };
    for (const int read : work.reads) {
      lanes_.dram += tensor(read).input ? words(tensor(read)) : 0.0;
    }
    lanes_.dram += tensor(work.writes).output ? words(tensor(work.writes)) : 0.0;
  }

  /// Fibers pass from one array to the other, and from one pass to the next, through the buffer; within a pass the
  /// lanes hand them on. The energy of the artifact counts every read.
  void add_lane_fibers(std::size_t index) {
    const Work& work = profile_.works[index];
    const double fiber = static_cast<double>(shape_.rows) * static_cast<double>(shape_.keys);
    for (const int read : work.reads) {
      const TensorUse& use = tensor(read);
      if (!is_fiber(use)) {
        continue;
      }
      const double words = fiber * static_cast<double>(use.inner_words);
      const Work& producer = profile_.works[static_cast<std::size_t>(use.producer)];
      const bool from_array = design_.on_array(use.producer);
      const bool first = use.consumers.front() == static_cast<int>(index);
      const double read_back = from_array || producer.pass != work.pass ? words : 0.0;
      lanes_.spillable += read_back;
      lanes_.reads += read_back;
      if (from_array && !mapping_.fibers_in_buffer && first) {
        lanes_.dram += words;
        lanes_.writes += words;
      }
    }
    const TensorUse& written = tensor(work.writes);
    if (!is_fiber(written)) {
      return;
    }
    const double words = fiber * static_cast<double>(written.inner_words);
    const bool to_array = std::any_of(written.consumers.begin(), written.consumers.end(),
                                      [&](int consumer) { return design_.on_array(consumer); });
    if (to_array && !mapping_.fibers_in_buffer) {
      lanes_.dram += words;
    } else {
      lanes_.spillable += words;
      lanes_.writes += words;
      add_overflow(words, static_cast<double>(shape_.keys));
    }
  }

  /// See wrapped_reads; words of one instance.
  void add_overflow(double words, double tile) {
    if (design_.choices_.timeloop_overflow) {
      const auto instances = static_cast<double>(shape_.instances);
      lanes_.reads += wrapped_reads(words * instances, tile) / instances;
    }
  }

  /// Fusion::none: fibers of other phases once each; inputs and outputs once, or what does not fit half of the buffer
  /// again for each part of its partner.
  [[nodiscard]] double unfused_bytes(std::size_t index) const {
    const Work& work = profile_.works[index];
    const auto instances = static_cast<double>(shape_.instances);
    const auto word = static_cast<double>(arch_.word_bytes);
    const auto words = [&](int t) {
      const RankSet ranks = ranks_of(tensor(t));
      return static_cast<double>(tensor(t).inner_words) *
             (ranks[Rank::streamed] ? static_cast<double>(shape_.keys) : 1.0) *
             (ranks[Rank::rows] ? static_cast<double>(shape_.rows) : 1.0);
    };
    const bool array = design_.on_array_[index];
    double total = 0.0;
    std::vector<double> operands;
    for (const int read : work.reads) {
      const TensorUse& use = tensor(read);
      const bool other_phase = use.producer >= 0 && design_.on_array(use.producer) != array;
      const bool first = use.consumers.front() == static_cast<int>(index);
      if (use.input) {
        operands.push_back(words(read));
      } else if (other_phase && (first || array)) {
        total += words(read);
      }
    }
    const double half = static_cast<double>(arch_.buffer_bytes) / 2.0 / word;
    if (operands.size() == 2) {
      const double a = operands[0];
      const double b = operands[1];
      total += std::min(a + b * std::ceil(a / half), b + a * std::ceil(b / half));
    } else {
      for (const double each : operands) {
        total += each;
      }
    }
    const TensorUse& written = tensor(work.writes);
    const bool leaves =
        written.output || std::any_of(written.consumers.begin(), written.consumers.end(),
                                      [&](int consumer) { return design_.on_array(consumer) != array; });
    total += leaves ? words(work.writes) : 0.0;
    return total * word * instances;
  }

  void finish() {
    design_.finish(design_.points(shape_), cost_);
    const auto instances = static_cast<double>(shape_.instances);
    const double read_pj = design_.prices_.buffer.read_pj_per_word(arch_.priced());
    const double write_pj = design_.prices_.buffer.write_pj_per_word(arch_.priced());
    cost_.energy.buffer =
        instances * ((array_.reads + lanes_.reads) * read_pj + (array_.writes + lanes_.writes) * write_pj);
    set_seconds(cost_.seconds);
  }

  void set_seconds(double seconds) {
    cost_.seconds = seconds;
    const double cycles = seconds * arch_.frequency_hz;
    cost_.array_utilization = design_.useful_array_cycles(design_.points(shape_)) / cycles;
    cost_.lane_utilization = cost_.lane_cycles / cycles;
  }

  const Design& design_;
  const Profile& profile_;
  const Arch& arch_;
  Shape shape_;
  RowsMapping mapping_;
  std::int64_t chunk_;
  double chunks_;
  AttentionCost cost_;
  Moved array_;
  Moved lanes_;
  std::vector<Phase> phases_;
};

Expected<AttentionCost, Infeasible> Design::evaluate(const Shape& shape, const RowsMapping& mapping) const {
  COSEARCH_CHECK(choices_.fusion == Fusion::rows, "a mapping of rows");
  COSEARCH_CHECK(mapping.products.size() == tile_products() && mapping.resident.size() == profile_.tensors.size(),
                 "a mapping of this cascade");
  return RowsEvaluation(*this, shape, mapping).run();
}

AttentionCost Design::unfused(const Shape& shape) const {
  return RowsEvaluation(*this, shape, unfused_mapping(shape)).run_unfused();
}

}  // namespace cosearch::attention
