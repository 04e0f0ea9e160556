#include "spaces/catalog/network_template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::catalog {
namespace {

using Json = nlohmann::json;

constexpr const char* kPrevious = "@previous";
constexpr const char* kGroup = "@group";
// More than any network that can be trained here; a slip in an expression must not fill the memory.
constexpr std::size_t kMostNodes = 2'000;
constexpr std::size_t kMostSteps = 50'000;  // repetitions of anything, whether or not they add nodes

bool is_expression(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().find('$') != std::string::npos;
}

/// A part of a name: literal text, or the expression between braces.
struct Part {
  std::string text;
  bool expression = false;
};

std::vector<Part> parts(const std::string& pattern) {
  std::vector<Part> found;
  std::size_t at = 0;
  while (at < pattern.size()) {
    const std::size_t open = pattern.find('{', at);
    const std::string literal = pattern.substr(at, open == std::string::npos ? open : open - at);
    if (literal.find('}') != std::string::npos) {
      throw ConfigError("", "\"" + pattern + "\" has a } without {");
    }
    if (!literal.empty()) {
      found.push_back({literal, false});
    }
    if (open == std::string::npos) {
      break;
    }
    const std::size_t close = pattern.find('}', open);
    if (close == std::string::npos) {
      throw ConfigError("", "\"" + pattern + "\" has a { without }");
    }
    found.push_back({pattern.substr(open + 1, close - open - 1), true});
    at = close + 1;
  }
  return found;
}

/// Runs `read` and puts `place` before the places of its errors.
template <class Read>
auto at_place(const std::string& place, const Read& read) {
  try {
    return read();
  } catch (const ConfigError& error) {
    throw error.below(place);
  }
}

}  // namespace

NetworkTemplate::NetworkTemplate(const Json& input, const Json& nodes, const std::vector<std::string>& variables)
    : input_(input) {
  if (!input.is_array() || input.empty()) {
    throw ConfigError("/input", "expected an array of extents, read " + input.dump());
  }
  compile(input, "/input", variables);
  items_ = read_items(nodes, "/template", variables);
}

std::vector<NetworkTemplate::Item> NetworkTemplate::read_items(const Json& nodes, const std::string& place,
                                                               const std::vector<std::string>& known) {
  if (!nodes.is_array() || nodes.empty()) {
    throw ConfigError(place, "expected an array of one or more nodes and groups, read " + nodes.dump());
  }
  std::vector<Item> items;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    items.push_back(read_item(nodes[i], place + "/" + std::to_string(i), known));
  }
  return items;
}

NetworkTemplate::Item NetworkTemplate::read_item(const Json& entry, const std::string& place,
                                                 std::vector<std::string> known) {
  if (!entry.is_object()) {
    throw ConfigError(place, "expected a node or a group, read " + entry.dump());
  }
  Item item;
  item.place = place;
  item.repeat = entry.value("repeat", Json(1));
  compile(item.repeat, place + "/repeat", known);
  if (entry.contains("index")) {
    if (!entry["index"].is_string() || !entry.contains("repeat")) {
      throw ConfigError(place + "/index", "expected the name of the variable that counts \"repeat\"");
    }
    item.index = entry["index"].get<std::string>();
    const Expression name = at_place(place + "/index", [&] { return Expression::parse("$" + item.index); });
    if (name.variables() != std::vector<std::string>{item.index}) {
      throw ConfigError(place + "/index", "\"" + item.index + "\" is no name: letters, digits, _ and . are");
    }
    if (std::find(known.begin(), known.end(), item.index) != known.end()) {
      throw ConfigError(place + "/index", "\"" + item.index + "\" already has a meaning here");
    }
    known.push_back(item.index);
  }
  item.when = entry.value("when", Json(1));
  compile(item.when, place + "/when", known);
  if (!entry.contains("nodes")) {
    read_node(entry, item, known);
    return item;
  }
  for (const auto& [key, value] : entry.items()) {
    const std::vector<std::string> keys{"index", "nodes", "repeat", "when"};
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      throw ConfigError(place + pointer_to(key), unknown_name(key, keys));
    }
  }
  item.children = read_items(entry["nodes"], place + "/nodes", known);
  return item;
}

void NetworkTemplate::read_node(const Json& entry, Item& item, const std::vector<std::string>& known) {
  if (!entry.contains("name") || !entry.contains("op")) {
    throw ConfigError(item.place, "expected a node with \"name\" and \"op\" or a group with \"nodes\"");
  }
  item.node = Json::object();
  for (const auto& [key, value] : entry.items()) {
    const std::string place = item.place + pointer_to(key);
    if (key == "repeat" || key == "index" || key == "when") {
      continue;
    }
    if (key == "name") {
      compile_pattern(value, place, known);
    } else if (key == "inputs") {
      if (!value.is_array()) {
        throw ConfigError(place, "expected an array of names of nodes, read " + value.dump());
      }
      for (std::size_t i = 0; i < value.size(); ++i) {
        compile_pattern(value[i], place + "/" + std::to_string(i), known);
      }
    } else {
      compile(value, place, known);
    }
    item.node[key] = value;
  }
}

