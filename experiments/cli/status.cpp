#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/front.hpp"
#include "experiments/cli/open_campaign.hpp"
#include "experiments/cli/table.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;

std::string_view state_name(CampaignState state) {
  switch (state) {
    case CampaignState::running:
      return "running";
    case CampaignState::finished:
      return "finished";
    case CampaignState::stopped:
      return "stopped";
  }
  return "running";
}

void add_best(Records& records, std::vector<json>& row, const Campaign& campaign, const Front& front) {
  for (std::size_t i = 0; i < campaign.objectives.size() && !front.rows.empty(); ++i) {
    const auto best = std::min_element(front.points.begin(), front.points.end(),
                                       [i](const Point& a, const Point& b) { return a[i] < b[i]; });
    const auto index = static_cast<std::size_t>(best - front.points.begin());
    records.columns.push_back("best_" + campaign.objectives[i].metric);
    row.push_back(json_number(front.rows[index].metrics.at(campaign.objectives[i].metric)));
  }
}

int status(CommandLine& line) {
  const OpenCampaign open(line.options);
  const std::vector<TrialRow> trials = open.store.trials(open.row.id);
  std::map<std::string_view, std::int64_t> counts;
  for (const TrialRow& trial : trials) {
    ++counts[state_text(trial)];
  }
  const std::int64_t feasible = counts["complete"] + counts["screened"];
  const std::int64_t finished = static_cast<std::int64_t>(trials.size()) - counts["pending"];
  const Front front = front_of(trials, open.campaign.objectives);
  Records records{"campaigns", {"name", "state", "created_utc", "evaluated", "budget"}, {}};
  std::vector<json> row{open.row.name, state_name(open.row.state), open.row.created_utc, finished,
                        open.row.evaluations};
  constexpr std::array<std::string_view, 5> kStates{"complete", "screened", "infeasible", "failed", "pending"};
  for (const std::string_view state : kStates) {
    records.columns.emplace_back(state);
    row.emplace_back(counts[state]);
  }
  records.columns.insert(records.columns.end(), {"feasible_share", "front", "final_trainings"});
  row.push_back(finished > 0 ? json_number(static_cast<double>(feasible) / static_cast<double>(finished)) : json());
  row.emplace_back(front.rows.size());
  row.emplace_back(open.store.finals(open.row.id).size());
  add_best(records, row, open.campaign, front);
  if (line.options.format == Format::table) {
    Table table({"campaign", open.row.name});
    for (std::size_t i = 1; i < row.size(); ++i) {
      const std::string text = row[i].is_number() ? format_number(row[i].get<double>())
                                                  : (row[i].is_string() ? row[i].get<std::string>() : "-");
      table.add_row({records.columns[i], text});
    }
    line.out.write(table.text());
    return 0;
  }
  records.rows.push_back(std::move(row));
  print(line.out, line.options.format, records);
  return 0;
}

}  // namespace

void add_status_command(const Command& program, CommandLine& line) {
  const Command command = program.command("status", "how far a campaign is");
  command.runs(line, [&line] { return status(line); });
}

void add_list_command(const Command& program, CommandLine& line) {
  const Command command = program.command("list", "the campaigns of a database");
  command.runs(line, [&line] {
    const Store store = Store::open_reader(line.options.needed_database());
    Records records{"campaigns", {"name", "state", "evaluated", "budget", "created_utc", "config_hash"}, {}};
    TrialFilter finished;
    finished.where = parse_where("state != \"pending\"", {});
    for (const CampaignRow& row : store.campaigns()) {
      records.rows.push_back({row.name, state_name(row.state), store.count(row.id, finished), row.evaluations,
                              row.created_utc, row.config_hash});
    }
    print(line.out, line.options.format, records);
    return 0;
  });
}

}  // namespace cosearch::cli
