#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "experiments/config/campaign.hpp"
#include "experiments/store/store.hpp"

namespace cosearch {

struct RunOptions {
  int threads = 0;                                     ///< 0: all cores. Never changes a result
  std::string data_directory;                          ///< overrides embedded hardware data
  bool quiet = false;                                  ///< no progress
  std::function<void(const TrialRow&)> finished = {};  ///< told of every trial that this run finished, after the commit
};

enum class RunOutcome { finished, stopped, no_feasible };

/// Runs the campaign from where the store has it to the end of its budget, final stage included: tells stored trials
/// again in order, compares what the algorithm asks with what is stored, evaluates what is missing. `data` is what
/// load_campaign_data gives.
/// @throws StoreError 6 when the replay does not match (another binary or config).
[[nodiscard]] RunOutcome run_campaign(const Campaign& campaign, const CampaignData& data, Store& store,
                                      std::int64_t campaign_id, const RunOptions& options, std::stop_token stop);

/// Which constraint or capacity stopped most candidates, by how much the best of them missed it; one or two lines for
/// exit code 3.
[[nodiscard]] std::string explain_infeasibility(const Store& store, std::int64_t campaign_id);

}  // namespace cosearch
