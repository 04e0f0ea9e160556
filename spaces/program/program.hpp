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

/// Read-only data of a call: in flash. `<node>.weight`, by output channels and in each by kernel rows, columns and
/// input channels: int8, or two int4 to a byte, where each output channel begins with a new byte;
/// `<node>.requantization` (per output channel an int32 bias and an int32 multiplier), `<node>.table` (256-entry lookup
/// of an activation), ...
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
  bool operator==(const Buffer&) const = default;
};

/// One kernel call. The fused nodes' parameters are those of the graph: `nodes[0]` is the operator itself, followed by
/// the batch norm and the activation that were folded into it.
struct KernelCall {
  std::string name;  ///< of the operator's node; attention stages append `.head<h>.<kind>`
  KernelKind kind = KernelKind::conv2d;
  std::vector<int> nodes;
  Geometry geometry;
  std::optional<graph::ActivationKind> activation;  ///< applied to the output before it is stored
  std::vector<int> inputs;                          ///< buffers
  int output = 0;
  std::vector<int> scratch;
  std::vector<Constant> constants;
  /// Neighbouring calls of the same row block run `rows` times together, one row each per round, so that one row of
  /// scratch serves all rows. -1: the call runs once. Counts below are of all rounds.
  int row_block = -1;
  std::int64_t rows = 1;
  std::int64_t macs = 0;
  std::int64_t elementwise = 0;  ///< other element operations: visited inputs of pools, elements of a pass
  std::int64_t outputs = 0;      ///< elements written
  bool operator==(const KernelCall&) const = default;

  [[nodiscard]] std::int64_t constant_bytes() const noexcept;
};

struct Program {
  std::string name;
  std::vector<Buffer> buffers;
  std::vector<KernelCall> calls;
  std::vector<int> inputs;   ///< buffers written before the first call
  std::vector<int> outputs;  ///< buffers read after the last call
  bool operator==(const Program&) const = default;

  /// Bytes of all constants.
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
};

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
  bool operator==(const LoweringOptions&) const = default;
};
[[nodiscard]] LoweringOptions tinyengine_options();
[[nodiscard]] LoweringOptions cmsis_nn_options();
[[nodiscard]] LoweringOptions tflm_reference_options();

/// The network as int8 kernel calls in node order. A batch norm is folded into the convolution or linear map before it
/// and an activation into the kernel before it, where nothing else reads the value between. Attention becomes, per
/// head, a row block of scores, softmax and context around one int32 score row. The graph must be well formed
/// (`infer_shapes`); the error is its message.
[[nodiscard]] Expected<Program, std::string> lower_program(const graph::NetworkGraph& graph,
                                                           const LoweringOptions& options);

}  // namespace cosearch::program
