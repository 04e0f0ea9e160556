#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/config/campaign.hpp"
#include "experiments/run/runner.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::testing_support {

/// A database in a folder of its own with one campaign.
class Session {
 public:
  explicit Session(const nlohmann::json& config);
  [[nodiscard]] std::string path() const { return folder_.file("runs.db"); }

  /// Opens the store as a new process would.
  RunOutcome go(RunOptions options = {}, std::stop_token stop = {});
  /// Stops when so many trials were finished by this run.
  RunOutcome go_until(std::size_t trials);

  [[nodiscard]] Store reader() const { return Store::open_reader(path()); }
  [[nodiscard]] std::vector<TrialRow> trials() const { return reader().trials(id_); }
  [[nodiscard]] std::vector<FinalRow> finals() const { return reader().finals(id_); }
  /// Trials and final trainings, without what may differ between runs.
  [[nodiscard]] nlohmann::json results() const;

  TemporaryFolder folder_;
  Campaign campaign_;
  std::int64_t id_ = 0;
};

/// A campaign that went to its end.
struct FinishedRun : Session {
  explicit FinishedRun(const nlohmann::json& config) : Session(config), outcome(go()) {}
  RunOutcome outcome;
};

/// Of a run with so many threads.
[[nodiscard]] RunOptions with_threads(int threads);

}  // namespace cosearch::testing_support
