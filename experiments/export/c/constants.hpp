#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/export/c/project.hpp"

/// Read-only data of an exported network; internal to experiments/export/c.
namespace cosearch::c_export {

/// Two int4 to a byte, the first one in the low half; each of the `channels` equal parts begins with a new byte.
[[nodiscard]] std::vector<std::int8_t> packed_int4(std::span<const std::int8_t> values, std::int64_t channels);

/// One array for each constant of an operator: `layer3_weight`. Calls that compute a slice of the operator's channels
/// point into it.
class Constants {
 public:
  explicit Constants(const Project& project);

  /// Address of what `part` ("weight", "requantization", "table", ...: the last parts of program::Constant's names) of
  /// the call's operator is for the call, `skip` elements further: in flash, or where the call copies it to.
  [[nodiscard]] std::string pointer(const program::KernelCall& call, std::string_view part,
                                    std::int64_t skip = 0) const;
  /// Lines that copy the call's constants to SRAM; empty where they are read in place.
  [[nodiscard]] std::string copies(const program::KernelCall& call) const;

  /// weights.h and weights.c.
  [[nodiscard]] File header() const;
  [[nodiscard]] File source() const;

 private:
  struct Array {
    std::string node;  ///< name of its operator
    std::string type;
    std::string values;
    std::int64_t count = 0;
    std::int64_t element_bytes = 1;
    std::int64_t per_channel = 0;  ///< elements of one output channel; 0: not cut by channels
  };
  void add(const program::KernelCall& call, std::string_view part, std::string type, std::string values,
           std::int64_t count, std::int64_t element_bytes, std::int64_t per_channel);
  void add_integers(const program::KernelCall& call, const quantize::QuantizedNetwork& network);
  void add_mixture(const program::KernelCall& call, const quantize::QuantizedMixture& mixture,
                   std::int32_t in_zero_point);
  void add_floats(const program::KernelCall& call, const FloatNetwork& network);
  void add_mixture(const program::KernelCall& call, const quantize::FoldedMixture& mixture);
  [[nodiscard]] const Array& array(const program::KernelCall& call, std::string_view part) const;
  /// In flash.
  [[nodiscard]] std::string place(const program::KernelCall& call, std::string_view part, std::int64_t skip) const;
  /// Where in the arena it is copied to, if it is.
  [[nodiscard]] std::optional<std::int64_t> copy_offset(const program::KernelCall& call, std::string_view part) const;
  [[nodiscard]] std::string declaration(const std::string& name, const Array& array) const;

  const Project& project_;
  std::map<std::string, Array> arrays_;  ///< by name
};

}  // namespace cosearch::c_export
