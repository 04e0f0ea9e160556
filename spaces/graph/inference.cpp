#include "spaces/graph/inference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "spaces/graph/ops/fields.hpp"

namespace cosearch::graph {
namespace {

/// Why a field does not hold an allowed value: integers from `minimum` to ops::kMaxField, reals in (0, 1].
std::optional<std::string> wrong_value(std::int64_t value, std::int64_t minimum) {
  if (value >= minimum && value <= ops::kMaxField) {
    return std::nullopt;
  }
  return fmt::format("{} is not allowed; allowed: {} to {}", value, minimum, ops::kMaxField);
}

std::optional<std::string> wrong_value(double value) {
  if (value > 0.0 && value <= 1.0) {
    return std::nullopt;
  }
  return fmt::format("{} is not allowed; allowed: above 0, at most 1", value);
}

/// What lowerings and stores append to a node's name.
constexpr std::array<std::string_view, 17> kReservedSuffixes = {
    "b1",    "b2",    "bias",    "embedding", "gradient", "router",  "running_mean", "running_variance",
    "scale", "shift", "task_b2", "task_w1",   "task_w2",  "updated", "w1",           "w2",
    "weight"};
/// The same, before the number of a task.
constexpr std::string_view kReservedStem = "router_";

bool is_reserved(std::string_view suffix) {
  if (suffix.starts_with(kReservedStem)) {
    const std::string_view number = suffix.substr(kReservedStem.size());
    return !number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos;
  }
  return std::find(kReservedSuffixes.begin(), kReservedSuffixes.end(), suffix) != kReservedSuffixes.end();
}

// --- checks of one node -----------------------------------------------------------------------------------------

/// Visits the fields of an operator and keeps the first fault.
class FieldCheck {
 public:
  explicit FieldCheck(const std::string& pointer) : pointer_(pointer) {}

  void operator()(const char* name, std::int64_t value, ops::Presence /*presence*/, std::int64_t minimum = 1) {
    note(name, wrong_value(value, minimum));
  }
  void operator()(const char* name, double value, ops::Presence /*presence*/) { note(name, wrong_value(value)); }
  void operator()(const char* name, double value, ops::UnitInterval /*presence*/) {
    if (!(value >= 0.0 && value <= 1.0)) {
      note(name, fmt::format("{} is not allowed; allowed: 0 to 1", value));
    }
  }
  void operator()(const char* name, const std::vector<std::int64_t>& values, ops::Presence /*presence*/) {
    for (const std::int64_t value : values) {
      note(name, wrong_value(value, 1));
    }
  }
  void operator()(const char* name, const Padding& padding, ops::Presence /*presence*/) {
    for (const std::int64_t value : {padding.top, padding.left, padding.bottom, padding.right}) {
      note(name, wrong_value(value, 0));
    }
  }
  void operator()(const char* name, std::int64_t bits, ops::BitsOfWeights /*presence*/) {
    if (!are_weight_bits(bits)) {
      note(name, fmt::format("{} is not allowed; allowed: 8 or 4", bits));
    }
  }
  template <class T>
  requires std::is_enum_v<T> || std::same_as<T, bool>
  void operator()(const char* /*name*/, T /*value*/, ops::Presence /*presence*/) {}

  [[nodiscard]] const std::optional<Fault>& fault() const noexcept { return fault_; }

 private:
  void note(const char* name, const std::optional<std::string>& reason) {
    if (reason && !fault_) {
      fault_ = Fault{pointer_ + "/" + name, fmt::format("{} = {}", name, *reason)};
    }
  }
  std::string pointer_;
  std::optional<Fault> fault_;
};

/// Pointer to a node in the JSON form, which has the Input apart from the other nodes.
std::string node_pointer(std::size_t node) { return node == 0 ? "/input" : fmt::format("/nodes/{}", node - 1); }

/// How many inputs an operator takes.
struct Arity {
  std::size_t least = 1;
  std::size_t most = 1;
};

Arity arity(const Op& op) {
  if (std::holds_alternative<Input>(op)) {
    return {0, 0};
  }
  if (std::holds_alternative<Concat>(op)) {
    return {2, kMostInputs};
  }
  return std::holds_alternative<Add>(op) ? Arity{2, 2} : Arity{1, 1};
}

std::optional<std::string> wrong_inputs(const Node& node, std::size_t index) {
  const Arity allowed = arity(node.op);
  if (node.inputs.size() < allowed.least || node.inputs.size() > allowed.most) {
    const std::string range = allowed.least == allowed.most ? std::to_string(allowed.least)
                                                            : fmt::format("{} to {}", allowed.least, allowed.most);
    return fmt::format("{} inputs are not allowed for {}; allowed: {}", node.inputs.size(), kind_name(node.op), range);
  }
  for (const int input : node.inputs) {
    if (input < 0 || static_cast<std::size_t>(input) >= index) {
      return fmt::format("input {} is not an earlier node; allowed: 0 to {}", input, index - 1);
    }
  }
  return std::nullopt;
}

std::optional<std::string> wrong_name(const std::string& name, std::size_t index) {
  if (index == 0) {
    return name == kInputName
               ? std::nullopt
               : std::optional(fmt::format("the name of the Input is \"{}\", not \"{}\"", kInputName, name));
  }
  // What the workload's text form reads without quotes. Not std::isalpha: the locale must not matter.
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto allowed = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '/'; };
  if (name.empty() || !letter(name.front()) || !std::all_of(name.begin(), name.end(), allowed)) {
    return fmt::format("\"{}\" is not a name; allowed: a letter or '_', then letters, digits, '_', '.' and '/'", name);
  }
  return std::nullopt;
}

// --- checks of the whole graph ----------------------------------------------------------------------------------

/// What is left of a name without reserved suffixes; empty when it has none.
std::string_view stem(std::string_view name) {
  std::string_view rest = name;
  for (std::size_t dot = rest.rfind('.'); dot != std::string_view::npos; dot = rest.rfind('.')) {
    if (!is_reserved(rest.substr(dot + 1))) {
      break;
    }
    rest = rest.substr(0, dot);
  }
  return rest.size() == name.size() ? std::string_view{} : rest;
}

/// Names of tensors must not meet: `a.weight` is the weight of `a`.
std::optional<Fault> wrong_name_set(const NetworkGraph& graph) {
  std::set<std::string_view> names;
  for (const Node& node : graph.nodes) {
    names.insert(node.name);
  }
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const std::string_view name = graph.nodes[i].name;
    if (!seen.insert(name).second) {
      return Fault{node_pointer(i) + "/name", "two nodes have this name"};
    }
    if (name == "learning_rate" || names.contains(stem(name))) {
      return Fault{node_pointer(i) + "/name", "this name is reserved for a weight, a gradient or the learning rate"};
    }
  }
  return std::nullopt;
}

