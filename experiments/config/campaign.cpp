#include "experiments/config/campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "experiments/config/data_types.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/config/object_reader.hpp"
#include "predictors/predictor.hpp"
#include "spaces/base/hash.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxCount = 1'000'000'000;
constexpr std::size_t kMaxNameLength = 100;

// What training adds to a target's metrics.
constexpr std::array<std::string_view, 3> kTrainedMetrics{"accuracy", "error", "train_loss"};
// Ranges of metrics, for constraints that nothing can meet: shares lie in [0, 1]; all others are above 0, but these
// may be 0 as well.
constexpr std::array<std::string_view, 3> kShares{"accuracy", "error", "utilization"};
constexpr std::array<std::string_view, 2> kMayBeZero{"traffic_bytes", "train_loss"};

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::string read_name(const ObjectReader& root) {
  std::string name = root.text("name");
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  if (name.empty() || name.size() > kMaxNameLength || !std::all_of(name.begin(), name.end(), allowed)) {
    throw wrong_value("/name", fmt::format("1 to {} letters, digits, _, - or .", kMaxNameLength), name);
  }
  return name;
}

std::uint64_t read_seed(const ObjectReader& root) {
  const json seed = root.optional("seed", 1);
  // A literal above 2^64 - 1 was parsed as a real.
  if (!seed.is_number_integer() || (!seed.is_number_unsigned() && seed.get<std::int64_t>() < 0)) {
    throw wrong_value("/seed", "an integer from 0 to 2^64 - 1", seed);
  }
  return seed.get<std::uint64_t>();
}

TaskShape read_task_shape(const json& value) {
  const ObjectReader task(value, "/task");
  task.only({"sample", "classes"});
  const std::string allowed = "[height, width, channels], integers of 1 or more";
  const json& sample = task.required("sample", allowed);
  TaskShape shape;
  const auto positive = [](const json& extent) {
    return extent.is_number_integer() && extent.get<double>() >= 1.0 && extent.get<double>() <= 65536.0;
  };
  if (!sample.is_array() || sample.size() != 3 || !std::all_of(sample.begin(), sample.end(), positive)) {
    throw wrong_value("/task/sample", allowed, sample);
  }
  shape.sample = sample.get<graph::Shape>();
  static_cast<void>(task.required("classes", "an integer of 2 or more"));
  shape.classes = task.integer("classes", 0, 2, 65536);
  return shape;
}

void read_task(const ObjectReader& root, Campaign& campaign) {
  campaign.dataset = root.optional("dataset", json::object());
  if (root.has("dataset")) {
    const std::string name = ObjectReader(campaign.dataset, "/dataset").text("name");
    std::vector<std::string> known;
    for (const DatasetEntry& entry : dataset_registry()) {
      known.emplace_back(entry.name);
    }
    if (!contains(known, name)) {
      throw ConfigError("/dataset/name", unknown_name(name, known));
    }
  }
  if (root.has("task")) {
    campaign.task = read_task_shape(root.optional("task", {}));
  } else if (root.has("dataset")) {
    const TaskData data = in_section("/dataset", [&] { return load_task_data(campaign.dataset); });
    campaign.task = {data.train.sample, data.train.classes};
  } else {
    throw ConfigError("/dataset",
                      "is missing; expected {\"name\": ...}, or /task {\"sample\": [height, width, "
                      "channels], \"classes\"} for a campaign that costs networks without training them");
  }
}

void read_space(const ObjectReader& root, Campaign& campaign) {
  const ObjectReader space(root.required("space", "{\"name\": ...}"), "/space");
  campaign.space_name = space.text("name");
  campaign.space_genes = space.optional("genes", json::object());
  campaign.space_options = space.without({"name", "genes", "initial"});
  const json initial = space.optional("initial", json::array());
  if (!initial.is_array()) {
    throw wrong_value("/space/initial", "a list of designs {gene: value}", initial);
  }
  campaign.initial.assign(initial.begin(), initial.end());
}

void read_target(const ObjectReader& root, Campaign& campaign) {
  const ObjectReader target(root.required("target", "{\"name\": ...}"), "/target");
  campaign.target_name = target.text("name");
  campaign.target_genes = target.optional("genes", json::object());
  campaign.target_options = target.without({"name", "genes"});
}

void read_accuracy(const ObjectReader& root, Campaign& campaign) {
  const bool has_data = root.has("dataset");
  const json value = root.optional("accuracy", {{"kind", has_data ? "train" : "none"}});
  const ObjectReader accuracy(value, "/accuracy");
  const std::string kind = accuracy.has("kind") ? accuracy.text("kind") : "train";
  const json recipe = accuracy.without({"kind"});
  if (kind == "none") {
    accuracy.only({"kind"});
  } else if (kind == "train") {
    if (!has_data) {
      throw ConfigError("/dataset", "is missing; training needs one, or set /accuracy/kind to \"none\"");
    }
    campaign.accuracy = AccuracyKind::train;
    campaign.train = in_section("/accuracy", [&] { return train_options_from_json(recipe); });
  } else {
    throw ConfigError("/accuracy/kind", unknown_name(kind, {"none", "train"}));
  }
}

