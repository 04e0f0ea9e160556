#include "hwmodels/asic/schedule/heuristic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "hwmodels/asic/schedule/decoder.hpp"

namespace cosearch::schedule {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

struct Move {
  int task = 0;
  int unit = 0;
};

class LocalSearch {
 public:
  LocalSearch(const Instance& instance, Decoder& decoder, std::int64_t effort)
      : instance_(instance), decoder_(decoder), effort_(effort), position_(static_cast<std::size_t>(instance.tasks)) {}

  /// Improves `solution` until no move helps (`pairs`: of two tasks either), or the effort is used up; the unit of the
  /// task `locked` stays (-1: none). With `frugal`, a late solution saves cycles where they cost the least energy, else
  /// as many as it can.
  void run(Solution& solution, bool frugal, int locked, bool pairs) {
    frugal_ = frugal;
    pairs_ = pairs;
    locked_ = locked;
    enter(solution);
    while (decoder_.placed() < effort_ && (move_one() || reinsert() || (pairs_ && move_two()))) {
    }
    solution = current_;
  }

 private:
  [[nodiscard]] bool late(std::int64_t makespan) const { return instance_.deadline && makespan > *instance_.deadline; }
  /// Only a shorter critical path helps.
  [[nodiscard]] bool wants_time() const {
    return late(current_.makespan) || instance_.objective == Objective::makespan;
  }
  [[nodiscard]] Value value(std::int64_t makespan, double energy) const {
    return value_of(instance_, makespan, energy);
  }
  [[nodiscard]] Value current_value() const { return value(current_.makespan, current_.energy); }

  void enter(const Solution& solution) {
    current_ = solution;
    decoder_.commit(current_);
    for (std::size_t p = 0; p < current_.sequence.size(); ++p) {
      position_[static_cast<std::size_t>(current_.sequence[p])] = p;
    }
    critical_ = decoder_.critical_tasks();
  }

  /// The largest makespan with which a solution of this energy could beat the current one; negative: none.
  [[nodiscard]] std::int64_t useful_makespan(double energy) const {
    const std::int64_t shorter = energy < current_.energy ? current_.makespan : current_.makespan - 1;
    if (wants_time()) {
      return shorter;
    }
    if (instance_.objective == Objective::energy) {
      return energy < current_.energy ? instance_.deadline.value_or(kNoLimit)
                                      : (energy == current_.energy ? shorter : -1);
    }
    if (energy <= 0.0) {
      return shorter;
    }
    const double product = current_.energy * static_cast<double>(current_.makespan) / energy;
    const auto most = static_cast<double>(instance_.deadline.value_or(kLargestCycles));
    return static_cast<std::int64_t>(std::min(product, most));
  }

  [[nodiscard]] double energy_of(const Move& move) const {
    return instance_.energy[instance_.at(move.task, move.unit)] -
           instance_.energy[instance_.at(move.task, current_.unit[static_cast<std::size_t>(move.task)])];
  }

  template <class Visit>
  void for_each_move(const std::vector<int>& tasks, Visit visit) const {
    for (const int task : tasks) {
      for (int unit = 0; unit < instance_.units && task != locked_; ++unit) {
        if (unit != current_.unit[static_cast<std::size_t>(task)] && instance_.runs(task, unit)) {
          visit(Move{task, unit});
        }
      }
    }
  }
  [[nodiscard]] const std::vector<int>& candidates() const { return wants_time() ? critical_ : instance_.order; }

  /// Less is better: while late and frugal, energy per cycle saved up to the deadline; else the value itself.
  [[nodiscard]] Value merit(std::int64_t makespan, double energy) const {
    if (!frugal_ || !late(current_.makespan)) {
      return value(makespan, energy);
    }
    const std::int64_t goal = std::max(makespan, *instance_.deadline);
    const auto saved = static_cast<double>(current_.makespan - goal);
    return {std::max(energy - current_.energy, 0.0) / saved, -saved, energy};
  }

  /// The best change of one task's unit, at the same place in the sequence.
  bool move_one() {
    Move best;
    Value best_merit;
    bool found = false;
    std::vector<int> units = current_.unit;
    for_each_move(candidates(), [&](const Move& move) {
      const double energy = current_.energy + energy_of(move);
      const std::int64_t limit = useful_makespan(energy);
      if (limit < 0) {
        return;
      }
      const auto t = static_cast<std::size_t>(move.task);
      const int old = std::exchange(units[t], move.unit);
      const std::int64_t makespan = decoder_.makespan(current_.sequence, units, position_[t], limit);
      units[t] = old;
      if (makespan > limit || !(value(makespan, energy) < current_value())) {
        return;
      }
      const Value its_merit = merit(makespan, energy);
      if (!found || its_merit < best_merit) {
        found = true;
        best = move;
        best_merit = its_merit;
      }
    });
    if (!found) {
      return false;
    }
    units[static_cast<std::size_t>(best.task)] = best.unit;
    return accept(std::move(units));
  }

