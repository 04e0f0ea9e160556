#include "experiments/config/tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "experiments/config/section.hpp"
#include "spaces/base/metrics.hpp"
#include "trainer/data/dataset.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

constexpr std::size_t kMostTasks = 16;
constexpr std::size_t kLongestName = 32;
constexpr double kLargestWeight = 1e6;

std::string read_task_name(const JsonReader& part, const std::vector<CampaignTask>& others) {
  const JsonReader reader = part.at("name");
  std::string name = reader.text();
  if (!is_network_name(name) || name.size() > kLongestName) {
    reader.refuse(fmt::format("1 to {} letters a-z, digits and _, a letter first", kLongestName));
  }
  if (std::any_of(others.begin(), others.end(), [&](const CampaignTask& other) { return other.name == name; })) {
    reader.fail(fmt::format("\"{}\" names an earlier task; allowed: each name once", name));
  }
  return name;
}

void read_class_weights(const JsonReader& part, CampaignTask& task) {
  const auto list = part.find("class_weights");
  if (!list) {
    return;
  }
  const std::string allowed = fmt::format("a list of {} numbers, one for each class", task.shape.classes);
  for (const JsonReader& weight : list->items(allowed)) {
    task.class_weights.push_back(static_cast<float>(weight.number({.lower = 0.0, .upper = kLargestWeight})));
  }
  if (std::ssize(task.class_weights) != task.shape.classes || task.shape.classes == 1) {
    list->refuse(task.shape.classes == 1 ? "no class weights where numbers are learned" : allowed);
  }
}

CampaignTask read_one(const JsonReader& part, const std::vector<CampaignTask>& others) {
  part.only({"baseline", "class_weights", "dataset", "loss", "name", "weight"});
  CampaignTask task;
  task.name = read_task_name(part, others);
  task.dataset = part.required("dataset", "{\"name\": ...}").value();
  task.shape = in_section(part.pointer() + "/dataset", [&] { return task_shape_of(task.dataset); });
  if (!others.empty() && task.shape.sample != others.front().shape.sample) {
    part.at("dataset").fail(
        fmt::format("has samples of {}, task \"{}\" has {}; tasks of one network share their images",
                    json(task.shape.sample).dump(), others.front().name, json(others.front().shape.sample).dump()));
  }
  task.weight = part.number("weight", 1.0, {.lower = 0.0, .upper = kLargestWeight, .open_lower = true});
  if (part.has("baseline")) {
    task.baseline = part.at("baseline").number(kPositive);
  }
  read_class_weights(part, task);
  task.loss = part.name_of("loss", "squared", {"absolute", "squared"}) == "squared" ? kernels::RegressionLoss::squared
                                                                                    : kernels::RegressionLoss::absolute;
  return task;
}

}  // namespace

void read_tasks(const JsonReader& part, CampaignNetwork& network) {
  const std::string allowed = fmt::format("a list of 1 to {} tasks {{\"name\", \"dataset\", ...}}", kMostTasks);
  for (const char* key : {"dataset", "task"}) {
    if (part.has(key)) {
      part.at(key).fail("belongs to each of \"tasks\" where the config has that list");
    }
  }
  const std::vector<JsonReader> parts = part.at("tasks").items(allowed);
  if (parts.empty() || parts.size() > kMostTasks) {
    part.at("tasks").refuse(allowed);
  }
  for (const JsonReader& item : parts) {
    network.tasks.push_back(read_one(item, network.tasks));
    const CampaignTask& task = network.tasks.back();
    network.task.tasks.push_back({task.name, task.shape.classes, task.shape.dense});
  }
  network.task.sample = network.tasks.front().shape.sample;
  network.task_sampling =
      part.name_of("task_sampling", "all", {"all", "one"}) == "one" ? TaskSampling::one : TaskSampling::all;
  network.task_baseline = part.section("task_baseline").value();
}

json resolved_tasks(const CampaignNetwork& network) {
  json list = json::array();
  for (const CampaignTask& task : network.tasks) {
    json entry = {{"name", task.name}, {"dataset", task.dataset}, {"weight", task.weight}};
    if (task.baseline) {
      entry["baseline"] = *task.baseline;
    }
    if (!task.class_weights.empty()) {
      entry["class_weights"] = task.class_weights;
    }
    if (task.shape.classes == 1) {
      entry["loss"] = task.loss == kernels::RegressionLoss::squared ? "squared" : "absolute";
    }
    list.push_back(std::move(entry));
  }
  return {{"tasks", std::move(list)},
          {"task_sampling", network.task_sampling == TaskSampling::one ? "one" : "all"},
          {"task_baseline", network.task_baseline}};
}

std::vector<LearningTask> load_tasks(const CampaignNetwork& network) {
  std::vector<LearningTask> tasks;
  for (std::size_t i = 0; i < network.tasks.size(); ++i) {
    const CampaignTask& about = network.tasks[i];
    const std::string place = fmt::format("{}/tasks/{}/dataset", network.place, i);
    tasks.push_back(
        {.name = about.name,
         .data = in_section(place, [&] { return std::make_shared<const TaskData>(load_task_data(about.dataset)); }),
         .output = static_cast<int>(i),
         .weight = about.weight,
         .class_weights = about.class_weights,
         .regression = about.loss});
  }
  in_section(network.place + "/tasks", [&] { check_images(tasks); });
  return tasks;
}

std::vector<std::string> training_metrics(const Campaign& campaign, const CampaignNetwork& network) {
  std::vector<std::string> names{"accuracy", "error"};
  if (campaign.accuracy != AccuracyKind::one_shot) {
    names.emplace_back("train_loss");
  }
  if (!network.tasks.empty()) {
    names.emplace_back("delta_m");
  }
  for (const CampaignTask& task : network.tasks) {
    if (task.shape.classes == 1) {
      names.push_back(network_metric("rmse", task.name));
    } else {
      names.push_back(network_metric("accuracy", task.name));
      names.push_back(network_metric("error", task.name));
    }
  }
  return names;
}

}  // namespace cosearch
