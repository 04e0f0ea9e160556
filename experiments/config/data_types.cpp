#include "experiments/config/data_types.hpp"

#include <array>
#include <string_view>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

using ir::ElementType;

struct NamedTypes {
  std::string_view name;
  ElementType value;
  ElementType accumulator;
};
constexpr std::array kTypes{
    NamedTypes{"bf16", ElementType::bf16, ElementType::fp32},
    NamedTypes{"fp16", ElementType::fp16, ElementType::fp32},
    NamedTypes{"fp32", ElementType::fp32, ElementType::fp32},
    NamedTypes{"int8", ElementType::int8, ElementType::int32},
};

}  // namespace

std::vector<std::string> data_type_names() {
  std::vector<std::string> names;
  for (const NamedTypes& types : kTypes) {
    names.emplace_back(types.name);
  }
  return names;
}

graph::DataTypes data_types(const std::string& name, const std::string& place) {
  for (const NamedTypes& types : kTypes) {
    if (types.name == name) {
      graph::DataTypes result;
      result.activation = types.value;
      result.weight = types.value;
      result.accumulator = types.accumulator;
      return result;
    }
  }
  throw ConfigError(place, unknown_name(name, data_type_names()));
}

}  // namespace cosearch
