#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "spaces/base/expected.hpp"

/// Extended einsums: the one form of a network that accelerator, FPGA, cluster and training-system models read.
/// After ZigZag's and Timeloop's workloads and the cascades of extended einsums of FuseMax (MICRO'24) and TeAAL
/// (MICRO'23).
namespace cosearch::ir {

enum class ElementType { fp32, fp16, bf16, int32, int16, int8 };
/// Bytes of one element.
[[nodiscard]] std::int64_t size_bytes(ElementType type) noexcept;

/// What a tensor is for: decides its precision, lifetime and where a training system keeps it.
enum class TensorKind { activation, weight, accumulator, gradient, state };

struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  TensorKind kind = TensorKind::activation;
  ElementType type = ElementType::fp32;

  [[nodiscard]] std::int64_t elements() const noexcept;
  bool operator==(const Tensor&) const = default;
};

struct Loop {
  std::string name;
  std::int64_t extent = 1;
  bool operator==(const Loop&) const = default;
};

/// coefficient * (value of loop `loop` of the einsum).
struct Term {
  int loop = 0;
  std::int64_t coefficient = 1;
  bool operator==(const Term&) const = default;
};

/// One axis of an access: sum of terms + offset, e.g. 2*oy + ky - 1.
struct AxisIndex {
  std::vector<Term> terms;
  std::int64_t offset = 0;
  bool operator==(const AxisIndex&) const = default;
};

/// The element of `tensor` (index into Workload::tensors) that one iteration touches.
/// A read outside the tensor yields `Einsum::padding`; a write outside is dropped (transposed convolutions).
struct Access {
  int tensor = 0;
  std::vector<AxisIndex> axes;
  bool operator==(const Access&) const = default;
};

/// An operand is an element of a tensor or a literal.
using Operand = std::variant<Access, double>;

/// How the operands of one iteration combine. Number of operands: n-ary for add, mul, max; else as noted.
enum class Combine {
  copy,             ///< 1: a
  add,              ///< n: a + b + ...
  sub,              ///< 2: a - b
  mul,              ///< n: a * b * ...
  div,              ///< 2: a / b
  max,              ///< n
  min,              ///< n
  exp,              ///< 1
  exp_sub,          ///< 2: exp(a - b)
  sqrt,             ///< 1
  rsqrt,            ///< 1: 1 / sqrt(a)
  round,            ///< 1: the nearest whole number, of two equally near ones the even one
  relu,             ///< 1: max(a, 0)
  relu6,            ///< 1: min(max(a, 0), 6)
  hard_swish,       ///< 1: a * relu6(a + 3) / 6
  gelu,             ///< 1: a * (1 + erf(a / sqrt 2)) / 2
  sigmoid,          ///< 1
  tanh,             ///< 1
  relu_grad,        ///< 2: b where a > 0, else 0 (a: input of the operator, b: gradient of its output)
  relu6_grad,       ///< 2: b where 0 < a < 6
  hard_swish_grad,  ///< 2: b * (0 where a < -3, a / 3 + 1/2 up to a == 3, else 1)
  gelu_grad,        ///< 2: b * (Phi(a) + a * phi(a)), Phi and phi of the standard normal distribution
  equal_select,     ///< 3: c where a == b, else 0 (gradient of a maximum)
  opaque,           ///< see Opaque
};

/// How iterations that write the same element fold. `none`: each element is written at most once. `sum`, `max`, `min`
/// start from 0, -inf, +inf at the first write of an element unless `accumulate` says to start from what is there.
/// Elements that the einsum does not write keep what they had, so parts of a tensor may come from different einsums;
/// where a scatter leaves gaps (the input gradient of a stride > kernel), copy 0 into the tensor first and accumulate.
/// Inside an iteration each step is an execution of its own: reductions start anew unless `accumulate` is set.
enum class Reduce { none, sum, max, min };

