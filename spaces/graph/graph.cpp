#include "spaces/graph/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/graph/inference.hpp"
#include "spaces/graph/ops/fields.hpp"

namespace cosearch::graph {
namespace {

std::vector<Shape> checked_shapes(const NetworkGraph& graph) {
  auto shapes = infer_shapes(graph);
  COSEARCH_CHECK(shapes.has_value(), shapes.error().c_str());
  return std::move(*shapes);
}

NodeCounts counts_of(const Op& op, const ops::Site& site) {
  const ops::Arithmetic arithmetic = std::visit([&](const auto& o) { return ops::count(o, site); }, op);
  NodeCounts counts;
  counts.macs = arithmetic.macs;
  counts.elementwise = arithmetic.elementwise;
  counts.output_elements = elements(site.output);
  for (const WeightSpec& spec : std::visit([&](const auto& o) { return ops::weights(o, site); }, op)) {
    counts.parameters += spec.trainable ? spec.elements() : 0;
  }
  return counts;
}

/// Whether feature i of the output stands for feature i of the (first) input.
bool keeps_features(const Op& op, const Shape& input) {
  if (const auto* conv = std::get_if<Conv2d>(&op)) {
    return conv->groups == input.back() && conv->out_channels == input.back();
  }
  return std::holds_alternative<BatchNorm>(op) || std::holds_alternative<LayerNorm>(op) ||
         std::holds_alternative<Activation>(op) || std::holds_alternative<Pool2d>(op) ||
         std::holds_alternative<GlobalAveragePool>(op) || std::holds_alternative<Add>(op) ||
         std::holds_alternative<PositionEmbed>(op) || std::holds_alternative<Upsample>(op);
}

/// Widths of the parts that a node's last axis was put together from.
std::vector<std::int64_t> parts_of(const NetworkGraph& graph, int node, const std::vector<Shape>& shapes) {
  std::vector<std::int64_t> parts;
  std::vector<int> open = {node};  // the last one is the next part
  while (!open.empty()) {
    const auto at = static_cast<std::size_t>(open.back());
    const Node& source = graph.nodes[at];
    open.pop_back();
    if (std::holds_alternative<Concat>(source.op)) {
      open.insert(open.end(), source.inputs.rbegin(), source.inputs.rend());
    } else if (!source.inputs.empty() &&
               keeps_features(source.op, shapes[static_cast<std::size_t>(source.inputs.front())])) {
      open.push_back(source.inputs.front());
    } else {
      parts.push_back(shapes[at].back());
    }
  }
  return parts;
}

/// Feeds the fields of an operator to a hasher, lengths included.
class FieldHash {
 public:
  explicit FieldHash(Hasher& hasher) : hasher_(hasher) {}

  void operator()(const char* /*name*/, std::int64_t value, ops::Presence /*presence*/, std::int64_t /*min*/ = 1) {
    hasher_.add(value);
  }
  void operator()(const char* /*name*/, double value, ops::Presence /*presence*/) { hasher_.add(value); }
  void operator()(const char* /*name*/, bool value, ops::Presence /*presence*/) { hasher_.add(value); }
  void operator()(const char* /*name*/, const std::vector<std::int64_t>& values, ops::Presence /*presence*/) {
    hasher_.add(static_cast<std::uint64_t>(values.size()));
    for (const std::int64_t value : values) {
      hasher_.add(value);
    }
  }
  void operator()(const char* /*name*/, const Padding& padding, ops::Presence /*presence*/) {
    hasher_.add(padding.top).add(padding.left).add(padding.bottom).add(padding.right);
  }
  void operator()(const char* /*name*/, ActivationKind kind, ops::Presence /*presence*/) {
    hasher_.add(activation_kind_names()[static_cast<std::size_t>(kind)]);
  }
  void operator()(const char* /*name*/, PoolKind kind, ops::Presence /*presence*/) {
    hasher_.add(pool_kind_names()[static_cast<std::size_t>(kind)]);
  }
  void operator()(const char* /*name*/, MoeRouting routing, ops::Presence /*presence*/) {
    hasher_.add(moe_routing_names()[static_cast<std::size_t>(routing)]);
  }
  void operator()(const char* /*name*/, double value, ops::UnitInterval /*presence*/) { hasher_.add(value); }
  void operator()(const char* name, std::int64_t bits, ops::BitsOfWeights /*presence*/) {
    if (bits != kDefaultWeightBits) {
      hasher_.add(name).add(bits);
    }
  }

 private:
  Hasher& hasher_;
};

}  // namespace

// --- shapes and names -------------------------------------------------------------------------------------------

std::int64_t elements(const Shape& shape) {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) {
    product *= extent;
  }
  return product;
}

Padding same_padding(std::int64_t height, std::int64_t width, std::int64_t kernel_h, std::int64_t kernel_w,
                     std::int64_t stride) {
  const auto total = [stride](std::int64_t size, std::int64_t kernel) {
    const std::int64_t outputs = (size + stride - 1) / stride;
    return std::max<std::int64_t>((outputs - 1) * stride + kernel - size, 0);
  };
  const std::int64_t vertical = total(height, kernel_h);
  const std::int64_t horizontal = total(width, kernel_w);
  return {vertical / 2, horizontal / 2, vertical - vertical / 2, horizontal - horizontal / 2};
}

Padding symmetric_padding(std::int64_t kernel) {
  const std::int64_t side = (kernel - 1) / 2;
  return {side, side, side, side};
}

