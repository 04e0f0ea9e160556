#include "spaces/program/program.hpp"

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/program/arena.hpp"
#include "spaces/program/mixtures.hpp"
#include "spaces/program/order.hpp"
#include "spaces/program/patches.hpp"
#include "spaces/program/streaming.hpp"

namespace cosearch::program {
namespace {

using graph::ActivationKind;
using graph::NetworkGraph;
using graph::Node;
using graph::Shape;

// An int32 bias and an int32 fixed-point multiplier for each output channel.
constexpr std::int64_t kRequantizationBytes = 8;
// A function of one int8 is a table of 256 int8.
constexpr std::int64_t kTableBytes = 256;
constexpr std::int64_t kInt32Bytes = 4;

// Clamping kinds cost nothing in a kernel that clamps to int8 anyway; the others look their value up.
bool is_table(ActivationKind kind) { return kind == ActivationKind::hard_swish || kind == ActivationKind::gelu; }

Geometry image_geometry(const Shape& in, const Shape& out) {
  const auto at = [](const Shape& shape, std::size_t axis) { return shape[axis]; };
  Geometry geometry;
  const auto fill = [&at](const Shape& shape, std::int64_t& h, std::int64_t& w, std::int64_t& c) {
    c = shape.back();
    h = shape.size() >= 2 ? at(shape, 0) : 1;
    w = shape.size() >= 3 ? at(shape, 1) : 1;
  };
  fill(in, geometry.in_h, geometry.in_w, geometry.in_c);
  fill(out, geometry.out_h, geometry.out_w, geometry.out_c);
  return geometry;
}

/// Builds the program node by node; a call takes its node and those that fold into it.
class Lowering {
 public:
  Lowering(const NetworkGraph& graph, const std::vector<Shape>& shapes, const LoweringOptions& options)
      : graph_(graph), shapes_(shapes), options_(options), consumers_(graph.nodes.size()), buffer_(graph.nodes.size()) {
    for (std::size_t node = 0; node < graph.nodes.size(); ++node) {
      for (const int input : graph.nodes[node].inputs) {
        consumers_[static_cast<std::size_t>(input)].push_back(static_cast<int>(node));
      }
    }
    program_.name = graph.name;
    set_chains(chains_in_node_order());
  }

  /// The chains of nodes that fuse into one call (attention: several), as what the search for an order knows of them.
  [[nodiscard]] std::vector<Operation> operations() const {
    std::vector<Operation> operations(chains_.size());
    for (std::size_t i = 0; i < chains_.size(); ++i) {
      const int last = chains_[i].back();
      for (const int input : node(chains_[i][0]).inputs) {
        operations[i].inputs.push_back(static_cast<int>(position_[static_cast<std::size_t>(input)]));
      }
      operations[i].bytes = options_.element_bytes * graph::elements(shape(last));
      operations[i].kept = is_output(last);
      if (may_overwrite(chains_[i][0])) {
        operations[i].overwrites = operations[i].inputs;
      }
    }
    return operations;
  }

  /// Runs the chains in this order of their places in node order.
  void reorder(const std::vector<int>& order) {
    std::vector<std::vector<int>> chains;
    for (const int chain : order) {
      chains.push_back(chains_[static_cast<std::size_t>(chain)]);
    }
    set_chains(std::move(chains));
  }

  Program run() && {
    for (const std::vector<int>& chain : chains_) {
      std::visit([this, &chain](const auto& op) { lower(op, chain); }, node(chain[0]).op);
    }
    for (const int output : graph_.outputs) {
      const int buffer = buffer_[static_cast<std::size_t>(output)];
      if (std::find(program_.outputs.begin(), program_.outputs.end(), buffer) == program_.outputs.end()) {
        program_.outputs.push_back(buffer);
      }
    }
    return std::move(program_);
  }

 private:
  const Node& node(int index) const { return graph_.nodes[static_cast<std::size_t>(index)]; }
  const Shape& shape(int index) const { return shapes_[static_cast<std::size_t>(index)]; }
  bool is_output(int index) const {
    return std::find(graph_.outputs.begin(), graph_.outputs.end(), index) != graph_.outputs.end();
  }

