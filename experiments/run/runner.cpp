#include "experiments/run/runner.hpp"

#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>

#include "experiments/evaluate/evaluator.hpp"
#include "experiments/evaluate/learning.hpp"
#include "experiments/run/final_stage.hpp"
#include "experiments/run/progress.hpp"
#include "experiments/run/tally.hpp"
#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

// Most that an algorithm without generations is asked for at once: little where the screen learns from every batch,
// much where only costs are computed. Part of a campaign's result, like the rest of the code.
constexpr std::size_t kLargestTrainedBatch = 64;
constexpr std::size_t kLargestCostedBatch = 512;

class CampaignRun {
 public:
  CampaignRun(const Campaign& campaign, const JointSpace& space, const CampaignData& data, Supernets* supernets,
              Store& store, std::int64_t campaign_id, const RunOptions& options)
      : campaign_(campaign),
        space_(space),
        store_(store),
        campaign_id_(campaign_id),
        options_(options),
        budget_(store.campaign(campaign_id).evaluations),
        evaluator_(campaign, space, data, store, supernets),
        algorithm_(make_algorithm(campaign.algorithm, campaign.algorithm_options,
                                  algorithm_context(campaign, space, fidelity()))),
        tally_(campaign),
        progress_(stderr, options.quiet, [this] { return status_line(status()) + supernet_; }) {}

  RunOutcome run(const std::stop_token& stop);

 private:
  [[nodiscard]] Fidelity fidelity() const {
    switch (campaign_.accuracy) {
      case AccuracyKind::train:
        return {FidelityKind::full, 0};
      case AccuracyKind::one_shot:
        return {FidelityKind::one_shot, 0};
      case AccuracyKind::none:
        break;
    }
    return {FidelityKind::cost, 0};
  }
  [[nodiscard]] bool trains() const { return campaign_.accuracy != AccuracyKind::none; }
  [[nodiscard]] bool search(const std::stop_token& stop);
  [[nodiscard]] bool replay(const std::stop_token& stop);
  void check_replayed(const std::vector<TrialRow>& stored, const std::vector<Proposal>& asked) const;
  [[nodiscard]] std::vector<TrialRow> proposed();
  [[nodiscard]] bool evaluate(std::vector<TrialRow> batch, const std::stop_token& stop);
  [[nodiscard]] Supernets::Events supernet_events();
  [[nodiscard]] bool trainings_used_up() const;
  [[nodiscard]] SearchStatus status() const;

  const Campaign& campaign_;
  const JointSpace& space_;
  Store& store_;
  std::int64_t campaign_id_;
  const RunOptions& options_;
  std::int64_t budget_;
  Evaluator evaluator_;
  std::unique_ptr<SearchAlgorithm> algorithm_;
  std::vector<TrialRow> rows_;  ///< of all batches before the present one
  std::int64_t batch_ = 0;
  SearchTally tally_;
  std::int64_t evaluated_now_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::string supernet_;  ///< how far the training of a lazy one is
  Progress progress_;
};

/// How far a supernet is after so many seconds.
std::string supernet_line(const std::string& name, const TrainProgress& now, double seconds) {
  return fmt::format("{}  step {}/{}  loss {:.3f}  {} so far", name, now.step, now.steps, now.loss,
                     duration_text(seconds));
}

RunOutcome CampaignRun::run(const std::stop_token& stop) {
  store_.set_state(campaign_id_, CampaignState::running);
  const auto stopped = [&] {
    store_.set_state(campaign_id_, CampaignState::stopped);
    return RunOutcome::stopped;
  };
  if (!search(stop)) {
    progress_.print();
    return stopped();
  }
  progress_.print();
  if (tally_.complete() == 0) {
    store_.set_state(campaign_id_, CampaignState::finished);
    return RunOutcome::no_feasible;
  }
  evaluator_.recall(rows_);
  if (!evaluator_.prepare_final(select_finals(campaign_, rows_), supernet_events(), stop)) {
    return stopped();
  }
  if (campaign_.final_stage.top > 0 &&
      !run_final_stage({campaign_, space_, evaluator_, store_, campaign_id_}, rows_, options_.quiet, stop)) {
    return stopped();
  }
  store_.set_state(campaign_id_, CampaignState::finished);
  return RunOutcome::finished;
}

bool CampaignRun::search(const std::stop_token& stop) {
  if (!replay(stop)) {
    return false;
  }
  while (static_cast<std::int64_t>(rows_.size()) < budget_ && !trainings_used_up()) {
    if (stop.stop_requested()) {
      return false;
    }
    std::vector<TrialRow> batch = proposed();
    if (batch.empty()) {
      progress_.note("the space is exhausted: every design was proposed");
      break;
    }
    store_.insert_pending(campaign_id_, batch);
    if (!evaluate(std::move(batch), stop)) {
      return false;
    }
  }
  return true;
}

