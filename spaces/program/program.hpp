#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/graph/graph.hpp"

/// Networks as int8 kernel calls on buffers: the form that microcontroller models price, the int8 interpreter runs and
/// the C exporter prints, so predicted memory is the memory.
namespace cosearch::program {

/// The kernels an inference engine has. Batch norms and activations that follow a kernel are part of its call.
enum class KernelKind {
  conv2d,  ///< more than one input per weight column: dense or grouped, kernel > 1 or padded
  pointwise_conv2d,
  depthwise_conv2d,   ///< groups == input channels
  patch_embed,        ///< non-overlapping patches, one linear map each
  fully_connected,    ///< rows x in_c -> rows x out_c
  attention_scores,   ///< one row of q * k^T of one head
  softmax,            ///< one row of scores
  attention_context,  ///< one row of probabilities * v of one head
  max_pool,
  average_pool,
  global_average_pool,
  add,
  activation,
  batch_norm,
  layer_norm,
  position_embed,
  concat,       ///< the inputs' channels side by side, each input brought to the output's scale
  upsample,     ///< nearest neighbour
  token_embed,  ///< rows of a table in flash, by int32 ids
  read_input,   ///< asks the caller for a part of the input: one row of patches, or a rectangle of an image
  /// Rows of a mixture of experts: chooses experts and runs these on the row alone, whose weights stay in flash. A row
  /// of the output is written after all of its input is read.
  mixture,
};
/// `conv2d`, `pointwise_conv2d`, ...: the names of reports and of the cost tables.
[[nodiscard]] std::string_view kind_name(KernelKind kind);
/// All kinds in declaration order.
[[nodiscard]] const std::vector<KernelKind>& all_kernel_kinds();

/// Shape parameters of one call; `in_*` are those of the first input. Sequences of T tokens have height T and width 1.
struct Geometry {
  std::int64_t in_h = 1, in_w = 1, in_c = 1;
  std::int64_t out_h = 1, out_w = 1, out_c = 1;
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t stride = 1;
  graph::Padding padding;
  std::int64_t groups = 1;
  std::int64_t head = 0;  ///< attention: which head, of `heads`
  std::int64_t heads = 1;
  bool operator==(const Geometry&) const = default;
};

/// A rectangle of an image: pixels (y, x) to (y + h, x + w), exclusive.
struct Window {
  std::int64_t y = 0, x = 0, h = 0, w = 0;
  bool operator==(const Window&) const = default;
};

/// Where the rows of an operand lie in its buffer, in elements: row t begins at offset + t * stride. A buffer of one
/// row (`Buffer::per_row`) holds row t of each round at the offset.
struct Rows {
  std::int64_t offset = 0, stride = 0;
  bool operator==(const Rows&) const = default;
};

/// Read-only data of a call: in flash. `<node>.weight`, by output channels and in each by kernel rows, columns and
/// input channels: int8, or two int4 to a byte, where each output channel begins with a new byte;
/// `<node>.requantization` (per output channel an int32 bias and an int32 multiplier), `<node>.table` (256-entry lookup
/// of an activation), ... A mixture of E experts of H hidden values on C features has of all experts `.router` (E, C),
/// `.w1` (E, H, C) and `.w2` (E, C, H) in int8, `.router_bias` (E), `.requantization1` (E, H, 2), `.b2` (E, C) and
/// `.multiplier2` (C) in int32, and `.table`; in floating point `.b1` (E, H) for the requantisation, no multipliers and
/// no table.
struct Constant {
  std::string name;
  std::int64_t bytes = 0;
  bool operator==(const Constant&) const = default;
};

enum class BufferRole { input, activation, output, scratch };

/// A region of RAM. Its life follows from the calls that name it, see `live_ranges`.
struct Buffer {
  std::string name;
  std::int64_t bytes = 0;
  BufferRole role = BufferRole::activation;
  std::int64_t alignment = 1;  ///< of its offset; 4 where a kernel keeps int16 or int32 in it
  std::optional<int> alias_of =
      std::nullopt;         ///< shares its first byte with this earlier buffer, which dies where this one is born
  bool persistent = false;  ///< reserved during the whole inference
  /// Holds one row of a row block, written anew in each round: alive from its first to its last call of the round.
  bool per_row = false;
  std::optional<Window> window = std::nullopt;  ///< the part of its image that it holds; nothing: all of it
  bool operator==(const Buffer&) const = default;
};

/// One kernel call. The fused nodes' parameters are those of the graph: `nodes[0]` is the operator itself, followed by
/// the batch norm and the activation that were folded into it.
struct KernelCall {
  /// Of the operator's node; attention stages append `.head<h>.<kind>`, calls of a patch `.patch<p>`.
  std::string name;
  KernelKind kind = KernelKind::conv2d;
  std::vector<int> nodes;
  Geometry geometry;
  std::optional<graph::ActivationKind> activation;  ///< applied to the output before it is stored
  std::vector<int> inputs;                          ///< buffers
  int output = 0;
  std::vector<int> scratch;
  std::vector<Constant> constants;
  std::int64_t weight_bits = 8;  ///< of the weights among the constants: 8 or 4, 32 in floating point
  /// Of the inputs, then of the output; empty where all operands are dense rows of their geometry's channels.
  std::vector<Rows> operands;
  /// First of the node's output channels that the call computes (`geometry.out_c` of them).
  std::int64_t first_channel = 0;
  std::optional<Window> region = std::nullopt;  ///< of the output image, what the call computes; nothing: all of it
  /// Neighbouring calls of the same row block run `rows` times together, one row each per round, so that one row of
  /// scratch serves all rows. -1: the call runs once. Counts below are of all rounds.
  int row_block = -1;
  std::int64_t rows = 1;
  std::int64_t macs = 0;
  /// Other element operations: visited inputs of pools, elements of a pass; of a mixture, for each row, 2 for each
  /// logit and a half for each comparison that finds top_k, and the hidden values and outputs of the experts chosen.
  std::int64_t elementwise = 0;
  std::int64_t outputs = 0;  ///< elements written
  bool operator==(const KernelCall&) const = default;

