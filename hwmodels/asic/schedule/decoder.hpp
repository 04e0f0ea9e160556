#pragma once

#include <cstdint>
#include <vector>

#include "hwmodels/asic/schedule/problem.hpp"

namespace cosearch::schedule {

/// A schedule as the heuristic varies it: the order in which tasks take their units, and the units.
struct Solution {
  std::vector<int> sequence;  ///< topological
  std::vector<int> unit;      ///< per task
  std::int64_t makespan = 0;
  double energy = 0.0;
};

/// Turns sequences and assignments into times. Holds the arrays that this takes, so one decoder serves one thread.
/// `instance` must outlive it.
class Decoder {
 public:
  explicit Decoder(const Instance& instance);

  /// List scheduling from nothing: at each step the free task with the longest way to the end (by durations on the
  /// units of least energy + `price` * cycles) takes the unit of least energy + `price` * end. With an infinite price
  /// this is HEFT without communication (Topcuoglu, Hariri, Wu, IEEE TPDS 13(3), 2002) on the fastest units' critical
  /// path.
  [[nodiscard]] Solution construct(double price);

  /// Giffler and Thompson's active schedule (Operations Research 8(4), 1960) of the assignment, conflicts decided by
  /// the longest way to the end. Replaces sequence, makespan and energy.
  void resequence(Solution& solution);

  /// Fills in makespan and energy and remembers the times: what the next two functions refer to.
  void commit(Solution& solution);
  /// A longest chain of the committed schedule, from its last task back to its first: each task starts when the one
  /// after it in the list ends, by an edge or because it frees the unit.
  [[nodiscard]] std::vector<int> critical_tasks() const;
  /// The makespan with `units` in place of the committed ones, which may differ from position `from` of the sequence
  /// on; something larger than `limit` as soon as the makespan must exceed it.
  [[nodiscard]] std::int64_t makespan(const std::vector<int>& sequence, const std::vector<int>& units, std::size_t from,
                                      std::int64_t limit);

  [[nodiscard]] double energy(const std::vector<int>& units) const;
  /// Tasks placed so far: a measure of the time spent that is the same on every machine.
  [[nodiscard]] std::int64_t placed() const noexcept { return placed_; }

 private:
  [[nodiscard]] std::int64_t ready(int task, const std::vector<std::int64_t>& end) const;
  void rank(const std::vector<int>& unit);
  void open_first();
  void take(std::size_t place, Solution& solution);

  const Instance& instance_;
  std::vector<int> first_before_;  ///< predecessors of t: before_[first_before_[t]] until that of t + 1
  std::vector<int> before_;
  std::vector<std::int64_t> rank_;  ///< longest way from the start of a task to the end
  std::vector<int> missing_;        ///< predecessors not yet in the sequence
  std::vector<int> open_;           ///< tasks that may come next
  std::vector<std::int64_t> ready_;
  std::vector<std::int64_t> free_;
  std::vector<std::int64_t> end_;             ///< committed
  std::vector<std::int64_t> start_;           ///< committed
  std::vector<std::int64_t> committed_free_;  ///< when unit u is free before position p: [p * units + u]
  std::vector<int> previous_;
  std::vector<std::int64_t> trial_end_;
  std::int64_t placed_ = 0;
};

}  // namespace cosearch::schedule
