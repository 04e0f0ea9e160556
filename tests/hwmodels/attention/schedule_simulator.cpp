#include "tests/hwmodels/attention/schedule_simulator.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "tests/hwmodels/attention/schedule_operations.hpp"

namespace cosearch::testing {
namespace {

using attention::Dependence;
using attention::Extent;
using attention::Slot;
using attention::TensorUse;
using attention::Work;

constexpr std::int64_t kAny = -1;

std::size_t index(std::int64_t number) { return static_cast<std::size_t>(number); }

struct Tile {
  std::int64_t round = 0;  ///< in which works without a lag are at it
  std::int64_t instance = 0;
  std::int64_t chunk = 0;
  std::int64_t keys = 0;  ///< number of the tile of streamed elements
  std::int64_t rows = 0;
  bool first_of_keys = false;
  bool last_of_rows = false;
  bool last_of_instance = false;
};

/// Instance, rows, keys; kAny where an extent has none of these.
using Place = std::array<std::int64_t, 3>;
Place place_in(Extent extent, const Tile& tile) {
  return {tile.instance, of_rows(extent) ? tile.rows : kAny, of_keys(extent) ? tile.keys : kAny};
}

/// A work on one tile: elements that compute something useful in each of its cycles.
struct Task {
  std::size_t work = 0;
  Tile tile;
  std::vector<std::int64_t> useful;
  std::size_t done = 0;
};

class Execution {
 public:
  explicit Execution(const ScheduleProgram& program) : program_(program), profile_(program.profile) {
    list_tiles();
    waiting_.resize(program.binding.slots.size());
  }

  ScheduleCounts run() {
    const auto most_lag = *std::max_element(program_.binding.lag.begin(), program_.binding.lag.end());
    for (std::int64_t round = 0; round <= tiles_.back().round + most_lag; ++round) {
      const std::int64_t start = counts_.cycles;
      for (std::size_t slot = 0; slot < waiting_.size(); ++slot) {
        run_slot(slot, round);
      }
      counts_.longest_round = std::max(counts_.longest_round, counts_.cycles - start);
    }
    run_rest();
    return counts_;
  }

 private:
  // Shape and order.

  [[nodiscard]] bool needs(std::int64_t row, std::int64_t key) const {
    const attention::Shape& shape = program_.shape;
    return row < shape.rows && key < shape.keys && (!shape.causal || key <= row + shape.keys - shape.rows);
  }
  [[nodiscard]] std::int64_t last_row(std::int64_t end) const { return std::min(end, program_.shape.rows) - 1; }

  void list_tiles() {
    const auto& [profile, binding, on_array, arch, shape, chunk_rows] = program_;
    pairs_ =
        std::any_of(profile.works.begin(), profile.works.end(), [](const Work& work) { return of_both(work.extent); });
    if (!pairs_) {
      list_keys_and_rows();
      return;
    }
    for (std::int64_t instance = 0; instance < shape.instances; ++instance) {
      std::set<std::int64_t> seen;
      for (std::int64_t chunk = 0; chunk * chunk_rows < shape.rows; ++chunk) {
        const std::int64_t end = std::min((chunk + 1) * chunk_rows, shape.rows);
        for (std::int64_t key = 0; key < shape.keys; key += arch.rows) {
          for (std::int64_t row = chunk * chunk_rows; row < end; row += arch.columns) {
            const std::int64_t last = last_row(row + arch.columns);
            if (!needs(last, key)) {
              continue;
            }
            tiles_.push_back({std::ssize(tiles_), instance, chunk, key / arch.rows, row / arch.columns,
                              seen.insert(key).second, !needs(last, key + arch.rows), false});
          }
        }
      }
      tiles_.back().last_of_instance = true;
    }
  }

