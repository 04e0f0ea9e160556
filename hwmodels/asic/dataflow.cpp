#include "hwmodels/asic/dataflow.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::asic {
namespace {

/// Bit by role: tensors of that role that the loop moves.
unsigned roles_of(int loop, std::span<const EinsumTensor> tensors) {
  unsigned roles = 0;
  for (const EinsumTensor& tensor : tensors) {
    for (const ir::AxisIndex& axis : tensor.access->axes) {
      for (const ir::Term& term : axis.terms) {
        roles |= term.loop == loop && term.coefficient != 0 ? 1U << static_cast<unsigned>(tensor.role) : 0U;
      }
    }
  }
  return roles;
}

/// Whether both loops stand in one axis of an operand.
bool share_an_axis(int a, int b, std::span<const EinsumTensor> tensors) {
  const auto names = [](const ir::AxisIndex& axis, int loop) {
    return std::any_of(axis.terms.begin(), axis.terms.end(), [&](const ir::Term& term) { return term.loop == loop; });
  };
  return std::any_of(tensors.begin(), tensors.end(), [&](const EinsumTensor& tensor) {
    return std::any_of(tensor.access->axes.begin(), tensor.access->axes.end(),
                       [&](const ir::AxisIndex& axis) { return names(axis, a) && names(axis, b); });
  });
}

std::uint32_t loops_named(const std::string& letters, const std::string& parts) {
  std::uint32_t loops = 0;
  for (std::size_t loop = 0; loop < parts.size(); ++loop) {
    loops |= letters.find(parts[loop]) != std::string::npos ? std::uint32_t{1} << loop : 0U;
  }
  return loops;
}

std::vector<int> order_named(const std::string& letters, const std::string& parts) {
  std::vector<int> order;
  for (const char letter : letters) {
    for (std::size_t loop = 0; loop < parts.size(); ++loop) {
      if (parts[loop] == letter) {
        order.push_back(static_cast<int>(loop));
      }
    }
  }
  return order;
}

LevelRule level_rule(const LevelLoops& loops, const std::string& parts) {
  LevelRule rule;
  if (loops.temporal) {
    rule.temporal = loops_named(*loops.temporal, parts);
    rule.order = loops.ordered ? order_named(*loops.temporal, parts) : std::vector<int>{};
  }
  if (loops.spatial_x) {
    rule.spatial_x = loops_named(*loops.spatial_x, parts);
  }
  if (loops.spatial_y) {
    rule.spatial_y = loops_named(*loops.spatial_y, parts);
  }
  return rule;
}

}  // namespace

std::string loop_parts(const ir::Einsum& einsum, std::span<const EinsumTensor> tensors) {
  constexpr unsigned kInput = 1U << static_cast<unsigned>(Role::input);
  constexpr unsigned kWeight = 1U << static_cast<unsigned>(Role::weight);
  std::string parts(einsum.loops.size(), 'C');
  std::vector<std::size_t> places;
  for (const ir::AxisIndex& axis : einsum.output.axes) {
    for (const ir::Term& term : axis.terms) {
      const auto loop = static_cast<std::size_t>(term.loop);
      const unsigned roles = roles_of(term.loop, tensors);
      parts[loop] = (roles & kWeight) == 0 ? 'N' : (roles & kInput) == 0 ? 'K' : 'G';
      if (parts[loop] == 'N') {
        places.push_back(loop);
      }
    }
  }
  // Loops that a filter slides along come last, whatever the layout.
  std::stable_partition(places.begin(), places.end(), [&](std::size_t place) {
    for (std::size_t loop = 0; loop < parts.size(); ++loop) {
      if (parts[loop] == 'C' && share_an_axis(static_cast<int>(place), static_cast<int>(loop), tensors)) {
        return false;
      }
    }
    return true;
  });
  const std::string letters = "QP";
  for (std::size_t i = 0; i < std::min(letters.size(), places.size()); ++i) {
    const std::size_t place = places[places.size() - 1 - i];
    parts[place] = letters[i];
    for (std::size_t loop = 0; loop < parts.size(); ++loop) {
      if (parts[loop] == 'C' && share_an_axis(static_cast<int>(place), static_cast<int>(loop), tensors)) {
        parts[loop] = letters[i] == 'Q' ? 'S' : 'R';
      }
    }
  }
  return parts;
}

std::vector<Dataflow> load_dataflows(const std::string& data_directory) {
  const nlohmann::json data = load_data("dataflows", data_directory);
  const JsonReader root(data, "", data_file_name("dataflows", data_directory));
  std::vector<Dataflow> dataflows;
  for (const auto& [name, reader] : root.at("dataflows").members()) {
    reader.only({"summary", "source", "spatial_x", "spatial_y", "stationary"});
    Dataflow dataflow{name, reader.at("summary").text(), read_parts(reader, "spatial_x"),
                      read_parts(reader, "spatial_y"), std::nullopt};
    if (const auto stationary = reader.find("stationary")) {
      dataflow.stationary = read_role(*stationary);
    }
    dataflows.push_back(std::move(dataflow));
  }
  std::sort(dataflows.begin(), dataflows.end(), [](const Dataflow& a, const Dataflow& b) { return a.name < b.name; });
  return dataflows;
}

MapRules map_rules(const Arch& arch, const Dataflow* dataflow, const ir::Einsum& einsum,
                   std::span<const EinsumTensor> tensors) {
  const std::string parts = loop_parts(einsum, tensors);
  MapRules rules;
  for (std::size_t level = 0; level < arch.levels.size(); ++level) {
    if (dataflow == nullptr) {
      rules.levels[level] = level_rule(arch.levels[level].loops, parts);
    } else {
      rules.levels[level] = level_rule({std::nullopt, false, dataflow->spatial_x, dataflow->spatial_y}, parts);
    }
  }
  // Every loop has to run somewhere.
  rules.levels[arch.levels.size() - 1].temporal = ~0U;
  rules.bypass =
      dataflow != nullptr || std::none_of(arch.levels.begin(), arch.levels.end(), [](const MemoryLevel& level) {
        return level.loops.temporal || level.loops.spatial_x || level.loops.spatial_y;
      });
  rules.stationary = dataflow == nullptr ? std::nullopt : dataflow->stationary;
  return rules;
}

}  // namespace cosearch::asic
