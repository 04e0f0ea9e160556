#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "spaces/catalog/expression.hpp"
#include "spaces/graph/graph.hpp"

namespace cosearch::catalog {

/// A network whose fields are expressions: the `input` and `template` of the `custom` space, see make_custom for the
/// form.
class NetworkTemplate {
 public:
  /// Parses every expression and looks up its variables among `variables` and the indices around it.
  /// @throws ConfigError with a place in the config (`/template/2/nodes/0/stride`).
  NetworkTemplate(const nlohmann::json& input, const nlohmann::json& nodes, const std::vector<std::string>& variables);

  /// The network for the given values. @throws ConfigError with a place in the config.
  [[nodiscard]] graph::NetworkGraph expand(const Expression::Variables& values) const;

 private:
  class Expansion;
  /// A node or a group.
  // clang-tidy 14 takes the assertions in nlohmann's noexcept move constructor for exceptions.
  struct Item {
    std::string place;
    nlohmann::json repeat;
    nlohmann::json when;
    std::string index;    ///< variable that counts repetitions; may be empty
    nlohmann::json node;  ///< null for a group
    std::vector<Item> children;
  };
  std::vector<Item> read_items(const nlohmann::json& nodes, const std::string& place,
                               const std::vector<std::string>& known);
  Item read_item(const nlohmann::json& json, const std::string& place, std::vector<std::string> known);
  void read_node(const nlohmann::json& json, Item& item, const std::vector<std::string>& known);
  /// Parses the expressions of a value and all values in it.
  void compile(const nlohmann::json& value, const std::string& place, const std::vector<std::string>& known);
  void compile_pattern(const nlohmann::json& value, const std::string& place, const std::vector<std::string>& known);
  void compile_expression(const std::string& text, const std::string& place, const std::vector<std::string>& known);

  nlohmann::json input_;
  std::vector<Item> items_;
  std::map<std::string, Expression> expressions_;  ///< by their text
};

}  // namespace cosearch::catalog
