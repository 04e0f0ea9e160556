#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "hwmodels/model.hpp"
#include "search/algorithm.hpp"
#include "spaces/graph/graph.hpp"

namespace cosearch {

/// The store cannot be used. `exit_code`: 4 no such campaign, trial or file; 5 locked or unreachable; 6 other schema.
class StoreError : public std::runtime_error {
 public:
  StoreError(int exit_code, const std::string& message) : std::runtime_error(message), exit_code_(exit_code) {}
  [[nodiscard]] int exit_code() const noexcept { return exit_code_; }

 private:
  int exit_code_;
};

enum class CampaignState { running, finished, stopped };

struct CampaignRow {
  std::int64_t id = 0;
  std::string name;
  CampaignState state = CampaignState::running;
  nlohmann::json config;  ///< Campaign::resolved
  std::string config_hash;
  std::string created_utc;
  std::int64_t evaluations = 0;  ///< budget, grows with `resume --add-evals`
};

/// Of each network of a candidate where the tokens of its mixtures go, as its trained routers send them (see
/// graph::tokens_key). Empty where no network has mixtures, or none is trained.
using Routing = std::vector<graph::Histograms>;

/// A trial as stored. `pending` rows were proposed and not yet finished.
struct TrialRow {
  TrialId id = 0;          ///< 0, 1, ... within the campaign, in order of proposal
  std::int64_t batch = 0;  ///< generation
  Genome genome;           ///< joint
  nlohmann::json genes;    ///< readable
  Fidelity fidelity;
  bool pending = true;
  TrialState state = TrialState::complete;
  Metrics metrics;
  double violation = 0.0;
  std::string violated;      ///< name of the worst broken capacity or constraint
  double violated_by = 0.0;  ///< its relative excess
  std::string reason;        ///< why infeasible, failed or screened
  std::string network_hash;  ///< of several networks: their hashes in order, with - between
  std::string hardware_hash;
  Routing routing;          ///< by which the costs are
  double duration_s = 0.0;  ///< wall time; not part of any result
};

/// A final training of a front member.
struct FinalRow {
  TrialId trial = 0;
  /// accuracy, test_accuracy, train_loss; of several networks also each one's; costs that follow from the training.
  Metrics metrics;
  std::string weights_file;  ///< safetensors in `Store::files_directory`; stored by name, read as a path
  Routing routing = {};      ///< by which these costs are
};

/// The parsed form of `--where`, `--sort`, `--limit`; see query.hpp.
struct TrialFilter;

/// Results in SQLite (WAL, STRICT, foreign keys; one writer, any number of readers). A reported result is committed:
/// SIGKILL loses nothing. Any thread may call; calls are serialised. Every function may throw StoreError 5 (locked,
/// disk full, not readable) and 6 (damaged file). Numbers must be finite, except violations, and metrics known to
/// `metric_registry`: anything else is our defect and aborts.
///
/// Table `trial` has the numbers of a trial, one REAL column per metric, which for the metrics of one of several
/// networks is made with the first value; table `trial_detail` its genome and texts.
class Store {
 public:
  /// Creates or opens for writing. Only one writer at a time.
  /// @throws StoreError 5: another writer (names it), a network filesystem, no permission; 6: not ours, newer, damaged.
  [[nodiscard]] static Store open_writer(const std::string& path);
  /// Opens read-only, also while a writer runs and in a read-only folder; never creates. @throws StoreError 4, 5 or 6.
  [[nodiscard]] static Store open_reader(const std::string& path);
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  /// `<database>.files`: weights and checkpoints. Not created.
  [[nodiscard]] std::string files_directory() const;

  /// @throws ConfigError (place "/name") when the name is taken or empty.
  [[nodiscard]] CampaignRow create_campaign(const std::string& name, const nlohmann::json& config,
                                            const std::string& config_hash, std::int64_t evaluations);
  /// In order of creation.
  [[nodiscard]] std::vector<CampaignRow> campaigns() const;
  /// By name; empty name: the only or newest campaign. @throws StoreError 4 with the known names.
  [[nodiscard]] CampaignRow campaign(const std::string& name) const;
  [[nodiscard]] CampaignRow campaign(std::int64_t id) const;
  void set_state(std::int64_t campaign, CampaignState state);
  void set_evaluations(std::int64_t campaign, std::int64_t evaluations);

  /// One transaction for the batch. Rows must be pending.
  void insert_pending(std::int64_t campaign, const std::vector<TrialRow>& rows);
  /// One transaction: the finished trial. It must be stored and pending.
  void finish(std::int64_t campaign, const TrialRow& row);
  /// Adds metrics to a finished trial, in place of earlier values. They are none that the search has seen, such as
  /// measurements of an exported program. @throws StoreError 4 where there is no such trial or it is pending.
  void add_metrics(std::int64_t campaign, TrialId id, const Metrics& metrics);
  /// In id order.
  [[nodiscard]] std::vector<TrialRow> trials(std::int64_t campaign) const;
  [[nodiscard]] std::optional<TrialRow> trial(std::int64_t campaign, TrialId id) const;
  /// Filter, sort and limit in SQL over typed columns.
  [[nodiscard]] std::vector<TrialRow> query(std::int64_t campaign, const TrialFilter& filter) const;
  /// Number of rows that `query` gives.
  [[nodiscard]] std::int64_t count(std::int64_t campaign, const TrialFilter& filter) const;

  void put_final(std::int64_t campaign, const FinalRow& row);
  /// By trial.
  [[nodiscard]] std::vector<FinalRow> finals(std::int64_t campaign) const;

  // The two caches; keys are hex hashes.
  struct CachedAccuracy {
    bool failed = false;
    std::string reason;
    Metrics metrics;
    graph::Histograms routing = {};  ///< of a network with mixtures
    bool operator==(const CachedAccuracy&) const = default;
  };
  [[nodiscard]] std::optional<CachedAccuracy> cached_accuracy(const std::string& key) const;
  void put_accuracy(const std::string& key, const CachedAccuracy& value);
  struct CachedCost {
    Metrics metrics;                    ///< of a feasible candidate
    std::vector<Violation> violations;  ///< of an infeasible one
    bool infeasible = false;
    std::string reason;
  };
  [[nodiscard]] std::optional<CachedCost> cached_cost(const std::string& key) const;
  void put_cost(const std::string& key, const CachedCost& value);
  /// One transaction.
  void put_costs(const std::vector<std::pair<std::string, CachedCost>>& values);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cosearch
