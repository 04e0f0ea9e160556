#include "tests/bench/supernet_setting.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "experiments/config/one_shot.hpp"
#include "spaces/catalog/registry.hpp"

namespace cosearch {
namespace {

TrainOptions recipe(const Arguments& arguments, std::int64_t samples, double epochs, const std::string& optimizer,
                    double learning_rate) {
  const bool sgd = optimizer == "sgd";
  return {.epochs = epochs,
          .batch = arguments.batch,
          .train_samples = samples,
          .evaluate_samples = arguments.evaluate_samples,
          .optimizer = sgd ? OptimizerKind::sgd : OptimizerKind::adamw,
          .learning_rate = learning_rate,
          .weight_decay = sgd ? 0.0005 : 0.01};
}

}  // namespace

SupernetSetting::SupernetSetting(const Arguments& arguments) : name_(arguments.space) {
  if (!arguments.campaign.empty()) {
    take_campaign(arguments.campaign);
    return;
  }
  const auto data = std::make_shared<const TaskData>(load_task_data(nlohmann::json::parse(arguments.data)));
  catalogue_ = make_space(name_, nlohmann::json::object(), {data->train.sample, data->train.classes});
  subnets_ = make_subnet_space(*catalogue_);
  tasks_ = {{.name = {}, .data = data}};
  together_ = {recipe(arguments, arguments.samples, arguments.epochs, arguments.optimizer, arguments.learning_rate),
               arguments.random_subnets, arguments.distillation};
  score_ = {arguments.calibration_samples, arguments.evaluate_samples};
  alone_ = recipe(arguments, arguments.alone_samples, arguments.alone_epochs, "adamw", arguments.alone_learning_rate);
}

void SupernetSetting::take_campaign(const std::string& path) {
  const Campaign campaign = load_campaign(path);
  if (campaign.accuracy != AccuracyKind::one_shot || campaign.networks.front().one_shot.lazy) {
    throw std::runtime_error(path + ": expected /accuracy/kind \"one_shot\", not lazy");
  }
  const CampaignNetwork& network = campaign.networks.front();
  const OneShot& one_shot = network.one_shot;
  name_ = network.space_name;
  subnets_ = std::move(supernet_spaces(campaign, joint_.emplace(campaign, "")).front().subnets);
  tasks_ = load_campaign_data(campaign).front().learning_tasks();
  together_ = {network.train, one_shot.random_subnets, one_shot.distillation, network.task_sampling};
  score_ = {one_shot.calibration_samples, network.train.evaluate_samples, network.train.precision};
  alone_ = network.final_train;
}

double SupernetSetting::accuracy_alone(const graph::NetworkGraph& network, std::uint64_t seed) const {
  WeightStore store = make_task_weights(network, seed);
  if (tasks_.size() > 1) {
    const auto result = train_tasks(network, tasks_, {alone_, together_.sampling}, seed, store);
    return result ? mean_accuracy(result->scores) : 0.0;
  }
  const TaskData& data = *tasks_.front().data;
  const auto result = train(network, data, data.search, alone_, seed, store);
  return result ? result->accuracy : 0.0;
}

double mean_accuracy(const std::vector<TaskScore>& scores) {
  double sum = 0.0;
  for (const TaskScore& score : scores) {
    sum += score.lower_is_better ? 1.0 - score.value : score.value;
  }
  return sum / static_cast<double>(scores.size());
}

}  // namespace cosearch
