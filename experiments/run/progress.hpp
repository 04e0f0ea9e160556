#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "experiments/evaluate/evaluator.hpp"

namespace cosearch {

/// What the progress line of a search says.
struct SearchStatus {
  std::int64_t batch = 0;
  std::int64_t evaluated = 0;
  std::int64_t evaluations = 0;    ///< budget
  std::int64_t evaluated_now = 0;  ///< by this run, in `seconds`
  double seconds = 0.0;
  double feasible_share = 0.0;
  std::optional<std::int64_t> trained;  ///< nothing in cost-only campaigns
  std::int64_t trainings = 0;           ///< budget, 0 = none
  std::int64_t front = 0;
  std::optional<double> hypervolume;
  CacheUse cache_use;
};
/// `gen 12  1200/4000 evaluated  12.3/s  ETA 3m48s  71% feasible  trained 34/60  front 38  HV 0.8731  cache 9%`
[[nodiscard]] std::string status_line(const SearchStatus& status);

/// `45s`, `3m50s`, `2h05m`
[[nodiscard]] std::string duration_text(double seconds);

/// Says what a run is doing: one live line on a terminal, a plain line now and then elsewhere. Not thread-safe.
class Progress {
 public:
  /// `line` tells the present state; it is asked only when something is printed.
  Progress(std::FILE* stream, bool quiet, std::function<std::string()> line);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Prints the line when enough time has passed since the last one.
  void refresh();
  /// Prints the line as one that stays.
  void print();
  /// Prints a line of its own that stays.
  void note(const std::string& text);
  /// Running trainings are told behind the line.
  void training(TrialId trial, const TrainProgress& progress);
  void trained(TrialId trial);

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] std::string line_of(std::size_t width) const;
  void clear_live();

  std::FILE* stream_;
  bool quiet_;
  bool terminal_;
  bool live_ = false;  ///< an unfinished line stands on the terminal
  std::function<std::string()> line_;
  std::map<TrialId, TrainProgress> trainings_;
  Clock::time_point next_;
};

}  // namespace cosearch