/// An operation that is not affine: its cost is stated, not derived. Of each operand at most `read_elements` different
/// elements are read, of the output at most `written_elements` written, whatever the accesses reach.
///
/// The kinds that the interpreter executes run over the loops that the output does not name (their values counted in
/// loop order); other kinds are costed, but cannot be executed.
///   argmax  1 operand: y[n] = opaque argmax(x[n,c]), the position c of the largest value, the first of equal ones
///   top_k   1 operand: y[n,j] = opaque top_k(x[n,c]), the position of the j-th largest; j is not named by the operand
///   gather  2 operands: y[n,e] = opaque gather(i[n], x[r,e]), x at the position r == i[n]; padding where there is none
///   scatter_add  2 operands: y[r,e] = opaque scatter_add(i[n], x[n,e]), the sum of x where i[n] == r; 0 where there is
///           no such n; r is not named by the second operand. It alone may accumulate: the sum is added to y
///   queue   2 operands: y[i] = opaque queue(p[t,j], e), the position t of the i-th row of p that holds e, where j is
///           the last loop that the output does not name and rows are counted over the others; -1 where there are fewer
struct Opaque {
  std::string kind;
  std::int64_t operations = 0;
  std::int64_t read_elements = 0;
  std::int64_t written_elements = 0;
  bool operator==(const Opaque&) const = default;
};

/// A cascade has three parts: `initial` einsums run before the iteration, `body` einsums once per value of the
/// iterative rank, `final` ones afterwards; only body einsums name the iteration. Execution follows the order of
/// the einsums, so initial ones stand before the block and final ones behind it. Einsums of ordinary workloads are all
/// `body` without an iteration.
enum class Part { initial, body, final };

/// `output (reduce)= scale * combine(operands)` over all `loops`. Loops that the output's axes do not name are
/// reduced. Combine::mul with Reduce::sum is the multiply-accumulate of matrix products and convolutions.
struct Einsum {
  std::string name;    ///< unique in the workload
  std::string source;  ///< name of the graph node it comes from; costs are reported under it
  std::vector<Loop> loops;
  Access output;
  std::vector<Operand> operands;
  Combine combine = Combine::copy;
  Reduce reduce = Reduce::none;
  bool accumulate = false;
  double scale = 1.0;
  double padding = 0.0;
  Part part = Part::body;
  int iteration = -1;  ///< index into Workload::iterations; the einsum then has a loop of that rank's name
  std::optional<Opaque> opaque;

  bool operator==(const Einsum&) const = default;
};

/// An iterative rank: its steps run in order, and in each step all einsums that name it, in order. Neighbouring
/// einsums with the same iteration form one block.
struct Iteration {
  std::string rank;
  std::int64_t extent = 1;
  bool operator==(const Iteration&) const = default;
};

/// Einsums in execution order over shared tensors, so that fusion, liveness and passes can be analysed.
struct Workload {
  std::string name;
  std::vector<Tensor> tensors;
  std::vector<Iteration> iterations;
  std::vector<Einsum> einsums;
  std::vector<int> inputs;   ///< tensors that the caller provides, beside weights and states
  std::vector<int> outputs;  ///< tensors that the caller wants

  bool operator==(const Workload&) const = default;
};

/// What is wrong with a workload (dangling indices, unknown loops, operand counts, output axes that make a
/// non-reducing einsum write twice, elements read before they are written...), one line each; empty when it is well
/// formed.
[[nodiscard]] std::vector<std::string> validate(const Workload& workload);

/// Iterations of the nest: the product of all extents. Checked: aborts on 64-bit overflow.
[[nodiscard]] std::int64_t iterations(const Einsum& einsum);

/// Arithmetic of one einsum: multiply-accumulates where combine == mul and reduce == sum with two or more tensor
/// operands, else elementwise operations (one per iteration); opaque einsums state theirs.
struct OperationCounts {
  std::int64_t macs = 0;
  std::int64_t elementwise = 0;
};
[[nodiscard]] OperationCounts operation_counts(const Einsum& einsum);

/// `exact` counts the different elements that a tile touches; `hull` the bounding box of each axis, which is
/// Timeloop's convention and an upper bound. They differ where a stride exceeds the kernel.
enum class FootprintKind { exact, hull };