  /// The node that alone reads `index`, if there is one and it is a `T`.
  template <class T>
  std::optional<int> only_consumer(int index) const {
    const std::vector<int>& readers = consumers_[static_cast<std::size_t>(index)];
    if (readers.size() != 1 || is_output(index) || !std::holds_alternative<T>(node(readers[0]).op)) {
      return std::nullopt;
    }
    return readers[0];
  }

  std::vector<std::vector<int>> chains_in_node_order() const {
    std::vector<std::vector<int>> chains;
    std::vector<bool> done(graph_.nodes.size(), false);
    for (std::size_t first = 0; first < graph_.nodes.size(); ++first) {
      if (!done[first]) {
        chains.push_back(fused_chain(static_cast<int>(first)));
        for (const int member : chains.back()) {
          done[static_cast<std::size_t>(member)] = true;
        }
      }
    }
    return chains;
  }

  void set_chains(std::vector<std::vector<int>> chains) {
    chains_ = std::move(chains);
    position_.resize(graph_.nodes.size());
    for (std::size_t i = 0; i < chains_.size(); ++i) {
      for (const int member : chains_[i]) {
        position_[static_cast<std::size_t>(member)] = i;
      }
    }
  }

  /// The operator's kernel writes in the place of an input that dies, if there is one.
  bool may_overwrite(int index) const {
    const graph::Op& op = node(index).op;
    if (const auto* conv = std::get_if<graph::Conv2d>(&op)) {
      const std::int64_t channels = shape(node(index).inputs[0]).back();
      return options_.in_place_depthwise && conv->groups == channels && conv->out_channels == channels;
    }
    if (std::holds_alternative<graph::Add>(op)) {
      return options_.in_place_add;
    }
    return options_.in_place_rows &&
           (std::holds_alternative<graph::BatchNorm>(op) || std::holds_alternative<graph::LayerNorm>(op) ||
            std::holds_alternative<graph::Activation>(op) || std::holds_alternative<graph::PositionEmbed>(op) ||
            std::holds_alternative<graph::MoeFfn>(op));
  }

  std::vector<int> fused_chain(int first) const {
    std::vector<int> chain{first};
    const graph::Op& op = node(first).op;
    const bool linear_map = std::holds_alternative<graph::Conv2d>(op) || std::holds_alternative<graph::Linear>(op) ||
                            std::holds_alternative<graph::PatchEmbed>(op);
    if (linear_map) {
      if (const std::optional<int> norm = only_consumer<graph::BatchNorm>(first)) {
        chain.push_back(*norm);
      }
    }
    if (linear_map || std::holds_alternative<graph::Add>(op) || std::holds_alternative<graph::BatchNorm>(op)) {
      if (const std::optional<int> next = only_consumer<graph::Activation>(chain.back())) {
        chain.push_back(*next);
      }
    }
    return chain;
  }

  // --- buffers ---

  int add_buffer(Buffer buffer) {
    program_.buffers.push_back(std::move(buffer));
    return static_cast<int>(program_.buffers.size()) - 1;
  }

  /// The buffer for the value of `last`, in the place of `reuse`'s where given.
  int add_result(int last, std::optional<int> reuse = std::nullopt) {
    Buffer buffer{node(last).name, options_.element_bytes * graph::elements(shape(last)),
                  is_output(last) ? BufferRole::output : BufferRole::activation};
    buffer.alignment = options_.element_bytes;
    if (reuse) {
      buffer.alias_of = *reuse;
    }
    const int index = add_buffer(std::move(buffer));
    buffer_[static_cast<std::size_t>(last)] = index;
    return index;
  }

  /// Nothing reads the value of `input` after the call of node `reader`.
  bool dies_at(int input, int reader) const {
    const std::vector<int>& readers = consumers_[static_cast<std::size_t>(input)];
    const std::size_t now = position_[static_cast<std::size_t>(reader)];
    return !is_output(input) && std::all_of(readers.begin(), readers.end(), [&](int later) {
      return position_[static_cast<std::size_t>(later)] <= now;
    });
  }

