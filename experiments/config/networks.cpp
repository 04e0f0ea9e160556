#include "experiments/config/networks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "experiments/config/one_shot.hpp"
#include "experiments/config/section.hpp"
#include "experiments/config/tasks.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

constexpr std::size_t kMostNetworks = 16;
constexpr std::size_t kLongestName = 32;
constexpr double kWeightTolerance = 1e-9;

std::string kind_name(AccuracyKind kind) {
  switch (kind) {
    case AccuracyKind::none:
      return "none";
    case AccuracyKind::train:
      return "train";
    case AccuracyKind::one_shot:
      return "one_shot";
  }
  return "none";
}

/// The parts of the config that describe one network each.
std::vector<JsonReader> network_parts(const JsonReader& root) {
  if (!root.has("networks")) {
    return {root};
  }
  const std::string allowed = fmt::format("a list of 1 to {} networks {{\"name\", \"space\", ...}}", kMostNetworks);
  std::vector<JsonReader> parts = root.at("networks").items(allowed);
  if (parts.empty() || parts.size() > kMostNetworks) {
    root.at("networks").refuse(allowed);
  }
  return parts;
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

void read_task(const JsonReader& part, CampaignNetwork& network) {
  if (part.has("tasks")) {
    read_tasks(part, network);
    return;
  }
  for (const char* key : {"task_baseline", "task_sampling"}) {
    if (part.has(key)) {
      part.at(key).fail("has no meaning without \"tasks\"");
    }
  }
  network.dataset = part.section("dataset").value();
  if (part.has("dataset")) {
    network.task = in_section(network.place + "/dataset", [&] { return task_shape_of(network.dataset); });
  }
  if (part.has("task")) {
    const TaskShape stated = read_task_shape(part.at("task"));
    if (part.has("dataset") && stated != network.task) {
      part.at("task").fail(fmt::format("says {}, the data set has {}", task_text(stated), task_text(network.task)));
    }
    network.task = stated;
  } else if (!part.has("dataset")) {
    throw ConfigError(network.place + "/dataset",
                      fmt::format("is missing; expected {{\"name\": ...}}, or {}/task {{\"sample\": [height, width, "
                                  "channels], \"classes\"}} for a campaign that costs networks without training them",
                                  network.place));
  }
}

void read_initial(const JsonReader& section, Campaign& campaign) {
  if (const auto initial = section.find("initial")) {
    for (const JsonReader& design : initial->items("a list of designs {gene: value}")) {
      campaign.initial.push_back(design.value());
    }
  }
}

void read_space(const JsonReader& part, CampaignNetwork& network, Campaign& campaign) {
  const JsonReader space = part.required("space", "{\"name\": ...}");
  network.space_name = space.at("name").text();
  network.space_genes = space.section("genes").value();
  network.space_options = space.without({"name", "genes", "initial"});
  if (network.place.empty()) {
    read_initial(space, campaign);
  } else if (space.has("initial")) {
    space.at("initial").fail("belongs beside \"networks\": a design has genes of all of them");
  }
}

/// How a section of a network's part, at `place`, wants it quantised.
std::optional<quantize::QuantizeRecipe> read_quantize(const JsonReader& section, const std::string& place) {
  const auto recipe = section.find("quantize");
  if (!recipe) {
    return std::nullopt;
  }
  return in_section(place + "/quantize", [&] { return quantize::quantize_recipe_from_json(recipe->value()); });
}

AccuracyKind read_accuracy(const JsonReader& part, CampaignNetwork& network) {
  const bool has_data = part.has("dataset") || part.has("tasks");
  const JsonReader accuracy = part.section("accuracy");
  const std::string fallback = part.has("accuracy") || has_data ? "train" : "none";
  const std::string kind = accuracy.name_of("kind", fallback, {"none", "one_shot", "train"});
  if (kind == "none") {
    accuracy.only({"kind"});
    return AccuracyKind::none;
  }
  if (!has_data) {
    throw ConfigError(
        network.place + "/dataset",
        fmt::format("is missing; training needs one, or set {}/accuracy/kind to \"none\"", network.place));
  }
  if (kind == "one_shot") {
    read_one_shot(accuracy, network);
    return AccuracyKind::one_shot;
  }
  network.quantize = read_quantize(accuracy, network.place + "/accuracy");
  network.train = in_section(network.place + "/accuracy", [&] {
    return train_options_from_json(accuracy.without({"kind", "quantize"}));
  });
  return AccuracyKind::train;
}

std::string read_network_name(const JsonReader& part, const std::vector<CampaignNetwork>& others) {
  const JsonReader reader = part.at("name");
  std::string name = reader.text();
  if (!is_network_name(name) || name.size() > kLongestName || name == "hw") {
    reader.refuse(fmt::format("1 to {} letters a-z, digits and _, a letter first, and not \"hw\"", kLongestName));
  }
  if (std::any_of(others.begin(), others.end(), [&](const CampaignNetwork& other) { return other.name == name; })) {
    reader.fail(fmt::format("\"{}\" names an earlier network; allowed: each name once", name));
  }
  return name;
}

void check_weights(const std::vector<CampaignNetwork>& networks) {
  double sum = 0.0;
  for (const CampaignNetwork& network : networks) {
    sum += network.weight;
  }
  if (std::abs(sum - 1.0) > kWeightTolerance) {
    throw ConfigError("/networks", fmt::format("the weights sum to {:.10g}; allowed: a sum of 1, where each missing "
                                               "weight is one part of {}",
                                               sum, networks.size()));
  }
}

/// What describes a network stands in the root or, for several, in each of `networks`; `initial` beside that list.
void check_root_keys(const JsonReader& root) {
  if (!root.has("networks")) {
    if (root.has("initial")) {
      root.at("initial").fail("stands beside \"networks\"; designs of one network are listed in /space/initial");
    }
    return;
  }
  for (const char* key : {"accuracy", "dataset", "space", "task", "task_baseline", "task_sampling", "tasks"}) {
    if (root.has(key)) {
      root.at(key).fail("belongs to each of /networks where the config has that list");
    }
  }
}

json merged(json options, const json& more) {
  options.update(more);
  return options;
}

json resolved_network(const Campaign& campaign, const CampaignNetwork& network) {
  json resolved = json::object();
  if (!network.tasks.empty()) {
    resolved = resolved_tasks(network);
  } else {
    if (!network.dataset.empty()) {
      resolved["dataset"] = network.dataset;
    }
    resolved["task"] = {
        {"sample", network.task.sample}, {"classes", network.task.classes}, {"dense", network.task.dense}};
  }
  resolved["space"] = merged(network.space_options, {{"name", network.space_name}, {"genes", network.space_genes}});
  resolved["accuracy"] = {{"kind", kind_name(campaign.accuracy)}};
  if (campaign.accuracy == AccuracyKind::none) {
    return resolved;
  }
  resolved["accuracy"].update(to_json(network.train));
  if (network.quantize) {
    resolved["accuracy"]["quantize"] = to_json(*network.quantize);
  }
  if (campaign.accuracy == AccuracyKind::one_shot) {
    resolved["accuracy"].update(to_json(network.one_shot));
  }
  if (campaign.final_stage.top > 0) {
    resolved["final"] = to_json(network.final_train);
    if (network.final_quantize) {
      resolved["final"]["quantize"] = to_json(*network.final_quantize);
    }
  }
  return resolved;
}

}  // namespace