void needs_training(const ObjectReader& root, const std::string& key, const Campaign& campaign) {
  if (root.has(key) && campaign.accuracy == AccuracyKind::none) {
    throw ConfigError("/" + key, "has no meaning when /accuracy/kind is \"none\"");
  }
}

void read_screen(const ObjectReader& root, Campaign& campaign) {
  needs_training(root, "screen", campaign);
  campaign.screen.options = json::object();
  if (!root.has("screen")) {
    return;
  }
  const json value = root.optional("screen", {});
  const ObjectReader screen(value, "/screen");
  campaign.screen.predictor = screen.text("predictor");
  campaign.screen.share = screen.number("share", campaign.screen.share, 0.0, 1.0);
  if (campaign.screen.share <= 0.0) {
    throw wrong_value("/screen/share", "a number above 0, at most 1", value.at("share"));
  }
  campaign.screen.warmup = screen.integer("warmup", campaign.screen.warmup, 1, kMaxCount);
  campaign.screen.options = screen.without({"predictor", "share", "warmup"});
  static_cast<void>(
      in_section("/screen", [&] { return make_predictor(campaign.screen.predictor, campaign.screen.options); }));
}

void read_final(const ObjectReader& root, Campaign& campaign) {
  needs_training(root, "final", campaign);
  campaign.final_stage.train = campaign.train;
  if (!root.has("final")) {
    return;
  }
  const json value = root.optional("final", {});
  const ObjectReader final_stage(value, "/final");
  static_cast<void>(final_stage.required("top", "how many of the front are trained again, 1 or more"));
  campaign.final_stage.top = final_stage.integer("top", 0, 1, 1000);
  campaign.final_stage.train =
      in_section("/final", [&] { return train_options_from_json(final_stage.without({"top"}), campaign.train); });
}

std::string read_metric(const ObjectReader& reader, const std::string& place, const Campaign& campaign,
                        const std::vector<std::string>& reported) {
  std::string name = reader.text("metric");
  if (contains(reported, name)) {
    return name;
  }
  if (contains(kTrainedMetrics, name) && campaign.accuracy == AccuracyKind::none) {
    throw ConfigError(
        place, fmt::format("\"{}\" comes from training, but {}", name,
                           campaign.dataset.empty() ? "the config has no \"dataset\"" : "/accuracy/kind is \"none\""));
  }
  throw ConfigError(place,
                    fmt::format("{} (reported by target \"{}\"{})", unknown_name(name, reported), campaign.target_name,
                                campaign.accuracy == AccuracyKind::train ? " and the trainer" : ""));
}

Objective read_objective(const json& value, const std::string& place, const Campaign& campaign,
                         const std::vector<std::string>& reported) {
  if (!value.is_string() && !value.is_object()) {
    throw wrong_value(place, "a metric's name or {\"metric\", \"direction\"}", value);
  }
  const json form = value.is_string() ? json{{"metric", value}} : value;
  const ObjectReader reader(form, place);
  reader.only({"metric", "direction"});
  Objective objective;
  objective.metric = read_metric(reader, value.is_string() ? place : place + "/metric", campaign, reported);
  objective.direction = find_metric(objective.metric)->direction;
  if (reader.has("direction")) {
    const std::string direction = reader.text("direction");
    if (direction != "minimize" && direction != "maximize") {
      throw ConfigError(place + "/direction", unknown_name(direction, {"maximize", "minimize"}));
    }
    objective.direction = direction == "minimize" ? Direction::minimize : Direction::maximize;
  }
  return objective;
}

void read_objectives(const ObjectReader& root, Campaign& campaign, const std::vector<std::string>& reported) {
  const std::string allowed = "a list of one or more metrics, e.g. [\"error\", \"latency_ms\"]";
  const json& list = root.required("objectives", allowed);
  if (!list.is_array() || list.empty()) {
    throw wrong_value("/objectives", allowed, list);
  }
  std::set<std::string> used;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string place = fmt::format("/objectives/{}", i);
    campaign.objectives.push_back(read_objective(list[i], place, campaign, reported));
    const std::string& metric = campaign.objectives.back().metric;
    // error is 1 - accuracy: both together would be one objective counted twice.
    if (!used.insert(metric == "accuracy" ? "error" : metric).second) {
      throw ConfigError(place, fmt::format("\"{}\" says what an earlier objective says; allowed: each metric once, and "
                                           "one of accuracy and error",
                                           metric));
    }
  }
}

