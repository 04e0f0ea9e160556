#include "experiments/config/campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "experiments/config/data_types.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/config/one_shot.hpp"
#include "experiments/config/section.hpp"
#include "predictors/predictor.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

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

std::string read_name(const JsonReader& root) {
  std::string name = root.at("name").text();
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  if (name.empty() || name.size() > kMaxNameLength || !std::all_of(name.begin(), name.end(), allowed)) {
    root.at("name").refuse(fmt::format("1 to {} letters, digits, _, - or .", kMaxNameLength));
  }
  return name;
}

std::uint64_t read_seed(const JsonReader& root) {
  if (!root.has("seed")) {
    return 1;
  }
  const json& seed = root.at("seed").value();
  // A literal above 2^64 - 1 was parsed as a real.
  if (!seed.is_number_integer() || (!seed.is_number_unsigned() && seed.get<std::int64_t>() < 0)) {
    root.at("seed").refuse("an integer from 0 to 2^64 - 1");
  }
  return seed.get<std::uint64_t>();
}

TaskShape read_task_shape(const JsonReader& task) {
  constexpr std::int64_t kMaxExtent = 65536;
  task.only({"sample", "classes", "dense"});
  const std::string allowed = "[height, width, channels]";
  const std::vector<JsonReader> extents = task.at("sample").items(allowed);
  if (extents.size() != 3) {
    task.at("sample").refuse(allowed);
  }
  TaskShape shape;
  for (const JsonReader& extent : extents) {
    shape.sample.push_back(extent.integer(1, kMaxExtent));
  }
  shape.classes = task.at("classes").integer(2, kMaxExtent);
  shape.dense = task.boolean("dense", false);
  return shape;
}

std::string task_text(const TaskShape& task) {
  return fmt::format("samples of {} and {} classes{}", json(task.sample).dump(), task.classes,
                     task.dense ? " of pixels" : "");
}

void read_task(const JsonReader& root, Campaign& campaign) {
  campaign.dataset = root.section("dataset").value();
  if (root.has("dataset")) {
    campaign.task = in_section("/dataset", [&] { return task_shape_of(campaign.dataset); });
  }
  if (root.has("task")) {
    const TaskShape stated = read_task_shape(root.at("task"));
    if (root.has("dataset") && stated != campaign.task) {
      throw ConfigError("/task",
                        fmt::format("says {}, the data set has {}", task_text(stated), task_text(campaign.task)));
    }
    campaign.task = stated;
  } else if (!root.has("dataset")) {
    throw ConfigError("/dataset",
                      "is missing; expected {\"name\": ...}, or /task {\"sample\": [height, width, "
                      "channels], \"classes\"} for a campaign that costs networks without training them");
  }
}

void read_space(const JsonReader& root, Campaign& campaign) {
  const JsonReader space = root.required("space", "{\"name\": ...}");
  campaign.space_name = space.at("name").text();
  campaign.space_genes = space.section("genes").value();
  campaign.space_options = space.without({"name", "genes", "initial"});
  if (const auto initial = space.find("initial")) {
    for (const JsonReader& design : initial->items("a list of designs {gene: value}")) {
      campaign.initial.push_back(design.value());
    }
  }
}

void read_target(const JsonReader& root, Campaign& campaign) {
  const JsonReader target = root.required("target", "{\"name\": ...}");
  campaign.target_name = target.at("name").text();
  campaign.target_genes = target.section("genes").value();
  campaign.target_options = target.without({"name", "genes"});
}

void read_accuracy(const JsonReader& root, Campaign& campaign) {
  const bool has_data = root.has("dataset");
  const JsonReader accuracy = root.section("accuracy");
  const std::string fallback = root.has("accuracy") || has_data ? "train" : "none";
  const std::string kind = accuracy.name_of("kind", fallback, {"none", "one_shot", "train"});
  const json recipe = accuracy.without({"kind"});
  if (kind == "none") {
    accuracy.only({"kind"});
    return;
  }
  if (!has_data) {
    throw ConfigError("/dataset", "is missing; training needs one, or set /accuracy/kind to \"none\"");
  }
  if (kind == "one_shot") {
    campaign.accuracy = AccuracyKind::one_shot;
    read_one_shot(accuracy, campaign);
    return;
  }
  campaign.accuracy = AccuracyKind::train;
  campaign.train = in_section("/accuracy", [&] { return train_options_from_json(recipe); });
}

void needs_training(const JsonReader& root, const std::string& key, const Campaign& campaign) {
  if (root.has(key) && campaign.accuracy == AccuracyKind::none) {
    throw ConfigError("/" + key, "has no meaning when /accuracy/kind is \"none\"");
  }
}