  /// Without works of pairs: a round for each head, of all streamed elements and all rows.
  void list_keys_and_rows() {
    const auto& [profile, binding, on_array, arch, shape, chunk_rows] = program_;
    const std::int64_t last_keys = (shape.keys - 1) / arch.rows;
    for (std::int64_t instance = 0; instance < shape.instances; ++instance) {
      for (std::int64_t keys = 0; keys <= last_keys; ++keys) {
        tiles_.push_back({instance, instance, 0, keys, 0, true, false, false});
      }
      for (std::int64_t row = 0; row < shape.rows; row += arch.columns) {
        tiles_.push_back({instance, instance, row / chunk_rows, last_keys, row / arch.columns, false, true, false});
      }
      tiles_.back().last_of_instance = true;
    }
  }

  [[nodiscard]] Task task(std::size_t work, const Tile& tile) const {
    return {work, tile,
            cycles_of_task(profile_.works[work], program_.on_array[work], program_.arch,
                           positions(profile_.works[work].extent, tile)),
            0};
  }
  [[nodiscard]] std::vector<bool> positions(Extent extent, const Tile& tile) const {
    return positions_inside(extent, program_.arch, program_.shape, tile.rows, tile.keys);
  }

  // Time.

  /// The tiles that the work is at in this round and has something to do for.
  [[nodiscard]] std::vector<Tile> due(std::size_t work, std::int64_t round) const {
    const Extent extent = profile_.works[work].extent;
    std::vector<Tile> result;
    for (const Tile& tile : tiles_) {
      const bool is_due = of_both(extent)   ? true
                          : of_keys(extent) ? tile.first_of_keys
                          : of_rows(extent) ? tile.last_of_rows
                                            : tile.last_of_instance;
      if (is_due && tile.round == round - program_.binding.lag[work]) {
        result.push_back(tile);
      }
    }
    return result;
  }

  /// All that the work's operands are made from is complete.
  [[nodiscard]] bool ready(const Task& task) const {
    const Place here = place_in(profile_.works[task.work].extent, task.tile);
    for (const Dependence& edge : profile_.dependences) {
      if (index(edge.after) != task.work) {
        continue;
      }
      const Extent before = profile_.works[index(edge.before)].extent;
      for (const Tile& tile : tiles_) {
        const Place there = place_in(before, tile);
        const bool meets = there[0] == here[0] && (here[1] == kAny || there[1] == kAny || there[1] == here[1]) &&
                           (here[2] == kAny || there[2] == kAny || there[2] == here[2] - edge.distance);
        const auto found = meets ? complete_.find({index(edge.before), there}) : complete_.end();
        if (meets && (found == complete_.end() || found->second > counts_.cycles)) {
          return false;
        }
      }
    }
    return true;
  }

  void begin(const Task& task) {
    if (!ready(task)) {
      counts_.violations.push_back(profile_.works[task.work].name + " starts before its operands");
    }
    for (const int tensor : profile_.works[task.work].reads) {
      use(index(tensor), task);
    }
    use(index(profile_.works[task.work].writes), task);
    counts_.row_state_words = std::max(counts_.row_state_words, state_words_);
    std::int64_t words = state_words_ + tile_words_;
    for (const auto& [tensor, held] : held_) {
      words += held.second;
    }
    counts_.buffer_words = std::max(counts_.buffer_words, words);
  }

  /// One cycle of one array; true where it works.
  bool cycle(std::deque<Task>& own, std::deque<Task>& rest, bool array) {
    std::deque<Task>& queue = own.empty() ? rest : own;
    if (queue.empty() || (own.empty() && queue.front().done == 0 && !ready(queue.front()))) {
      return false;
    }
    Task& task = queue.front();
    if (task.done == 0) {
      begin(task);
    }
    counts_.useful_operations += array ? task.useful[task.done] : 0;
    (array ? counts_.array_cycles : counts_.lane_cycles) += 1;
    if (++task.done == task.useful.size()) {
      finished_.push_back(task);
      queue.pop_front();
    }
    return true;
  }

