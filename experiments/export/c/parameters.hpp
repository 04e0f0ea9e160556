#pragma once

#include <string>
#include <vector>

#include "experiments/export/c/constants.hpp"
#include "experiments/export/c/project.hpp"

/// Parameter structures of the calls of an exported network; internal to experiments/export/c.
namespace cosearch::c_export {

/// Declares each structure once, however many calls take it.
class Parameters {
 public:
  Parameters(const Project& project, const Constants& constants) : project_(project), constants_(constants) {}

  /// The call's first arguments that tell what it computes, each followed by a comma: `&layer3, `. `input`: which one
  /// of a concatenation.
  [[nodiscard]] std::string of(const program::KernelCall& call, std::size_t input = 0);
  /// `&geometry3, `: sizes of a convolution or pooling, with its windows.
  [[nodiscard]] std::string geometry(const program::KernelCall& call);

  /// All structures that were asked for.
  [[nodiscard]] const std::string& declarations() const noexcept { return declarations_; }

 private:
  [[nodiscard]] std::string integers(const program::KernelCall& call, std::size_t input,
                                     const quantize::QuantizedNetwork& network);
  [[nodiscard]] std::string floats(const program::KernelCall& call, const FloatNetwork& network);
  /// `&name, ` of a structure with this type and these values; `stem` begins its name.
  [[nodiscard]] std::string declare(const std::string& type, const std::string& values, const std::string& stem);

  struct Declared {
    std::string type, values, name;
  };
  const Project& project_;
  const Constants& constants_;
  std::vector<Declared> declared_;
  std::string declarations_;
};

/// The part of the output image that the call computes: all of it where it says nothing.
[[nodiscard]] program::Window region_of(const program::KernelCall& call);
/// Of a patch embedding, whose tokens are counted row by row of the image.
[[nodiscard]] std::int64_t patches_per_row(const program::Geometry& geometry);
/// The part of a call's input or output image that the buffer holds, `height` x `width` where it says nothing.
[[nodiscard]] program::Window window_of(const program::Buffer& buffer, std::int64_t height, std::int64_t width);

}  // namespace cosearch::c_export
