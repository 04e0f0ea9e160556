#include "experiments/cli/cost_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "experiments/cli/table.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kBarWidth = 40;

struct NumberColumn {
  const char* header;
  std::function<double(const LayerCost&)> value;
};

std::vector<NumberColumn> number_columns(const std::vector<LayerCost>& layers) {
  std::vector<NumberColumn> columns{
      {"MACs", [](const LayerCost& layer) { return static_cast<double>(layer.macs); }},
      {"cycles", [](const LayerCost& layer) { return layer.cycles; }},
      {"latency [ms]", [](const LayerCost& layer) { return layer.latency_ms; }},
      {"energy [uJ]", [](const LayerCost& layer) { return layer.energy_uj; }},
      {"traffic [B]", [](const LayerCost& layer) { return layer.traffic_bytes; }},
      {"utilization [%]", [](const LayerCost& layer) { return 100.0 * layer.utilization; }},
  };
  std::erase_if(columns, [&](const NumberColumn& column) {
    return std::all_of(layers.begin(), layers.end(),
                       [&](const LayerCost& layer) { return column.value(layer) == 0.0; });
  });
  return columns;
}

void print_layers(Output& out, const std::vector<LayerCost>& layers) {
  const std::vector<NumberColumn> columns = number_columns(layers);
  std::vector<std::string> headers{"layer", "kind"};
  for (const NumberColumn& column : columns) {
    headers.emplace_back(column.header);
  }
  headers.emplace_back("bound");
  Table table(std::move(headers));
  for (const LayerCost& layer : layers) {
    std::vector<std::string> cells{layer.name, layer.kind};
    for (const NumberColumn& column : columns) {
      cells.push_back(format_number(column.value(layer)));
    }
    cells.push_back(layer.bound);
    table.add_row(std::move(cells));
  }
  out.write(table.text());
}

void print_memory(Output& out, const std::vector<MemoryStep>& memory) {
  std::int64_t peak = 1;
  for (const MemoryStep& step : memory) {
    peak = std::max(peak, step.live_bytes);
  }
  Table table({"memory while", "live [B]", "", "buffers"});
  for (const MemoryStep& step : memory) {
    const auto bar = static_cast<std::size_t>(std::llround(
        static_cast<double>(kBarWidth) * static_cast<double>(step.live_bytes) / static_cast<double>(peak)));
    std::string buffers;
    for (const auto& [name, bytes] : step.buffers) {
      buffers += fmt::format("{}{} {}", buffers.empty() ? "" : ", ", name, bytes);
    }
    table.add_row({step.name, fmt::format("{}", step.live_bytes), std::string(bar, '#'), buffers});
  }
  out.write("\n" + table.text());
}

}  // namespace

void print_metrics(Output& out, const Metrics& metrics) {
  Table table({"metric", "value"});
  for (const auto& [name, value] : metrics) {
    table.add_row({name, format_number(value)});
  }
  out.write(table.text());
}

void print_cost(Output& out, const Cost& cost) {
  if (!cost.layers.empty()) {
    print_layers(out, cost.layers);
  }
  if (!cost.memory.empty()) {
    print_memory(out, cost.memory);
  }
  out.write("\n");
  print_metrics(out, cost.metrics);
  out.write(cost.bound.empty() ? "" : "\nbound: " + cost.bound + "\n");
  for (const std::string& note : cost.notes) {
    out.write("note: " + note + "\n");
  }
}

Records layer_records(const Cost& cost) {
  Records records;
  records.kind = "layers";
  records.columns = {"name",      "kind",          "macs",        "cycles", "latency_ms",
                     "energy_uj", "traffic_bytes", "utilization", "bound"};
  for (const LayerCost& layer : cost.layers) {
    records.rows.push_back({layer.name, layer.kind, layer.macs, json_number(layer.cycles),
                            json_number(layer.latency_ms), json_number(layer.energy_uj),
                            json_number(layer.traffic_bytes), json_number(layer.utilization), layer.bound});
  }
  return records;
}

void print_infeasible(Output& out, const Infeasible& infeasible) {
  out.write("infeasible: " + infeasible.reason + "\n");
  if (infeasible.violations.empty()) {
    return;
  }
  Table table({"violated", "required", "limit", "excess [%]"});
  for (const Violation& violation : infeasible.violations) {
    table.add_row({violation.name, format_number(violation.required), format_number(violation.limit),
                   format_number(100.0 * violation.amount())});
  }
  out.write("\n" + table.text());
}

ordered_json to_json(const Infeasible& infeasible) {
  ordered_json violations = ordered_json::array();
  for (const Violation& violation : infeasible.violations) {
    violations.push_back({{"name", violation.name},
                          {"required", violation.required},
                          {"limit", violation.limit},
                          {"amount", violation.amount()}});
  }
  return {{"reason", infeasible.reason}, {"violations", std::move(violations)}};
}

}  // namespace cosearch::cli