  /// Goes to these units, in the current sequence or in a new one, whichever is better, if it is an improvement.
  bool accept(std::vector<int> units) {
    Solution same{current_.sequence, std::move(units), 0, 0.0};
    Solution fresh = same;
    decoder_.resequence(fresh);
    const Value before = current_value();
    same.makespan = decoder_.makespan(same.sequence, same.unit, 0, kNoLimit);
    same.energy = fresh.energy;
    const Solution& better = value(fresh.makespan, fresh.energy) < value(same.makespan, same.energy) ? fresh : same;
    if (!(value(better.makespan, better.energy) < before)) {
      return false;
    }
    enter(better);
    return true;
  }

  /// The first improving change of one task's place in the sequence, with or without a change of its unit.
  bool reinsert() {
    const std::vector<int> tasks = candidates();
    Solution next = current_;
    for (const int task : tasks) {
      const auto t = static_cast<std::size_t>(task);
      const auto [first, last] = places(task);
      for (int unit = 0; unit < instance_.units; ++unit) {
        const bool moves = unit != current_.unit[t];
        if (!instance_.runs(task, unit) || (moves && task == locked_)) {
          continue;
        }
        next.energy = current_.energy + energy_of({task, unit});
        const std::int64_t limit = useful_makespan(next.energy);
        for (std::size_t place = first; place <= last && limit >= 0; ++place) {
          if (place == position_[t]) {
            continue;
          }
          if (decoder_.placed() >= effort_) {
            return false;
          }
          shift(next.sequence, position_[t], place);
          next.unit[t] = unit;
          next.makespan = decoder_.makespan(next.sequence, next.unit, std::min(position_[t], place), limit);
          if (next.makespan <= limit && value(next.makespan, next.energy) < current_value()) {
            enter(next);
            return true;
          }
          shift(next.sequence, place, position_[t]);
        }
        next.unit[t] = current_.unit[t];
      }
    }
    return false;
  }

  /// The first and last place in the sequence between the predecessors and the successors of a task.
  [[nodiscard]] std::pair<std::size_t, std::size_t> places(int task) const {
    std::size_t first = 0;
    std::size_t last = current_.sequence.size() - 1;
    for (const int before : instance_.before[static_cast<std::size_t>(task)]) {
      first = std::max(first, position_[static_cast<std::size_t>(before)] + 1);
    }
    for (const int after : instance_.after[static_cast<std::size_t>(task)]) {
      last = std::min(last, position_[static_cast<std::size_t>(after)] - 1);
    }
    return {first, last};
  }

  static void shift(std::vector<int>& sequence, std::size_t from, std::size_t to) {
    const auto at = [&](std::size_t place) { return sequence.begin() + static_cast<std::ptrdiff_t>(place); };
    if (from < to) {
      std::rotate(at(from), at(from + 1), at(to + 1));
    } else {
      std::rotate(at(to), at(from), at(from + 1));
    }
  }

  /// The first improving change of two tasks' units.
  bool move_two() {
    std::vector<Move> moves;
    for_each_move(instance_.order, [&](const Move& move) { moves.push_back(move); });
    std::vector<Move> first;
    for_each_move(candidates(), [&](const Move& move) { first.push_back(move); });
    std::vector<int> units = current_.unit;
    for (const Move& a : first) {
      for (const Move& b : moves) {
        if (decoder_.placed() >= effort_) {
          return false;
        }
        if (a.task == b.task || (first.size() == moves.size() && b.task < a.task)) {
          continue;
        }
        const double energy = current_.energy + energy_of(a) + energy_of(b);
        const std::int64_t limit = useful_makespan(energy);
        if (limit < 0) {
          continue;
        }
        const auto s = static_cast<std::size_t>(a.task);
        const auto t = static_cast<std::size_t>(b.task);
        const int old_a = std::exchange(units[s], a.unit);
        const int old_b = std::exchange(units[t], b.unit);
        const std::int64_t makespan =
            decoder_.makespan(current_.sequence, units, std::min(position_[s], position_[t]), limit);
        if (makespan <= limit && value(makespan, energy) < current_value() && accept(units)) {
          return true;
        }
        units[s] = old_a;
        units[t] = old_b;
      }
    }
    return false;
  }