bool CampaignRun::replay(const std::stop_token& stop) {
  const std::vector<TrialRow> stored = store_.trials(campaign_id_);
  if (!stored.empty()) {
    const auto finished = std::count_if(stored.begin(), stored.end(), [](const TrialRow& row) { return !row.pending; });
    progress_.note(fmt::format("going on with campaign \"{}\": {} of {} evaluated", campaign_.name, finished, budget_));
  }
  for (auto first = stored.begin(); first != stored.end();) {
    const auto last = std::find_if(first, stored.end(), [&](const TrialRow& row) { return row.batch != first->batch; });
    std::vector<TrialRow> batch(first, last);
    check_replayed(batch, algorithm_->ask(batch.size()));
    batch_ = batch.front().batch;
    if (!evaluate(std::move(batch), stop)) {
      return false;
    }
    first = last;
  }
  return true;
}

void CampaignRun::check_replayed(const std::vector<TrialRow>& stored, const std::vector<Proposal>& asked) const {
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const TrialRow& row = stored[i];
    const bool expected_id = row.id == static_cast<TrialId>(rows_.size() + i);
    if (expected_id && i < asked.size() && asked[i].genome == row.genome && asked[i].fidelity == row.fidelity) {
      continue;
    }
    const std::string now = i < asked.size() ? space_.params().to_json(asked[i].genome).dump() : "nothing";
    throw StoreError(6, fmt::format("campaign \"{}\" cannot be replayed: trial {} was stored as {}, this program "
                                    "proposes {}; resume with the cosearch that began it, or start a new campaign "
                                    "under another name (the caches are used)",
                                    campaign_.name, row.id, row.genes.dump(), now));
  }
}

std::vector<TrialRow> CampaignRun::proposed() {
  const std::size_t largest = trains() ? kLargestTrainedBatch : kLargestCostedBatch;
  const auto left = static_cast<std::size_t>(budget_) - rows_.size();
  batch_ = rows_.empty() ? 0 : rows_.back().batch + 1;
  std::vector<TrialRow> batch;
  for (const Proposal& proposal : algorithm_->ask(std::min(left, largest))) {
    TrialRow row;
    row.id = static_cast<TrialId>(rows_.size() + batch.size());
    row.batch = batch_;
    row.genome = proposal.genome;
    row.genes = space_.params().to_json(proposal.genome);
    row.fidelity = proposal.fidelity;
    batch.push_back(std::move(row));
  }
  return batch;
}

bool CampaignRun::evaluate(std::vector<TrialRow> batch, const std::stop_token& stop) {
  std::size_t pending = 0;
  for (const TrialRow& row : batch) {
    if (row.pending) {
      ++pending;
    } else {
      tally_.add(row);
    }
  }
  if (pending > 0) {
    Evaluator::Events events;
    events.finished = [&](const TrialRow& row) {
      tally_.add(row);
      ++evaluated_now_;
      if (options_.finished) {
        options_.finished(row);
      }
      progress_.refresh();
    };
    events.training = [&](TrialId id, const TrainProgress& progress) { progress_.training(id, progress); };
    events.trained = [&](TrialId id) { progress_.trained(id); };
    events.supernets = supernet_events();
    if (!evaluator_.evaluate(campaign_id_, rows_, batch, events, stop)) {
      return false;
    }
  }
  tally_.end_batch();
  std::vector<Trial> trials;
  trials.reserve(batch.size());
  for (const TrialRow& row : batch) {
    trials.push_back(evaluator_.to_trial(row));
  }
  algorithm_->tell(trials);
  std::move(batch.begin(), batch.end(), std::back_inserter(rows_));
  return true;
}

Supernets::Events CampaignRun::supernet_events() {
  Supernets::Events events;
  events.note = [this](const std::string& text) {
    supernet_.clear();
    progress_.note(text);
  };
  events.training = [this, start = std::chrono::steady_clock::now()](const std::string& name,
                                                                     const TrainProgress& now) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    supernet_ = "  " + supernet_line(name, now, seconds);
    progress_.refresh();
  };
  return events;
}

bool CampaignRun::trainings_used_up() const {
  // With a predictor the search goes on: networks that are known already may fit better hardware. So it does with
  // several networks while what is left could train one more candidate's.
  return trains() && campaign_.screen.predictor.empty() && campaign_.trainings > 0 &&
         campaign_.trainings - tally_.trained() < static_cast<std::int64_t>(campaign_.networks.size());
}

SearchStatus CampaignRun::status() const {
  SearchStatus status;
  status.batch = batch_;
  status.evaluated = tally_.evaluated();
  status.evaluations = budget_;
  status.evaluated_now = evaluated_now_;
  status.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  status.feasible_share = tally_.feasible_share();
  if (trains()) {
    status.trained = tally_.trained();
    status.trainings = campaign_.trainings;
  }
  status.front = tally_.front_size();
  status.hypervolume = tally_.hypervolume();
  status.cache_use = evaluator_.cache_use();
  return status;
}

