#include "hwmodels/attention/units.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::attention {
namespace {

constexpr std::array<const char*, kUnits> kUnitNames{"mac", "add", "max", "exp", "divide"};
constexpr std::array<Unit, kUnits> kAllUnits{Unit::mac, Unit::add, Unit::max, Unit::exp, Unit::divide};

std::vector<std::string> unit_names() { return {kUnitNames.begin(), kUnitNames.end()}; }

UnitCounts counts(std::initializer_list<std::pair<Unit, std::int64_t>> list) {
  UnitCounts result;
  for (const auto& [unit, count] : list) {
    result[unit] += count;
  }
  return result;
}

std::optional<UnitCounts> combination(const ir::Einsum& einsum) {
  const auto more = static_cast<std::int64_t>(einsum.operands.size()) - 1;  // binary operations among the operands
  switch (einsum.combine) {
    case ir::Combine::copy:
      return UnitCounts{};
    case ir::Combine::add:
    case ir::Combine::sub:
      return counts({{Unit::add, more}});
    case ir::Combine::mul:
      return counts({{Unit::mac, std::max<std::int64_t>(more, 1)}});
    case ir::Combine::max:
    case ir::Combine::min:
      return counts({{Unit::max, more}});
    case ir::Combine::relu:
      return counts({{Unit::max, 1}});
    case ir::Combine::relu6:
      return counts({{Unit::max, 2}});
    case ir::Combine::div:
      return counts({{Unit::divide, 1}});
    case ir::Combine::exp:
      return counts({{Unit::exp, 1}});
    case ir::Combine::exp_sub:
      return counts({{Unit::add, 1}, {Unit::exp, 1}});
    case ir::Combine::sigmoid:  // 1 / (1 + e^-x)
      return counts({{Unit::exp, 1}, {Unit::add, 1}, {Unit::divide, 1}});
    case ir::Combine::tanh:  // 2 sigmoid(2 x) - 1
      return counts({{Unit::exp, 1}, {Unit::add, 2}, {Unit::divide, 1}});
    case ir::Combine::gelu:  // x sigmoid(1.702 x)
      return counts({{Unit::exp, 1}, {Unit::add, 1}, {Unit::divide, 1}, {Unit::mac, 2}});
    case ir::Combine::hard_swish:
      return counts({{Unit::mac, 2}, {Unit::max, 2}});
    case ir::Combine::sqrt:
    case ir::Combine::rsqrt:  // one unit for division and roots, as in digit-recurrence dividers
      return counts({{Unit::divide, 1}});
    case ir::Combine::round:
      return counts({{Unit::add, 1}});
    default:
      return std::nullopt;
  }
}

std::array<double, kUnits> unit_values(const JsonReader& reader, const std::string& suffix) {
  std::array<double, kUnits> values{};
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    values[unit] = reader.required(kUnitNames[unit] + suffix, "a number").number(kNonNegative);
  }
  return values;
}

PeKind read_pe_kind(const std::string& name, const JsonReader& reader, std::int64_t macs_of_exponential) {
  reader.only({"units", "chained", "registers", "source"});
  PeKind kind;
  kind.name = name;
  kind.macs_of_exponential = macs_of_exponential;
  for (const JsonReader& unit : reader.required("units", "an array of units").items()) {
    const std::vector<std::string> known = unit_names();
    const auto at = std::find(known.begin(), known.end(), unit.name_of(known)) - known.begin();
    kind.has[static_cast<std::size_t>(at)] = true;
  }
  if (!kind.has[static_cast<std::size_t>(Unit::mac)]) {
    reader.fail("every element multiplies and accumulates: \"units\" has \"mac\"");
  }
  kind.chained = reader.boolean("chained", false);
  kind.registers = reader.required("registers", "words").integer(1, 1 << 20);
  return kind;
}

BufferPrices read_buffer(const JsonReader& reader) {
  reader.only({"row_words", "bytes", "read_row_pj", "write_row_pj", "source", "area", "area_source"});
  BufferPrices buffer;
  buffer.row_words = reader.required("row_words", "words").integer(1);
  buffer.bytes = reader.required("bytes", "bytes").integer(1);
  buffer.read_row_pj = reader.required("read_row_pj", "pJ").number(kPositive);
  buffer.write_row_pj = reader.required("write_row_pj", "pJ").number(kPositive);
  for (const JsonReader& point : reader.required("area", "an array of [bytes, um2]").items()) {
    const std::vector<JsonReader> pair = point.items();
    if (pair.size() != 2) {
      point.refuse("[bytes, um2]");
    }
    buffer.area.emplace_back(pair[0].number(kPositive), pair[1].number(kPositive));
  }
  if (buffer.area.empty() || !std::is_sorted(buffer.area.begin(), buffer.area.end())) {
    reader.at("area").fail("holds at least one size, sizes ascending");
  }
  return buffer;
}

template <class Map>
const typename Map::mapped_type& named(const Map& map, const std::string& name, const std::string& place) {
  const auto found = map.find(name);
  if (found == map.end()) {
    std::vector<std::string> known;
    for (const auto& entry : map) {
      known.push_back(entry.first);
    }
    throw ConfigError(place, unknown_name(name, known));
  }
  return found->second;
}

}  // namespace

const char* unit_name(Unit unit) noexcept { return kUnitNames[static_cast<std::size_t>(unit)]; }