  const Instance& instance_;
  Decoder& decoder_;
  std::int64_t effort_;
  Solution current_;
  std::vector<std::size_t> position_;  ///< of a task in the current sequence
  std::vector<int> critical_;
  bool frugal_ = true;
  int locked_ = -1;
  bool pairs_ = false;
};

/// List schedules between least energy and earliest end, the best first.
std::vector<Solution> starts(const Instance& instance, Decoder& decoder) {
  double energies = 0.0;  // how far apart the units are, which makes prices comparable with energies
  double durations = 0.0;
  for (int task = 0; task < instance.tasks; ++task) {
    const auto t = static_cast<std::size_t>(task);
    for (int unit = 0; unit < instance.units; ++unit) {
      if (instance.runs(task, unit)) {
        energies += instance.energy[instance.at(task, unit)] - instance.least_energy[t];
        durations += static_cast<double>(instance.cycles[instance.at(task, unit)] - instance.fastest[t]);
      }
    }
  }
  const double scale = energies > 0.0 && durations > 0.0 ? energies / durations : 1.0;
  std::vector<double> prices{0.0, std::numeric_limits<double>::infinity()};
  for (const int power : {-2, 0, 2}) {
    prices.push_back(scale * std::exp2(power));
  }
  std::vector<Solution> list;
  for (const double price : prices) {
    list.push_back(decoder.construct(price));
    Solution active = list.back();
    decoder.resequence(active);
    if (active.makespan < list.back().makespan) {
      list.back() = std::move(active);
    }
  }
  std::stable_sort(list.begin(), list.end(), [&](const Solution& a, const Solution& b) {
    return value_of(instance, a.makespan, a.energy) < value_of(instance, b.makespan, b.energy);
  });
  return list;
}

/// The starts and perturbations of the best, improved by local search; pairs, which take long, come last.
class Search {
 public:
  Search(const Instance& instance, std::int64_t effort)
      : instance_(instance), decoder_(instance), local_(instance, decoder_, effort), effort_(effort) {
    for (const double energy : instance.least_energy) {
      least_energy_ += energy;
    }
  }

  void improve_starts() {
    const std::vector<Solution> list = starts(instance_, decoder_);
    best_ = list.front();
    for (auto start = list.begin(); start != list.end() && !finished(); ++start) {
      if (std::none_of(list.begin(), start, [&](const Solution& other) { return other.unit == start->unit; })) {
        Solution solution = *start;
        local_.run(solution, true, -1, false);
        keep(std::move(solution));
      }
    }
  }

  /// Forces one task of the best solution to another unit, lets the others adapt, then frees it.
  void perturb() {
    const int moves = instance_.tasks * instance_.units;
    int since_better = 0;
    for (int move = 0; since_better < moves && !finished(); move = (move + 1) % moves) {
      const int task = move / instance_.units;
      const int unit = move % instance_.units;
      ++since_better;
      if (best_.unit[static_cast<std::size_t>(task)] == unit || !instance_.runs(task, unit)) {
        continue;
      }
      Solution solution = best_;
      solution.unit[static_cast<std::size_t>(task)] = unit;
      decoder_.resequence(solution);
      local_.run(solution, false, task, false);
      local_.run(solution, false, -1, false);
      since_better = keep(std::move(solution)) ? 0 : since_better;
    }
  }

  /// Local search over pairs too, on the best solution. Whether it helped.
  bool improve_pairs() {
    if (finished()) {
      return false;
    }
    Solution solution = best_;
    local_.run(solution, false, -1, true);
    return keep(std::move(solution));
  }

  [[nodiscard]] const Solution& best() const noexcept { return best_; }

 private:
  [[nodiscard]] Value value(const Solution& solution) const {
    return value_of(instance_, solution.makespan, solution.energy);
  }
  bool keep(Solution solution) {
    if (!(value(solution) < value(best_))) {
      return false;
    }
    best_ = std::move(solution);
    return true;
  }
  /// Out of effort, or at a bound of what is compared first.
  [[nodiscard]] bool finished() const {
    if (decoder_.placed() >= effort_) {
      return true;
    }
    const bool late = instance_.deadline && best_.makespan > *instance_.deadline;
    if (late || instance_.objective == Objective::makespan) {
      return best_.makespan == instance_.least_makespan;
    }
    return instance_.objective == Objective::energy && best_.energy <= least_energy_;
  }

  const Instance& instance_;
  Decoder decoder_;
  LocalSearch local_;
  std::int64_t effort_;
  double least_energy_ = 0.0;  ///< summed in the same order as a solution's
  Solution best_;
};

}  // namespace

Schedule heuristic_schedule(const Instance& instance, std::int64_t effort) {
  if (instance.tasks == 0) {
    return {};
  }
  Search search(instance, effort);
  search.improve_starts();
  do {
    search.perturb();
  } while (search.improve_pairs());
  return schedule_of(instance, search.best().sequence, search.best().unit);
}

}  // namespace cosearch::schedule