void check_satisfiable(const Constraint& constraint, const std::string& place) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string& metric = constraint.metric;
  const double lower = constraint.min.value_or(-infinity);
  const double upper = constraint.max.value_or(infinity);
  if (lower > upper) {
    throw ConfigError(place, fmt::format("cannot be met: min {} is above max {}", lower, upper));
  }
  const bool share = contains(kShares, metric);
  const bool may_be_zero = share || contains(kMayBeZero, metric);
  if (upper < 0.0 || (upper == 0.0 && !may_be_zero)) {
    throw ConfigError(place + "/max", fmt::format("{} cannot be met: {} is {}", upper, metric,
                                                  may_be_zero ? "at least 0" : "always above 0"));
  }
  if (share && lower > 1.0) {
    throw ConfigError(place + "/min", fmt::format("{} cannot be met: {} is at most 1", lower, metric));
  }
}

void read_constraints(const ObjectReader& root, Campaign& campaign, const std::vector<std::string>& reported) {
  const json list = root.optional("constraints", json::array());
  if (!list.is_array()) {
    throw wrong_value("/constraints", "a list of {\"metric\", \"min\", \"max\"}", list);
  }
  constexpr double kLargest = std::numeric_limits<double>::max();
  std::set<std::string> used;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string place = fmt::format("/constraints/{}", i);
    const ObjectReader reader(list[i], place);
    reader.only({"metric", "min", "max"});
    Constraint constraint;
    constraint.metric = read_metric(reader, place + "/metric", campaign, reported);
    if (!reader.has("min") && !reader.has("max")) {
      throw ConfigError(place, "has no limit; expected \"min\", \"max\" or both");
    }
    if (reader.has("min")) {
      constraint.min = reader.number("min", 0.0, -kLargest, kLargest);
    }
    if (reader.has("max")) {
      constraint.max = reader.number("max", 0.0, -kLargest, kLargest);
    }
    check_satisfiable(constraint, place);
    if (!used.insert(constraint.metric).second) {
      throw ConfigError(place,
                        fmt::format("\"{}\" has a constraint already; give min and max in one", constraint.metric));
    }
    campaign.constraints.push_back(std::move(constraint));
  }
}

void read_budget(const ObjectReader& root, Campaign& campaign) {
  const ObjectReader budget(root.required("budget", "{\"evaluations\": ...}"), "/budget");
  budget.only({"evaluations", "trainings"});
  static_cast<void>(budget.required("evaluations", "how many candidates are costed, 1 or more"));
  campaign.evaluations = budget.integer("evaluations", 0, 1, kMaxCount);
  campaign.trainings = budget.integer("trainings", 0, 0, kMaxCount);
  if (budget.has("trainings") && campaign.accuracy == AccuracyKind::none) {
    throw ConfigError("/budget/trainings", "has no meaning when /accuracy/kind is \"none\"");
  }
}

void read_job(const ObjectReader& root, Campaign& campaign, json& resolved) {
  const json value = root.optional("job", json::object());
  const ObjectReader job(value, "/job");
  job.only({"batch", "types"});
  campaign.batch = job.integer("batch", 1, 1, 65536);
  const std::string types = job.has("types") ? job.text("types") : "int8";
  campaign.types = data_types(types, "/job/types");
  resolved["job"] = {{"batch", campaign.batch}, {"types", types}};
}

void read_search(const ObjectReader& root, Campaign& campaign) {
  const json value = root.optional("search", {{"algorithm", "nsga2"}});
  const ObjectReader search(value, "/search");
  campaign.algorithm = search.text("algorithm");
  campaign.algorithm_options = search.without({"algorithm"});
  const json population = search.optional("population", 0);
  if (population.is_number_integer() && population.get<std::int64_t>() > campaign.evaluations) {
    throw ConfigError("/search/population",
                      fmt::format("{} is above /budget/evaluations ({}); allowed: at most that many",
                                  population.get<std::int64_t>(), campaign.evaluations));
  }
}

/// Builds what the names and options stand for, so that their own readers check them.
void check_search(const Campaign& campaign, const JointSpace& space) {
  if (static_cast<std::int64_t>(campaign.initial.size()) > campaign.evaluations) {
    throw ConfigError("/space/initial", fmt::format("has {} designs; /budget/evaluations allows {}",
                                                    campaign.initial.size(), campaign.evaluations));
  }
  AlgorithmContext context;
  context.params = &space.params();
  context.objectives = campaign.objectives.size();
  context.seed = campaign.seed;
  context.initial = space.initial();
  static_cast<void>(
      in_section("/search", [&] { return make_algorithm(campaign.algorithm, campaign.algorithm_options, context); }));
}

json merged(json options, const json& more) {
  options.update(more);
  return options;
}