void NetworkTemplate::compile(const Json& value, const std::string& place, const std::vector<std::string>& known) {
  if (is_expression(value)) {
    compile_expression(value.get<std::string>(), place, known);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      compile(value[i], place + "/" + std::to_string(i), known);
    }
  }
}

void NetworkTemplate::compile_pattern(const Json& value, const std::string& place,
                                      const std::vector<std::string>& known) {
  if (!value.is_string()) {
    throw ConfigError(place, "expected a string, read " + value.dump());
  }
  for (const Part& part : at_place(place, [&] { return parts(value.get<std::string>()); })) {
    if (part.expression) {
      compile_expression(part.text, place, known);
    }
  }
}

void NetworkTemplate::compile_expression(const std::string& text, const std::string& place,
                                         const std::vector<std::string>& known) {
  const Expression expression = at_place(place, [&] { return Expression::parse(text); });
  for (const std::string& variable : expression.variables()) {
    if (std::find(known.begin(), known.end(), variable) == known.end()) {
      throw ConfigError(place, "variable " + unknown_name(variable, known));
    }
  }
  expressions_.insert_or_assign(text, expression);
}

/// One expansion: the nodes so far, and the values of indices.
class NetworkTemplate::Expansion {
 public:
  Expansion(const NetworkTemplate& network, const Expression::Variables& values)
      : template_(network), values_(values), input_(evaluated(network.input_, "/input")) {}

  graph::NetworkGraph run() {
    add(template_.items_);
    if (nodes_.empty()) {
      throw ConfigError("/template", "no node is left");
    }
    return parsed();
  }

 private:
  GeneValue value(const std::string& expression, const std::string& place) const {
    return at_place(place, [&] {
      return template_.expressions_.at(expression).evaluate([&](const std::string& name) -> GeneValue {
        const auto index = indices_.find(name);
        return index != indices_.end() ? GeneValue(index->second) : values_(name);
      });
    });
  }

  /// The value with every expression in it replaced by its result.
  [[nodiscard]] Json evaluated(const Json& entry, const std::string& place) const {
    if (is_expression(entry)) {
      const GeneValue result = value(entry.get<std::string>(), place);
      if (const auto* real = std::get_if<double>(&result)) {
        constexpr double kExact = 9007199254740992.0;  // 2^53
        if (*real == std::floor(*real) && std::abs(*real) <= kExact) {
          return static_cast<std::int64_t>(*real);
        }
      }
      return std::visit([](const auto& v) { return Json(v); }, result);
    }
    if (!entry.is_array()) {
      return entry;
    }
    Json list = Json::array();
    for (std::size_t i = 0; i < entry.size(); ++i) {
      list.push_back(evaluated(entry[i], place + "/" + std::to_string(i)));
    }
    return list;
  }

  [[nodiscard]] std::int64_t integer(const Json& entry, const std::string& place, const char* allowed) const {
    const Json result = evaluated(entry, place);
    if (!result.is_number_integer() || result.get<std::int64_t>() < 0) {
      throw ConfigError(place, fmt::format("{} is not allowed; allowed: {}", result.dump(), allowed));
    }
    return result.get<std::int64_t>();
  }

  [[nodiscard]] std::string text(const std::string& pattern, const std::string& place) const {
    std::string name;
    for (const Part& part : parts(pattern)) {
      if (!part.expression) {
        name += part.text;
        continue;
      }
      const GeneValue result = value(part.text, place);
      if (const auto* integer = std::get_if<std::int64_t>(&result)) {
        name += std::to_string(*integer);
      } else if (const auto* word = std::get_if<std::string>(&result)) {
        name += *word;
      } else {
        throw ConfigError(
            place, fmt::format("{} is not allowed in a name; allowed: integers and strings", std::get<double>(result)));
      }
    }
    return name;
  }

  void add(const std::vector<Item>& items) {
    for (const Item& item : items) {
      const std::int64_t repetitions = integer(item.repeat, item.place + "/repeat", "an integer of 0 or more");
      for (std::int64_t i = 0; i < repetitions; ++i) {
        if (++steps_ > kMostSteps) {
          throw ConfigError(item.place, fmt::format("the template has more than {} repetitions", kMostSteps));
        }
        if (!item.index.empty()) {
          indices_[item.index] = i;
        }
        if (integer(item.when, item.place + "/when", "0 (leave out), 1 or more") > 0) {
          add_once(item);
        } else if (item.index.empty()) {
          break;  // no repetition will differ
        }
      }
      indices_.erase(item.index);
    }
  }

  void add_once(const Item& item) {
    if (item.node.is_null()) {
      const std::string outer = std::exchange(group_input_, previous());
      add(item.children);
      group_input_ = outer;
      return;
    }
    if (nodes_.size() == kMostNodes) {
      throw ConfigError(item.place, fmt::format("the network has more than {} nodes", kMostNodes));
    }
    Json node = Json::object();
    for (const auto& [key, field] : item.node.items()) {
      const std::string place = item.place + pointer_to(key);
      if (key == "name") {
        node[key] = text(field.get<std::string>(), place);
      } else if (key != "inputs") {
        node[key] = evaluated(field, place);
      }
    }
    node["inputs"] = inputs(item);
    if (node.contains("padding") && node["padding"].is_string()) {
      node["padding"] = padding(node, item.place + "/padding");
    }
    nodes_.push_back(std::move(node));
    places_.push_back(item.place);
  }

