#include "experiments/cli/pass_report.hpp"

#include "spaces/ir/passes.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::ordered_json;

ordered_json to_json(const ir::LiveFiber& fiber, const ir::Workload& workload) {
  return {{"tensor", workload.tensors[static_cast<std::size_t>(fiber.tensor)].name},
          {"blocks_only", fiber.blocks_only},
          {"given", fiber.given},
          {"elements", fiber.elements},
          {"bytes", fiber.bytes},
          {"passes", fiber.passes},
          {"spill_bytes", fiber.spill_bytes}};
}

ordered_json to_json(const ir::PassAnalysis& analysis, const ir::Workload& workload) {
  ordered_json ranks = ordered_json::array();
  for (const ir::Loop& rank : analysis.ranks) {
    ranks.push_back({{"name", rank.name}, {"extent", rank.extent}});
  }
  ordered_json result{{"dimension", analysis.dimension}, {"ranks", std::move(ranks)}, {"extent", analysis.extent}};
  if (!analysis.obstacle.empty()) {
    result["obstacle"] = analysis.obstacle;
    return result;
  }
  ordered_json einsums = ordered_json::array();
  for (std::size_t e = 0; e < analysis.einsums.size(); ++e) {
    const ir::EinsumPass& einsum = analysis.einsums[e];
    if (einsum.walks) {
      einsums.push_back(
          {{"einsum", workload.einsums[e].name}, {"pass", einsum.pass}, {"step", einsum.step}, {"full", einsum.full}});
    }
  }
  ordered_json live = ordered_json::array();
  for (const ir::LiveFiber& fiber : analysis.live) {
    live.push_back(to_json(fiber, workload));
  }
  result["passes"] = analysis.passes;
  result["einsums"] = std::move(einsums);
  result["live"] = std::move(live);
  result["buffer_bytes"] = analysis.buffer_bytes;
  result["traffic_bytes"] = analysis.traffic_bytes;
  return result;
}

Records operation_records(const ir::Workload& workload) {
  Records records{"einsums", {"einsum", "macs", "elementwise"}, {}};
  for (const ir::Einsum& einsum : workload.einsums) {
    const ir::OperationCounts counts = ir::operation_counts(einsum);
    records.rows.push_back({einsum.name, counts.macs, counts.elementwise});
  }
  return records;
}

}  // namespace

ordered_json passes_json(const ir::Workload& workload) {
  ordered_json dimensions = ordered_json::array();
  for (const ir::Dimension& dimension : ir::find_dimensions(workload)) {
    dimensions.push_back(to_json(ir::analyze_passes(workload, dimension), workload));
  }
  return dimensions;
}

void print_workload(CommandLine& line, const ir::Workload& workload) {
  const Records operations = operation_records(workload);
  switch (line.options.format) {
    case Format::table:
      print(line.out, Format::table, operations);
      line.out.write("\n" + ir::describe_passes(workload));
      break;
    case Format::csv:
      print(line.out, Format::csv, operations);
      break;
    case Format::json:
    case Format::jsonl: {
      ordered_json shown = versioned();
      shown["workload"] = workload.name;
      shown["einsums"] = objects(operations);
      shown["dimensions"] = passes_json(workload);
      print(line.out, line.options.format, shown);
      break;
    }
  }
}

}  // namespace cosearch::cli
