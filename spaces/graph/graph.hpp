#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/base/expected.hpp"
#include "spaces/ir/workload.hpp"

/// Networks as operators with shapes: the level at which they are built, trained, quantised and exported.
namespace cosearch::graph {

/// Shape of one sample without the batch: (height, width, channels) of an image, (tokens, features) of a sequence,
/// (features) of a vector.
using Shape = std::vector<std::int64_t>;
[[nodiscard]] std::int64_t elements(const Shape& shape);

struct Padding {
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;
  bool operator==(const Padding&) const = default;
};
/// TensorFlow's SAME: output = ceil(size / stride), the odd pixel at the bottom and right.
[[nodiscard]] Padding same_padding(std::int64_t height, std::int64_t width, std::int64_t kernel_h,
                                   std::int64_t kernel_w, std::int64_t stride);
/// (kernel - 1) / 2 on all sides, PyTorch's habit.
[[nodiscard]] Padding symmetric_padding(std::int64_t kernel);

// --- operators -------------------------------------------------------------------------------------------------
// Input shapes in brackets; H, W, C: height, width, channels; T: tokens; E: features.
//
// `weight_bits`, 8 or 4: bits of a weight where the network runs quantised, symmetric per output channel. Programs for
// microcontrollers store weights so (`spaces/program`); floating-point networks and the other forms take no notice.

inline constexpr std::int64_t kDefaultWeightBits = 8;
[[nodiscard]] constexpr bool are_weight_bits(std::int64_t bits) noexcept {
  return bits == kDefaultWeightBits || bits == 4;
}

/// The network's input: node 0, named `input`; the only operator without inputs. 1 to 3 axes.
struct Input {
  Shape shape = {};
  bool operator==(const Input&) const = default;
};
/// (H, W, C) -> (H', W', out_channels). groups divides C and out_channels; depthwise when groups == C.
/// Weight (kernel_h, kernel_w, C / groups, out_channels).
struct Conv2d {
  std::int64_t out_channels = 1;
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t stride = 1;
  Padding padding = {};
  std::int64_t groups = 1;
  bool bias = false;
  std::int64_t weight_bits = kDefaultWeightBits;
  bool operator==(const Conv2d&) const = default;
};
/// (..., in) -> (..., product of out_factors). The factors name what the features are made of, e.g. {3, heads,
/// head_dim} for a packed qkv, so that a subnet of a shared weight takes the right slice; {features} otherwise. The
/// product of in_factors is the input's last axis; empty means {in}. Weight (in, out). A low-rank layer is two Linear
/// nodes.
struct Linear {
  std::vector<std::int64_t> out_factors = {};
  std::vector<std::int64_t> in_factors = {};
  bool bias = true;
  std::int64_t weight_bits = kDefaultWeightBits;
  bool operator==(const Linear&) const = default;
};
/// Scaled dot-product attention on packed qkv: (T, 3 * heads * head_dim), ordered [3 | heads | head_dim], ->
/// (T, heads * head_dim); scale 1 / sqrt(head_dim). The projections around it are Linear nodes, so that low rank,
/// quantisation and weight sharing are theirs.
struct MultiHeadAttention {
  std::int64_t heads = 1;
  bool operator==(const MultiHeadAttention&) const = default;
};
/// Per channel (last axis), over batch and space. Weights: scale, shift; states: running mean and variance. The
/// variance, running ones too, is the mean of the squared deviations (divided by their number, not that minus one).
struct BatchNorm {
  double epsilon = 1e-5;
  double momentum = 0.1;  ///< running = (1 - momentum) * running + momentum * batch
  bool operator==(const BatchNorm&) const = default;
};
/// Over the last axis of each token. Weights: scale, shift.
struct LayerNorm {
  double epsilon = 1e-6;
  bool operator==(const LayerNorm&) const = default;
};
enum class ActivationKind { relu, relu6, hard_swish, gelu };
struct Activation {
  ActivationKind kind = ActivationKind::relu;
  bool operator==(const Activation&) const = default;
};
enum class PoolKind { max, average };
/// (H, W, C) -> (H', W', C). The average divides by kernel * kernel, padding counts as zeros; a maximum ignores it.
/// Padding is smaller than the kernel on each side.
struct Pool2d {
  PoolKind kind = PoolKind::max;
  std::int64_t kernel = 2;
  std::int64_t stride = 2;
  Padding padding = {};
  bool operator==(const Pool2d&) const = default;
};
/// (H, W, C) -> (C), or (T, E) -> (E): the mean over all positions.
struct GlobalAveragePool {
  bool operator==(const GlobalAveragePool&) const = default;
};
/// Two inputs of the same shape.
struct Add {
  bool operator==(const Add&) const = default;
};
/// Most inputs that a node may have.
inline constexpr std::size_t kMostInputs = 64;
/// 2 to kMostInputs inputs that agree in all axes but the last: (H, W, C1), (H, W, C2), ... -> (H, W, C1 + C2 + ...),
/// sequences and vectors likewise. The inputs' features follow each other in the order of the inputs. Weights that are
/// applied to them have one segment per input, see `WeightAxis`.
struct Concat {
  bool operator==(const Concat&) const = default;
};
/// (H, W, C) -> (factor * H, factor * W, C): each pixel becomes a square of factor * factor pixels (nearest neighbour).
struct Upsample {
  std::int64_t factor = 2;
  bool operator==(const Upsample&) const = default;
};
/// (H, W, C) -> (T, embed_dim), T = ((H + 2 pad) / patch) * ((W + 2 pad) / patch): non-overlapping patches, one
/// linear map. Weight (patch, patch, C, embed_dim), with bias. padding is zeros on all sides; patch divides the padded
/// height and width.
struct PatchEmbed {
  std::int64_t patch = 4;
  std::int64_t embed_dim = 64;
  std::int64_t padding = 0;
  std::int64_t weight_bits = kDefaultWeightBits;
  bool operator==(const PatchEmbed&) const = default;
};
/// Adds a learned (T, E). grid_h * grid_w == T, for resampling when a subnet has another grid.
struct PositionEmbed {
  std::int64_t grid_h = 1, grid_w = 1;
  bool operator==(const PositionEmbed&) const = default;
};
/// (T, 1) -> (T, width): of each token id the row of that number of a learned table, weight `embedding` (vocabulary,
/// width). Ids are data: only the Input gives them, as whole numbers from 0 to vocabulary - 1 in the type of its other
/// values. Any other value is an error of the data: the trainer throws ConfigError. A workload gives it a row of zeros,
/// its gather's padding.
struct TokenEmbed {
  std::int64_t vocabulary = 1;
  std::int64_t width = 1;
  bool operator==(const TokenEmbed&) const = default;
};

/// What the router of a mixture of experts reads: each task has a router of its own, or one router reads the tokens and
/// an embedding of the task.
enum class MoeRouting { per_task, conditioned };
/// (T, C) -> (T, C): a mixture of experts in the place of a transformer's feed-forward layer (Fan et al., "M3ViT",
/// NeurIPS 2022, section 3.1). Per token: shares = softmax over the experts of x * router, without a bias; the `top_k`
/// largest are kept, of equal ones that of the lower expert, and are not normalised again;
///   y = sum over the kept ones of share_e * (gelu(x w1_e + b1_e) w2_e + b2_e).
/// Weights: `router` (C, experts), with several routers of which `task` runs `router_<task>`; w1 (experts, C, hidden),
/// b1 (experts, hidden), w2 (experts, hidden, C), b2 (experts, C). Networks of different tasks share all but their
/// routers, by name. MoeRouting::conditioned: the router (C + embedding, experts) reads [x, t], where
/// t = relu(relu(task_w1[task]) task_w2 + task_b2) is a map of two layers of the task's one-hot vector, weights task_w1
/// (tasks, embedding), task_w2 (embedding, embedding), task_b2 (embedding).
///
/// Training adds `balance` * (CV^2(importance) + CV^2(load)) to the loss, over the tokens of a set: importance of an
/// expert is the sum of its kept shares, load the number of tokens that choose it, CV^2 the variance (divided by
/// experts - 1) over the mean's square + 1e-10. With `noise`, training adds normal numbers of deviation
/// noise / experts to the logits, and the load is the expected one if a token's number for this expert were drawn anew
/// (Shazeer et al., "Outrageously large neural networks", ICLR 2017, appendix A; Riquelme et al., "Scaling vision with
/// sparse mixture of experts", NeurIPS 2021); without noise it is a count, which has no gradient.
struct MoeFfn {
  std::int64_t experts = 4;
  std::int64_t top_k = 1;
  std::int64_t hidden = 64;  ///< of one expert
  std::int64_t tasks = 1;
  std::int64_t task = 0;  ///< that runs
  MoeRouting routing = MoeRouting::per_task;
  std::int64_t embedding = 64;  ///< features of the task's embedding; MoeRouting::conditioned only
  double balance = 0.01;
  double noise = 0.0;
  bool operator==(const MoeFfn&) const = default;
};

/// Closed: a new operator that lacks an overload of `infer`, `weights`, `lower` or a trainer kernel does not compile.
using Op = std::variant<Input, Conv2d, Linear, MultiHeadAttention, BatchNorm, LayerNorm, Activation, Pool2d,
                        GlobalAveragePool, Add, PatchEmbed, PositionEmbed, Concat, Upsample, TokenEmbed, MoeFfn>;

/// `conv2d`, `linear`, `multi_head_attention`, ...: the names of the JSON form.
[[nodiscard]] std::string kind_name(const Op& op);

struct Node {
  /// Unique; the stem of its weights' names, e.g. `blocks.3.attn.qkv`. A letter or `_`, then letters, digits and
  /// `_ . /`; not the name of another node's weight, gradient or updated weight.
  std::string name;
  Op op;
  std::vector<int> inputs;  ///< indices of earlier nodes
  bool operator==(const Node&) const = default;
};

/// Nodes in topological order; node 0 is the Input.
struct NetworkGraph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<int> outputs;  ///< one per task
  bool operator==(const NetworkGraph&) const = default;
};