std::optional<UnitCounts> units_of(const ir::Einsum& einsum) {
  std::optional<UnitCounts> result = combination(einsum);
  if (!result) {
    return result;
  }
  const bool accumulating_product = einsum.combine == ir::Combine::mul && einsum.operands.size() > 1;
  if (einsum.reduce == ir::Reduce::sum && !accumulating_product) {
    ++(*result)[Unit::add];
  } else if (einsum.reduce == ir::Reduce::max || einsum.reduce == ir::Reduce::min) {
    ++(*result)[Unit::max];
  }
  return result;
}

std::optional<UnitCounts> PeKind::expand(const UnitCounts& operation) const {
  UnitCounts result = operation;
  const auto replace = [&](Unit unit, std::int64_t macs) {
    if (!has[static_cast<std::size_t>(unit)]) {
      result[Unit::mac] += macs * result[unit];
      result[unit] = 0;
    }
  };
  replace(Unit::exp, macs_of_exponential);
  replace(Unit::add, 1);
  for (const Unit unit : {Unit::max, Unit::divide}) {
    if (result[unit] > 0 && !has[static_cast<std::size_t>(unit)]) {
      return std::nullopt;
    }
  }
  return result;
}

std::int64_t PeKind::cycles(const UnitCounts& expanded) const noexcept {
  std::int64_t sum = 0;
  std::int64_t most = 0;
  for (const Unit unit : kAllUnits) {
    sum += expanded[unit];
    most = std::max(most, expanded[unit]);
  }
  return chained ? most : sum;
}

double BufferPrices::read_pj_per_word(std::int64_t size_bytes) const {
  return read_row_pj / static_cast<double>(row_words) *
         std::sqrt(static_cast<double>(size_bytes) / static_cast<double>(bytes));
}

double BufferPrices::write_pj_per_word(std::int64_t size_bytes) const {
  return read_pj_per_word(size_bytes) * write_row_pj / read_row_pj;
}

double BufferPrices::area_um2(std::int64_t size_bytes) const {
  const auto size = static_cast<double>(size_bytes);
  if (size <= area.front().first) {
    return area.front().second * size / area.front().first;
  }
  const auto above = std::lower_bound(area.begin(), area.end(), std::pair(size, 0.0));
  if (above == area.end()) {
    return area.back().second * size / area.back().first;
  }
  const auto below = above - 1;
  const double at = std::log(size / below->first) / std::log(above->first / below->first);
  return below->second * std::pow(above->second / below->second, at);
}

double Prices::pe_um2(const PeKind& kind, std::int64_t tiles) const {
  double result = 0.0;
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    result += kind.has[unit] ? unit_um2[unit] : 0.0;
  }
  const double words = std::clamp(static_cast<double>(tiles), register_file_least_words, register_file_words);
  return result + register_file_um2 - register_file_um2_per_doubling * std::log2(register_file_words / words);
}

Prices AttentionData::prices(const std::string& energy_table, const std::string& dram,
                             const std::string& buffer) const {
  Prices result = rest;
  result.unit_pj = named(energy_tables, energy_table, "/target/energy_table");
  result.dram_pj_per_byte = named(dram_pj_per_byte, dram, "/target/dram");
  result.buffer = named(buffers, buffer, "/target/buffer");
  return result;
}

AttentionData load_attention_data(const std::string& data_directory) {
  const nlohmann::json json = load_data("attention", data_directory);
  const JsonReader reader(json, "", data_file_name("attention", data_directory));
  AttentionData data;
  constexpr std::int64_t kBits = 8;
  data.word_bytes = reader.required("word_bits", "bits").integer(kBits, 64) / kBits;
  const std::int64_t macs = reader.required("macs_of_exponential", "a number of operations").integer(1, 100);
  for (const auto& [name, kind] : reader.required("pe_kinds", "an object").members()) {
    data.pe_kinds.emplace(name, read_pe_kind(name, kind, macs));
  }
  for (const auto& [name, table] : reader.required("energy_tables", "an object").members()) {
    data.energy_tables.emplace(name, unit_values(table, "_pj"));
  }
  for (const auto& [name, kind] : reader.required("dram", "an object").members()) {
    data.dram_pj_per_byte.emplace(name, kBits * kind.required("pj_per_bit", "pJ").number(kPositive));
  }
  for (const auto& [name, buffer] : reader.required("buffers", "an object").members()) {
    data.buffers.emplace(name, read_buffer(buffer));
  }
  const JsonReader registers = reader.required("register", "an object");
  data.rest.register_read_pj = registers.required("read_pj", "pJ").number(kNonNegative);
  data.rest.register_write_pj = registers.required("write_pj", "pJ").number(kNonNegative);
  const JsonReader area = reader.required("area_um2", "an object");
  data.rest.unit_um2 = unit_values(area, "");
  data.rest.register_file_um2 = area.required("register_file", "um2").number(kPositive);
  data.rest.register_file_words = area.required("register_file_words", "words").number(kPositive);
  data.rest.register_file_um2_per_doubling = area.required("register_file_per_doubling", "um2").number(kNonNegative);
  data.rest.register_file_least_words = area.required("register_file_least_words", "words").number(kPositive);
  data.rest.row_um2 = area.required("row", "um2").number(kNonNegative);
  data.fingerprint = hex(Hasher().add(json.dump()).value());
  return data;
}

}  // namespace cosearch::attention