  [[nodiscard]] std::string previous() const {
    return nodes_.empty() ? "input" : nodes_.back()["name"].get<std::string>();
  }

  [[nodiscard]] Json inputs(const Item& item) const {
    if (!item.node.contains("inputs")) {
      return Json::array({previous()});
    }
    Json names = Json::array();
    const Json& list = item.node["inputs"];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto& pattern = list[i].get_ref<const std::string&>();
      if (pattern == kPrevious) {
        names.push_back(previous());
      } else if (pattern == kGroup) {
        names.push_back(group_input_);
      } else {
        names.push_back(text(pattern, item.place + "/inputs/" + std::to_string(i)));
      }
    }
    return names;
  }

  /// The four sides that "same" or "symmetric" means for a node, whose own fields may still be wrong: then the sides
  /// do not matter, as the graph's reader refuses the node.
  [[nodiscard]] Json padding(const Json& node, const std::string& place) const {
    const auto rule = node["padding"].get<std::string>();
    if (rule != "same" && rule != "symmetric") {
      throw ConfigError(place, unknown_name(rule, {"same", "symmetric"}) + "; or [top, left, bottom, right]");
    }
    const auto field = [&](const char* name, std::int64_t otherwise) {
      const bool usable = node.contains(name) && node[name].is_number_integer();
      return usable ? std::clamp<std::int64_t>(node[name].get<std::int64_t>(), 1, kLargestKernel) : otherwise;
    };
    const std::int64_t square = field("kernel", 1);
    const std::int64_t kernel_h = field("kernel_h", square);
    const std::int64_t kernel_w = field("kernel_w", square);
    graph::Padding sides{(kernel_h - 1) / 2, (kernel_w - 1) / 2, (kernel_h - 1) / 2, (kernel_w - 1) / 2};
    if (rule == "same") {
      const graph::Shape shape = shape_of(node["inputs"], place);
      if (shape.size() == 3) {
        sides = graph::same_padding(shape[0], shape[1], kernel_h, kernel_w, field("stride", 1));
      }
    }
    return Json::array({sides.top, sides.left, sides.bottom, sides.right});
  }

  /// Shape of the input or of a node that was added before; empty when the input's is no shape, which the graph's
  /// reader will refuse.
  [[nodiscard]] graph::Shape shape_of(const Json& names, const std::string& place) const {
    const std::string name = names.empty() ? "" : names[0].get<std::string>();
    if (name == "input") {
      const bool is_shape = std::all_of(input_.begin(), input_.end(), [](const Json& extent) {
        return extent.is_number_integer() && extent.get<std::int64_t>() > 0;
      });
      return is_shape ? input_.get<graph::Shape>() : graph::Shape{};
    }
    const bool is_known =
        std::any_of(nodes_.begin(), nodes_.end(), [&](const Json& node) { return node["name"] == name; });
    if (!is_known) {
      throw ConfigError(place, "\"same\" needs an input among the nodes before; \"" + name + "\" is none");
    }
    const graph::NetworkGraph network = parsed();
    const auto shapes = graph::infer_shapes(network);
    COSEARCH_CHECK(shapes.has_value(), "the graph's reader accepts only networks with shapes");
    std::size_t at = 0;
    while (network.nodes[at].name != name) {
      ++at;
    }
    return (*shapes)[at];
  }

  /// The network so far, its errors placed in the template.
  [[nodiscard]] graph::NetworkGraph parsed() const {
    try {
      return graph::graph_from_json(
          {{"name", "custom"}, {"input", input_}, {"nodes", nodes_}, {"outputs", Json::array({previous()})}});
    } catch (const ConfigError& error) {
      const std::string prefix = "/nodes/";
      if (error.place().rfind(prefix, 0) != 0) {
        throw;
      }
      const std::size_t end = error.place().find('/', prefix.size());
      const std::size_t node = std::stoul(error.place().substr(prefix.size(), end - prefix.size()));
      const std::string field = end == std::string::npos ? "" : error.place().substr(end);
      throw ConfigError(places_[node] + field,
                        "node \"" + nodes_[node]["name"].get<std::string>() + "\": " + error.message());
    }
  }

  static constexpr std::int64_t kLargestKernel = 4096;

  const NetworkTemplate& template_;
  const Expression::Variables& values_;
  std::map<std::string, std::int64_t> indices_;
  Json input_;
  Json nodes_ = Json::array();
  std::vector<std::string> places_;
  std::string group_input_ = "input";
  std::size_t steps_ = 0;
};

graph::NetworkGraph NetworkTemplate::expand(const Expression::Variables& values) const {
  return Expansion(*this, values).run();
}

}  // namespace cosearch::catalog