/// Whether the Input holds token ids, not quantities: a TokenEmbed reads it.
[[nodiscard]] bool takes_token_ids(const NetworkGraph& graph);

/// Adds nodes to a graph one by one; `add` returns the node's index.
class Builder {
 public:
  Builder(std::string name, Shape input);
  int add(std::string name, Op op, std::vector<int> inputs);
  /// The same for what a user describes: nothing is added where the node does not fit; the error, one line without the
  /// node's name, says why.
  [[nodiscard]] Expected<int, std::string> try_add(std::string name, Op op, std::vector<int> inputs);
  /// Input = the node added last.
  int then(std::string name, Op op);
  [[nodiscard]] int last() const noexcept { return static_cast<int>(graph_.nodes.size()) - 1; }
  /// Shape of a node added before; aborts when the graph so far is malformed (a defect of the space that builds it).
  [[nodiscard]] const Shape& shape(int node) const;
  /// The graph with the last node as its only output.
  [[nodiscard]] NetworkGraph finish() &&;

 private:
  NetworkGraph graph_;
  std::vector<Shape> shapes_;
};

/// Output shape of each node, or one line that names the node and what is wrong: names, wiring (also a node whose
/// output nothing uses), fields out of range, shapes that do not fit. All other functions take graphs that pass this
/// and abort on others.
[[nodiscard]] Expected<std::vector<Shape>, std::string> infer_shapes(const NetworkGraph& graph);

