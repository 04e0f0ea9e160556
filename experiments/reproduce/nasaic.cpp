#include "experiments/reproduce/nasaic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "experiments/config/campaign.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::nasaic {
namespace {

using nlohmann::json;

/// Reduced sets: the paper's go to 256 filters, on larger images.
json resnet_genes() {
  return {{"blocks.0.width", {32, 64}},   {"blocks.1.width", {32, 64}},   {"blocks.2.width", {32, 64, 128}},
          {"blocks.0.residuals", {0, 1}}, {"blocks.1.residuals", {0, 1}}, {"blocks.2.residuals", {0, 1}}};
}
json unet_genes() { return {{"levels", {1, 2, 3}}, {"width", {4, 8, 16}}}; }

/// NASAIC's templates NVDLA (dla), ShiDianNao (shi) and row-stationary (rs), by MAESTRO's names.
json dataflows(bool may_be_empty) {
  json names{"kcp_ws", "yxp_os", "yrp_rs"};
  if (may_be_empty) {
    names.push_back("none");
  }
  return names;
}

json classes_of_fashion(const std::string& name) {
  return {{"name", name},
          {"dataset", {{"name", "fashion_mnist"}}},
          {"space", {{"name", "resnet9"}, {"genes", resnet_genes()}}}};
}

json cells() {
  return {{"name", "cells"},
          {"dataset", {{"name", "cells"}, {"train", 512}, {"search", 128}, {"test", 128}}},
          {"space", {{"name", "unet"}, {"genes", unet_genes()}}}};
}

json generated_classes() {
  return {{"name", "shapes"},
          {"dataset",
           {{"name", "synthetic"},
            {"height", 32},
            {"width", 32},
            {"classes", 10},
            {"train", 2048},
            {"search", 512},
            {"test", 512}}},
          {"space", {{"name", "resnet9"}, {"genes", resnet_genes()}}}};
}

json recipe(const json& network, const Options& options) {
  const bool small = network.at("dataset").at("name") == "cells";
  return {{"kind", "one_shot"},
          {"epochs", small ? 8 * options.epochs : options.epochs},
          {"train_samples", small ? 0 : options.train_samples},
          {"batch", small ? 16 : 64},
          {"optimizer", "adamw"},
          {"learning_rate", 0.004},
          {"warmup", 0.1},
          {"random_subnets", 1},
          {"calibration_samples", 256},
          {"evaluate_samples", 500}};
}

/// Everything but networks and search.
json common(const std::string& name, std::uint64_t seed, const Workload& workload, const Specs& specs,
            std::int64_t evaluations) {
  return {{"name", name},
          {"seed", seed},
          {"networks", {workload.first, workload.second}},
          {"target",
           {{"name", "asic_heterogeneous"},
            {"constants", "2020"},
            {"deadline_cycles", static_cast<std::int64_t>(specs.cycles)},
            {"genes", {{"aic1.dataflow", dataflows(false)}, {"aic2.dataflow", dataflows(true)}}}}},
          {"constraints",
           {{{"metric", "cycles"}, {"max", specs.cycles}},
            {{"metric", "energy_uj"}, {"max", specs.energy_nj * 1e-3}},
            {{"metric", "area_mm2"}, {"max", specs.area_um2 * 1e-6}}}},
          {"objectives", {"error"}},
          {"budget", {{"evaluations", evaluations}}}};
}

void train(json& config, const Options& options) {
  for (json& network : config["networks"]) {
    network["accuracy"] = recipe(network, options);
  }
}

/// Networks that are only costed: the task in place of the data.
void cost_only(json& config, const Campaign& trained) {
  for (std::size_t i = 0; i < trained.networks.size(); ++i) {
    const TaskShape& task = trained.networks[i].task;
    json& network = config["networks"][i];
    network.erase("dataset");
    network.erase("accuracy");
    network["task"] = {{"sample", task.sample}, {"classes", task.classes}, {"dense", task.dense}};
  }
}

/// The genes of a trial, of one network or of the hardware, as fixed values.
json fixed_genes(const TrialRow& trial, const std::string& prefix) {
  json genes = json::object();
  for (const auto& [name, value] : trial.genes.items()) {
    if (name.starts_with(prefix)) {
      genes[name.substr(prefix.size())] = value;
    }
  }
  return genes;
}

void fix_networks(json& config, const TrialRow& trial) {
  for (json& network : config["networks"]) {
    network["space"]["genes"] = fixed_genes(trial, network.at("name").get<std::string>() + ".");
  }
}

/// The campaign's trials, run now or found in the store.
std::vector<TrialRow> trials_of(const json& config, Store& store, const RunOptions& options,
                                const std::stop_token& stop) {
  const Campaign campaign = campaign_from_json(config, options.data_directory);
  const std::vector<CampaignRow> rows = store.campaigns();
  const auto known =
      std::find_if(rows.begin(), rows.end(), [&](const CampaignRow& row) { return row.name == campaign.name; });
  if (known != rows.end() && known->config_hash != config_hash(campaign)) {
    throw ConfigError("--db",
                      fmt::format("has a campaign \"{}\" with other settings; choose another file", campaign.name));
  }
  const CampaignRow row = known != rows.end() ? *known
                                              : store.create_campaign(campaign.name, campaign.resolved,
                                                                      config_hash(campaign), campaign.evaluations);
  static_cast<void>(run_campaign(campaign, load_campaign_data(campaign), store, row.id, options, stop));
  return store.trials(row.id);
}

bool measured(const TrialRow& trial) {
  return !trial.pending && trial.state == TrialState::complete && trial.metrics.contains("accuracy");
}

/// The most accurate of the feasible trials.
std::optional<TrialRow> most_accurate(const std::vector<TrialRow>& trials) {
  std::optional<TrialRow> best;
  for (const TrialRow& trial : trials) {
    if (measured(trial) && (!best || trial.metrics.at("accuracy") > best->metrics.at("accuracy"))) {
      best = trial;
    }
  }
  return best;
}

/// By how much a costed trial exceeds the specs together, 0 within.
double excess(const TrialRow& trial, const Specs& specs) {
  const auto over = [&](const char* metric, double limit) {
    return std::max(trial.metrics.at(metric) / limit - 1.0, 0.0);
  };
  return over("cycles", specs.cycles) + over("energy_uj", specs.energy_nj * 1e-3) +
         over("area_mm2", specs.area_um2 * 1e-6);
}

/// The least violating of the costed trials, of those within the specs the one with least energy.
TrialRow closest(const std::vector<TrialRow>& trials, const Specs& specs) {
  const TrialRow* best = nullptr;
  const auto key = [&](const TrialRow& trial) {
    return std::pair(excess(trial, specs), trial.metrics.at("energy_uj"));
  };
  for (const TrialRow& trial : trials) {
    if (!trial.pending && trial.metrics.contains("cycles") && (best == nullptr || key(trial) < key(*best))) {
      best = &trial;
    }
  }
  if (best == nullptr) {
    throw std::runtime_error("no design could be costed within the budgets of elements and bandwidth");
  }
  return *best;
}

std::string hardware_of(const TrialRow& trial) {
  std::string text;
  for (const char* unit : {"hw.aic1.", "hw.aic2."}) {
    const json genes = fixed_genes(trial, unit);
    if (genes.contains("pes")) {
      text += fmt::format("{}<{}, {}, {}>", text.empty() ? "" : " ", genes.at("dataflow").get<std::string>(),
                          genes.at("pes").get<std::int64_t>(), genes.at("bandwidth").get<std::int64_t>());
    }
  }
  return text;
}

Outcome outcome_of(Way way, std::uint64_t seed, const TrialRow& design, double accuracy, const Specs& specs,
                   const std::vector<TrialRow>& looked_at) {
  Outcome outcome;
  outcome.way = way;
  outcome.seed = seed;
  outcome.cycles = design.metrics.at("cycles");
  outcome.energy_nj = design.metrics.at("energy_uj") * 1e3;
  outcome.area_um2 = design.metrics.at("area_mm2") * 1e6;
  outcome.met = excess(design, specs) <= 0.0;
  outcome.accuracy = accuracy;
  outcome.hardware = hardware_of(design);
  outcome.trained = std::count_if(looked_at.begin(), looked_at.end(), measured);
  return outcome;
}

struct Run {
  const Workload& workload;
  Way way = Way::nas_then_asic;
  std::uint64_t seed = 0;
  const Options& options;
  Specs specs;
  Store& store;
  const RunOptions& run_options;
  const std::stop_token& stop;

