#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/front.hpp"
#include "experiments/cli/open_campaign.hpp"
#include "experiments/run/runner.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {
namespace {

struct ParetoOptions {
  std::string where;
  std::string objectives;
  std::string columns;
  std::size_t top = 0;
  bool knee = false;
};

std::vector<Objective> chosen_objectives(const OpenCampaign& open, const std::string& text) {
  if (text.empty()) {
    return open.campaign.objectives;
  }
  std::vector<Objective> objectives;
  const std::vector<std::string> reported = reported_metrics(open.campaign, open.space.target());
  for (const Field& field : parse_fields(text, {}, "--objectives")) {
    if (std::find(reported.begin(), reported.end(), field.name) == reported.end()) {
      throw ConfigError("--objectives", unknown_name(field.name, reported));
    }
    const auto same = std::find_if(open.campaign.objectives.begin(), open.campaign.objectives.end(),
                                   [&](const Objective& objective) { return objective.metric == field.name; });
    objectives.push_back(
        {field.name, same != open.campaign.objectives.end() ? same->direction : find_metric(field.name)->direction});
  }
  return objectives;
}

std::vector<Field> default_fields(const OpenCampaign& open, const std::vector<Objective>& objectives,
                                  const Front& front) {
  std::vector<Field> fields{{FieldKind::id, "id"}};
  for (const Objective& objective : objectives) {
    fields.push_back({FieldKind::metric, objective.metric});
  }
  for (const Field& field : open.main_metrics()) {
    if (std::find(fields.begin(), fields.end(), field) == fields.end()) {
      fields.push_back(field);
    }
  }
  for (const char* metric : {"sram_bytes", "flash_bytes", "macs", "params"}) {
    const Field field{FieldKind::metric, metric};
    const bool known = std::any_of(front.rows.begin(), front.rows.end(),
                                   [&](const TrialRow& row) { return row.metrics.contains(metric); });
    if (known && std::find(fields.begin(), fields.end(), field) == fields.end()) {
      fields.push_back(field);
    }
  }
  if (open.space.params().find("family")) {
    fields.push_back({FieldKind::gene, "family"});
  }
  return fields;
}

/// Final trainings stand beside the search's figures as a column, where there are any.
void add_test_accuracy(Records& records, const Front& front, const std::vector<FinalRow>& finals) {
  if (finals.empty()) {
    return;
  }
  const auto at = records.columns.begin() + 1;
  records.columns.insert(at, "test_accuracy");
  for (std::size_t i = 0; i < front.rows.size(); ++i) {
    nlohmann::json value;
    for (const FinalRow& row : finals) {
      const auto metric = row.metrics.find("test_accuracy");
      if (row.trial == front.rows[i].id && metric != row.metrics.end()) {
        value = metric->second;
      }
    }
    records.rows[i].insert(records.rows[i].begin() + 1, std::move(value));
  }
}

int pareto(CommandLine& line, const ParetoOptions& options) {
  const OpenCampaign open(line.options);
  const std::vector<std::string> genes = open.gene_names();
  TrialFilter filter;
  if (!options.where.empty()) {
    filter.where = parse_where(options.where, genes);
  }
  const std::vector<Objective> objectives = chosen_objectives(open, options.objectives);
  std::vector<Field> fields;
  if (!options.columns.empty()) {
    fields = parse_fields(options.columns, genes, "--columns");
  }
  open.check_networks(filter, fields, "pareto");
  Front front = front_of(open.store.query(open.row.id, filter), objectives);
  if (front.rows.empty()) {
    throw NoFeasible(options.where.empty() ? explain_infeasibility(open.store, open.row.id)
                                           : fmt::format("no measured candidate matches --where '{}'", options.where));
  }
  if (options.knee) {
    front = subset(front, {knee(front.points)});
  } else if (options.top > 0) {
    front = subset(front, representatives(front.points, options.top));
  }
  Records records = trial_records(front.rows, fields.empty() ? default_fields(open, objectives, front) : fields);
  if (fields.empty()) {
    add_test_accuracy(records, front, open.store.finals(open.row.id));
    add_hardware(records, line.options.format, front.rows, genes);
  }
  print(line.out, line.options.format, records);
  return 0;
}

}  // namespace

void add_pareto_command(const Command& program, CommandLine& line) {
  const Command command = program.command("pareto", "the measured candidates that no other one dominates");
  const auto options = std::make_shared<ParetoOptions>();
  command.option("--where", options->where, "only among trials that match; see query");
  command.option("--objectives", options->objectives, "metrics to trade off, e.g. error,energy_uj");
  command.option("--columns", options->columns, "fields to print; see query");
  const Argument top =
      command.option("--top-k", options->top, "so many members that stand for the whole front").in(1, 1'000'000);
  command.flag("--knee", options->knee, "the one compromise where giving up one objective stops paying").excludes(top);
  command.runs(line, [&line, options] { return pareto(line, *options); });
}

}  // namespace cosearch::cli
