#include <fmt/format.h>

#include <memory>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/pass_report.hpp"
#include "experiments/cli/table.hpp"
#include "hwmodels/model.hpp"
#include "search/algorithm.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/metrics.hpp"
#include "spaces/base/registry.hpp"
#include "spaces/cascade/library.hpp"
#include "spaces/catalog/networks.hpp"
#include "spaces/catalog/registry.hpp"
#include "spaces/space/domain.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;

template <class Registry>
void list(CommandLine& line, const std::string& kind, const Registry& registry) {
  Records records{kind, {"name", "summary"}, {}};
  for (const auto& entry : registry) {
    records.rows.push_back({entry.name, entry.summary});
  }
  print(line.out, line.options.format, records);
}

std::string condition_text(const ParamSet& params, const Condition& condition) {
  if (condition.param.empty()) {
    return "";
  }
  const Domain& domain = params.params()[*params.find(condition.param)].domain;
  std::string values;
  for (const std::int64_t gene : condition.values) {
    values += (values.empty() ? "" : ", ") + domain::describe(domain::value(domain, static_cast<double>(gene)));
  }
  return condition.param + " = " + values;
}

/// What a gene is that nobody gives.
std::string default_text(const ParamSet& params, std::size_t index) {
  const Param& param = params.params()[index];
  if (!param.preferred.param.empty()) {
    std::string text;
    for (const auto& [other, preferred] : param.preferred.values) {
      text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", domain::describe(preferred), domain::describe(other));
    }
    return text;
  }
  const auto* real = std::get_if<RealRange>(&param.domain);
  return domain::describe(domain::value(param.domain, real == nullptr ? 0.0 : real->lower));
}

Records parameter_records(const ParamSet& params) {
  Records records{"parameters", {"parameter", "values", "default", "active when"}, {}};
  for (std::size_t i = 0; i < params.size(); ++i) {
    const Param& param = params.params()[i];
    records.rows.push_back({param.name, domain::describe(param.domain), default_text(params, i),
                            condition_text(params, param.active_when)});
  }
  return records;
}

void describe_head(CommandLine& line, std::string_view name, std::string_view summary) {
  if (line.options.format == Format::table) {
    line.out.write(fmt::format("{}: {}\n\n", name, summary));
  }
}

void describe_space(CommandLine& line, const std::string& name) {
  const SpaceEntry& entry = entry_named(space_registry(), name, "spaces describe");
  describe_head(line, entry.name, entry.summary);
  // Parameters may depend on the samples; shown for 28 x 28 grey images and 10 classes.
  const TaskShape task{{28, 28, 1}, 10};
  std::unique_ptr<SearchSpace> space;
  try {
    space = make_space(name, json::object(), task);
  } catch (const ConfigError& error) {
    // A space without built-in parameters: what it needs is the description.
    line.out.write(fmt::format("its parameters come from the config: {}\n", error.what()));
    return;
  }
  print(line.out, line.options.format, parameter_records(space->params()));
  if (line.options.format == Format::table) {
    const std::optional<std::int64_t> count = space->params().count();
    line.out.write(
        count ? fmt::format("\n{} networks for samples of 28x28x1\n", format_number(static_cast<double>(*count))) : "");
  }
}

void describe_target(CommandLine& line, const std::string& name) {
  const TargetEntry& entry = entry_named(target_registry(), name, "targets describe");
  describe_head(line, entry.name, entry.summary);
  const std::unique_ptr<Target> target = make_target(name, json::object(), line.options.data_directory);
  print(line.out, line.options.format, parameter_records(target->params()));
  if (line.options.format != Format::table) {
    return;
  }
  Table table({"metric", "meaning"});
  for (const std::string& metric : target->metric_names()) {
    const std::optional<MetricInfo> info = find_metric(metric);
    table.add_row({metric, info ? std::string(info->meaning) : ""});
  }
  line.out.write("\n" + table.text());
}

void describe_algorithm(CommandLine& line, const std::string& name) {
  const AlgorithmEntry& entry = entry_named(algorithm_registry(), name, "algorithms describe");
  print(line.out, line.options.format, Records{"algorithms", {"name", "summary"}, {{entry.name, entry.summary}}});
}

std::string shape_text(const graph::Shape& shape) { return fmt::format("{}", fmt::join(shape, "x")); }

void describe_network(CommandLine& line, const std::string& name) {
  const NetworkEntry& entry = entry_named(network_registry(), name, "networks describe");
  describe_head(line, entry.name, entry.summary);
  const graph::NetworkGraph network = entry.make();
  const Expected<std::vector<graph::Shape>, std::string> shapes = graph::infer_shapes(network);
  const std::vector<graph::NodeCounts> counts = graph::node_counts(network);
  Records records{"nodes", {"node", "operator", "output", "macs", "params"}, {}};
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const graph::Node& node = network.nodes[i];
    records.rows.push_back(
        {node.name, graph::kind_name(node.op), shape_text((*shapes)[i]), counts[i].macs, counts[i].parameters});
  }
  print(line.out, line.options.format, records);
  if (line.options.format == Format::table) {
    const graph::NodeCounts total = graph::total_counts(network);
    line.out.write(fmt::format("\n{} MACs, {} parameters\n", total.macs, total.parameters));
  }
}

/// The text and its passes; as JSON and CSV what print_workload shows.
void describe_cascade(CommandLine& line, const std::string& name) {
  const cascade::CascadeEntry& entry = entry_named(cascade::cascade_registry(), name, "cascades describe");
  describe_head(line, entry.name, entry.summary);
  if (line.options.format == Format::table) {
    line.out.write(std::string(entry.text.substr(entry.text.find('\n') + 1)) + "\n");
  }
  print_workload(line, cascade::cascade(name));
}

void add_noun(const Command& program, CommandLine& line, const std::string& noun, const std::string& summary,
              const std::function<void(CommandLine&)>& list_all,
              const std::function<void(CommandLine&, const std::string&)>& describe) {
  const Command group = program.command(noun, summary);
  group.needs_command();
  group.command("list", "names and summaries").runs(line, [&line, list_all] {
    list_all(line);
    return 0;
  });
  const Command command = group.command("describe", "one of them in detail");
  const auto name = std::make_shared<std::string>();
  command.option("entry", *name, "one of the list").required();
  command.runs(line, [&line, describe, name] {
    describe(line, *name);
    return 0;
  });
}

}  // namespace

void add_catalogue_commands(const Command& program, CommandLine& line) {
  add_noun(
      program, line, "spaces", "network spaces: what can be searched",
      [](CommandLine& to) { list(to, "spaces", space_registry()); }, describe_space);
  add_noun(
      program, line, "targets", "hardware families and their knobs",
      [](CommandLine& to) { list(to, "targets", target_registry()); }, describe_target);
  add_noun(
      program, line, "algorithms", "search algorithms",
      [](CommandLine& to) { list(to, "algorithms", algorithm_registry()); }, describe_algorithm);
  add_noun(
      program, line, "cascades", "cascades of einsums for estimate --workload",
      [](CommandLine& to) { list(to, "cascades", cascade::cascade_registry()); }, describe_cascade);
  add_noun(
      program, line, "networks", "well-known networks for estimate",
      [](CommandLine& to) { list(to, "networks", network_registry()); }, describe_network);
}

}  // namespace cosearch::cli
