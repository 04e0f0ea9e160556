#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <utility>

#include "spaces/ir/passes.hpp"

namespace cosearch::ir {
namespace {

/// "1 element", "2 elements".
std::string counted(std::int64_t count, const std::string& noun, const std::string& plural_end = "s") {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : plural_end);
}

/// The first names; networks have hundreds.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 16;
  if (names.size() <= kShown) {
    return fmt::format("{}", fmt::join(names, ", "));
  }
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kShown, ", "), names.size() - kShown);
}

const std::string& tensor_name(const Workload& workload, int tensor) {
  return workload.tensors[static_cast<std::size_t>(tensor)].name;
}

std::string heading(const PassAnalysis& analysis) {
  std::string ranks;
  for (const Loop& rank : analysis.ranks) {
    ranks += fmt::format("{}{}<{}", ranks.empty() ? "" : ", ", rank.name, rank.extent);
  }
  if (!analysis.obstacle.empty()) {
    return fmt::format("{} ({}): passes cannot be told, {}\n", analysis.dimension, ranks, analysis.obstacle);
  }
  return fmt::format("{} ({}): {} over each fiber of {}\n", analysis.dimension, ranks,
                     counted(analysis.passes, "pass", "es"), counted(analysis.extent, "element"));
}

/// What runs when, and which barrier it waits for.
std::string pass_lines(const PassAnalysis& analysis, const Workload& workload) {
  std::map<std::pair<int, int>, std::vector<std::string>> names;
  std::map<std::pair<int, int>, std::map<int, std::vector<std::string>>> waiting;
  for (std::size_t e = 0; e < analysis.einsums.size(); ++e) {
    const EinsumPass& einsum = analysis.einsums[e];
    if (!einsum.walks) {
      continue;
    }
    const std::pair<int, int> time{einsum.pass, einsum.step};
    names[time].push_back(workload.einsums[e].name);
    if (einsum.waits_for >= 0) {
      waiting[time][einsum.waits_for].push_back(workload.einsums[e].name);
    }
  }
  std::string text;
  for (const auto& [time, einsums] : names) {
    text += time.second == 0 ? fmt::format("  pass {}: {}\n", time.first, listed(einsums))
                             : fmt::format("  after pass {}, over blocks: {}\n", time.first, listed(einsums));
    for (const auto& [tensor, held] : waiting[time]) {
      text += fmt::format("    {} must wait for all of {}\n", listed(held), tensor_name(workload, tensor));
    }
  }
  return text;
}

std::string live_line(const LiveFiber& fiber, const Workload& workload) {
  const std::vector<int>& passes = fiber.passes;
  const std::string& name = tensor_name(workload, fiber.tensor);
  const std::string again = passes.size() == 1
                                ? fmt::format("after pass {}", passes[0])
                                : fmt::format("in pass {}", fmt::join(passes.begin() + 1, passes.end(), " and "));
  return fmt::format(
      "  {} is {} in pass {} and read again {}: its fiber of {} ({}) stays live, or costs {} of traffic\n", name,
      fiber.given ? "read" : "written", passes[0], again,
      counted(fiber.elements, fiber.blocks_only ? "block" : "element"), counted(fiber.bytes, "byte"),
      counted(fiber.spill_bytes, "byte"));
}

}  // namespace

std::string describe(const PassAnalysis& analysis, const Workload& workload) {
  std::string text = heading(analysis);
  if (!analysis.obstacle.empty()) {
    return text;
  }
  text += pass_lines(analysis, workload);
  for (const LiveFiber& fiber : analysis.live) {
    text += live_line(fiber, workload);
  }
  if (analysis.live.empty()) {
    return text + "  no whole fiber is live: every tensor can come and go a tile at a time\n";
  }
  return text + fmt::format("  at least: {} of buffer for each row in flight, or {} of traffic for each row\n",
                            counted(analysis.buffer_bytes, "byte"), counted(analysis.traffic_bytes, "byte"));
}

std::string describe_passes(const Workload& workload) {
  std::string text;
  std::vector<std::string> single;
  for (const Dimension& dimension : find_dimensions(workload)) {
    const PassAnalysis analysis = analyze_passes(workload, dimension);
    if (analysis.obstacle.empty() && analysis.live.empty() && analysis.passes < 2 && analysis.ranks.size() == 1) {
      single.push_back(analysis.dimension);
    } else {
      text += describe(analysis, workload);
    }
  }
  if (!single.empty()) {
    text += fmt::format("1 pass, no whole fiber live: {}\n", listed(single));
  }
  return text;
}

}  // namespace cosearch::ir