const std::vector<std::string>& op_names() {
  static const std::vector<std::string> names = {"input",
                                                 "conv2d",
                                                 "linear",
                                                 "multi_head_attention",
                                                 "batch_norm",
                                                 "layer_norm",
                                                 "activation",
                                                 "pool2d",
                                                 "global_average_pool",
                                                 "add",
                                                 "patch_embed",
                                                 "position_embed",
                                                 "concat",
                                                 "upsample",
                                                 "token_embed",
                                                 "moe_ffn"};
  return names;
}
static_assert(std::variant_size_v<Op> == 16, "a new operator needs its name in op_names()");

const std::vector<std::string>& activation_kind_names() {
  static const std::vector<std::string> names = {"relu", "relu6", "hard_swish", "gelu"};
  return names;
}

const std::vector<std::string>& pool_kind_names() {
  static const std::vector<std::string> names = {"max", "average"};
  return names;
}

const std::vector<std::string>& moe_routing_names() {
  static const std::vector<std::string> names = {"per_task", "conditioned"};
  return names;
}

std::string kind_name(const Op& op) { return op_names()[op.index()]; }

bool takes_token_ids(const NetworkGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& node) { return std::holds_alternative<TokenEmbed>(node.op); });
}

// --- Builder ----------------------------------------------------------------------------------------------------

Builder::Builder(std::string name, Shape input) {
  graph_.name = std::move(name);
  add(std::string(kInputName), Input{std::move(input)}, {});
}

int Builder::add(std::string name, Op op, std::vector<int> inputs) {
  const auto added = try_add(name, std::move(op), std::move(inputs));
  COSEARCH_CHECK(added.has_value(), fmt::format("node \"{}\": {}", name, added.error()).c_str());
  return *added;
}

Expected<int, std::string> Builder::try_add(std::string name, Op op, std::vector<int> inputs) {
  Node node{std::move(name), std::move(op), std::move(inputs)};
  auto shape = infer_node(node, graph_.nodes.size(), shapes_);
  if (!shape) {
    return Unexpected{shape.error().message};
  }
  shapes_.push_back(std::move(*shape));
  graph_.nodes.push_back(std::move(node));
  return last();
}

int Builder::then(std::string name, Op op) { return add(std::move(name), std::move(op), {last()}); }

const Shape& Builder::shape(int node) const {
  COSEARCH_CHECK(node >= 0 && node <= last(), "no such node");
  return shapes_[static_cast<std::size_t>(node)];
}

NetworkGraph Builder::finish() && {
  graph_.outputs = {last()};
  return std::move(graph_);
}

// --- weights and counts -----------------------------------------------------------------------------------------

std::int64_t extent(const WeightAxis& axis) {
  std::int64_t sum = 0;
  for (const AxisSegment& segment : axis) {
    std::int64_t product = 1;
    for (const AxisFactor& factor : segment) {
      product *= factor.extent;
    }
    sum += product;
  }
  return sum;
}

std::vector<std::int64_t> WeightSpec::shape() const {
  std::vector<std::int64_t> extents;
  extents.reserve(axes.size());
  for (const WeightAxis& axis : axes) {
    extents.push_back(extent(axis));
  }
  return extents;
}

std::int64_t WeightSpec::elements() const { return graph::elements(shape()); }

ops::Site site_of(const NetworkGraph& graph, int node, const std::vector<Shape>& shapes) {
  const auto index = static_cast<std::size_t>(node);
  ops::Site site{graph.nodes[index].name, {}, shapes[index], {}};
  for (const int input : graph.nodes[index].inputs) {
    site.inputs.push_back(shapes[static_cast<std::size_t>(input)]);
  }
  if (!graph.nodes[index].inputs.empty()) {
    site.parts = parts_of(graph, graph.nodes[index].inputs.front(), shapes);
  }
  return site;
}

std::vector<WeightSpec> weights(const NetworkGraph& graph) {
  const std::vector<Shape> shapes = checked_shapes(graph);
  std::vector<WeightSpec> specs;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (WeightSpec& spec : weights(graph, static_cast<int>(i), shapes)) {
      specs.push_back(std::move(spec));
    }
  }
  return specs;
}

std::vector<WeightSpec> weights(const NetworkGraph& graph, int node, const std::vector<Shape>& shapes) {
  const ops::Site site = site_of(graph, node, shapes);
  return std::visit([&](const auto& op) { return ops::weights(op, site); },
                    graph.nodes[static_cast<std::size_t>(node)].op);
}

std::vector<NodeCounts> node_counts(const NetworkGraph& graph) {
  const std::vector<Shape> shapes = checked_shapes(graph);
  std::vector<NodeCounts> counts;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    counts.push_back(counts_of(graph.nodes[i].op, site_of(graph, static_cast<int>(i), shapes)));
  }
  return counts;
}

NodeCounts total_counts(const NetworkGraph& graph) {
  NodeCounts total;
  for (const NodeCounts& node : node_counts(graph)) {
    total.macs += node.macs;
    total.elementwise += node.elementwise;
    total.parameters += node.parameters;
    total.output_elements += node.output_elements;
  }
  return total;
}

std::uint64_t hash(const NetworkGraph& graph) {
  Hasher hasher;
  hasher.add(static_cast<std::uint64_t>(graph.nodes.size()));
  for (const Node& node : graph.nodes) {
    hasher.add(node.name).add(kind_name(node.op));
    FieldHash fields{hasher};
    std::visit([&](const auto& op) { ops::visit_fields(op, fields); }, node.op);
    hasher.add(static_cast<std::uint64_t>(node.inputs.size()));
    for (const int input : node.inputs) {
      hasher.add(input);
    }
  }
  hasher.add(static_cast<std::uint64_t>(graph.outputs.size()));
  for (const int output : graph.outputs) {
    hasher.add(output);
  }
  return hasher.value();
}

}  // namespace cosearch::graph
