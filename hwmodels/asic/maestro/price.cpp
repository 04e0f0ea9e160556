#include "hwmodels/asic/maestro/price.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::maestro {
namespace {

BufferPrice read_buffer(const JsonReader& reader) {
  return {reader.at("bytes").number(kPositive), reader.at("um2").number(kPositive), reader.at("mw").number(kPositive)};
}

double cells(std::int64_t bytes, const BufferPrice& price) {
  return std::ceil(static_cast<double>(bytes) / price.bytes);
}

/// Growth of the NoC with the number of processing elements, relative to one bus and one arbiter.
double bus_scale(const Array& array) {
  return (14.662 * static_cast<double>(array.pes) + 28.895) * static_cast<double>(array.noc_bandwidth);
}
double arbiter_scale(const Array& array) {
  const auto pes = static_cast<double>(array.pes);
  return 1.2886 * pes * pes + 5.5814 * pes - 23.711;
}

}  // namespace

Constants load_constants(const std::string& set, const std::string& place, const std::string& data_directory) {
  constexpr const char* kFile = "maestro_constants";
  const nlohmann::json data = load_data(kFile, data_directory);
  const JsonReader root(data, "", data_file_name(kFile, data_directory));
  const JsonReader sets = root.at("sets");
  std::vector<std::string> known;
  for (const auto& [name, reader] : sets.members()) {
    known.push_back(name);
  }
  if (std::find(known.begin(), known.end(), set) == known.end()) {
    throw ConfigError(place, unknown_name(set, known));
  }
  const JsonReader energy = root.at("energy");
  const JsonReader noc = root.at("noc");
  const JsonReader chosen = sets.at(set);
  Constants constants;
  constants.mac_energy = energy.at("mac").number(kPositive);
  constants.l1_energy = energy.at("l1_access").number(kPositive);
  constants.l2_energy = energy.at("l2_access").number(kPositive);
  constants.nj_per_mac = chosen.at("nj_per_mac").number(kPositive);
  constants.mac_um2 = chosen.at("mac").at("um2").number(kPositive);
  constants.mac_mw = chosen.at("mac").at("mw").number(kPositive);
  constants.l1 = read_buffer(chosen.at("l1"));
  constants.l2 = read_buffer(chosen.at("l2"));
  constants.bus_um2 = noc.at("bus_um2").number(kPositive);
  constants.bus_mw = noc.at("bus_mw").number(kPositive);
  constants.arbiter_um2 = noc.at("arbiter_um2").number(kPositive);
  constants.arbiter_mw = noc.at("arbiter_mw").number(kPositive);
  return constants;
}

double energy_macs(const Analysis& analysis, const Constants& constants) {
  double l1 = 0.0;
  double l2 = 0.0;
  for (const Accesses& tensor : {analysis.input, analysis.weight, analysis.output}) {
    l1 += static_cast<double>(tensor.l1_read) + static_cast<double>(tensor.l1_write);
    l2 += static_cast<double>(tensor.l2_read) + static_cast<double>(tensor.l2_write);
  }
  return constants.mac_energy * static_cast<double>(analysis.macs) + constants.l1_energy * l1 +
         constants.l2_energy * l2;
}

double area_um2(const Array& array, const Constants& constants) {
  const auto pes = static_cast<double>(array.pes);
  return pes * (constants.mac_um2 * static_cast<double>(array.simd_lanes) +
                constants.l1.um2 * cells(array.l1_bytes, constants.l1)) +
         constants.l2.um2 * cells(array.l2_bytes, constants.l2) + constants.bus_um2 * bus_scale(array) +
         constants.arbiter_um2 * std::max(1.0, arbiter_scale(array));
}

double power_mw(const Array& array, const Constants& constants) {
  constexpr double kMicrowattsPerMilliwatt = 1000.0;  // the arbiter's polynomial gives microwatts, its floor does not
  const auto pes = static_cast<double>(array.pes);
  return pes * (constants.mac_mw * static_cast<double>(array.simd_lanes) +
                constants.l1.mw * cells(array.l1_bytes, constants.l1)) +
         constants.l2.mw * cells(array.l2_bytes, constants.l2) + constants.bus_mw * bus_scale(array) +
         constants.arbiter_mw * std::max(1.0, arbiter_scale(array) / kMicrowattsPerMilliwatt);
}

}  // namespace cosearch::maestro
