#include "hwmodels/asic/schedule/exact.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "hwmodels/asic/schedule/heuristic.hpp"

namespace cosearch::schedule {
namespace {

constexpr int kMostTasks = 64;
constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

/// The last step of a partial schedule.
struct Step {
  std::int64_t parent;  ///< -1: the first
  int task;
  int unit;
};

struct Node {
  std::vector<std::int64_t> times;  ///< when each unit is free, then the ends of the tasks with waiting successors
  double energy = 0.0;
  std::int64_t step = -1;
};

using TaskSet = std::uint64_t;

bool contains(TaskSet set, int task) { return ((set >> static_cast<unsigned>(task)) & 1U) != 0; }

class BranchAndBound {
 public:
  BranchAndBound(const Instance& instance, Objective objective, Schedule incumbent, std::int64_t node_limit)
      : instance_(instance), objective_(objective), best_(std::move(incumbent)), node_limit_(node_limit) {
    free_.resize(static_cast<std::size_t>(instance.units));
    end_.resize(static_cast<std::size_t>(instance.tasks));
  }

  /// False when the node limit was reached.
  bool run() {
    Level level;
    level[0].push_back({std::vector<std::int64_t>(free_.size(), 0), 0.0, -1});
    for (int depth = 0; depth < instance_.tasks; ++depth) {
      Level next;
      for (const auto& [set, nodes] : level) {
        for (const Node& node : nodes) {
          if (!branch(set, node, next)) {
            return false;
          }
        }
      }
      level = std::move(next);
    }
    for (const auto& [set, nodes] : level) {
      for (const Node& node : nodes) {
        complete(node);
      }
    }
    return true;
  }

  [[nodiscard]] const Schedule& best() const noexcept { return best_; }
  [[nodiscard]] std::int64_t nodes() const noexcept { return nodes_; }

 private:
  using Level = std::map<TaskSet, std::vector<Node>>;

  [[nodiscard]] bool waits(TaskSet set, int task) const {
    const std::vector<int>& after = instance_.after[static_cast<std::size_t>(task)];
    return std::any_of(after.begin(), after.end(), [&](int next) { return !contains(set, next); });
  }
  /// Fills `free_`, and `end_` for the tasks with waiting successors.
  void unpack(TaskSet set, const Node& node) {
    std::copy_n(node.times.begin(), free_.size(), free_.begin());
    std::size_t place = free_.size();
    for (int task = 0; task < instance_.tasks; ++task) {
      if (contains(set, task) && waits(set, task)) {
        end_[static_cast<std::size_t>(task)] = node.times[place++];
      }
    }
  }
  [[nodiscard]] std::vector<std::int64_t> packed(TaskSet set) const {
    std::vector<std::int64_t> times = free_;
    for (int task = 0; task < instance_.tasks; ++task) {
      if (contains(set, task) && waits(set, task)) {
        times.push_back(end_[static_cast<std::size_t>(task)]);
      }
    }
    return times;
  }

  /// False when the node limit was reached.
  bool branch(TaskSet set, const Node& node, Level& next) {
    for (int task = 0; task < instance_.tasks; ++task) {
      const std::vector<int>& before = instance_.before[static_cast<std::size_t>(task)];
      if (contains(set, task) ||
          std::any_of(before.begin(), before.end(), [&](int previous) { return !contains(set, previous); })) {
        continue;
      }
      for (int unit = 0; unit < instance_.units; ++unit) {
        if (instance_.runs(task, unit) && !append(set, node, {node.step, task, unit}, next)) {
          return false;
        }
      }
    }
    return true;
  }

  bool append(TaskSet set, const Node& node, const Step& step, Level& next) {
    unpack(set, node);
    const auto t = static_cast<std::size_t>(step.task);
    std::int64_t& unit_free = free_[static_cast<std::size_t>(step.unit)];
    std::int64_t start = std::max(unit_free, instance_.release[t]);
    for (const int previous : instance_.before[t]) {
      start = std::max(start, end_[static_cast<std::size_t>(previous)]);
    }
    unit_free = start + instance_.cycles[instance_.at(step.task, step.unit)];
    end_[t] = unit_free;
    const TaskSet grown = set | (TaskSet{1} << static_cast<unsigned>(step.task));
    Node child{packed(grown), node.energy + instance_.energy[instance_.at(step.task, step.unit)], -1};
    if (hopeless(grown, child.energy) || !keep(child, next[grown])) {
      return true;
    }
    if (nodes_ == node_limit_) {
      return false;
    }
    child.step = static_cast<std::int64_t>(steps_.size());
    steps_.push_back(step);
    next[grown].push_back(std::move(child));
    ++nodes_;
    return true;
  }