  /// The static buffer `name`, grown to `bytes`.
  int shared_scratch(std::optional<int>& index, const std::string& name, std::int64_t bytes) {
    if (!index) {
      index = add_buffer({name, 0, BufferRole::scratch, kInt32Bytes, std::nullopt, true});
    }
    Buffer& buffer = program_.buffers[static_cast<std::size_t>(*index)];
    buffer.bytes = std::max(buffer.bytes, bytes);
    return *index;
  }

  void add_scratch(KernelCall& call) {
    switch (options_.scratch) {
      case ScratchRule::none:
        return;
      case ScratchRule::tinyengine:
        return add_tinyengine_scratch(call);
      case ScratchRule::cmsis_nn:
        return add_cmsis_nn_scratch(call);
      case ScratchRule::cosearch:
        return add_cosearch_scratch(call);
    }
  }

  void add_cosearch_scratch(KernelCall& call) {
    const Geometry& g = call.geometry;
    const std::int64_t window = g.kernel_h * g.kernel_w * (g.in_c / g.groups);
    std::int64_t elements = 0;
    if (call.kind == KernelKind::conv2d) {
      elements = 2 * window;
    } else if (call.kind == KernelKind::patch_embed) {
      elements = window;
    } else if (call.kind == KernelKind::depthwise_conv2d && overwrites_) {
      elements = g.kernel_h * g.in_w * g.in_c;
    }
    if (elements > 0) {
      call.scratch.push_back(
          add_buffer({call.name + ".scratch", options_.element_bytes * elements, BufferRole::scratch, kInt32Bytes}));
    }
  }

  void add_tinyengine_scratch(KernelCall& call) {
    const Geometry& g = call.geometry;
    const std::int64_t column = g.kernel_h * g.kernel_w * (g.in_c / g.groups);
    if (call.kind == KernelKind::depthwise_conv2d) {
      const std::int64_t plane =
          (g.in_h + g.padding.top + g.padding.bottom) * (g.in_w + g.padding.left + g.padding.right);
      call.scratch.push_back(shared_scratch(im2col_, "im2col", 2 * plane));
      return;
    }
    call.scratch.push_back(shared_scratch(im2col_, "im2col", 4 * column));
    if (call.kind == KernelKind::conv2d && g.groups == 1 && g.kernel_h * g.kernel_w > 1) {
      call.scratch.push_back(shared_scratch(kernel_, "kernel", 2 * column * g.out_c));
    }
  }

  void add_cmsis_nn_scratch(KernelCall& call) {
    const Geometry& g = call.geometry;
    const std::int64_t window = g.kernel_h * g.kernel_w;
    std::int64_t bytes = 0;
    if (call.kind == KernelKind::conv2d || call.kind == KernelKind::patch_embed) {
      bytes = 4 * ((window * (g.in_c / g.groups) + 3) / 4 * 4);
    } else if (call.kind == KernelKind::depthwise_conv2d && g.in_c == g.out_c) {
      // Only the padding before the image counts, as in the library's own test.
      const bool direct = g.kernel_h == 3 && g.kernel_w == 3 && g.padding.top <= 1 && g.padding.left <= 1;
      bytes = direct ? 0 : 2 * window * g.in_c;
    }
    if (bytes > 0) {
      call.scratch.push_back(add_buffer({call.name + ".scratch", bytes, BufferRole::scratch, kInt32Bytes}));
    }
  }

  // --- calls ---

  KernelCall start(KernelKind kind, const std::vector<int>& chain) {
    KernelCall call;
    call.name = node(chain[0]).name;
    call.kind = kind;
    call.nodes = chain;
    for (const int input : node(chain[0]).inputs) {
      call.inputs.push_back(buffer_[static_cast<std::size_t>(input)]);
    }
    call.geometry = image_geometry(shape(node(chain[0]).inputs[0]), shape(chain[0]));
    call.outputs = graph::elements(shape(chain[0]));
    return call;
  }

  void fuse_activation(KernelCall& call) {
    const auto* activation = std::get_if<graph::Activation>(&node(call.nodes.back()).op);
    if (activation == nullptr) {
      return;
    }
    call.activation = activation->kind;
    if (is_table(activation->kind)) {
      add_table(call);
      call.elementwise += call.outputs;
    }
  }

