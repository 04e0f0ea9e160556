#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/graph/inference.hpp"
#include "spaces/graph/ops/fields.hpp"

namespace cosearch::graph {
namespace {

using Json = nlohmann::json;

std::vector<std::int64_t> read_integers(const JsonReader& reader, std::int64_t minimum) {
  std::vector<std::int64_t> numbers;
  for (const JsonReader& item : reader.items("an array of integers")) {
    numbers.push_back(item.integer(minimum, ops::kMaxField));
  }
  return numbers;
}

std::size_t read_choice(const JsonReader& reader, const std::vector<std::string>& known) {
  return static_cast<std::size_t>(std::find(known.begin(), known.end(), reader.name_of(known)) - known.begin());
}

// --- fields of operators ----------------------------------------------------------------------------------------

Json field_to_json(std::int64_t value) { return value; }
Json field_to_json(double value) { return value; }
Json field_to_json(bool value) { return value; }
Json field_to_json(const std::vector<std::int64_t>& values) { return values; }
Json field_to_json(const Padding& p) { return Json::array({p.top, p.left, p.bottom, p.right}); }
Json field_to_json(ActivationKind kind) { return activation_kind_names()[static_cast<std::size_t>(kind)]; }
Json field_to_json(MoeRouting routing) { return moe_routing_names()[static_cast<std::size_t>(routing)]; }
Json field_to_json(PoolKind kind) { return pool_kind_names()[static_cast<std::size_t>(kind)]; }

void read_field(std::int64_t& value, const JsonReader& reader, std::int64_t minimum) {
  value = reader.integer(minimum, ops::kMaxField);
}
void read_field(double& value, const JsonReader& reader, std::int64_t /*minimum*/) {
  value = reader.number({.lower = 0.0, .upper = 1.0, .open_lower = true});
}
void read_field(bool& value, const JsonReader& reader, std::int64_t /*minimum*/) { value = reader.boolean(); }
void read_field(std::vector<std::int64_t>& values, const JsonReader& reader, std::int64_t minimum) {
  values = read_integers(reader, minimum);
}
void read_field(Padding& padding, const JsonReader& reader, std::int64_t /*minimum*/) {
  const std::string allowed = "[top, left, bottom, right]";
  if (reader.items(allowed).size() != 4) {
    reader.refuse(allowed);
  }
  const std::vector<std::int64_t> sides = read_integers(reader, 0);
  padding = {sides[0], sides[1], sides[2], sides[3]};
}
void read_field(ActivationKind& kind, const JsonReader& reader, std::int64_t /*minimum*/) {
  kind = static_cast<ActivationKind>(read_choice(reader, activation_kind_names()));
}
void read_field(MoeRouting& routing, const JsonReader& reader, std::int64_t /*minimum*/) {
  routing = static_cast<MoeRouting>(read_choice(reader, moe_routing_names()));
}
void read_field(PoolKind& kind, const JsonReader& reader, std::int64_t /*minimum*/) {
  kind = static_cast<PoolKind>(read_choice(reader, pool_kind_names()));
}

class FieldWriter {
 public:
  explicit FieldWriter(Json& node) : node_(node) {}
  template <class T>
  void operator()(const char* name, const T& value, ops::Presence /*presence*/, std::int64_t /*minimum*/ = 1) {
    node_[name] = field_to_json(value);
  }
  void operator()(const char* name, double value, ops::UnitInterval /*presence*/) { node_[name] = value; }
  void operator()(const char* name, std::int64_t bits, ops::BitsOfWeights /*presence*/) {
    if (bits != kDefaultWeightBits) {
      node_[name] = bits;
    }
  }

 private:
  Json& node_;
};

class FieldReader {
 public:
  explicit FieldReader(const JsonReader& node) : node_(node) {}
  template <class T>
  void operator()(const char* name, T& value, ops::Presence presence, std::int64_t minimum = 1) {
    known_.emplace_back(name);
    if (presence == ops::Presence::required || node_.has(name)) {
      read_field(value, node_.at(name), minimum);
    }
  }
  void operator()(const char* name, double& value, ops::UnitInterval /*presence*/) {
    known_.emplace_back(name);
    if (node_.has(name)) {
      value = node_.at(name).number({.lower = 0.0, .upper = 1.0});
    }
  }
  void operator()(const char* name, std::int64_t& bits, ops::BitsOfWeights /*presence*/) {
    (*this)(name, bits, ops::Presence::optional);
    if (!are_weight_bits(bits)) {
      node_.at(name).refuse("8 or 4");
    }
  }
  [[nodiscard]] const std::vector<std::string>& known() const noexcept { return known_; }

 private:
  const JsonReader& node_;
  std::vector<std::string> known_ = {"name", "op", "inputs"};
};

// --- nodes and graphs -------------------------------------------------------------------------------------------

template <std::size_t... I>
Op default_op(std::size_t index, std::index_sequence<I...> /*alternatives*/) {
  Op op;
  ((I == index ? static_cast<void>(op.emplace<I>()) : static_cast<void>(0)), ...);
  return op;
}

Op read_op(const JsonReader& node) {
  const std::size_t kind = read_choice(node.at("op"), op_names());
  if (kind == 0) {
    node.at("op").fail("an input is not allowed here; its shape stands in /input");
  }
  Op op = default_op(kind, std::make_index_sequence<std::variant_size_v<Op>>{});
  FieldReader reader{node};
  std::visit([&](auto& o) { ops::visit_fields(o, reader); }, op);
  node.only(reader.known());
  return op;
}

/// Index of the node that a name means; `names` are those of the nodes that it may mean. They can be many, so the error
/// does not list them.
int read_reference(const JsonReader& reader, const std::vector<std::string>& names) {
  const std::string name = reader.text();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    const std::string listed = unknown_name(name, names);
    const std::size_t hint = listed.rfind("; did you mean");
    reader.fail(fmt::format("\"{}\" is not known; allowed: \"input\" or the name of an earlier node{}", name,
                            hint == std::string::npos ? "" : listed.substr(hint)));
  }
  return static_cast<int>(found - names.begin());
}

std::vector<int> read_references(const JsonReader& reader, const std::vector<std::string>& names) {
  std::vector<int> nodes;
  for (const JsonReader& item : reader.items("an array of names of nodes")) {
    nodes.push_back(read_reference(item, names));
  }
  return nodes;
}

Node read_node(const JsonReader& reader, const std::vector<std::string>& names) {
  Node node;
  node.name = reader.at("name").text();
  node.op = read_op(reader);
  node.inputs = read_references(reader.at("inputs"), names);
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
  const JsonReader reader(json);
  reader.only({"name", "input", "nodes", "outputs"});
  NetworkGraph graph;
  graph.name = reader.at("name").text();
  graph.nodes.push_back({std::string(kInputName), Input{read_integers(reader.at("input"), 1)}, {}});
  std::vector<std::string> names = {std::string(kInputName)};
  for (const JsonReader& node : reader.at("nodes").items("an array of nodes")) {
    graph.nodes.push_back(read_node(node, names));
    names.push_back(graph.nodes.back().name);
  }
  graph.outputs = read_references(reader.at("outputs"), names);
  if (auto shapes = infer_with_place(graph); !shapes) {
    throw ConfigError{shapes.error().pointer, shapes.error().message};
  }
  return graph;
}

}  // namespace cosearch::graph