/// Trains what is missing, and says how far it is.
bool prepare_supernets(Supernets& supernets, const std::string& directory, bool quiet, const std::stop_token& stop) {
  std::string line = "supernet";
  Progress progress(stderr, quiet, [&line] { return line; });
  const auto start = std::chrono::steady_clock::now();
  Supernets::Events events;
  events.note = [&](const std::string& text) { progress.note(text); };
  events.training = [&](const std::string& name, const TrainProgress& now) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    line = supernet_line(name, now, seconds);
    progress.refresh();
  };
  return supernets.prepare(directory, events, stop);
}

/// Finds what Delta_m compares with, and tells it.
bool prepare_baselines(const Campaign& campaign, const JointSpace& space, CampaignData& data, Store& store, bool quiet,
                       const std::stop_token& stop) {
  Progress progress(stderr, quiet, [] { return std::string("baselines"); });
  return cosearch::prepare_baselines(
      campaign, space, data, store, [&](const std::string& line) { progress.note(line); }, stop);
}

std::string percent(double share) { return fmt::format("{:.3g} %", 100.0 * share); }

}  // namespace

RunOutcome run_campaign(const Campaign& campaign, const CampaignData& data, Store& store, std::int64_t campaign_id,
                        const RunOptions& options, std::stop_token stop) {
  const int threads = options.threads > 0 ? options.threads : tbb::info::default_concurrency();
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
  tbb::task_arena arena(threads);  // the default arena never exceeds the number of cores
  const JointSpace space(campaign, options.data_directory);
  const bool trains = campaign.accuracy != AccuracyKind::none;
  COSEARCH_CHECK(
      !trains || (data.size() == campaign.networks.size() &&
                  std::none_of(data.begin(), data.end(), [](const NetworkData& set) { return set.empty(); })),
      "a campaign that trains needs its data");
  return arena.execute([&] {
    std::optional<Supernets> supernets;
    if (campaign.accuracy == AccuracyKind::one_shot) {
      supernets.emplace(campaign, space, data);
      store.set_state(campaign_id, CampaignState::running);
      if (!prepare_supernets(*supernets, store.files_directory(), options.quiet, stop)) {
        store.set_state(campaign_id, CampaignState::stopped);
        return RunOutcome::stopped;
      }
    }
    CampaignData compared = data;
    if (trains && !prepare_baselines(campaign, space, compared, store, options.quiet, stop)) {
      store.set_state(campaign_id, CampaignState::stopped);
      return RunOutcome::stopped;
    }
    return CampaignRun(campaign, space, compared, supernets ? &*supernets : nullptr, store, campaign_id, options)
        .run(stop);
  });
}

std::string explain_infeasibility(const Store& store, std::int64_t campaign_id) {
  struct Tally {
    std::int64_t count = 0;
    const TrialRow* nearest = nullptr;
  };
  std::map<std::string, Tally> stopped_by;
  std::int64_t failed = 0;
  std::int64_t evaluated = 0;
  const std::vector<TrialRow> rows = store.trials(campaign_id);
  for (const TrialRow& row : rows) {
    evaluated += row.pending ? 0 : 1;
    failed += !row.pending && row.state == TrialState::failed ? 1 : 0;
    if (row.pending || row.state != TrialState::infeasible) {
      continue;
    }
    Tally& tally = stopped_by[row.violated.empty() ? "the hardware" : row.violated];
    ++tally.count;
    if (tally.nearest == nullptr || row.violated_by < tally.nearest->violated_by) {
      tally.nearest = &row;
    }
  }
  const auto most = std::max_element(stopped_by.begin(), stopped_by.end(),
                                     [](const auto& a, const auto& b) { return a.second.count < b.second.count; });
  if (most == stopped_by.end()) {
    return fmt::format("none of {} candidates was measured: the training of {} failed", evaluated, failed);
  }
  std::string text = fmt::format("none of {} candidates is feasible: {} stopped {} of them", evaluated, most->first,
                                 most->second.count);
  const TrialRow& nearest = *most->second.nearest;
  if (nearest.violated_by > 0.0 && std::isfinite(nearest.violated_by)) {
    text += fmt::format(", the nearest (trial {}) misses it by {}", nearest.id, percent(nearest.violated_by));
  }
  text += fmt::format(": {}", nearest.reason);
  for (const auto& [name, tally] : stopped_by) {
    if (name != most->first) {
      text += fmt::format("; {} stopped {}", name, tally.count);
    }
  }
  return failed == 0 ? text : text + fmt::format("; the training of {} failed", failed);
}

}  // namespace cosearch
