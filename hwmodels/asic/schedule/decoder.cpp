#include "hwmodels/asic/schedule/decoder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cosearch::schedule {

Decoder::Decoder(const Instance& instance) : instance_(instance) {
  const auto tasks = static_cast<std::size_t>(instance.tasks);
  first_before_.push_back(0);
  for (const std::vector<int>& list : instance.before) {
    before_.insert(before_.end(), list.begin(), list.end());
    first_before_.push_back(static_cast<int>(before_.size()));
  }
  rank_.resize(tasks);
  missing_.resize(tasks);
  ready_.resize(tasks);
  free_.resize(static_cast<std::size_t>(instance.units));
  end_.resize(tasks);
  start_.resize(tasks);
  committed_free_.resize(tasks * free_.size());
  previous_.resize(tasks);
  trial_end_.resize(tasks);
}

std::int64_t Decoder::ready(int task, const std::vector<std::int64_t>& end) const {
  const auto t = static_cast<std::size_t>(task);
  std::int64_t start = instance_.release[t];
  for (int i = first_before_[t]; i < first_before_[t + 1]; ++i) {
    start = std::max(start, end[static_cast<std::size_t>(before_[static_cast<std::size_t>(i)])]);
  }
  return start;
}

void Decoder::rank(const std::vector<int>& unit) {
  std::fill(rank_.begin(), rank_.end(), 0);
  for (auto task = instance_.order.rbegin(); task != instance_.order.rend(); ++task) {
    const auto t = static_cast<std::size_t>(*task);
    rank_[t] += instance_.cycles[instance_.at(*task, unit[t])];  // so far the longest way of those after it
    for (int i = first_before_[t]; i < first_before_[t + 1]; ++i) {
      std::int64_t& before = rank_[static_cast<std::size_t>(before_[static_cast<std::size_t>(i)])];
      before = std::max(before, rank_[t]);
    }
  }
}

void Decoder::open_first() {
  open_.clear();
  std::fill(free_.begin(), free_.end(), 0);
  for (int task = 0; task < instance_.tasks; ++task) {
    const auto t = static_cast<std::size_t>(task);
    missing_[t] = first_before_[t + 1] - first_before_[t];
    ready_[t] = instance_.release[t];
    if (missing_[t] == 0) {
      open_.push_back(task);
    }
  }
}

/// Puts the open task at `place` next on its unit.
void Decoder::take(std::size_t place, Solution& solution) {
  const int task = open_[place];
  const auto t = static_cast<std::size_t>(task);
  const auto u = static_cast<std::size_t>(solution.unit[t]);
  free_[u] = std::max(free_[u], ready_[t]) + instance_.cycles[instance_.at(task, solution.unit[t])];
  solution.sequence.push_back(task);
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(place));
  for (const int next : instance_.after[t]) {
    const auto n = static_cast<std::size_t>(next);
    ready_[n] = std::max(ready_[n], free_[u]);
    if (--missing_[n] == 0) {
      open_.push_back(next);
    }
  }
  ++placed_;
}

Solution Decoder::construct(double price) {
  Solution solution;
  solution.unit.resize(rank_.size());
  // An infinite price compares cycles first, a price of zero energies.
  const auto cheapest = [&](int task, auto cycles_on) {
    int best = -1;
    double best_cost = 0.0;
    double best_tie = 0.0;
    for (int unit = 0; unit < instance_.units; ++unit) {
      if (!instance_.runs(task, unit)) {
        continue;
      }
      const double energy = instance_.energy[instance_.at(task, unit)];
      const auto cycles = static_cast<double>(cycles_on(unit));
      const double cost = std::isinf(price) ? cycles : energy + price * cycles;
      const double tie = std::isinf(price) ? energy : cycles;
      if (best < 0 || cost < best_cost || (cost == best_cost && tie < best_tie)) {
        best = unit;
        best_cost = cost;
        best_tie = tie;
      }
    }
    return best;
  };
  for (int task = 0; task < instance_.tasks; ++task) {
    solution.unit[static_cast<std::size_t>(task)] =
        cheapest(task, [&](int unit) { return instance_.cycles[instance_.at(task, unit)]; });
  }
  rank(solution.unit);
  open_first();
  while (!open_.empty()) {
    std::size_t place = 0;
    for (std::size_t i = 1; i < open_.size(); ++i) {
      if (rank_[static_cast<std::size_t>(open_[i])] > rank_[static_cast<std::size_t>(open_[place])]) {
        place = i;
      }
    }
    const int task = open_[place];
    const auto t = static_cast<std::size_t>(task);
    solution.unit[t] = cheapest(task, [&](int unit) {
      return std::max(free_[static_cast<std::size_t>(unit)], ready_[t]) + instance_.cycles[instance_.at(task, unit)];
    });
    take(place, solution);
  }
  solution.makespan = free_.empty() ? 0 : *std::max_element(free_.begin(), free_.end());
  solution.energy = energy(solution.unit);
  return solution;
}

