#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "experiments/evaluate/evaluator.hpp"
#include "experiments/run/progress.hpp"

namespace cosearch {

/// The trials whose networks are trained longer: of the measured front, ordered by error and then by id, the first
/// `final.top` with different networks. Fewer when the front has fewer.
[[nodiscard]] std::vector<TrialRow> select_finals(const Campaign& campaign, const std::vector<TrialRow>& rows);

/// Trains what `select_finals` chose by the recipe of `final`, measures it on the search split and once on the test
/// split, and stores weights and figures; goes on from checkpoints after an interruption and skips what is done.
/// A network whose training diverges is reported and left out. False: stopped before the end.
/// @throws StoreError 5 when the weights cannot be written.
[[nodiscard]] bool run_final_stage(const Campaign& campaign, const Evaluator& evaluator, const TaskData& data,
                                   Store& store, std::int64_t campaign_id, const std::vector<TrialRow>& rows,
                                   bool quiet, std::stop_token stop);

}  // namespace cosearch