  [[nodiscard]] json config(const std::string& suffix, std::int64_t evaluations) const {
    return common(fmt::format("{}_{}_s{}{}", workload.name, to_string(way), seed, suffix), seed, workload, specs,
                  evaluations);
  }
  [[nodiscard]] std::vector<TrialRow> trials(const json& campaign) const {
    return trials_of(campaign, store, run_options, stop);
  }

  /// Accuracy first, without specs; then hardware for the networks found.
  [[nodiscard]] Outcome nas_then_asic() const {
    json networks = config("_networks", options.evaluations / 2);
    train(networks, options);
    networks.erase("constraints");
    networks["target"].erase("deadline_cycles");
    networks["target"]["genes"] = {
        {"aic1.dataflow", "kcp_ws"}, {"aic1.pes", 4096}, {"aic1.bandwidth", 64}, {"aic2.dataflow", "none"}};
    networks["search"] = {{"algorithm", "nsga2"}, {"population", 20}};
    const std::vector<TrialRow> searched = trials(networks);
    const std::optional<TrialRow> best = most_accurate(searched);
    COSEARCH_CHECK(best.has_value(), "without specs every network is feasible");
    json hardware = config("_hardware", options.evaluations - options.evaluations / 2);
    fix_networks(hardware, *best);
    cost_only(hardware, campaign_from_json(networks, run_options.data_directory));
    hardware["objectives"] = {"cycles", "energy_uj", "area_mm2"};
    hardware["search"] = {{"algorithm", "nsga2"}, {"population", 20}};
    return outcome_of(way, seed, closest(trials(hardware), specs), best->metrics.at("accuracy"), specs, searched);
  }

