#include "experiments/config/campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "experiments/config/data_types.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/config/networks.hpp"
#include "experiments/config/one_shot.hpp"
#include "experiments/config/section.hpp"
#include "experiments/config/tasks.hpp"
#include "predictors/predictor.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxCount = 1'000'000'000;
constexpr std::size_t kMaxNameLength = 100;

// Ranges of metrics, for constraints that nothing can meet: shares lie in [0, 1]; all others are above 0, but these
// may be 0 as well.
constexpr std::array<std::string_view, 3> kShares{"accuracy", "error", "utilization"};
constexpr std::array<std::string_view, 3> kMayBeZero{"rmse", "traffic_bytes", "train_loss"};
constexpr std::string_view kMayBeNegative = "delta_m";

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

/// What a metric of one of several networks is a metric of.
std::string base_name(const std::string& metric) {
  const std::optional<MetricInfo> info = find_metric(metric);
  return info ? std::string(info->name) : metric;
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

void read_target(const JsonReader& root, Campaign& campaign) {
  const JsonReader target = root.required("target", "{\"name\": ...}");
  campaign.target_name = target.at("name").text();
  campaign.target_genes = target.section("genes").value();
  campaign.target_options = target.without({"name", "genes"});
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

std::string read_metric(const JsonReader& metric, const Campaign& campaign, const std::vector<std::string>& reported) {
  std::string name = metric.text();
  if (contains(reported, name)) {
    return name;
  }
  const std::optional<MetricInfo> info = find_metric(name);
  if (info && info->of_training && campaign.accuracy == AccuracyKind::none) {
    const bool has_data =
        std::any_of(campaign.networks.begin(), campaign.networks.end(),
                    [](const CampaignNetwork& network) { return !network.dataset.empty() || !network.tasks.empty(); });
    metric.fail(fmt::format("\"{}\" comes from training, but {}", name,
                            has_data ? "/accuracy/kind is \"none\"" : "the config has no \"dataset\""));
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
    const std::string accuracy = "accuracy";
    if (!used.insert(base_name(metric) == accuracy ? "error" + metric.substr(accuracy.size()) : metric).second) {
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
  const bool share = contains(kShares, base_name(metric));
  const bool may_be_zero = share || contains(kMayBeZero, base_name(metric));
  if (base_name(metric) == kMayBeNegative) {
    return;
  }
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

/// Spaces classify samples or their pixels, for one task or for several; which of these is part of what they are.
void check_outputs(const CampaignNetwork& network, const SearchSpace& space) {
  const std::vector<TaskHead> heads = network.task.heads();
  const std::string place = network.place + "/space/name";
  for (const Genome& corner : space.corners()) {
    const auto graph = std::get<graph::NetworkGraph>(space.decode(corner));
    const auto shapes = graph::infer_shapes(graph);
    COSEARCH_CHECK(shapes.has_value(), "a space's networks have shapes");
    if (graph.outputs.size() != heads.size()) {
      throw ConfigError(place,
                        fmt::format("the networks of {} have {} output{}; {} tasks need one each", network.space_name,
                                    graph.outputs.size(), graph.outputs.size() == 1 ? "" : "s", heads.size()));
    }
    for (std::size_t i = 0; i < heads.size(); ++i) {
      const graph::Shape& output = (*shapes)[static_cast<std::size_t>(graph.outputs[i])];
      if (!output_patch(output, network.task.sample, heads[i])) {
        const TaskShape needed{network.task.sample, heads[i].classes, heads[i].dense};
        throw ConfigError(place,
                          fmt::format("the networks of {} end with shape {}; the task{} needs {}", network.space_name,
                                      json(output).dump(), heads[i].name.empty() ? "" : " " + heads[i].name,
                                      json(needed.output()).dump()));
      }
    }
  }
}

/// Builds what the names and options stand for, so that their own readers check them.
void check_search(const Campaign& campaign, const JointSpace& space) {
  if (static_cast<std::int64_t>(campaign.initial.size()) > campaign.evaluations) {
    throw ConfigError(initial_place(campaign), fmt::format("has {} designs; /budget/evaluations allows {}",
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

void write_resolved(const Campaign& campaign, json& resolved) {
  resolved["name"] = campaign.name;
  resolved["seed"] = campaign.seed;
  resolved.update(resolved_networks(campaign));
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
  if (campaign.accuracy != AccuracyKind::none) {
    resolved["budget"]["trainings"] = campaign.trainings;
  }
  if (!campaign.screen.predictor.empty()) {
    resolved["screen"] = merged(campaign.screen.options, {{"predictor", campaign.screen.predictor},
                                                          {"share", campaign.screen.share},
                                                          {"warmup", campaign.screen.warmup}});
  }
}

}  // namespace

std::vector<std::string> reported_metrics(const Campaign& campaign, const Target& target) {
  std::vector<std::string> names = target.metric_names();
  const auto& networks = campaign.networks;
  for (std::size_t i = 0; campaign.accuracy != AccuracyKind::none && i < networks.size(); ++i) {
    for (const std::string& metric : training_metrics(campaign, networks[i])) {
      names.push_back(network_metric(metric, networks[i].name));
      // Means are of what all networks have.
      if (std::all_of(networks.begin(), networks.end(), [&](const CampaignNetwork& network) {
            return contains(training_metrics(campaign, network), metric);
          })) {
        names.push_back(metric);
      }
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Campaign campaign_from_json(const json& config, const std::string& data_directory) {
  const JsonReader root(config);
  root.only({"name", "seed", "dataset", "task", "tasks", "task_baseline", "task_sampling", "space", "networks",
             "initial", "target", "objectives", "constraints", "accuracy", "screen", "search", "budget", "final",
             "job"});
  Campaign campaign;
  json resolved = json::object();
  campaign.name = read_name(root);
  campaign.seed = read_seed(root);
  read_networks(root, campaign);
  read_target(root, campaign);
  read_screen(root, campaign);
  needs_training(root, "final", campaign);
  read_final(root, campaign);
  read_budget(root, campaign);
  read_search(root, campaign);
  read_job(root, campaign, resolved);
  const JointSpace space(campaign, data_directory);
  if (campaign.accuracy == AccuracyKind::one_shot) {
    static_cast<void>(supernet_spaces(campaign, space));
  }
  const std::vector<std::string> reported = reported_metrics(campaign, space.target());
  read_objectives(root, campaign, reported);
  read_constraints(root, campaign, reported);
  for (std::size_t i = 0; i < campaign.networks.size() && campaign.accuracy != AccuracyKind::none; ++i) {
    check_outputs(campaign.networks[i], space.space(i));
    if (!campaign.networks[i].tasks.empty()) {
      static_cast<void>(in_section(campaign.networks[i].place + "/task_baseline",
                                   [&] { return space.decode_network(i, campaign.networks[i].task_baseline); }));
    }
  }
  check_search(campaign, space);
  write_resolved(campaign, resolved);
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

CampaignData load_campaign_data(const Campaign& campaign) {
  CampaignData data;
  for (const CampaignNetwork& network : campaign.networks) {
    const auto same = std::find_if(campaign.networks.begin(), campaign.networks.end(),
                                   [&](const CampaignNetwork& other) { return other.dataset == network.dataset; });
    const auto index = static_cast<std::size_t>(same - campaign.networks.begin());
    NetworkData& loaded = data.emplace_back();
    if (!network.tasks.empty()) {
      loaded.tasks = load_tasks(network);
    } else if (index + 1 < data.size()) {
      loaded.data = data[index].data;
    } else if (!network.dataset.empty()) {
      loaded.data = in_section(network.place + "/dataset",
                               [&] { return std::make_shared<const TaskData>(load_task_data(network.dataset)); });
    }
  }
  return data;
}

std::string config_hash(const Campaign& campaign) { return hex(Hasher().add(campaign.resolved.dump()).value()); }

}  // namespace cosearch