void read_screen(const JsonReader& root, Campaign& campaign) {
  needs_training(root, "screen", campaign);
  campaign.screen.options = json::object();
  if (!root.has("screen")) {
    return;
  }
  const JsonReader screen = root.at("screen");
  campaign.screen.predictor = screen.at("predictor").text();
  campaign.screen.share =
      screen.number("share", campaign.screen.share, {.lower = 0.0, .upper = 1.0, .open_lower = true});
  campaign.screen.warmup = screen.integer("warmup", campaign.screen.warmup, 1, kMaxCount);
  campaign.screen.options = screen.without({"predictor", "share", "warmup"});
  static_cast<void>(
      in_section("/screen", [&] { return make_predictor(campaign.screen.predictor, campaign.screen.options); }));
}

void read_final(const JsonReader& root, Campaign& campaign) {
  needs_training(root, "final", campaign);
  campaign.final_stage.train = campaign.train;
  if (!root.has("final")) {
    return;
  }
  const JsonReader final_stage = root.at("final");
  final_stage.only(with_recipe_keys({"top", "initialise"}));
  campaign.final_stage.top =
      final_stage.required("top", "how many of the front are trained again, 1 or more").integer(1, 1000);
  campaign.final_stage.train = in_section("/final", [&] {
    return train_options_from_json(final_stage.without({"top", "initialise"}), campaign.train);
  });
  campaign.final_stage.from_supernet =
      final_stage.name_of("initialise", "scratch", {"scratch", "supernet"}) == "supernet";
  if (campaign.final_stage.from_supernet && campaign.accuracy != AccuracyKind::one_shot) {
    final_stage.at("initialise").fail("\"supernet\" needs /accuracy/kind \"one_shot\"");
  }
}

std::string read_metric(const JsonReader& metric, const Campaign& campaign, const std::vector<std::string>& reported) {
  std::string name = metric.text();
  if (contains(reported, name)) {
    return name;
  }
  if (contains(kTrainedMetrics, name) && campaign.accuracy == AccuracyKind::none) {
    metric.fail(fmt::format("\"{}\" comes from training, but {}", name,
                            campaign.dataset.empty() ? "the config has no \"dataset\"" : "/accuracy/kind is \"none\""));
  }
  metric.fail(fmt::format("{} (reported by target \"{}\"{})", unknown_name(name, reported), campaign.target_name,
                          campaign.accuracy == AccuracyKind::none ? "" : " and the trainer"));
}

Objective read_objective(const JsonReader& reader, const Campaign& campaign, const std::vector<std::string>& reported) {
  const json& value = reader.value();
  if (!value.is_string() && !value.is_object()) {
    reader.refuse("a metric's name or {\"metric\", \"direction\"}");
  }
  Objective objective;
  objective.metric = read_metric(value.is_string() ? reader : reader.at("metric"), campaign, reported);
  objective.direction = find_metric(objective.metric)->direction;
  if (value.is_object()) {
    reader.only({"metric", "direction"});
    if (const auto direction = reader.find("direction")) {
      objective.direction =
          direction->name_of({"maximize", "minimize"}) == "minimize" ? Direction::minimize : Direction::maximize;
    }
  }
  return objective;
}