  /// Hardware first, by Monte Carlo for the largest networks; then networks for it, with the specs.
  [[nodiscard]] Outcome asic_then_nas() const {
    json networks = config("_networks", options.evaluations - options.evaluations / 2);
    train(networks, options);
    json hardware = config("_hardware", options.evaluations / 2);
    cost_only(hardware, campaign_from_json(networks, run_options.data_directory));
    for (json& network : hardware["networks"]) {
      for (auto& [name, values] : network["space"]["genes"].items()) {
        values = values.back();
      }
    }
    hardware["objectives"] = {"cycles", "energy_uj", "area_mm2"};
    hardware["search"] = {{"algorithm", "random"}};
    const TrialRow chosen = closest(trials(hardware), specs);
    networks["target"]["genes"] = fixed_genes(chosen, "hw.");
    networks["search"] = {{"algorithm", "nsga2"}, {"population", 20}};
    return finish(trials(networks));
  }

  [[nodiscard]] Outcome joint(const json& search) const {
    json campaign = config("", options.evaluations);
    train(campaign, options);
    campaign["search"] = search;
    return finish(trials(campaign));
  }

  [[nodiscard]] Outcome finish(const std::vector<TrialRow>& searched) const {
    const std::optional<TrialRow> best = most_accurate(searched);
    return best ? outcome_of(way, seed, *best, best->metrics.at("accuracy"), specs, searched)
                : outcome_of(way, seed, closest(searched, specs), 0.0, specs, searched);
  }
};

}  // namespace

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> list{{"w1",
                                           "Fashion-MNIST for CIFAR-10, generated cells for Nuclei",
                                           classes_of_fashion("classes"),
                                           cells(),
                                           {8e5, 2e9, 4e9},
                                           PaperGains{"NASAIC, abstract", 17.77, 2.49, 2.32, 0.76},
                                           ""},
                                          {"w2",
                                           "Fashion-MNIST for CIFAR-10, generated 32 x 32 patterns for STL-10",
                                           classes_of_fashion("classes"),
                                           generated_classes(),
                                           {1e6, 3.5e9, 4e9},
                                           PaperGains{"NASAIC, from rows as remembered", 30.4, 1.42, 1.45, 1.17},
                                           ""},
                                          {"w3",
                                           "Fashion-MNIST twice for CIFAR-10 twice",
                                           classes_of_fashion("first"),
                                           classes_of_fashion("second"),
                                           {4e5, 1e9, 4e9},
                                           std::nullopt,
                                           "NASAIC's accuracies on CIFAR-10 here, remembered with low confidence: "
                                           "one accelerator 91.45 %, two alike 92.00 %, two\ndifferent ones 93.23 "
                                           "and 91.11 % (without specs 94.17 %); their hardware is not known, so they "
                                           "are no rows above"}};
  return list;
}

std::string to_string(Way way) {
  switch (way) {
    case Way::nas_then_asic:
      return "nas_then_asic";
    case Way::asic_then_nas:
      return "asic_then_nas";
    case Way::joint_reinforce:
      return "joint_reinforce";
    case Way::joint_nsga2:
      return "joint_nsga2";
  }
  COSEARCH_CHECK(false, "a way to search");
}

Outcome run(const Workload& workload, Way way, std::uint64_t seed, const Options& options, Store& store,
            const RunOptions& run_options, const std::stop_token& stop) {
  const Specs specs{workload.paper.cycles * options.spec_scale, workload.paper.energy_nj * options.spec_scale,
                    workload.paper.area_um2};
  const Run task{workload, way, seed, options, specs, store, run_options, stop};
  switch (way) {
    case Way::nas_then_asic:
      return task.nas_then_asic();
    case Way::asic_then_nas:
      return task.asic_then_nas();
    case Way::joint_reinforce:
      return task.joint({{"algorithm", "reinforce"}});
    case Way::joint_nsga2:
      return task.joint({{"algorithm", "nsga2"}, {"population", 20}});
  }
  COSEARCH_CHECK(false, "a way to search");
}

}  // namespace cosearch::nasaic