void Decoder::resequence(Solution& solution) {
  solution.sequence.clear();
  rank(solution.unit);
  open_first();
  while (!open_.empty()) {
    std::int64_t least_end = std::numeric_limits<std::int64_t>::max();
    int conflict = 0;  // the unit on which a task can end first: what runs on it next must start before that
    for (const int task : open_) {
      const auto t = static_cast<std::size_t>(task);
      const int unit = solution.unit[t];
      const std::int64_t end =
          std::max(free_[static_cast<std::size_t>(unit)], ready_[t]) + instance_.cycles[instance_.at(task, unit)];
      if (end < least_end) {
        least_end = end;
        conflict = unit;
      }
    }
    std::size_t place = open_.size();
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const auto t = static_cast<std::size_t>(open_[i]);
      const int unit = solution.unit[t];
      if (unit != conflict) {
        continue;
      }
      const std::int64_t start = std::max(free_[static_cast<std::size_t>(unit)], ready_[t]);
      // A task without duration ends when it starts; it is in the conflict all the same.
      const bool in_conflict = start < least_end || start + instance_.cycles[instance_.at(open_[i], unit)] == least_end;
      if (in_conflict && (place == open_.size() || rank_[t] > rank_[static_cast<std::size_t>(open_[place])])) {
        place = i;
      }
    }
    take(place, solution);
  }
  solution.makespan = *std::max_element(free_.begin(), free_.end());
  solution.energy = energy(solution.unit);
}

void Decoder::commit(Solution& solution) {
  std::fill(free_.begin(), free_.end(), 0);
  std::vector<int>& last = open_;
  last.assign(free_.size(), -1);
  solution.makespan = 0;
  for (std::size_t p = 0; p < solution.sequence.size(); ++p) {
    std::copy(free_.begin(), free_.end(), committed_free_.begin() + static_cast<std::ptrdiff_t>(p * free_.size()));
    const int task = solution.sequence[p];
    const auto t = static_cast<std::size_t>(task);
    const auto u = static_cast<std::size_t>(solution.unit[t]);
    start_[t] = std::max(free_[u], ready(task, end_));
    end_[t] = start_[t] + instance_.cycles[instance_.at(task, solution.unit[t])];
    free_[u] = end_[t];
    previous_[t] = last[u];
    last[u] = task;
    solution.makespan = std::max(solution.makespan, end_[t]);
  }
  solution.energy = energy(solution.unit);
  placed_ += instance_.tasks;
}

std::vector<int> Decoder::critical_tasks() const {
  std::vector<int> chain;
  int task = static_cast<int>(std::max_element(end_.begin(), end_.end()) - end_.begin());
  while (task >= 0) {
    chain.push_back(task);
    const auto t = static_cast<std::size_t>(task);
    int next = -1;
    for (int i = first_before_[t]; i < first_before_[t + 1] && next < 0; ++i) {
      const int before = before_[static_cast<std::size_t>(i)];
      next = end_[static_cast<std::size_t>(before)] == start_[t] ? before : -1;
    }
    const int previous = previous_[t];
    if (next < 0 && previous >= 0 && end_[static_cast<std::size_t>(previous)] == start_[t]) {
      next = previous;
    }
    task = next;
  }
  return chain;
}

std::int64_t Decoder::makespan(const std::vector<int>& sequence, const std::vector<int>& units, std::size_t from,
                               std::int64_t limit) {
  const auto first = committed_free_.begin() + static_cast<std::ptrdiff_t>(from * free_.size());
  std::copy(first, first + static_cast<std::ptrdiff_t>(free_.size()), free_.begin());
  std::copy(end_.begin(), end_.end(), trial_end_.begin());
  for (std::size_t p = from; p < sequence.size(); ++p) {
    const int task = sequence[p];
    const auto t = static_cast<std::size_t>(task);
    std::int64_t& unit_free = free_[static_cast<std::size_t>(units[t])];
    unit_free = std::max(unit_free, ready(task, trial_end_)) + instance_.cycles[instance_.at(task, units[t])];
    trial_end_[t] = unit_free;
    ++placed_;
    if (unit_free + instance_.fastest_after[t] > limit) {
      return unit_free + instance_.fastest_after[t];
    }
  }
  return *std::max_element(free_.begin(), free_.end());
}

double Decoder::energy(const std::vector<int>& units) const {
  double sum = 0.0;
  for (int task = 0; task < instance_.tasks; ++task) {
    sum += instance_.energy[instance_.at(task, units[static_cast<std::size_t>(task)])];
  }
  return sum;
}

}  // namespace cosearch::schedule