void read_objectives(const JsonReader& root, Campaign& campaign, const std::vector<std::string>& reported) {
  const std::string allowed = "a list of one or more metrics, e.g. [\"error\", \"latency_ms\"]";
  const std::vector<JsonReader> list = root.at("objectives").items(allowed);
  if (list.empty()) {
    root.at("objectives").refuse(allowed);
  }
  std::set<std::string> used;
  for (const JsonReader& item : list) {
    campaign.objectives.push_back(read_objective(item, campaign, reported));
    const std::string& metric = campaign.objectives.back().metric;
    // error is 1 - accuracy: both together would be one objective counted twice.
    if (!used.insert(metric == "accuracy" ? "error" : metric).second) {
      item.fail(
          fmt::format("\"{}\" says what an earlier objective says; allowed: each metric once, and "
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

void read_constraints(const JsonReader& root, Campaign& campaign, const std::vector<std::string>& reported) {
  if (!root.has("constraints")) {
    return;
  }
  std::set<std::string> used;
  for (const JsonReader& reader : root.at("constraints").items("a list of {\"metric\", \"min\", \"max\"}")) {
    reader.only({"metric", "min", "max"});
    Constraint constraint;
    constraint.metric = read_metric(reader.at("metric"), campaign, reported);
    if (!reader.has("min") && !reader.has("max")) {
      reader.fail("has no limit; expected \"min\", \"max\" or both");
    }
    if (const auto min = reader.find("min")) {
      constraint.min = min->number();
    }
    if (const auto max = reader.find("max")) {
      constraint.max = max->number();
    }
    check_satisfiable(constraint, reader.pointer());
    if (!used.insert(constraint.metric).second) {
      reader.fail(fmt::format("\"{}\" has a constraint already; give min and max in one", constraint.metric));
    }
    campaign.constraints.push_back(std::move(constraint));
  }
}

void read_budget(const JsonReader& root, Campaign& campaign) {
  const JsonReader budget = root.required("budget", "{\"evaluations\": ...}");
  budget.only({"evaluations", "trainings"});
  campaign.evaluations =
      budget.required("evaluations", "how many candidates are costed, 1 or more").integer(1, kMaxCount);
  campaign.trainings = budget.integer("trainings", 0, 0, kMaxCount);
  if (budget.has("trainings") && campaign.accuracy == AccuracyKind::none) {
    throw ConfigError("/budget/trainings", "has no meaning when /accuracy/kind is \"none\"");
  }
}

void read_job(const JsonReader& root, Campaign& campaign, json& resolved) {
  const JsonReader job = root.section("job");
  job.only({"batch", "types"});
  campaign.batch = job.integer("batch", 1, 1, 65536);
  const std::string types = job.text("types", "int8");
  campaign.types = data_types(types, "/job/types");
  resolved["job"] = {{"batch", campaign.batch}, {"types", types}};
}

void read_search(const JsonReader& root, Campaign& campaign) {
  const JsonReader search = root.section("search");
  campaign.algorithm = search.has("algorithm") || root.has("search") ? search.at("algorithm").text() : "nsga2";
  campaign.algorithm_options = search.without({"algorithm"});
  // Its kind and range are the algorithm's to check.
  const auto population = search.find("population");
  if (population && population->value().is_number_integer() &&
      population->value().get<double>() > static_cast<double>(campaign.evaluations)) {
    population->refuse(fmt::format("at most /budget/evaluations ({})", campaign.evaluations));
  }
}

/// Spaces classify samples or their pixels; which of the two is part of what they are.
void check_outputs(const Campaign& campaign, const JointSpace& space) {
  if (campaign.accuracy == AccuracyKind::none) {
    return;
  }
  for (const Genome& corner : space.space().corners()) {
    const auto network = std::get<graph::NetworkGraph>(space.space().decode(corner));
    const auto shapes = graph::infer_shapes(network);
    COSEARCH_CHECK(shapes && network.outputs.size() == 1, "a space's networks have shapes and one output");
    const graph::Shape& output = (*shapes)[static_cast<std::size_t>(network.outputs.front())];
    if (output != campaign.task.output()) {
      throw ConfigError("/space/name",
                        fmt::format("the networks of {} end with shape {}; the task needs {}", campaign.space_name,
                                    json(output).dump(), json(campaign.task.output()).dump()));
    }
  }
}

/// Builds what the names and options stand for, so that their own readers check them.
void check_search(const Campaign& campaign, const JointSpace& space) {
  if (static_cast<std::int64_t>(campaign.initial.size()) > campaign.evaluations) {
    throw ConfigError("/space/initial", fmt::format("has {} designs; /budget/evaluations allows {}",
                                                    campaign.initial.size(), campaign.evaluations));
  }
  static_cast<void>(in_section("/search", [&] {
    return make_algorithm(campaign.algorithm, campaign.algorithm_options, algorithm_context(campaign, space));
  }));
}

json merged(json options, const json& more) {
  options.update(more);
  return options;
}

void write_resolved(const JsonReader& root, const Campaign& campaign, json& resolved) {
  resolved["name"] = campaign.name;
  resolved["seed"] = campaign.seed;
  if (root.has("dataset")) {
    resolved["dataset"] = campaign.dataset;
  }
  resolved["task"] = {
      {"sample", campaign.task.sample}, {"classes", campaign.task.classes}, {"dense", campaign.task.dense}};
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
  if (campaign.accuracy == AccuracyKind::one_shot) {
    resolved["accuracy"].update(to_json(campaign.one_shot));
  }
  if (!campaign.screen.predictor.empty()) {
    resolved["screen"] = merged(campaign.screen.options, {{"predictor", campaign.screen.predictor},
                                                          {"share", campaign.screen.share},
                                                          {"warmup", campaign.screen.warmup}});
  }
  if (campaign.final_stage.top > 0) {
    resolved["final"] = merged(to_json(campaign.final_stage.train), {{"top", campaign.final_stage.top}});
    if (campaign.accuracy == AccuracyKind::one_shot) {
      resolved["final"]["initialise"] = campaign.final_stage.from_supernet ? "supernet" : "scratch";
    }
  }
}

}  // namespace

std::vector<std::string> reported_metrics(AccuracyKind accuracy, const Target& target) {
  std::vector<std::string> names = target.metric_names();
  if (accuracy != AccuracyKind::none) {
    names.insert(names.end(), kTrainedMetrics.begin(), kTrainedMetrics.end());
  }
  if (accuracy == AccuracyKind::one_shot) {
    std::erase(names, "train_loss");  // a supernet's loss is that of many networks
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Campaign campaign_from_json(const json& config, const std::string& data_directory) {
  const JsonReader root(config);
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
  if (campaign.accuracy == AccuracyKind::one_shot) {
    static_cast<void>(supernet_spaces(campaign, space));
  }
  const std::vector<std::string> reported = reported_metrics(campaign.accuracy, space.target());
  read_objectives(root, campaign, reported);
  read_constraints(root, campaign, reported);
  check_outputs(campaign, space);
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
  return in_section("/dataset", [&] { return load_task_data(campaign.dataset); });
}

std::string config_hash(const Campaign& campaign) { return hex(Hasher().add(campaign.resolved.dump()).value()); }

}  // namespace cosearch
