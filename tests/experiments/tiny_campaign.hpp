#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "experiments/config/campaign.hpp"
#include "experiments/store/store.hpp"

/// Campaigns that are evaluated in about a second, for the tests of evaluator and runner.
namespace cosearch::testing_support {

/// Costs only: small CNNs on microcontroller boards.
[[nodiscard]] nlohmann::json cost_config();
/// The same with training on synthetic images, a screen and a final stage.
[[nodiscard]] nlohmann::json train_config();
/// The same with a supernet that scores all candidates.
[[nodiscard]] nlohmann::json one_shot_config();

/// Transformers with experts that learn the kind, edges and depth of rendered shapes.
[[nodiscard]] nlohmann::json task_config();
/// The same, of both patch sizes, scored with a supernet's weights, with which the final stage begins.
[[nodiscard]] nlohmann::json one_shot_task_config();

/// Two networks with data sets, spaces and recipes of their own beside one machine, trained, screened, trained longer.
[[nodiscard]] nlohmann::json two_network_config();

/// A folder that exists as long as this object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// A trial without its wall time: what must not depend on threads, caches and interruptions.
[[nodiscard]] nlohmann::json result_of(const TrialRow& row);
[[nodiscard]] nlohmann::json results_of(const std::vector<TrialRow>& rows);

}  // namespace cosearch::testing_support