  /// A function of an int8 is looked up, that of a float computed.
  void add_table(KernelCall& call) const {
    if (quantized()) {
      call.constants.push_back({call.name + ".table", kTableBytes});
    }
  }
  [[nodiscard]] bool quantized() const { return options_.element_bytes == 1; }

  /// A linear map: for each output channel `weights` weights of `bits`, and one requantisation.
  void finish_linear_map(KernelCall call, std::int64_t weights, std::int64_t bits, bool in_place) {
    const std::int64_t channels = call.geometry.out_c;
    call.weight_bits = quantized() ? bits : 8 * options_.element_bytes;
    if (quantized()) {
      call.constants.push_back({call.name + ".weight", channels * ((bits * weights + 7) / 8)});
      call.constants.push_back({call.name + ".requantization", kRequantizationBytes * channels});
    } else {
      call.constants.push_back({call.name + ".weight", options_.element_bytes * channels * weights});
      call.constants.push_back({call.name + ".bias", options_.element_bytes * channels});
    }
    fuse_activation(call);
    overwrites_ = in_place;
    add_scratch(call);
    call.output = add_result(call.nodes.back(), in_place ? std::optional(call.inputs[0]) : std::nullopt);
    program_.calls.push_back(std::move(call));
  }

  /// A kernel that passes over its elements.
  void finish_rowwise(KernelCall call) {
    call.elementwise += call.outputs;
    place_rowwise(std::move(call));
  }

  /// A kernel that works element by element or row by row, in place where the options allow and the input dies.
  void place_rowwise(KernelCall call) {
    const int input = node(call.nodes[0]).inputs[0];
    const bool in_place = options_.in_place_rows && dies_at(input, call.nodes[0]);
    call.output = add_result(call.nodes.back(), in_place ? std::optional(call.inputs[0]) : std::nullopt);
    program_.calls.push_back(std::move(call));
  }

  void lower(const graph::Input& /*op*/, const std::vector<int>& chain) {
    const int index = add_result(chain[0]);
    Buffer& input = program_.buffers[static_cast<std::size_t>(index)];
    input.role = BufferRole::input;
    if (graph::takes_token_ids(graph_)) {
      input.bytes = kInt32Bytes * graph::elements(shape(chain[0]));
      input.alignment = kInt32Bytes;
    }
    program_.inputs.push_back(index);
  }

  void lower(const graph::Conv2d& op, const std::vector<int>& chain) {
    const Shape& in = shape(node(chain[0]).inputs[0]);
    const bool unit = op.kernel_h == 1 && op.kernel_w == 1 && op.padding == graph::Padding{} && op.groups == 1;
    const bool depthwise = op.groups == in.back() && op.groups > 1;
    KernelCall call = start(unit        ? KernelKind::pointwise_conv2d
                            : depthwise ? KernelKind::depthwise_conv2d
                                        : KernelKind::conv2d,
                            chain);
    Geometry& g = call.geometry;
    g.kernel_h = op.kernel_h;
    g.kernel_w = op.kernel_w;
    g.stride = op.stride;
    g.padding = op.padding;
    g.groups = op.groups;
    const std::int64_t weights = op.kernel_h * op.kernel_w * (g.in_c / op.groups);
    call.macs = call.outputs * weights;
    // The rows of its input that our kernel keeps must be less than what it saves.
    const bool pays = options_.scratch != ScratchRule::cosearch || g.kernel_h * g.in_w < g.out_h * g.out_w;
    const bool in_place = depthwise && options_.in_place_depthwise && g.in_c == g.out_c && g.out_h <= g.in_h &&
                          g.out_w <= g.in_w && pays && dies_at(node(chain[0]).inputs[0], chain[0]);
    finish_linear_map(std::move(call), weights, op.weight_bits, in_place);
  }

  void lower(const graph::Linear& op, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::fully_connected, chain);
    const std::int64_t weights = call.geometry.in_c;
    call.macs = call.outputs * weights;
    finish_linear_map(std::move(call), weights, op.weight_bits, false);
  }

  void lower(const graph::PatchEmbed& op, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::patch_embed, chain);
    Geometry& g = call.geometry;
    g.kernel_h = g.kernel_w = g.stride = op.patch;
    g.padding = {op.padding, op.padding, op.padding, op.padding};
    const std::int64_t weights = op.patch * op.patch * g.in_c;
    call.macs = call.outputs * weights;
    finish_linear_map(std::move(call), weights, op.weight_bits, false);
  }