std::optional<Fault> wrong_outputs(const NetworkGraph& graph) {
  if (graph.outputs.empty()) {
    return Fault{"/outputs", "there is no output; allowed: one per task"};
  }
  std::vector<bool> used(graph.nodes.size(), false);
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    const int output = graph.outputs[i];
    if (output < 1 || static_cast<std::size_t>(output) >= graph.nodes.size()) {
      return Fault{
          fmt::format("/outputs/{}", i),
          fmt::format("output {} is not a node behind the Input; allowed: 1 to {}", output, graph.nodes.size() - 1)};
    }
    if (used[static_cast<std::size_t>(output)]) {
      return Fault{fmt::format("/outputs/{}", i), "this output stands there twice"};
    }
    used[static_cast<std::size_t>(output)] = true;
  }
  for (std::size_t i = 0; i < graph.nodes.size() && graph.outputs.size() > 1; ++i) {
    const auto* moe = std::get_if<MoeFfn>(&graph.nodes[i].op);
    if (moe != nullptr && moe->tasks > 1 && static_cast<std::size_t>(moe->tasks) < graph.outputs.size()) {
      return Fault{node_pointer(i) + "/tasks", fmt::format("it routes the tokens of {} tasks, and the network has {}",
                                                           moe->tasks, graph.outputs.size())};
    }
  }
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    if (!used[i]) {
      return Fault{node_pointer(i), "nothing uses its output"};
    }
    for (const int input : graph.nodes[i].inputs) {
      used[static_cast<std::size_t>(input)] = true;
    }
  }
  return std::nullopt;
}

}  // namespace

Expected<Shape, Fault> infer_node(const Node& node, std::size_t index, const std::vector<Shape>& shapes) {
  const std::string pointer = node_pointer(index);
  if (const auto reason = wrong_name(node.name, index)) {
    return Unexpected{Fault{pointer + "/name", *reason}};
  }
  if (std::holds_alternative<Input>(node.op) != (index == 0)) {
    return Unexpected{Fault{pointer + "/op", "the first node is the Input, and no other is"}};
  }
  if (const auto reason = wrong_inputs(node, index)) {
    return Unexpected{Fault{pointer + "/inputs", *reason}};
  }
  if (std::holds_alternative<TokenEmbed>(node.op) && node.inputs.front() != 0) {
    return Unexpected{Fault{pointer + "/inputs/0", "token ids come from the Input, not from another node"}};
  }
  FieldCheck check{pointer};
  std::visit([&](const auto& op) { ops::visit_fields(op, check); }, node.op);
  if (check.fault()) {
    return Unexpected{*check.fault()};
  }
  ops::Shapes inputs;
  for (const int input : node.inputs) {
    inputs.push_back(shapes[static_cast<std::size_t>(input)]);
  }
  auto shape = std::visit([&](const auto& op) { return ops::infer(op, inputs); }, node.op);
  if (!shape) {
    return Unexpected{Fault{pointer, shape.error()}};
  }
  if (!ops::bounded_product(*shape)) {
    return Unexpected{Fault{pointer, ops::too_large("output elements")}};
  }
  return std::move(*shape);
}

Expected<std::vector<Shape>, Fault> infer_with_place(const NetworkGraph& graph) {
  if (graph.nodes.empty()) {
    return Unexpected{Fault{"/input", "there is no Input"}};
  }
  if (auto fault = wrong_name_set(graph)) {
    return Unexpected{std::move(*fault)};
  }
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    auto shape = infer_node(graph.nodes[i], i, shapes);
    if (!shape) {
      return Unexpected{std::move(shape.error())};
    }
    shapes.push_back(std::move(*shape));
  }
  if (auto fault = wrong_outputs(graph)) {
    return Unexpected{std::move(*fault)};
  }
  return shapes;
}

Expected<std::vector<Shape>, std::string> infer_shapes(const NetworkGraph& graph) {
  auto shapes = infer_with_place(graph);
  if (shapes) {
    return std::move(*shapes);
  }
  const Fault& fault = shapes.error();
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const std::string pointer = node_pointer(i);
    if (fault.pointer == pointer || fault.pointer.starts_with(pointer + "/")) {
      return Unexpected{
          fmt::format("node \"{}\" ({}): {}", graph.nodes[i].name, kind_name(graph.nodes[i].op), fault.message)};
    }
  }
  return Unexpected{fmt::format("network \"{}\": {}", graph.name, fault.message)};
}

}  // namespace cosearch::graph