  [[nodiscard]] std::int64_t constant_bytes() const noexcept;
};

struct Program {
  std::string name;
  std::vector<Buffer> buffers;
  std::vector<KernelCall> calls;
  std::vector<int> inputs;   ///< buffers written before the first call
  std::vector<int> outputs;  ///< buffers read after the last call
  int row_blocks = 0;        ///< number of row blocks
  bool operator==(const Program&) const = default;

  /// Bytes of all constants, those that several calls name once.
  [[nodiscard]] std::int64_t constant_bytes() const noexcept;
};

/// How an engine's convolutions use scratch memory.
enum class ScratchRule {
  none,  ///< direct loops (the reference kernels of TensorFlow Lite Micro)
  /// CMSIS-NN on cores with DSP extension, one scratch per call: conv2d 4 * (k*k*Cin rounded up to 4) bytes;
  /// depthwise 2 * k*k*C, none for 3x3 with padding <= 1. Source: its get_buffer_size functions, equal to the buffer
  /// sizes of an instrumented run (tests/data/cmsis_nn_buffers.csv).
  cmsis_nn,
  /// TinyEngine, two static buffers shared by all calls: im2col max(conv, pointwise, linear: 4*k*k*Cin, depthwise:
  /// 2 * padded height * padded width) and kernel max(2 * weights of dense k > 1 convs). With these rules the published
  /// SRAM of 7 of 7 networks is met to its rounding.
  tinyengine,
  /// The kernels of our own C export. conv2d gathers two pixels' windows, patch_embed one patch: 2 * k*k*Cin / groups
  /// and patch^2 * Cin elements. A depthwise convolution in place keeps kernel_h rows of its input. A mixture keeps a
  /// row's E logits in 4 * E bytes, then an expert's hidden values in H elements, rounded up to 4 bytes, then the sums
  /// of the outputs in 4 * C bytes.
  cosearch,
};

/// Which tensors of transformers and of chains of pointwise layers exist whole. All give the same numbers.
enum class Streaming {
  layers,  ///< every one
  /// Calls that work row by row (pixel by pixel) run one after the other on each row, as far as they follow each other:
  /// what is between them is one row (operator integration), and the last one overwrites the tensor that the first one
  /// reads where that dies there (token overwriting).
  rows,
  /// Also, attention takes its queries, keys and values head by head from the stored rows that they are projected from:
  /// keys and values of one head exist whole, of queries one row.
  heads,
  /// Also, the rows that queries, keys and values are projected from (norms, factors of low-rank layers) are computed
  /// again for each head, once for keys and values and once for queries.
  heads_recomputed,
};
[[nodiscard]] std::string_view streaming_name(Streaming streaming);

/// An engine's buffer rules.
struct LoweringOptions {
  ScratchRule scratch = ScratchRule::tinyengine;
  /// A depthwise convolution overwrites its input where that is not needed afterwards: it works channel by channel on
  /// a padded copy. TinyEngine then books ceil(size / 4) for the output of a stride-2 call; here the output has its
  /// real size, which is the same for even heights and widths and never too small for odd ones.
  bool in_place_depthwise = true;
  /// Element-by-element and row-by-row kernels (activation, batch norm, layer norm, position embedding) overwrite a
  /// dying input: the token overwriting of MCUFormer.
  bool in_place_rows = true;
  /// Residual additions overwrite a dying input.
  bool in_place_add = false;
  Streaming streaming = Streaming::layers;
  /// The first layers of a network of images run patch by patch: on a grid of this many patches per side, each with the
  /// part of the inputs that it needs, computed again where patches overlap (MCUNetV2). Where the patches end is chosen
  /// for the smallest peak. 1: off.
  std::int64_t patches = 1;
  /// The input is no buffer: the caller is asked for what the first layer reads, row of patches by row of patches or
  /// patch by patch. Only where that layer is a patch embedding, or with `patches`.
  bool streamed_input = false;
  /// Weights and per-channel constants are copied to SRAM before a call: flash that code cannot read in place.
  bool weights_in_sram = false;
  std::int64_t element_bytes = 1;  ///< 1: int8; 4: fp32, for weights too, with 4 bytes of bias per output channel
  bool mixtures = false;           ///< the engine has a kernel of mixtures of experts
  bool operator==(const LoweringOptions&) const = default;
};
[[nodiscard]] LoweringOptions tinyengine_options();
[[nodiscard]] LoweringOptions cmsis_nn_options();
[[nodiscard]] LoweringOptions tflm_reference_options();
/// The kernels of our own C export: everything in place that can be.
[[nodiscard]] LoweringOptions cosearch_options();
/// No engine's: all kernels, in node order, nothing in place and no scratch but that of mixtures.
[[nodiscard]] LoweringOptions plain_options();

/// Of a mixture: shares of this many experts have 32 bits on their way, and weighted outputs add up in 32 bits.
inline constexpr std::int64_t kMostExperts = 32768;

/// The first node whose operator has no kernel under the options, and why, if there is one.
[[nodiscard]] std::optional<std::string> lacks_kernel(const graph::NetworkGraph& graph, const LoweringOptions& options);

/// The network as int8 kernel calls in node order; for ScratchRule::cosearch in the order whose live tensors need least
/// memory, where node order is not one. A batch norm is folded into the convolution or linear map before it
/// and an activation into the kernel before it, where nothing else reads the value between. Attention becomes, per
/// head, a row block of scores, softmax and context around one int32 score row. The graph must be well formed
/// (`infer_shapes`), and no operator lack a kernel; the error says which of the two is not so.
[[nodiscard]] Expected<Program, std::string> lower_program(const graph::NetworkGraph& graph,
                                                           const LoweringOptions& options);

}  // namespace cosearch::program