  /// Cycles until the slot's own works, or all that waits there, are done. False where nothing could run.
  bool run_queues(std::array<std::deque<Task>, 2>& own, std::array<std::deque<Task>, 2>& rest, bool all) {
    const auto left = [&] {
      return !own[0].empty() || !own[1].empty() || (all && (!rest[0].empty() || !rest[1].empty()));
    };
    while (left()) {
      const bool array = cycle(own[0], rest[0], true);
      const bool lanes = cycle(own[1], rest[1], false);
      if (!array && !lanes) {
        return false;
      }
      ++counts_.cycles;
      for (const Task& task : finished_) {
        finish(task);
      }
      finished_.clear();
    }
    return true;
  }

  void run_slot(std::size_t slot, std::int64_t round) {
    const Slot& works = program_.binding.slots[slot];
    std::array<std::deque<Task>, 2> own;
    for (const std::size_t array : {0U, 1U}) {
      for (const int work : array == 0 ? works.array : works.lanes) {
        for (const Tile& tile : due(index(work), round)) {
          const bool in_gaps = pairs_ && !of_keys(profile_.works[index(work)].extent);
          (in_gaps ? waiting_[slot] : own)[array].push_back(task(index(work), tile));
        }
      }
    }
    (void)run_queues(own, waiting_[slot], false);
    for (const int work : works.drains) {
      for (const Tile& tile : due(index(work), round)) {
        const auto cycles = std::ssize(task(index(work), tile).useful) * program_.arch.rows;
        counts_.drain_cycles += cycles;
        counts_.cycles += cycles;
        complete_[{index(work), place_in(profile_.works[index(work)].extent, tile)}] = counts_.cycles;
      }
    }
  }

  void run_rest() {
    for (bool progress = true; progress;) {
      progress = false;
      for (std::array<std::deque<Task>, 2>& waiting : waiting_) {
        std::array<std::deque<Task>, 2> none;
        const std::int64_t start = counts_.cycles;
        (void)run_queues(none, waiting, true);
        progress = progress || counts_.cycles > start;
      }
    }
    for (const std::array<std::deque<Task>, 2>& waiting : waiting_) {
      for (const std::deque<Task>& queue : waiting) {
        for (const Task& task : queue) {
          counts_.violations.push_back(profile_.works[task.work].name + " never finds its operands");
        }
      }
    }
  }

  // Words.

  [[nodiscard]] std::int64_t words_of(const TensorUse& tensor, const Tile& tile) const {
    const std::vector<bool> inside = positions(tensor.extent, tile);
    std::int64_t words = 0;
    const bool walks_keys = tensor.extent == Extent::key;
    for (std::size_t i = 0; i < inside.size(); ++i) {
      const std::int64_t key = tile.keys * program_.arch.rows + static_cast<std::int64_t>(i);
      const std::int64_t row = last_row((tile.chunk + 1) * program_.chunk_rows);
      words += inside[i] && (!walks_keys || needs(row, key)) ? tensor.inner_words : 0;
    }
    return words;
  }

  /// Tile by tile: a tensor of rows that works of tiles touch.
  [[nodiscard]] bool is_state(const TensorUse& tensor) const {
    const auto of_tiles = [&](int work) { return of_both(profile_.works[index(work)].extent); };
    if (tensor.extent == Extent::step) {
      return tensor.carried;
    }
    return tensor.extent == Extent::row &&
           (tensor.producer >= 0 ? of_tiles(tensor.producer)
                                 : std::any_of(tensor.consumers.begin(), tensor.consumers.end(), of_tiles));
  }
  [[nodiscard]] bool crosses(const TensorUse& tensor) const {
    return tensor.extent == Extent::tile && tensor.producer >= 0 &&
           std::any_of(tensor.consumers.begin(), tensor.consumers.end(), [&](int work) {
             return program_.on_array[index(work)] != program_.on_array[index(tensor.producer)];
           });
  }
  /// Readers and writers that are not done with the tensor's words of a tile, or of all of a row's tiles.
  [[nodiscard]] bool still_used(std::size_t tensor, const Tile& tile) const {
    const TensorUse& use = profile_.tensors[tensor];
    std::vector<int> works = use.consumers;
    works.push_back(use.producer >= 0 ? use.producer : use.consumers.front());
    return std::any_of(works.begin(), works.end(), [&](int work) {
      const Extent extent = profile_.works[index(work)].extent;
      return of_both(extent) && std::any_of(tiles_.begin(), tiles_.end(), [&](const Tile& each) {
               return each.instance == tile.instance && each.rows == tile.rows &&
                      (use.extent != Extent::tile || each.keys == tile.keys) &&
                      !complete_.contains({index(work), place_in(extent, each)});
             });
    });
  }

