#include "experiments/run/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/front.hpp"
#include "experiments/cli/open_campaign.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::ordered_json;

struct RunArguments {
  std::string config;
  std::optional<std::uint64_t> seed;
};

/// What a campaign has come to, on standard output.
void print_summary(CommandLine& line, const Campaign& campaign, const Store& store, const CampaignRow& row,
                   RunOutcome outcome) {
  const std::vector<TrialRow> trials = store.trials(row.id);
  const auto in_state = [&](TrialState state) {
    return std::count_if(trials.begin(), trials.end(),
                         [state](const TrialRow& trial) { return !trial.pending && trial.state == state; });
  };
  const auto measured = in_state(TrialState::complete);
  const auto screened = in_state(TrialState::screened);
  const auto evaluated = measured + screened + in_state(TrialState::infeasible) + in_state(TrialState::failed);
  const Front front = front_of(trials, campaign.objectives);
  const std::vector<FinalRow> finals = store.finals(row.id);
  const std::string state = outcome == RunOutcome::stopped ? "stopped" : "finished";
  if (line.options.format != Format::table) {
    ordered_json document = versioned();
    document["campaign"] = row.name;
    document["state"] = state;
    document["evaluated"] = evaluated;
    document["measured"] = measured;
    document["screened"] = screened;
    ordered_json& members = document["front"] = ordered_json::array();
    for (const TrialRow& member : front.rows) {
      members.push_back({{"id", member.id}, {"metrics", member.metrics}});
    }
    ordered_json& trained = document["finals"] = ordered_json::array();
    for (const FinalRow& final_row : finals) {
      trained.push_back({{"id", final_row.trial}, {"metrics", final_row.metrics}});
    }
    print(line.out, line.options.format, document);
    return;
  }
  line.out.write(fmt::format("{} {}: {} evaluated, {} feasible, {} measured, front of {}\n", row.name, state, evaluated,
                             measured + screened, measured, front.rows.size()));
  for (const FinalRow& final_row : finals) {
    line.out.write(
        fmt::format("trial {}: test accuracy {:.3f}\n", final_row.trial, final_row.metrics.at("test_accuracy")));
  }
}

int drive(CommandLine& line, const Campaign& campaign, const CampaignData& data, Store& store, const CampaignRow& row) {
  StopSignals signals;
  RunOptions options;
  options.threads = line.options.threads;
  options.data_directory = line.options.data_directory;
  options.quiet = line.options.quiet;
  const RunOutcome outcome = run_campaign(campaign, data, store, row.id, options, signals.token());
  if (outcome == RunOutcome::no_feasible) {
    throw NoFeasible(explain_infeasibility(store, row.id));
  }
  print_summary(line, campaign, store, row, outcome);
  return outcome == RunOutcome::stopped ? signals.exit_code() : 0;
}

/// Before anything is written, so that a mistake leaves the database as it was.
void refuse_existing(const std::string& database, const std::string& name) {
  if (!std::filesystem::exists(database)) {
    return;
  }
  const Store store = Store::open_reader(database);
  const std::vector<CampaignRow> rows = store.campaigns();
  if (std::any_of(rows.begin(), rows.end(), [&](const CampaignRow& row) { return row.name == name; })) {
    throw ConfigError("--name",
                      fmt::format("{} has a campaign \"{}\" already; go on with it by cosearch resume --db {} "
                                  "--name {}, or choose another name",
                                  database, name, database, name));
  }
}

int run(CommandLine& line, const RunArguments& arguments) {
  const std::string& database = line.options.needed_database();
  CampaignOverrides overrides;
  if (!line.options.campaign.empty()) {
    overrides.name = line.options.campaign;
  }
  overrides.seed = arguments.seed;
  overrides.data_directory = line.options.data_directory;
  const Campaign campaign = load_campaign(arguments.config, overrides);
  refuse_existing(database, campaign.name);
  const CampaignData data = load_campaign_data(campaign);
  Store store = Store::open_writer(database);
  const CampaignRow row =
      store.create_campaign(campaign.name, campaign.resolved, config_hash(campaign), campaign.evaluations);
  return drive(line, campaign, data, store, row);
}

int resume(CommandLine& line, std::int64_t added) {
  const std::string& database = line.options.needed_database();
  CampaignRow row = Store::open_reader(database).campaign(line.options.campaign);
  Campaign campaign = stored_campaign(row, line.options.data_directory);
  const CampaignData data = load_campaign_data(campaign);
  Store store = Store::open_writer(database);
  if (added > 0) {
    // Read again as the writer: another resume may have raised it meanwhile.
    row = store.campaign(row.name);
    campaign.evaluations = row.evaluations + added;
    store.set_evaluations(row.id, campaign.evaluations);
  }
  return drive(line, campaign, data, store, row);
}

}  // namespace

void add_run_command(const Command& program, CommandLine& line) {
  const Command command = program.command("run", "run a campaign: search, train, store");
  const auto arguments = std::make_shared<RunArguments>();
  command.option("config", arguments->config, "campaign file, JSON with comments").required();
  command.option("--seed", arguments->seed, "in place of the config's")
      .in(std::int64_t{0}, std::numeric_limits<std::int64_t>::max());
  command.runs(line, [&line, arguments] { return run(line, *arguments); });
}

void add_resume_command(const Command& program, CommandLine& line) {
  const Command command =
      program.command("resume", "go on with a campaign that was stopped, killed or is to be longer");
  const auto added = std::make_shared<std::int64_t>(0);
  command.option("--add-evals", *added, "so many evaluations beyond the budget that the campaign has")
      .in(1, 1'000'000'000);
  command.runs(line, [&line, added] { return resume(line, *added); });
}

}  // namespace cosearch::cli