/// Elements of `access` touched by one tile in which loop i runs over tile[i] consecutive values (tensor borders are
/// ignored). tile.size() == number of loops of the einsum. Exact also where one loop feeds several axes.
[[nodiscard]] std::int64_t footprint(const Access& access, const std::vector<std::int64_t>& tile, FootprintKind kind);

/// Different elements *inside* the tensor touched by the tile whose first iteration is `origin`: what padding and
/// edges leave over. Exact.
[[nodiscard]] std::int64_t footprint_inside(const Access& access, const Tensor& tensor,
                                            const std::vector<std::int64_t>& origin,
                                            const std::vector<std::int64_t>& tile);

/// The readable text form, one statement per line; `#` starts a comment, blank lines do not count. E.g.
///   workload conv
///   input x activation int8 [1,8,8,3]
///   tensor w weight int8 [3,3,3,16]
///   output y accumulator int32 [1,8,8,16]
///   einsum conv1 n<1 oy<8 ox<8 k<16 ky<3 kx<3 c<3 : y[n,oy,ox,k] += mul(x[n,oy+ky-1,ox+kx-1,c], w[ky,kx,c,k])
///
/// Grammar (quoted: literally; {}: any number of times; []: may be left out):
///   text       = "workload" name, then {statement} in any order, but a name is declared above its first use
///   statement  = size | tensor | roles | iteration | einsum
///   size       = "size" size-name sum             each division without a remainder
///   sum        = product {("+" | "-") product},  product = factor {("*" | "/") factor}
///   factor     = integer | size-name | "(" sum ")"
///   extent     = sum
///   tensor     = ("input" | "output" | "tensor") name kind type "[" [extent {"," extent}] "]"
///   kind       = "activation" | "weight" | "accumulator" | "gradient" | "state"
///   type       = "fp32" | "fp16" | "bf16" | "int32" | "int16" | "int8"
///   roles      = ("inputs" | "outputs") {name}    instead of the tensors' keywords: another order, or both roles
///   iteration  = "iteration" rank "<" extent
///   einsum     = "einsum" name {head} ":" access reduce [scale "*"] value {tail}
///   head       = loop "<" extent | "from" source | "initial" | "final" | "over" rank ["@" index]
///   access     = tensor "[" [axis {"," axis}] "]"
///   axis       = ["+" | "-"] item {("+" | "-") item},  item = part {"*" part} with at most one loop
///   part       = integer | size-name | loop
///   reduce     = "=" (writes once) | "+=" | "max=" | "min="
///   value      = combine "(" operands ")" | "opaque" kind "(" operands ")" "operations" n "reads" n "writes" n
///   operands   = [operand {"," operand}],  operand = access | number | size-name
///   tail       = "padding" number | "accumulate"
/// A name is a letter or `_`, then letters, digits and `_ . /`; any other name stands in double quotes, where a
/// backslash stands before a quote, a backslash, or x and the two hexadecimal digits of a byte. Numbers are decimal or
/// `inf`, `-inf`, and read back exactly. `@` picks one of several iterations of the same rank by its index.
///
/// A size-name has letters, digits and `_` only, so that M/M0 divides; a loop hides the size of its name. E.g.
///   size M 1024
///   size M0 256
///   size M1 M/M0
///   input k activation fp16 [M,64]
///   iteration m1<M1
///   einsum copy over m1 m1<M1 m0<M0 e<64 : kept[m1+1,m0,e] = copy(k[M0*m1+m0,e])
///
/// `to_text` takes a valid workload and writes numbers in place of sizes. It and `parse_workload` are inverse:
/// parse_workload(to_text(w)) == w.
[[nodiscard]] std::string to_text(const Workload& workload);
/// `sizes` replaces the values of plain sizes: those whose declarations name no other size.
/// @throws ConfigError with the line number, what was read and what is allowed; for an entry of `sizes` that the text
/// does not declare or that follows from others. The result is valid.
[[nodiscard]] Workload parse_workload(const std::string& text, const std::map<std::string, std::int64_t>& sizes = {});

}  // namespace cosearch::ir