void write_resolved(const ObjectReader& root, const Campaign& campaign, json& resolved) {
  resolved["name"] = campaign.name;
  resolved["seed"] = campaign.seed;
  if (root.has("dataset")) {
    resolved["dataset"] = campaign.dataset;
  }
  resolved["task"] = {{"sample", campaign.task.sample}, {"classes", campaign.task.classes}};
  resolved["space"] =
      merged(campaign.space_options,
             {{"name", campaign.space_name}, {"genes", campaign.space_genes}, {"initial", json(campaign.initial)}});
  resolved["target"] =
      merged(campaign.target_options, {{"name", campaign.target_name}, {"genes", campaign.target_genes}});
  resolved["objectives"] = json::array();
  for (const Objective& objective : campaign.objectives) {
    resolved["objectives"].push_back(
        {{"metric", objective.metric},
         {"direction", objective.direction == Direction::minimize ? "minimize" : "maximize"}});
  }
  resolved["constraints"] = json::array();
  for (const Constraint& constraint : campaign.constraints) {
    json entry = {{"metric", constraint.metric}};
    if (constraint.min) {
      entry["min"] = *constraint.min;
    }
    if (constraint.max) {
      entry["max"] = *constraint.max;
    }
    resolved["constraints"].push_back(std::move(entry));
  }
  resolved["search"] = merged(campaign.algorithm_options, {{"algorithm", campaign.algorithm}});
  resolved["budget"] = {{"evaluations", campaign.evaluations}};
  if (campaign.accuracy == AccuracyKind::none) {
    resolved["accuracy"] = {{"kind", "none"}};
    return;
  }
  resolved["budget"]["trainings"] = campaign.trainings;
  resolved["accuracy"] = merged(to_json(campaign.train), {{"kind", "train"}});
  if (!campaign.screen.predictor.empty()) {
    resolved["screen"] = merged(campaign.screen.options, {{"predictor", campaign.screen.predictor},
                                                          {"share", campaign.screen.share},
                                                          {"warmup", campaign.screen.warmup}});
  }
  if (campaign.final_stage.top > 0) {
    resolved["final"] = merged(to_json(campaign.final_stage.train), {{"top", campaign.final_stage.top}});
  }
}

}  // namespace

std::vector<std::string> reported_metrics(AccuracyKind accuracy, const Target& target) {
  std::vector<std::string> names = target.metric_names();
  if (accuracy == AccuracyKind::train) {
    names.insert(names.end(), kTrainedMetrics.begin(), kTrainedMetrics.end());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Campaign campaign_from_json(const json& config, const std::string& data_directory) {
  const ObjectReader root(config, "");
  root.only({"name", "seed", "dataset", "task", "space", "target", "objectives", "constraints", "accuracy", "screen",
             "search", "budget", "final", "job"});
  Campaign campaign;
  json resolved = json::object();
  campaign.name = read_name(root);
  campaign.seed = read_seed(root);
  read_space(root, campaign);
  read_target(root, campaign);
  read_accuracy(root, campaign);
  read_screen(root, campaign);
  read_final(root, campaign);
  read_budget(root, campaign);
  read_search(root, campaign);
  read_job(root, campaign, resolved);
  read_task(root, campaign);
  const JointSpace space(campaign, data_directory);
  const std::vector<std::string> reported = reported_metrics(campaign.accuracy, space.target());
  read_objectives(root, campaign, reported);
  read_constraints(root, campaign, reported);
  check_search(campaign, space);
  write_resolved(root, campaign, resolved);
  campaign.resolved = std::move(resolved);
  return campaign;
}

Campaign load_campaign(const std::string& path, const CampaignOverrides& overrides) {
  json config = read_json_file(path);
  try {
    if (config.is_object() && overrides.name) {
      config["name"] = *overrides.name;
    }
    if (config.is_object() && overrides.seed) {
      config["seed"] = *overrides.seed;
    }
    return campaign_from_json(config, overrides.data_directory);
  } catch (const ConfigError& error) {
    if (error.file().empty()) {
      throw error.in_file(path);
    }
    throw;
  }
}

std::optional<TaskData> load_campaign_data(const Campaign& campaign) {
  if (campaign.dataset.empty()) {
    return std::nullopt;
  }
  TaskData data = in_section("/dataset", [&] { return load_task_data(campaign.dataset); });
  if (data.train.sample != campaign.task.sample || data.train.classes != campaign.task.classes) {
    throw ConfigError("/task", fmt::format("says samples of {} and {} classes, the data set has {} and {}",
                                           json(campaign.task.sample).dump(), campaign.task.classes,
                                           json(data.train.sample).dump(), data.train.classes));
  }
  return data;
}

std::string config_hash(const Campaign& campaign) { return hex(Hasher().add(campaign.resolved.dump()).value()); }

}  // namespace cosearch
