#include "hwmodels/asic/energy_table.hpp"

#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::asic {
namespace {

using ir::Combine;
using ir::ElementType;

constexpr std::array kTypes{
    std::pair{ElementType::fp32, "fp32"},   std::pair{ElementType::fp16, "fp16"},
    std::pair{ElementType::bf16, "bf16"},   std::pair{ElementType::int32, "int32"},
    std::pair{ElementType::int16, "int16"}, std::pair{ElementType::int8, "int8"},
};

constexpr std::array kCombines{
    std::pair{Combine::copy, "copy"},
    std::pair{Combine::add, "add"},
    std::pair{Combine::sub, "sub"},
    std::pair{Combine::mul, "mul"},
    std::pair{Combine::div, "div"},
    std::pair{Combine::max, "max"},
    std::pair{Combine::min, "min"},
    std::pair{Combine::exp, "exp"},
    std::pair{Combine::exp_sub, "exp_sub"},
    std::pair{Combine::sqrt, "sqrt"},
    std::pair{Combine::rsqrt, "rsqrt"},
    std::pair{Combine::round, "round"},
    std::pair{Combine::relu, "relu"},
    std::pair{Combine::relu6, "relu6"},
    std::pair{Combine::hard_swish, "hard_swish"},
    std::pair{Combine::gelu, "gelu"},
    std::pair{Combine::sigmoid, "sigmoid"},
    std::pair{Combine::tanh, "tanh"},
    std::pair{Combine::relu_grad, "relu_grad"},
    std::pair{Combine::relu6_grad, "relu6_grad"},
    std::pair{Combine::hard_swish_grad, "hard_swish_grad"},
    std::pair{Combine::gelu_grad, "gelu_grad"},
    std::pair{Combine::equal_select, "equal_select"},
    std::pair{Combine::opaque, "opaque"},
};

UnitCost read_unit(const JsonReader& reader) {
  return {reader.at("energy_pj").number(kPositive), reader.at("area_um2").number(kPositive)};
}

SramCost read_sram(const JsonReader& reader) {
  constexpr double kWordBytes = 8.0;  // the table's macros have 64-bit words
  SramCost cost;
  cost.bytes = reader.at("bytes").integer(1);
  cost.read_pj_per_byte = reader.at("read_pj").number(kPositive) / kWordBytes;
  cost.write_pj_per_byte = reader.at("write_pj").number(kPositive) / kWordBytes;
  cost.leakage_mw = reader.at("leakage_mw").number(kNonNegative);
  cost.area_um2 = reader.at("area_um2").number(kPositive);
  return cost;
}

}  // namespace

std::string type_name(ElementType type) {
  for (const auto& [value, name] : kTypes) {
    if (value == type) {
      return name;
    }
  }
  COSEARCH_CHECK(false, "element type without a name");
  return {};
}

SramCost EnergyTable::sram(std::int64_t bytes) const {
  COSEARCH_CHECK(!srams.empty() && bytes >= srams.front().bytes && bytes <= srams.back().bytes,
                 "an SRAM size outside the energy table");
  std::size_t upper = 0;
  while (srams[upper].bytes < bytes) {
    ++upper;
  }
  if (srams[upper].bytes == bytes) {
    return srams[upper];
  }
  const SramCost& a = srams[upper - 1];
  const SramCost& b = srams[upper];
  const double share = std::log(static_cast<double>(bytes) / static_cast<double>(a.bytes)) /
                       std::log(static_cast<double>(b.bytes) / static_cast<double>(a.bytes));
  const auto between = [share](double x, double y) {
    return std::exp((1.0 - share) * std::log(x) + share * std::log(y));
  };
  return {bytes, between(a.read_pj_per_byte, b.read_pj_per_byte), between(a.write_pj_per_byte, b.write_pj_per_byte),
          between(a.leakage_mw, b.leakage_mw), between(a.area_um2, b.area_um2)};
}

std::string dram_kind(const JsonReader& options, const EnergyTable& table) {
  std::vector<std::string> kinds;
  for (const auto& [kind, cost] : table.dram_pj_per_bit) {
    kinds.push_back(kind);
  }
  std::string kind = options.name_of("dram", "lpddr4", kinds);
  if (table.dram_pj_per_bit.find(kind) == table.dram_pj_per_bit.end()) {
    options.at("dram").refuse(fmt::format("one of {}", fmt::join(kinds, ", ")));
  }
  return kind;
}

EnergyTable load_energy_table(const std::string& name, const std::string& data_directory) {
  const nlohmann::json data = load_data(name, data_directory);
  const JsonReader root(data, "", data_file_name(name, data_directory));
  EnergyTable table;
  const JsonReader macs = root.at("mac");
  for (const auto& [type, type_text] : kTypes) {
    if (const auto reader = macs.find(type_text)) {
      table.mac[type] = read_unit(*reader);
    }
  }
  table.register_bit = read_unit(root.at("register_bit"));
  table.vector_lane = read_unit(root.at("vector_lane"));
  const JsonReader operations = root.at("vector_operations");
  for (const auto& [combine, combine_text] : kCombines) {
    table.vector_operations[combine] = operations.at(combine_text).number(kPositive);
  }
  for (const JsonReader& item : root.at("sram").at("macros").items()) {
    table.srams.push_back(read_sram(item));
    if (table.srams.size() > 1 && table.srams[table.srams.size() - 2].bytes >= table.srams.back().bytes) {
      item.at("bytes").refuse("more than the one before");
    }
  }
  if (table.srams.empty()) {
    root.at("sram").at("macros").refuse("at least one macro");
  }
  for (const auto& [kind, reader] : root.at("dram").at("pj_per_bit").members()) {
    table.dram_pj_per_bit[kind] = reader.number(kPositive);
  }
  return table;
}

}  // namespace cosearch::asic
