#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/cost_report.hpp"
#include "experiments/cli/open_campaign.hpp"
#include "experiments/cli/table.hpp"
#include "experiments/evaluate/evaluator.hpp"
#include "experiments/export/design.hpp"
#include "hwmodels/job_graph.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct ShowOptions {
  std::optional<TrialId> id;
  bool finals = false;
};

std::optional<FinalRow> final_of(const OpenCampaign& open, TrialId id) {
  for (FinalRow& row : open.store.finals(open.row.id)) {
    if (row.trial == id) {
      return std::move(row);
    }
  }
  return std::nullopt;
}

/// The networks of a candidate that has several. Tasks that route tokens run one after the other, of shared weights.
Records network_records(const OpenCampaign& open, const TrialRow& row) {
  Records records{"networks", {"network", "weight", "macs", "params", "hash"}, {}};
  const bool measured = row.metrics.contains("accuracy");
  if (measured) {
    records.columns.emplace_back("accuracy");
  }
  const std::vector<graph::NetworkGraph> networks = open.space.decode(row.genome);
  for (std::size_t i = 0; i < networks.size(); ++i) {
    const CampaignNetwork& network = open.campaign.networks[i];
    const std::vector<Job> jobs = task_jobs(Job{networks[i]});
    std::int64_t macs = 0;
    for (const Job& job : jobs) {
      macs += graph::total_counts(job_graph(job)).macs;
    }
    const std::vector<double> params = job_params(jobs);
    std::vector<json>& cells = records.rows.emplace_back();
    cells = {network.name, network.weight, macs,
             static_cast<std::int64_t>(std::accumulate(params.begin(), params.end(), 0.0)),
             hex(graph::hash(networks[i]))};
    if (measured) {
      cells.emplace_back(row.metrics.at(network_metric("accuracy", network.name)));
    }
  }
  return records;
}

/// Where tokens of trained networks go, as far as the costs follow it.
const Routing& routing_of(const TrialRow& row, const std::optional<FinalRow>& trained) {
  return trained && !trained->routing.empty() ? trained->routing : row.routing;
}

/// Tokens of a sample at each expert, by mixture, and by task where they depend on it.
Records routing_records(const OpenCampaign& open, const Routing& routing) {
  const bool several = routing.size() > 1;
  Records records{"tokens at experts", {"mixture", "tokens"}, {}};
  if (several) {
    records.columns.insert(records.columns.begin(), "network");
  }
  for (std::size_t i = 0; i < routing.size(); ++i) {
    for (const auto& [mixture, tokens] : routing[i]) {
      std::vector<std::string> counts;
      std::transform(tokens.begin(), tokens.end(), std::back_inserter(counts),
                     [](double count) { return fmt::format("{:.1f}", count); });
      std::vector<json>& cells = records.rows.emplace_back();
      cells = {mixture, fmt::format("{}", fmt::join(counts, " "))};
      if (several) {
        cells.insert(cells.begin(), open.campaign.networks[i].name);
      }
    }
  }
  return records;
}

ordered_json document(const OpenCampaign& open, const TrialRow& row, const std::optional<FinalRow>& trained,
                      const Expected<Cost, Infeasible>& cost) {
  ordered_json shown = versioned();
  shown["campaign"] = open.row.name;
  shown["id"] = row.id;
  shown["state"] = state_text(row);
  shown["batch"] = row.batch;
  shown["genes"] = row.genes;
  shown["metrics"] = row.metrics;
  shown["violation"] = json_number(row.violation);
  shown["violated"] = row.violated;
  shown["reason"] = row.reason;
  shown["network_hash"] = row.network_hash;
  if (open.campaign.networks.size() > 1) {
    shown["networks"] = objects(network_records(open, row));
  }
  shown["hardware_hash"] = row.hardware_hash;
  if (const Routing& routing = routing_of(row, trained); !routing.empty()) {
    shown["routing"] = routing;
  }
  if (trained) {
    shown["final"] = {{"metrics", trained->metrics}, {"weights_file", trained->weights_file}};
  }
  if (cost) {
    shown["cost"] = to_json(*cost);
  } else {
    shown["infeasible"] = to_json(cost.error());
  }
  return shown;
}

