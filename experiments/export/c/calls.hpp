#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/export/c/constants.hpp"
#include "experiments/export/c/parameters.hpp"
#include "experiments/export/c/project.hpp"

/// Kernel calls as C statements; internal to experiments/export/c.
namespace cosearch::c_export {

/// Prints the calls of a program on `arena`, an int8_t array; row blocks are loops over `t`. Asks `parameters` for what
/// the calls need.
class Calls {
 public:
  Calls(const Project& project, const Constants& constants, Parameters& parameters);

  /// All calls in their order.
  [[nodiscard]] std::string statements();

 private:
  using Call = program::KernelCall;
  [[nodiscard]] std::string statement(const Call& call);
  [[nodiscard]] std::string linear(const Call& call);
  [[nodiscard]] std::string patch_embed(const Call& call);
  [[nodiscard]] std::string depthwise(const Call& call);
  [[nodiscard]] std::string attention(const Call& call);
  [[nodiscard]] std::string mixture(const Call& call);
  [[nodiscard]] std::string elementwise(const Call& call);
  [[nodiscard]] std::string concat(const Call& call);
  [[nodiscard]] std::string pool(const Call& call);
  [[nodiscard]] std::string upsample(const Call& call) const;
  [[nodiscard]] std::string read_input(const Call& call) const;
  /// `cs_add_f32(` ...
  [[nodiscard]] std::string begin(std::string_view kernel) const;

  /// Pointer to the element `element` of a buffer.
  [[nodiscard]] std::string place(int buffer, std::int64_t element = 0) const;
  [[nodiscard]] std::string words(int buffer) const;  ///< the buffer as int32_t
  /// Row t of operand `operand` (inputs, then the output) in a row block, the first row outside of one.
  [[nodiscard]] std::string row(const Call& call, std::size_t operand) const;
  /// Of the same operand, from row to row.
  [[nodiscard]] program::Rows rows(const Call& call, std::size_t operand) const;
  [[nodiscard]] int buffer_of(const Call& call, std::size_t operand) const;
  /// Elements of a pixel or token of an operand.
  [[nodiscard]] std::int64_t channels(const Call& call, std::size_t operand) const;
  /// The call's scratch, which must have `elements`.
  [[nodiscard]] std::string scratch(const Call& call, std::int64_t elements) const;

  /// How an elementwise call walks: `count` positions at a time, `loops` times.
  struct Walk {
    std::int64_t loops = 1, count = 1;
  };
  [[nodiscard]] Walk walk(const Call& call) const;
  /// Element `element` of the pixel at which the call's region begins in an operand.
  [[nodiscard]] std::string region_place(const Call& call, std::size_t operand, std::int64_t element = 0) const;
  /// The same in each loop of the walk, or the row of a row block.
  [[nodiscard]] std::string walking(const Call& call, std::size_t operand, std::int64_t element = 0) const;
  /// `text`, in a loop over `y` where the walk has several.
  [[nodiscard]] static std::string walked(const Walk& walk, const std::string& text);

  const Project& project_;
  const program::Program& program_;
  const Constants& constants_;
  Parameters& parameters_;
  bool floats_;
  std::int64_t element_bytes_;
  std::vector<graph::Shape> shapes_;
};

}  // namespace cosearch::c_export