  void use(std::size_t tensor, const Task& task) {
    const TensorUse& use = profile_.tensors[tensor];
    const bool state = is_state(use);
    if (state && of_both(profile_.works[task.work].extent)) {
      if (live_.insert({tensor, {task.tile.instance, task.tile.rows, kAny}}).second) {
        const std::int64_t words = of_rows(use.extent) ? rows_words(use, task.tile) : 0;
        state_words_ += words;
        counts_.dram_words += use.input ? words : 0;
      }
    } else if (crosses(use)) {
      if (live_.insert({tensor, place_in(Extent::tile, task.tile)}).second) {
        tile_words_ += words_of(use, task.tile);
      }
    } else if (use.extent == Extent::key && use.input) {
      const Place place{task.tile.instance, task.tile.chunk, task.tile.keys};
      if (const auto held = held_.find(tensor); held == held_.end() || held->second.first != place) {
        held_[tensor] = {place, words_of(use, task.tile)};
        counts_.dram_words += held_[tensor].second;
      }
    } else if (use.extent == Extent::row && use.input &&
               fetched_.insert({tensor, {task.tile.instance, task.tile.rows, kAny}}).second) {
      counts_.dram_words += words_of(use, task.tile);
    }
  }

  [[nodiscard]] std::int64_t rows_words(const TensorUse& tensor, const Tile& tile) const {
    TensorUse once = tensor;
    once.extent = Extent::row;
    return words_of(once, tile);
  }

  void finish(const Task& task) {
    const Work& work = profile_.works[task.work];
    complete_[{task.work, place_in(work.extent, task.tile)}] = counts_.cycles;
    const TensorUse& written = profile_.tensors[index(work.writes)];
    if (written.output && written.extent == Extent::row && !is_state(written)) {
      counts_.dram_words += words_of(written, task.tile);
    }
    std::vector<int> tensors = work.reads;
    tensors.push_back(work.writes);
    for (const int tensor : tensors) {
      const TensorUse& use = profile_.tensors[index(tensor)];
      const Place row{task.tile.instance, task.tile.rows, kAny};
      const Place place = is_state(use) ? row : place_in(Extent::tile, task.tile);
      if (live_.contains({index(tensor), place}) && !still_used(index(tensor), task.tile)) {
        live_.erase({index(tensor), place});
        const std::int64_t words = is_state(use) ? rows_words(use, task.tile) : words_of(use, task.tile);
        (is_state(use) ? state_words_ : tile_words_) -= words;
        counts_.dram_words += is_state(use) && use.output ? words : 0;
      }
    }
  }

  const ScheduleProgram& program_;
  const attention::Profile& profile_;
  std::vector<Tile> tiles_;
  bool pairs_ = true;                                     ///< some works are of pairs of rows and streamed elements
  std::vector<std::array<std::deque<Task>, 2>> waiting_;  ///< works of rows, by slot and array
  std::vector<Task> finished_;                            ///< in this cycle
  std::map<std::pair<std::size_t, Place>, std::int64_t> complete_;
  std::set<std::pair<std::size_t, Place>> live_;
  std::set<std::pair<std::size_t, Place>> fetched_;
  std::map<std::size_t, std::pair<Place, std::int64_t>> held_;
  std::int64_t state_words_ = 0;
  std::int64_t tile_words_ = 0;
  ScheduleCounts counts_;
};

}  // namespace

ScheduleCounts run_schedule(const ScheduleProgram& program) { return Execution(program).run(); }

}  // namespace cosearch::testing
