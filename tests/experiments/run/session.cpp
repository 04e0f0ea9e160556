#include "tests/experiments/run/session.hpp"

#include <utility>

namespace cosearch::testing_support {

using nlohmann::json;

Session::Session(const json& config) : campaign_(campaign_from_json(config)) {
  Store store = Store::open_writer(path());
  id_ = store.create_campaign(campaign_.name, campaign_.resolved, "0", campaign_.evaluations).id;
}

RunOutcome Session::go(RunOptions options, std::stop_token stop) {
  options.quiet = true;
  Store store = Store::open_writer(path());
  return run_campaign(campaign_, load_campaign_data(campaign_), store, id_, options, std::move(stop));
}

RunOutcome Session::go_until(std::size_t trials) {
  std::stop_source stop;
  RunOptions options;
  std::size_t finished = 0;
  options.finished = [&](const TrialRow&) {
    if (++finished == trials) {
      stop.request_stop();
    }
  };
  return go(options, stop.get_token());
}

json Session::results() const {
  json list = json::array();
  for (const FinalRow& row : finals()) {
    list.push_back({{"trial", row.trial}, {"metrics", row.metrics}, {"routing", row.routing}});
  }
  return {{"trials", results_of(trials())}, {"finals", std::move(list)}};
}

RunOptions with_threads(int threads) {
  RunOptions options;
  options.threads = threads;
  return options;
}

}  // namespace cosearch::testing_support
