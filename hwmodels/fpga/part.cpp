#include "hwmodels/fpga/part.hpp"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "hwmodels/text.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::fpga {
namespace {

constexpr const char* kFile = "fpga";

Part read_part(const std::string& name, const JsonReader& item, std::int64_t bram_bytes, std::int64_t uram_bytes) {
  Part part;
  part.name = name;
  part.dsps = item.at("dsps").integer(1);
  part.on_chip_bytes = item.at("bram_blocks").integer(1) * bram_bytes + item.at("uram_blocks").integer(0) * uram_bytes;
  part.luts = item.at("luts").integer(1);
  part.ffs = item.at("ffs").integer(1);
  part.bytes_per_second = 1e9 * item.at("bandwidth_gb_s").number(kPositive);
  part.power_w = item.at("power_w").number(kPositive);
  part.power_source = item.at("power_source").text();
  for (const JsonReader& field : item.at("remembered").items()) {
    part.remembered.push_back(field.text());
  }
  return part;
}

/// Joins the sentence and the violations where more is needed than there is.
void compare(const std::string& name, const std::string& words, double required, double limit, Infeasible& verdict) {
  if (required <= limit) {
    return;
  }
  verdict.violations.push_back({name, required, limit});
  verdict.reason += fmt::format("{}{} {} of {}, {} more than there are", verdict.reason.empty() ? "" : "; ",
                                grouped(std::llround(required)), words, grouped(std::llround(limit)),
                                grouped(std::llround(required - limit)));
}

}  // namespace

FpgaData load_fpga_data(const std::string& data_directory) {
  const nlohmann::json json = load_data(kFile, data_directory);
  const JsonReader root(json, "", data_file_name(kFile, data_directory));
  FpgaData data;
  data.block_bytes = root.at("bram_bytes").integer(1);
  const std::int64_t uram_bytes = root.at("uram_bytes").integer(1);
  for (const auto& [name, item] : root.at("parts").members()) {
    data.parts[name] = read_part(name, item, data.block_bytes, uram_bytes);
  }
  data.free_power_w = root.at("free_power_w").number(kPositive);
  data.free_power_source = root.at("free_power_source").text();
  const std::vector<JsonReader> bits = root.at("multiplier_bits").items("two numbers of bits");
  if (bits.size() != 2) {
    root.at("multiplier_bits").refuse("two numbers of bits");
  }
  data.wide_bits = bits[0].integer(1);
  data.narrow_bits = bits[1].integer(1);
  data.luts_per_dsp = root.at("luts_per_dsp").number(kNonNegative);
  data.ffs_per_dsp = root.at("ffs_per_dsp").number(kNonNegative);
  data.function_bits_per_cycle = root.at("function_bits_per_cycle").number(kPositive);
  data.function_units = root.at("function_units").number(kPositive);
  data.fingerprint = hex(Hasher().add(json.dump()).value());
  return data;
}

std::int64_t Resources::buffer_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& [name, size] : buffers) {
    bytes += size;
  }
  return bytes;
}

std::optional<Infeasible> exceeded(const Part& part, const Resources& resources, const FpgaData& data) {
  std::int64_t blocks = 0;
  for (const auto& [name, bytes] : resources.buffers) {
    blocks += (bytes + data.block_bytes - 1) / data.block_bytes;
  }
  const auto dsps = static_cast<double>(resources.dsps);
  Infeasible verdict;
  compare("dsps", "DSPs", dsps, static_cast<double>(part.dsps), verdict);
  compare("on_chip_bytes", "bytes of block RAM and UltraRAM", static_cast<double>(blocks * data.block_bytes),
          static_cast<double>(part.on_chip_bytes), verdict);
  if (part.luts) {
    compare("luts", "LUTs (estimated)", data.luts_per_dsp * dsps, static_cast<double>(*part.luts), verdict);
  }
  if (part.ffs) {
    compare("ffs", "flip-flops (estimated)", data.ffs_per_dsp * dsps, static_cast<double>(*part.ffs), verdict);
  }
  if (part.bytes_per_second) {
    compare("bandwidth_bytes_s", "bytes per second of external memory", resources.bytes_per_second,
            *part.bytes_per_second, verdict);
  }
  if (verdict.violations.empty()) {
    return std::nullopt;
  }
  verdict.reason = part.name + ": needs " + verdict.reason;
  return verdict;
}

}  // namespace cosearch::fpga
