#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "spaces/base/infeasible.hpp"

namespace cosearch::fpga {

/// What a board offers. Limits that are not known are not checked.
struct Part {
  std::string name;
  std::int64_t dsps = 0;
  std::int64_t on_chip_bytes = 0;  ///< block RAM and UltraRAM
  std::optional<std::int64_t> luts, ffs;
  std::optional<double> bytes_per_second;  ///< of the external memory
  double power_w = 0.0;                    ///< of the board while it runs
  std::string power_source;
  std::vector<std::string> remembered;  ///< fields that were not read in a source
};

/// hwmodels/data/fpga.json.
struct FpgaData {
  std::map<std::string, Part> parts;
  double free_power_w = 0.0;
  std::string free_power_source;
  std::int64_t block_bytes = 0;                 ///< of a block RAM: what buffers are made of
  std::int64_t wide_bits = 0, narrow_bits = 0;  ///< operands of a DSP's multiplier
  double luts_per_dsp = 0.0, ffs_per_dsp = 0.0;
  double function_bits_per_cycle = 0.0;  ///< of a unit for exact exponentials, divisions and GELUs
  double function_units = 0.0;
  std::string fingerprint;
};
/// @throws ConfigError.
[[nodiscard]] FpgaData load_fpga_data(const std::string& data_directory);

/// What a design takes.
struct Resources {
  std::int64_t dsps = 0;
  std::vector<std::pair<std::string, std::int64_t>> buffers;  ///< names and bytes of memories on the chip
  double bytes_per_second = 0.0;                              ///< to and from the external memory

  [[nodiscard]] std::int64_t buffer_bytes() const;  ///< their sum
};

/// What of the part the design exceeds, and by how much; nothing where it fits. Strict: buffers take whole blocks of
/// RAM, and LUTs are not counted as memory. LUTs and flip-flops are estimated from the DSPs.
[[nodiscard]] std::optional<Infeasible> exceeded(const Part& part, const Resources& resources, const FpgaData& data);

}  // namespace cosearch::fpga
