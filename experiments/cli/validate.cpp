#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/table.hpp"
#include "experiments/config/campaign.hpp"
#include "spaces/base/config_error.hpp"
#include "trainer/data/dataset.hpp"

namespace cosearch::cli {
namespace {

struct ValidateOptions {
  std::string config;
  bool schema = false;
};

std::string joined_metrics(const Campaign& campaign) {
  std::string text;
  for (const Objective& objective : campaign.objectives) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ",
                        objective.direction == Direction::minimize ? "minimize" : "maximize", objective.metric);
  }
  return text;
}

std::string described(const TaskData& data) {
  std::string text = fmt::format("{}: {} training, {} search, {} test samples of {}", data.name, data.train.size(),
                                 data.search.size(), data.test.size(), fmt::join(data.train.sample, " x "));
  constexpr std::size_t kMostNames = 12;
  if (!data.class_names.empty()) {
    const std::size_t shown = std::min(kMostNames, data.class_names.size());
    const auto end = data.class_names.begin() + static_cast<std::ptrdiff_t>(shown);
    text += fmt::format("; classes {}{}", fmt::join(data.class_names.begin(), end, ", "),
                        shown < data.class_names.size() ? ", ..." : "");
  }
  return text;
}

int validate(CommandLine& line, const ValidateOptions& options) {
  if (options.schema == !options.config.empty()) {
    throw ConfigError("validate", "needs either a config file or --schema");
  }
  if (options.schema) {
    line.out.write(campaign_schema().dump(2) + "\n");
    return 0;
  }
  CampaignOverrides overrides;
  overrides.data_directory = line.options.data_directory;
  const Campaign campaign = load_campaign(options.config, overrides);
  const CampaignData data = load_campaign_data(campaign);
  if (line.options.format != Format::table) {
    print(line.out, line.options.format, nlohmann::ordered_json(campaign.resolved));
    return 0;
  }
  const JointSpace space(campaign, line.options.data_directory);
  const std::optional<std::int64_t> designs = space.params().count();
  Table table({"campaign", campaign.name});
  for (std::size_t i = 0; i < campaign.networks.size(); ++i) {
    const CampaignNetwork& network = campaign.networks[i];
    const std::string of = network.name.empty() ? "" : " of " + network.name;
    if (data[i].data != nullptr) {
      table.add_row({"data set" + of, described(*data[i].data)});
    }
    for (const LearningTask& task : data[i].tasks) {
      table.add_row({"task " + task.name + of, described(*task.data)});
    }
    table.add_row({"space" + of, network.space_name});
  }
  table.add_row({"target", campaign.target_name});
  table.add_row({"genes", fmt::format("{}", space.params().size())});
  table.add_row({"designs", designs ? format_number(static_cast<double>(*designs)) : "uncountable (real genes)"});
  table.add_row({"objectives", joined_metrics(campaign)});
  table.add_row({"constraints", fmt::format("{} beside the capacities of the hardware", campaign.constraints.size())});
  table.add_row({"algorithm", campaign.algorithm});
  table.add_row({"evaluations", fmt::format("{}", campaign.evaluations)});
  table.add_row({"config hash", config_hash(campaign)});
  line.out.write(table.text());
  return 0;
}

}  // namespace

void add_validate_command(const Command& program, CommandLine& line) {
  const Command command = program.command(
      "validate", "check a config and its data set; --format json prints it with every default written out");
  const auto options = std::make_shared<ValidateOptions>();
  command.option("config", options->config, "campaign file");
  command.flag("--schema", options->schema, "print the JSON Schema of campaign files instead");
  command.runs(line, [&line, options] { return validate(line, *options); });
}

}  // namespace cosearch::cli