  void lower(const graph::MultiHeadAttention& op, const std::vector<int>& chain) {
    const KernelCall base = start(KernelKind::attention_scores, chain);
    const std::int64_t tokens = base.geometry.in_h;
    const std::int64_t head_dim = base.geometry.out_c / op.heads;
    const int qkv = base.inputs[0];
    const int context = add_result(chain.back());
    for (std::int64_t head = 0; head < op.heads; ++head) {
      const std::string prefix = base.name + ".head" + std::to_string(head) + ".";
      const int scores = add_buffer(
          {prefix + "scores", kInt32Bytes * tokens, BufferRole::scratch, kInt32Bytes, std::nullopt, false, true});
      const int shares = add_buffer({prefix + "shares", options_.element_bytes * tokens, BufferRole::scratch,
                                     options_.element_bytes, scores, false, true});
      const auto stage = [&](KernelKind kind, std::vector<int> inputs, int output, std::vector<Rows> operands) {
        KernelCall call = base;
        call.kind = kind;
        call.name = prefix + std::string(kind_name(kind));
        call.geometry.head = head;
        call.geometry.heads = op.heads;
        call.inputs = std::move(inputs);
        call.output = output;
        call.operands = std::move(operands);
        call.row_block = program_.row_blocks;
        call.rows = tokens;
        call.outputs = tokens * (kind == KernelKind::attention_context ? head_dim : tokens);
        if (kind == KernelKind::softmax) {
          call.elementwise = call.outputs;
        } else {
          call.macs = tokens * tokens * head_dim;
        }
        program_.calls.push_back(std::move(call));
      };
      const std::int64_t width = base.geometry.out_c;
      const std::int64_t offset = head * head_dim;
      const Rows row{0, 0};
      stage(KernelKind::attention_scores, {qkv, qkv}, scores, {{offset, 3 * width}, {width + offset, 3 * width}, row});
      stage(KernelKind::softmax, {scores}, shares, {row, row});
      stage(KernelKind::attention_context, {shares, qkv}, context,
            {row, {2 * width + offset, 3 * width}, {offset, width}});
      ++program_.row_blocks;
    }
  }

