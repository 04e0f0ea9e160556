#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "spaces/base/config_error.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/graph/inference.hpp"
#include "spaces/graph/ops/fields.hpp"

namespace cosearch::graph {
namespace {

using Json = nlohmann::json;

/// A value as it is shown in an error: one line, not endless.
std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  constexpr std::size_t kLongest = 60;
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

[[noreturn]] void refuse(const std::string& pointer, const Json& value, const std::string& allowed) {
  throw ConfigError{pointer, fmt::format("{} is not allowed; allowed: {}", shown(value), allowed)};
}

/// A member's name as a reference token of a JSON pointer (RFC 6901).
std::string token(std::string name) {
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '~' || name[i] == '/') {
      name.replace(i, 1, name[i] == '~' ? "~0" : "~1");
      ++i;
    }
  }
  return name;
}

const Json& member(const Json& object, const std::string& pointer, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end()) {
    throw ConfigError{pointer, fmt::format("\"{}\" is missing", key)};
  }
  return *found;
}

void require_object(const Json& value, const std::string& pointer) {
  if (!value.is_object()) {
    refuse(pointer, value, "an object");
  }
}

void refuse_unknown_keys(const Json& object, const std::string& pointer, const std::vector<std::string>& known) {
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      throw ConfigError{pointer + "/" + token(item.key()), unknown_name(item.key(), known)};
    }
  }
}

std::string read_string(const Json& value, const std::string& pointer) {
  if (!value.is_string()) {
    refuse(pointer, value, "a string");
  }
  return value.get<std::string>();
}

std::int64_t read_integer(const Json& value, const std::string& pointer, std::int64_t minimum) {
  const std::string allowed = fmt::format("an integer from {} to {}", minimum, ops::kMaxField);
  // Unsigned numbers above the signed range must not wrap around.
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > ops::kMaxField)) {
    refuse(pointer, value, allowed);
  }
  const auto number = value.get<std::int64_t>();
  if (wrong_value(number, minimum)) {
    refuse(pointer, value, allowed);
  }
  return number;
}

std::vector<std::int64_t> read_integers(const Json& value, const std::string& pointer, std::int64_t minimum) {
  if (!value.is_array()) {
    refuse(pointer, value, "an array of integers");
  }
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < value.size(); ++i) {
    numbers.push_back(read_integer(value[i], fmt::format("{}/{}", pointer, i), minimum));
  }
  return numbers;
}

std::size_t read_choice(const Json& value, const std::string& pointer, const std::vector<std::string>& known) {
  const std::string name = read_string(value, pointer);
  const auto found = std::find(known.begin(), known.end(), name);
  if (found == known.end()) {
    throw ConfigError{pointer, unknown_name(name, known)};
  }
  return static_cast<std::size_t>(found - known.begin());
}

// --- fields of operators ----------------------------------------------------------------------------------------

Json field_to_json(std::int64_t value) { return value; }
Json field_to_json(double value) { return value; }
Json field_to_json(bool value) { return value; }
Json field_to_json(const std::vector<std::int64_t>& values) { return values; }
Json field_to_json(const Padding& p) { return Json::array({p.top, p.left, p.bottom, p.right}); }
Json field_to_json(ActivationKind kind) { return activation_kind_names()[static_cast<std::size_t>(kind)]; }
Json field_to_json(PoolKind kind) { return pool_kind_names()[static_cast<std::size_t>(kind)]; }

void field_from_json(std::int64_t& value, const Json& json, const std::string& pointer, std::int64_t minimum) {
  value = read_integer(json, pointer, minimum);
}
void field_from_json(double& value, const Json& json, const std::string& pointer, std::int64_t /*minimum*/) {
  if (!json.is_number() || wrong_value(json.get<double>())) {
    refuse(pointer, json, "a number above 0, at most 1");
  }
  value = json.get<double>();
}
void field_from_json(bool& value, const Json& json, const std::string& pointer, std::int64_t /*minimum*/) {
  if (!json.is_boolean()) {
    refuse(pointer, json, "true or false");
  }
  value = json.get<bool>();
}
void field_from_json(std::vector<std::int64_t>& values, const Json& json, const std::string& pointer,
                     std::int64_t minimum) {
  values = read_integers(json, pointer, minimum);
}
void field_from_json(Padding& padding, const Json& json, const std::string& pointer, std::int64_t /*minimum*/) {
  if (!json.is_array() || json.size() != 4) {
    refuse(pointer, json, "[top, left, bottom, right]");
  }
  const std::vector<std::int64_t> sides = read_integers(json, pointer, 0);
  padding = {sides[0], sides[1], sides[2], sides[3]};
}
void field_from_json(ActivationKind& kind, const Json& json, const std::string& pointer, std::int64_t /*minimum*/) {
  kind = static_cast<ActivationKind>(read_choice(json, pointer, activation_kind_names()));
}
void field_from_json(PoolKind& kind, const Json& json, const std::string& pointer, std::int64_t /*minimum*/) {
  kind = static_cast<PoolKind>(read_choice(json, pointer, pool_kind_names()));
}