void read_networks(const JsonReader& root, Campaign& campaign) {
  check_root_keys(root);
  const bool listed = root.has("networks");
  if (listed) {
    read_initial(root, campaign);
  }
  const std::vector<JsonReader> parts = network_parts(root);
  for (const JsonReader& part : parts) {
    CampaignNetwork network;
    network.place = part.pointer();
    if (listed) {
      part.only({"name", "weight", "dataset", "task", "tasks", "task_baseline", "task_sampling", "space", "accuracy",
                 "final"});
      network.name = read_network_name(part, campaign.networks);
      network.weight = part.number("weight", 1.0 / static_cast<double>(parts.size()), kUnitInterval);
    }
    read_space(part, network, campaign);
    const AccuracyKind kind = read_accuracy(part, network);
    if (campaign.networks.empty()) {
      campaign.accuracy = kind;
    } else if (kind != campaign.accuracy) {
      throw ConfigError(network.place + "/accuracy/kind",
                        fmt::format("is \"{}\", that of {} is \"{}\"; allowed: one kind for all networks",
                                    kind_name(kind), campaign.networks.front().place, kind_name(campaign.accuracy)));
    }
    read_task(part, network);
    campaign.networks.push_back(std::move(network));
  }
  check_weights(campaign.networks);
  if (campaign.networks.size() == 1) {
    campaign.networks.front().name.clear();  // nothing to tell it from
  }
}

void read_final(const JsonReader& root, Campaign& campaign) {
  const std::vector<JsonReader> parts = network_parts(root);
  const bool listed = root.has("networks");
  const JsonReader stage = root.section("final");
  if (root.has("final")) {
    stage.only(listed ? std::vector<std::string>{"top", "initialise"}
                      : with_recipe_keys({"top", "initialise", "quantize"}));
    campaign.final_stage.top =
        stage.required("top", "how many of the front are trained again, 1 or more").integer(1, 1000);
    campaign.final_stage.from_supernet = stage.name_of("initialise", "scratch", {"scratch", "supernet"}) == "supernet";
    if (campaign.final_stage.from_supernet && campaign.accuracy != AccuracyKind::one_shot) {
      stage.at("initialise").fail("\"supernet\" needs /accuracy/kind \"one_shot\"");
    }
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    CampaignNetwork& network = campaign.networks[i];
    if (listed && parts[i].has("final") && !root.has("final")) {
      parts[i].at("final").fail("has no meaning without /final, which says how many of the front are trained again");
    }
    const JsonReader own = listed ? parts[i].section("final") : stage;
    const std::string place = network.place + "/final";
    network.final_quantize = own.has("quantize") ? read_quantize(own, place) : network.quantize;
    const json recipe = listed ? own.without({"quantize"}) : own.without({"top", "initialise", "quantize"});
    network.final_train = in_section(place, [&] { return train_options_from_json(recipe, network.train); });
  }
}

std::string initial_place(const Campaign& campaign) {
  return campaign.networks.front().place.empty() ? "/space/initial" : "/initial";
}

json resolved_networks(const Campaign& campaign) {
  json stage = json::object();
  if (campaign.final_stage.top > 0) {
    stage["top"] = campaign.final_stage.top;
    if (campaign.accuracy == AccuracyKind::one_shot) {
      stage["initialise"] = campaign.final_stage.from_supernet ? "supernet" : "scratch";
    }
  }
  json resolved = json::object();
  if (campaign.networks.size() == 1) {
    resolved = resolved_network(campaign, campaign.networks.front());
    resolved["space"]["initial"] = json(campaign.initial);
  } else {
    resolved["initial"] = json(campaign.initial);
    resolved["networks"] = json::array();
    for (const CampaignNetwork& network : campaign.networks) {
      resolved["networks"].push_back(
          merged(resolved_network(campaign, network), {{"name", network.name}, {"weight", network.weight}}));
    }
  }
  if (!stage.empty()) {
    resolved["final"].update(stage);
  }
  return resolved;
}

}  // namespace cosearch