// --- weights ---------------------------------------------------------------------------------------------------

/// How a subnet takes its part of a shared axis: the first entries, the middle ones (kernels), listed ones, a bilinear
/// resampling (position embeddings; two neighbouring factors with this rule form a grid), or the sums over its share of
/// the axis (kernels of patches: a small patch gives what it would give if it were enlarged to the shared size; Beyer
/// et al., "FlexiViT", CVPR 2023, section 3.4).
enum class SliceRule { leading, centre, select, resample, area };
/// Whether slices by this rule mix shared entries, and may be larger than what they are taken from.
[[nodiscard]] constexpr bool interpolates(SliceRule rule) noexcept {
  return rule == SliceRule::resample || rule == SliceRule::area;
}

/// One factor of a weight axis: the axis [3 | heads | head_dim] has three.
struct AxisFactor {
  std::int64_t extent = 1;
  SliceRule rule = SliceRule::leading;
  std::vector<std::int64_t> selected;  ///< for SliceRule::select: indices into the shared axis, size == extent
  bool operator==(const AxisFactor&) const = default;
};
/// A weight axis is a row of segments; each segment is a product of factors. An axis along features that a Concat has
/// put together has one segment per input of the Concat, so that a subnet takes its part of each. That holds for the
/// inputs of dense convolutions, of patch embeddings and of linear maps without in_factors, for depthwise convolutions,
/// norms and position embeddings; and behind operators that leave each feature in its place: norms, activations,
/// pooling, upsampling, position embeddings, depthwise convolutions with one output per channel, and additions (by
/// their first input).
using AxisSegment = std::vector<AxisFactor>;
using WeightAxis = std::vector<AxisSegment>;
[[nodiscard]] std::int64_t extent(const WeightAxis& axis);

enum class Initializer { zeros, ones, he_normal, xavier_uniform, truncated_normal };

/// A weight tensor or state of a node.
struct WeightSpec {
  /// Node name + "." + weight | bias | scale | shift | running_mean | running_variance | embedding, or what MoeFfn
  /// says.
  std::string name;
  std::vector<WeightAxis> axes;
  Initializer initializer = Initializer::zeros;
  std::int64_t fan_in = 1;
  std::int64_t fan_out = 1;
  bool trainable = true;  ///< false: running statistics
  bool decay = true;      ///< whether weight decay applies (not for biases, norms, embeddings)

  [[nodiscard]] std::vector<std::int64_t> shape() const;
  [[nodiscard]] std::int64_t elements() const;
};

/// Weights of all nodes, in node order; the same names for the same place in every network of a space.
[[nodiscard]] std::vector<WeightSpec> weights(const NetworkGraph& graph);
/// Weights of one node.
[[nodiscard]] std::vector<WeightSpec> weights(const NetworkGraph& graph, int node, const std::vector<Shape>& shapes);