  void lower(const graph::BatchNorm& /*op*/, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::batch_norm, chain);
    call.constants.push_back({call.name + ".requantization", kRequantizationBytes * call.geometry.out_c});
    fuse_activation(call);
    finish_rowwise(std::move(call));
  }

  void lower(const graph::LayerNorm& /*op*/, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::layer_norm, chain);
    call.constants.push_back({call.name + ".requantization", kRequantizationBytes * call.geometry.out_c});
    finish_rowwise(std::move(call));
  }

  void lower(const graph::Activation& op, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::activation, chain);
    call.activation = op.kind;
    if (is_table(op.kind)) {
      add_table(call);
    }
    finish_rowwise(std::move(call));
  }

  void lower(const graph::PositionEmbed& /*op*/, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::position_embed, chain);
    call.constants.push_back({call.name + ".embedding", options_.element_bytes * call.outputs});
    finish_rowwise(std::move(call));
  }

  void lower(const graph::Pool2d& op, const std::vector<int>& chain) {
    KernelCall call = start(op.kind == graph::PoolKind::max ? KernelKind::max_pool : KernelKind::average_pool, chain);
    call.geometry.kernel_h = call.geometry.kernel_w = op.kernel;
    call.geometry.stride = op.stride;
    call.geometry.padding = op.padding;
    call.elementwise = call.outputs * op.kernel * op.kernel;
    call.output = add_result(chain.back());
    program_.calls.push_back(std::move(call));
  }

  void lower(const graph::GlobalAveragePool& /*op*/, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::global_average_pool, chain);
    call.elementwise = graph::elements(shape(node(chain[0]).inputs[0]));
    call.output = add_result(chain.back());
    program_.calls.push_back(std::move(call));
  }

  void lower(const graph::Add& /*op*/, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::add, chain);
    call.elementwise = call.outputs;
    fuse_activation(call);
    std::optional<int> reuse;  // the oldest: the tokens that a transformer's block adds to
    for (std::size_t i = 0; options_.in_place_add && i < call.inputs.size(); ++i) {
      if (dies_at(node(chain[0]).inputs[i], chain[0]) && (!reuse || call.inputs[i] < *reuse)) {
        reuse = call.inputs[i];
      }
    }
    call.output = add_result(chain.back(), reuse);
    program_.calls.push_back(std::move(call));
  }

  void lower(const graph::Concat& /*op*/, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::concat, chain);
    if (quantized()) {
      const auto inputs = static_cast<std::int64_t>(call.inputs.size());
      call.constants.push_back({call.name + ".requantization", kRequantizationBytes * inputs});
    }
    call.elementwise = call.outputs;
    call.output = add_result(chain.back());
    program_.calls.push_back(std::move(call));
  }

  void lower(const graph::Upsample& /*op*/, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::upsample, chain);
    call.elementwise = call.outputs;
    call.output = add_result(chain.back());
    program_.calls.push_back(std::move(call));
  }

  void lower(const graph::TokenEmbed& op, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::token_embed, chain);
    call.constants.push_back({call.name + ".embedding", options_.element_bytes * op.vocabulary * op.width});
    call.elementwise = call.outputs;
    call.output = add_result(chain.back());
    program_.calls.push_back(std::move(call));
  }

  void lower(const graph::MoeFfn& op, const std::vector<int>& chain) {
    KernelCall call = start(KernelKind::mixture, chain);
    describe_mixture(op, options_, call);
    const std::int64_t bytes = mixture_scratch_bytes(op, call.geometry.out_c, options_);
    call.scratch.push_back(add_buffer({call.name + ".scratch", bytes, BufferRole::scratch, kInt32Bytes}));
    place_rowwise(std::move(call));
  }

  const NetworkGraph& graph_;
  const std::vector<Shape>& shapes_;
  const LoweringOptions& options_;
  std::vector<std::vector<int>> consumers_;  ///< nodes that read each node
  std::vector<std::vector<int>> chains_;     ///< nodes that fuse, in the order in which they run
  std::vector<std::size_t> position_;        ///< of each node's chain
  std::vector<int> buffer_;                  ///< of each node's value; unset for nodes inside a chain
  std::optional<int> im2col_, kernel_;
  bool overwrites_ = false;  ///< the linear map at hand works in place
  Program program_;
};

/// Our own engine runs operators in the order with the smallest peak, where that is known and helps.
Program lower_layers(const NetworkGraph& graph, const std::vector<Shape>& shapes, const LoweringOptions& options) {
  Lowering lowering(graph, shapes, options);
  if (options.scratch != ScratchRule::cosearch) {
    return std::move(lowering).run();
  }
  const std::optional<std::vector<int>> order = smallest_peak_order(lowering.operations());
  Program program = Lowering(lowering).run();
  if (order && !std::is_sorted(order->begin(), order->end())) {
    lowering.reorder(*order);
    Program reordered = std::move(lowering).run();
    // The search knows tensors; scratch and rules of kernels may speak against what it found.
    if (peak_live_bytes(reordered) < peak_live_bytes(program)) {
      return reordered;
    }
  }
  return program;
}

}  // namespace

Expected<Program, std::string> lower_program(const NetworkGraph& graph, const LoweringOptions& options) {
  if (const std::optional<std::string> reason = lacks_kernel(graph, options)) {
    return Unexpected{*reason};
  }
  const Expected<std::vector<Shape>, std::string> shapes = graph::infer_shapes(graph);
  if (!shapes) {
    return Unexpected{shapes.error()};
  }
  Program program = lower_layers(graph, *shapes, options);
  if (options.patches > 1) {
    program = in_patches(program, options);
  }
  if (options.streamed_input) {
    stream_input(program);
  }
  if (options.streaming >= Streaming::heads) {
    stream_heads(program, options.streaming == Streaming::heads_recomputed);
  }
  if (options.streaming >= Streaming::rows) {
    stream_rows(program);
  }
  if (options.weights_in_sram) {
    copy_weights(program);
  }
  return program;
}

}  // namespace cosearch::program