void print_text(CommandLine& line, const OpenCampaign& open, const TrialRow& row,
                const std::optional<FinalRow>& trained, const Expected<Cost, Infeasible>& cost) {
  Output& out = line.out;
  out.write(fmt::format("trial {} of {}: {}, generation {}\n", row.id, open.row.name, state_text(row), row.batch));
  if (!row.reason.empty()) {
    out.write("reason: " + row.reason + "\n");
  }
  Table genes({"gene", "value"});
  for (const auto& [name, value] : row.genes.items()) {
    genes.add_row({name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  out.write("\n" + genes.text() + "\n");
  if (open.campaign.networks.size() > 1) {
    print(out, Format::table, network_records(open, row));
    out.write("\n");
  }
  if (!row.metrics.empty()) {
    print_metrics(out, row.metrics);
    out.write("\n");
  }
  if (trained) {
    out.write("final training, weights in " + trained->weights_file + "\n");
    print_metrics(out, trained->metrics);
    out.write("\n");
  }
  if (const Routing& routing = routing_of(row, trained); !routing.empty()) {
    print(out, Format::table, routing_records(open, routing));
    out.write("\n");
  }
  if (cost) {
    print_cost(out, *cost);
  } else {
    print_infeasible(out, cost.error());
  }
}

int show_trial(CommandLine& line, TrialId id) {
  OpenCampaign open(line.options);
  const std::optional<TrialRow> row = open.store.trial(open.row.id, id);
  if (!row) {
    const std::int64_t count = open.store.count(open.row.id, {});
    throw StoreError(
        4, count == 0 ? fmt::format("campaign \"{}\" has no trials", open.row.name)
                      : fmt::format("campaign \"{}\" has no trial {}; allowed: 0 to {}", open.row.name, id, count - 1));
  }
  const Evaluator evaluator(open.campaign, open.space, {}, open.store);
  const std::optional<FinalRow> trained = final_of(open, id);
  const Expected<Cost, Infeasible> cost = evaluator.explain(row->genome, routing_of(*row, trained));
  switch (line.options.format) {
    case Format::table:
      print_text(line, open, *row, trained, cost);
      break;
    case Format::csv:
      print(line.out, Format::csv, layer_records(cost ? *cost : Cost{}));
      break;
    case Format::json:
    case Format::jsonl:
      print(line.out, line.options.format, document(open, *row, trained, cost));
      break;
  }
  return 0;
}

/// The accuracy that an error is one minus of; of other metrics nothing.
std::string accuracy_of(const std::string& metric) {
  const std::optional<MetricInfo> info = find_metric(metric);
  return info && info->name == "error" ? "accuracy" + metric.substr(info->name.size()) : "";
}

int show_finals(CommandLine& line) {
  const OpenCampaign open(line.options);
  Records records{"finals", {"id", "test_accuracy", "accuracy", "train_loss"}, {}};
  const std::vector<Field> metrics = open.main_metrics();
  for (const Field& field : metrics) {
    if (std::find(records.columns.begin(), records.columns.end(), field.name) == records.columns.end()) {
      records.columns.push_back(field.name);
    }
  }
  records.columns.emplace_back("weights_file");
  for (const FinalRow& trained : open.store.finals(open.row.id)) {
    const std::optional<TrialRow> searched = open.store.trial(open.row.id, trained.trial);
    std::vector<json>& cells = records.rows.emplace_back();
    for (const std::string& column : records.columns) {
      // Error and accuracy are those of the final training; costs too, where its routers decide them.
      const auto metric = trained.metrics.find(column);
      if (column == "id") {
        cells.emplace_back(trained.trial);
      } else if (column == "weights_file") {
        cells.emplace_back(trained.weights_file);
      } else if (metric != trained.metrics.end()) {
        cells.emplace_back(metric->second);
      } else if (const auto accuracy = trained.metrics.find(accuracy_of(column)); accuracy != trained.metrics.end()) {
        cells.emplace_back(1.0 - accuracy->second);
      } else {
        const auto stored = searched ? searched->metrics.find(column) : trained.metrics.end();
        cells.push_back(searched && stored != searched->metrics.end() ? json_number(stored->second) : json());
      }
    }
  }
  print(line.out, line.options.format, records);
  if (line.options.format == Format::table) {
    for (const FinalRow& trained : open.store.finals(open.row.id)) {
      line.out.write(
          fmt::format("trial {}: test accuracy {:.3f}\n", trained.trial, trained.metrics.at("test_accuracy")));
    }
  }
  return 0;
}

}  // namespace

void add_show_command(const Command& program, CommandLine& line) {
  const Command command = program.command("show", "one candidate: genes, metrics, cost by layer, why it was refused");
  const auto options = std::make_shared<ShowOptions>();
  const Argument id =
      command.option("id", options->id, "number of the trial").in(std::int64_t{0}, std::int64_t{1} << 53);
  command.flag("--finals", options->finals, "the final trainings instead: test accuracy and weights").excludes(id);
  command.runs(line, [&line, options] {
    if (!options->finals && !options->id) {
      throw ConfigError("show", "needs the number of a trial, or --finals");
    }
    return options->finals ? show_finals(line) : show_trial(line, *options->id);
  });
}

}  // namespace cosearch::cli