// --- counts ----------------------------------------------------------------------------------------------------

/// Of one node at batch 1, inference.
struct NodeCounts {
  std::int64_t macs = 0;  ///< multiply-accumulates of convolutions and matrix products
  /// Other arithmetic, one per element of each pass of the inference lowering: softmax 4 per score; layer norm 7 per
  /// element and 2 per position; batch norm 2 per element and 5 per channel; pooling one per element of each window;
  /// one per element for an activation, an addition, a bias, a position embedding, a concatenation, an upsampling, a
  /// token embedding. A mixture of experts has a softmax, top_k comparisons per share, and per chosen expert a place in
  /// its queue and a share to fetch, one operation per element fetched, activated, biased (twice), weighted and added.
  std::int64_t elementwise = 0;
  std::int64_t parameters = 0;  ///< trainable scalars
  std::int64_t output_elements = 0;
};
/// In node order, in closed form; equal to what the lowering's einsums count.
[[nodiscard]] std::vector<NodeCounts> node_counts(const NetworkGraph& graph);
[[nodiscard]] NodeCounts total_counts(const NetworkGraph& graph);

// --- other forms -----------------------------------------------------------------------------------------------

/// What one evaluation of a network is: a forward pass, or a full training step.
enum class Phase { inference, training };

struct DataTypes {
  ir::ElementType activation = ir::ElementType::int8;
  ir::ElementType weight = ir::ElementType::int8;
  ir::ElementType accumulator = ir::ElementType::int32;
  ir::ElementType gradient = ir::ElementType::fp32;
  ir::ElementType state = ir::ElementType::fp32;
  bool operator==(const DataTypes&) const = default;
};

/// Numbers that only a trained network can tell, by name. `<node>.tokens` of a MoeFfn: how many tokens chose each
/// expert in one inference, a mean; `<node>.tokens_<task>`, where it is there, is preferred for that task.
using Histograms = std::map<std::string, std::vector<double>>;

/// The network as einsums over named tensors: weights carry their `WeightSpec` names, the output of node i is the
/// tensor `<node name>` (`input` for the Input), (batch, shape...). An operator is one einsum named like its node, or
/// several of which the last is named so; the others and their tensors are `<node>.<step>` (`attn.scores`, `.maximum`,
/// `.exp`, `.sum`, `.divide`; the context is `attn.context`). Every einsum's source is its node.
///
/// Element types follow from tensor kinds, but token ids are int32. Results between the steps of one operator (a
/// product before its bias, statistics, scores) are accumulators; outputs of nodes and attention weights are
/// activations.
///
/// In the inference phase batch norm applies its running statistics (rsqrt of running_variance + epsilon), folded into
/// one factor and one offset per channel. The training phase uses batch statistics and gives the new running ones as
/// `<state name>.updated`, takes `<output>.gradient` of every output as an input and adds the gradient of every
/// trainable weight as `<weight name>.gradient` and, behind the backward pass, an SGD update (`learning_rate` is a
/// state tensor of shape [1]; `<weight name>.updated` is the new weight). Gradients of nodes that no trainable weight
/// comes before are not computed. Equal maxima in one window of a pool all receive its gradient.
/// The outputs are those of the graph, then updated states, then updated weights.
///
/// A mixture of experts runs expert by expert on queues whose lengths `expert_tokens` (moe.hpp) gives; `histograms`
/// must pass `wrong_histogram` (moe.hpp). An interpreted workload is the network where no queue is shorter than what
/// the tokens choose. Experts without tokens have no einsums. Training adds the gradient of the balance loss, all
/// tokens of the batch being its set, and no noise.
[[nodiscard]] ir::Workload lower(const NetworkGraph& graph, Phase phase, std::int64_t batch, const DataTypes& types,
                                 const Histograms& histograms = {});

/// The network as JSON, weights excluded: {"name", "input": shape, "nodes": [{"name", "op", ...fields, "inputs":
/// [names]}], "outputs": [names]}; the Input is called "input" and is not among the nodes. Fields are the operators'
/// members, padding is [top, left, bottom, right]; those with a natural default may be left out: stride, padding,
/// groups, bias, in_factors, epsilon, momentum, weight_bits (which is not written where it is 8), and of MoeFfn all
/// from tasks on.
[[nodiscard]] nlohmann::json to_json(const NetworkGraph& graph);
/// @throws ConfigError with a JSON pointer: unknown operator, unknown or missing field, dangling input, shapes that
/// do not fit.
[[nodiscard]] NetworkGraph graph_from_json(const nlohmann::json& json);

/// Content hash over nodes, operators and wiring. The graph's own name does not count; node names do, because they
/// key the initial weights. Weight bits count where they are not 8.
[[nodiscard]] std::uint64_t hash(const NetworkGraph& graph);

}  // namespace cosearch::graph