  /// No completion of the partial schedule in `free_` and `end_` beats the best. Overwrites `end_` of open tasks.
  bool hopeless(TaskSet set, double energy) {
    const std::int64_t limit =
        objective_ == Objective::makespan ? best_.makespan - 1 : instance_.deadline.value_or(kNoLimit);
    std::int64_t latest = *std::max_element(free_.begin(), free_.end());
    std::int64_t load = static_cast<std::int64_t>(free_.size()) - 1;  // to round the mean up
    for (const std::int64_t free : free_) {
      load += free;
    }
    for (const int task : instance_.order) {
      const auto t = static_cast<std::size_t>(task);
      if (contains(set, task)) {
        continue;
      }
      std::int64_t ready = instance_.release[t];
      for (const int previous : instance_.before[t]) {
        ready = std::max(ready, end_[static_cast<std::size_t>(previous)]);
      }
      end_[t] = kNoLimit;
      double least = std::numeric_limits<double>::infinity();
      for (int unit = 0; unit < instance_.units; ++unit) {
        if (!instance_.runs(task, unit)) {
          continue;
        }
        const std::int64_t end =
            std::max(ready, free_[static_cast<std::size_t>(unit)]) + instance_.cycles[instance_.at(task, unit)];
        end_[t] = std::min(end_[t], end);
        if (end <= limit - instance_.fastest_after[t]) {
          least = std::min(least, instance_.energy[instance_.at(task, unit)]);
        }
      }
      latest = std::max(latest, end_[t]);
      load += instance_.fastest[t];
      energy += least;
    }
    latest = std::max(latest, load / static_cast<std::int64_t>(free_.size()));
    if (latest > limit || energy == std::numeric_limits<double>::infinity()) {
      return true;
    }
    switch (objective_) {
      case Objective::makespan:
        return false;  // within the limit, which is below the best
      case Objective::energy:
        return energy >= best_.energy;
      case Objective::energy_delay_product:
        break;
    }
    return energy * static_cast<double>(latest) >= best_.energy * static_cast<double>(best_.makespan);
  }

  /// Whether no node dominates the child; drops those that it dominates.
  bool keep(const Node& child, std::vector<Node>& nodes) const {
    const auto dominates = [&](const Node& a, const Node& b) {
      if (objective_ != Objective::makespan && a.energy > b.energy) {
        return false;
      }
      for (std::size_t i = 0; i < a.times.size(); ++i) {
        if (a.times[i] > b.times[i]) {
          return false;
        }
      }
      return true;
    };
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (dominates(nodes[i], child)) {
        return false;
      }
    }
    std::erase_if(nodes, [&](const Node& node) { return dominates(child, node); });
    return true;
  }

  void complete(const Node& node) {
    std::vector<int> sequence;
    std::vector<int> unit(static_cast<std::size_t>(instance_.tasks));
    for (std::int64_t step = node.step; step >= 0; step = steps_[static_cast<std::size_t>(step)].parent) {
      const Step& taken = steps_[static_cast<std::size_t>(step)];
      sequence.push_back(taken.task);
      unit[static_cast<std::size_t>(taken.task)] = taken.unit;
    }
    std::reverse(sequence.begin(), sequence.end());
    Schedule schedule = schedule_of(instance_, sequence, unit);
    if (value_of(instance_, schedule.makespan, schedule.energy) < value_of(instance_, best_.makespan, best_.energy)) {
      best_ = std::move(schedule);
    }
  }

  const Instance& instance_;
  Objective objective_;  ///< makespan also while no schedule in time is known
  Schedule best_;
  std::int64_t node_limit_;
  std::int64_t nodes_ = 0;
  std::vector<Step> steps_;
  std::vector<std::int64_t> free_;
  std::vector<std::int64_t> end_;
};

}  // namespace

ExactSchedule exact_schedule(const Instance& instance, std::int64_t node_limit) {
  ExactSchedule result{heuristic_schedule(instance), false, 0};
  if (instance.tasks > kMostTasks) {
    return result;
  }
  const auto search = [&](Objective objective) {
    BranchAndBound tree(instance, objective, result.schedule, node_limit - result.nodes);
    result.proved = tree.run();
    result.schedule = tree.best();
    result.nodes += tree.nodes();
  };
  if (!result.schedule.in_time) {
    search(Objective::makespan);
    if (!result.schedule.in_time) {
      return result;
    }
  }
  search(instance.objective);
  return result;
}

}  // namespace cosearch::schedule
