#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/config/campaign.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {

/// Reads `tasks`, `task_sampling` and `task_baseline` of a network that learns several tasks at once, and from the
/// tasks the network's shape. @throws ConfigError: an empty list, names that are not is_network_name or not different,
/// data sets whose samples differ, class weights that are not one for each class.
void read_tasks(const JsonReader& part, CampaignNetwork& network);

/// What `read_tasks` has read, with every default: keys of a resolved config.
[[nodiscard]] nlohmann::json resolved_tasks(const CampaignNetwork& network);

/// Reads the tasks' data sets. @throws ConfigError: missing or broken files, tasks whose images differ.
[[nodiscard]] std::vector<LearningTask> load_tasks(const CampaignNetwork& network);

/// Metrics that the training of one network tells, without its name: accuracy, error and train_loss; of several tasks
/// also delta_m, and of each task rmse_<task>, or accuracy_<task> and error_<task>. The network's own error is the
/// tasks' mean error, a root mean square being one. A supernet tells no loss.
[[nodiscard]] std::vector<std::string> training_metrics(const Campaign& campaign, const CampaignNetwork& network);

}  // namespace cosearch
