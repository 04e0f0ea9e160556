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

/// What the final stage of a campaign works with; all of it outlives the stage.
struct FinalContext {
  const Campaign& campaign;
  const JointSpace& space;
  const Evaluator& evaluator;
  Store& store;
  std::int64_t campaign_id;
};
/// Trains the networks of what `select_finals` chose by their recipes for it, each network once, measures them on the
/// search split and once on the test split, and stores weights and figures; goes on from checkpoints after an
/// interruption and skips what is done. The weights of a candidate are one file; where there are several networks, each
/// tensor's name begins with `<network>.`. Where networks are quantised, its metadata `ranges` holds what
/// quantize::quantize needs beside the weights: of one network quantize::to_json, of several a list of these. Networks
/// with mixtures of experts are priced again with the tokens that their trained routers send to each expert; these
/// costs are among the figures. A candidate with a network whose training diverges is reported and left out. False:
/// stopped before the end.
/// @throws StoreError 5 when the weights cannot be written.
[[nodiscard]] bool run_final_stage(const FinalContext& context, const std::vector<TrialRow>& rows, bool quiet,
                                   std::stop_token stop);

}  // namespace cosearch