class FieldWriter {
 public:
  explicit FieldWriter(Json& node) : node_(node) {}
  template <class T>
  void operator()(const char* name, const T& value, ops::Presence /*presence*/, std::int64_t /*minimum*/ = 1) {
    node_[name] = field_to_json(value);
  }

 private:
  Json& node_;
};

class FieldReader {
 public:
  FieldReader(const Json& node, std::string pointer) : node_(node), pointer_(std::move(pointer)) {}
  template <class T>
  void operator()(const char* name, T& value, ops::Presence presence, std::int64_t minimum = 1) {
    known_.emplace_back(name);
    if (presence == ops::Presence::required || node_.contains(name)) {
      field_from_json(value, member(node_, pointer_, name), pointer_ + "/" + name, minimum);
    }
  }
  [[nodiscard]] const std::vector<std::string>& known() const noexcept { return known_; }

 private:
  const Json& node_;
  std::string pointer_;
  std::vector<std::string> known_ = {"name", "op", "inputs"};
};

// --- nodes and graphs -------------------------------------------------------------------------------------------

template <std::size_t... I>
Op default_op(std::size_t index, std::index_sequence<I...> /*alternatives*/) {
  Op op;
  ((I == index ? static_cast<void>(op.emplace<I>()) : static_cast<void>(0)), ...);
  return op;
}

Op read_op(const Json& node, const std::string& pointer) {
  const std::size_t kind = read_choice(member(node, pointer, "op"), pointer + "/op", op_names());
  if (kind == 0) {
    throw ConfigError{pointer + "/op", "an input is not allowed here; its shape stands in /input"};
  }
  Op op = default_op(kind, std::make_index_sequence<std::variant_size_v<Op>>{});
  FieldReader reader{node, pointer};
  std::visit([&](auto& o) { ops::visit_fields(o, reader); }, op);
  refuse_unknown_keys(node, pointer, reader.known());
  return op;
}

/// Index of the node that a name means; `names` are those of the nodes that it may mean. They can be many, so the error
/// does not list them.
int read_reference(const Json& value, const std::string& pointer, const std::vector<std::string>& names) {
  const std::string name = read_string(value, pointer);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    const std::string listed = unknown_name(name, names);
    const std::size_t hint = listed.rfind("; did you mean");
    throw ConfigError{pointer, fmt::format("\"{}\" is not known; allowed: \"input\" or the name of an earlier node{}",
                                           name, hint == std::string::npos ? "" : listed.substr(hint))};
  }
  return static_cast<int>(found - names.begin());
}

std::vector<int> read_references(const Json& value, const std::string& pointer, const std::vector<std::string>& names) {
  if (!value.is_array()) {
    refuse(pointer, value, "an array of names of nodes");
  }
  std::vector<int> nodes;
  for (std::size_t i = 0; i < value.size(); ++i) {
    nodes.push_back(read_reference(value[i], fmt::format("{}/{}", pointer, i), names));
  }
  return nodes;
}

Node read_node(const Json& json, const std::string& pointer, const std::vector<std::string>& names) {
  require_object(json, pointer);
  Node node;
  node.name = read_string(member(json, pointer, "name"), pointer + "/name");
  node.op = read_op(json, pointer);
  node.inputs = read_references(member(json, pointer, "inputs"), pointer + "/inputs", names);
  return node;
}

}  // namespace

Json to_json(const NetworkGraph& graph) {
  const auto names_of = [&](const std::vector<int>& nodes) {
    Json names = Json::array();
    for (const int node : nodes) {
      names.push_back(graph.nodes[static_cast<std::size_t>(node)].name);
    }
    return names;
  };
  Json nodes = Json::array();
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    Json json = {{"name", node.name}, {"op", kind_name(node.op)}, {"inputs", names_of(node.inputs)}};
    FieldWriter writer{json};
    std::visit([&](const auto& op) { ops::visit_fields(op, writer); }, node.op);
    nodes.push_back(std::move(json));
  }
  return {{"name", graph.name},
          {"input", std::get<Input>(graph.nodes.front().op).shape},
          {"nodes", std::move(nodes)},
          {"outputs", names_of(graph.outputs)}};
}

NetworkGraph graph_from_json(const Json& json) {
  require_object(json, "");
  refuse_unknown_keys(json, "", {"name", "input", "nodes", "outputs"});
  NetworkGraph graph;
  graph.name = read_string(member(json, "", "name"), "/name");
  graph.nodes.push_back({std::string(kInputName), Input{read_integers(member(json, "", "input"), "/input", 1)}, {}});
  const Json& nodes = member(json, "", "nodes");
  if (!nodes.is_array()) {
    refuse("/nodes", nodes, "an array of nodes");
  }
  std::vector<std::string> names = {std::string(kInputName)};
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    graph.nodes.push_back(read_node(nodes[i], fmt::format("/nodes/{}", i), names));
    names.push_back(graph.nodes.back().name);
  }
  graph.outputs = read_references(member(json, "", "outputs"), "/outputs", names);
  if (auto shapes = infer_with_place(graph); !shapes) {
    throw ConfigError{shapes.error().pointer, shapes.error().message};
  }
  return graph;
}

}  // namespace cosearch::graph
