#include "hwmodels/asic/arch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "hwmodels/data_files.hpp"
#include "spaces/base/check.hpp"
#include "spaces/ir/text_words.hpp"

namespace cosearch::asic {
namespace {

constexpr std::int64_t kMostInstances = std::int64_t{1} << 15;  // along one direction: products fit 32 bits
constexpr ir::Words<Role, kRoles> kRoleWords{
    {{"input", Role::input}, {"weight", Role::weight}, {"output", Role::output}}};

Grid read_grid(const JsonReader& reader) {
  const std::vector<JsonReader> items = reader.items("[x, y]");
  if (items.size() != 2) {
    reader.refuse("[x, y]");
  }
  return {items[0].integer(1, kMostInstances), items[1].integer(1, kMostInstances)};
}

std::optional<std::int64_t> read_capacity(const JsonReader& reader, std::int64_t word_bits) {
  if (reader.has("capacity_words") && reader.has("capacity_bytes")) {
    reader.at("capacity_bytes").refuse("either capacity_words or capacity_bytes");
  }
  if (const auto words = reader.find("capacity_words")) {
    return words->integer(0);
  }
  if (const auto bytes = reader.find("capacity_bytes")) {
    // The largest integer is 2^53, so that bits fit.
    const std::int64_t words = bytes->integer(1) * 8 / word_bits;
    if (words == 0) {
      bytes->refuse(fmt::format("room for a word of {} bits", word_bits));
    }
    return words;
  }
  return std::nullopt;
}

std::optional<double> read_bandwidth(const JsonReader& reader, const std::string& key) {
  const auto bandwidth = reader.find(key);
  return bandwidth ? std::optional(bandwidth->number(kPositive)) : std::nullopt;
}

MemoryLevel read_level(const JsonReader& reader) {
  reader.only({"name", "capacity_words", "capacity_bytes", "word_bits", "block_words", "read_bandwidth",
               "write_bandwidth", "ports", "double_buffered", "instances", "keeps", "multicast", "spatial_reduction",
               "hop_pj", "dram", "loops", "source"});
  MemoryLevel level;
  level.name = reader.at("name").text();
  if (level.name.empty() || !std::all_of(level.name.begin(), level.name.end(), ir::continues_name)) {
    reader.at("name").refuse("letters, digits and _ . /");
  }
  level.word_bits = reader.at("word_bits").integer(1, 4096);
  level.capacity_words = read_capacity(reader, level.word_bits);
  level.block_words = reader.integer("block_words", 1, 1, 4096);
  level.read_bandwidth = read_bandwidth(reader, "read_bandwidth");
  level.write_bandwidth = read_bandwidth(reader, "write_bandwidth");
  level.ports = static_cast<int>(reader.integer("ports", 2, 1, 2));
  level.double_buffered = reader.boolean("double_buffered", false);
  level.instances = read_grid(reader.at("instances"));
  for (const JsonReader& role : reader.at("keeps").items("a list of input, weight, output")) {
    level.keeps.at(static_cast<std::size_t>(read_role(role))) = true;
  }
  level.multicast = reader.boolean("multicast", true);
  level.spatial_reduction = reader.boolean("spatial_reduction", true);
  level.hop_pj = reader.number("hop_pj", 0.0, kNonNegative);
  level.dram = reader.text("dram", "");
  if (const auto loops = reader.find("loops")) {
    loops->only({"temporal", "ordered", "x", "y", "source"});
    level.loops = {read_parts(*loops, "temporal"), loops->boolean("ordered", false), read_parts(*loops, "x"),
                   read_parts(*loops, "y")};
  }
  return level;
}

void require_division(const Grid& inner, const Grid& outer, const JsonReader& reader) {
  if (inner.x % outer.x != 0 || inner.y % outer.y != 0) {
    reader.refuse(fmt::format("a grid that divides the [{}, {}] instances inside of it", inner.x, inner.y));
  }
}

void check_outermost(const MemoryLevel& level, const JsonReader& reader) {
  if (level.capacity_words) {
    reader.at(reader.has("capacity_words") ? "capacity_words" : "capacity_bytes")
        .fail("the outermost level holds whole tensors; it has no capacity");
  }
  for (std::size_t role = 0; role < kRoles; ++role) {
    if (!level.keeps.at(role)) {
      reader.at("keeps").fail(fmt::format("the outermost level keeps every tensor; {} is missing",
                                          ir::word_of(kRoleWords, static_cast<Role>(role))));
    }
  }
}

}  // namespace

std::int64_t MemoryLevel::usable_words() const noexcept {
  const std::int64_t words = capacity_words.value_or(std::numeric_limits<std::int64_t>::max());
  return double_buffered && capacity_words ? words / 2 : words;
}

int Arch::resident_level() const noexcept {
  for (std::size_t level = levels.size(); level-- > 0;) {
    const MemoryLevel& memory = levels[level];
    if (memory.capacity_words) {
      const bool keeps =
          memory.keeps[static_cast<std::size_t>(Role::input)] && memory.keeps[static_cast<std::size_t>(Role::output)];
      return memory.instances.size() == 1 && keeps ? static_cast<int>(level) : -1;
    }
  }
  return -1;
}

std::optional<std::string> read_parts(const JsonReader& reader, const std::string& key) {
  const auto found = reader.find(key);
  if (!found) {
    return std::nullopt;
  }
  const std::string letters = found->text();
  for (std::size_t i = 0; i < letters.size(); ++i) {
    if (std::string_view("NPQKCRSG").find(letters[i]) == std::string_view::npos || letters.find(letters[i]) < i) {
      found->refuse("letters of N P Q K C R S G, each at most once");
    }
  }
  return letters;
}

Role read_role(const JsonReader& reader) {
  return *ir::value_of(kRoleWords, reader.name_of(ir::all_words(kRoleWords)));
}

Grid Arch::fan_out(int level) const {
  COSEARCH_CHECK(level >= 0 && level < static_cast<int>(levels.size()), "a level of the architecture");
  const Grid& outer = levels[static_cast<std::size_t>(level)].instances;
  const Grid& inner = level == 0 ? macs : levels[static_cast<std::size_t>(level) - 1].instances;
  return {inner.x / outer.x, inner.y / outer.y};
}

Arch read_arch(const JsonReader& reader) {
  reader.only({"name", "node_nm", "frequency_mhz", "mac", "vector_lanes", "levels", "source"});
  Arch arch;
  arch.name = reader.at("name").text();
  arch.node_nm = reader.at("node_nm").number({.lower = 1.0, .upper = 1000.0});
  arch.frequency_hz = 1e6 * reader.at("frequency_mhz").number(kPositive);
  const JsonReader mac = reader.at("mac");
  mac.only({"type", "instances", "fill_cycles", "source"});
  arch.mac_type = *ir::value_of(ir::kElementTypes, mac.at("type").name_of(ir::all_words(ir::kElementTypes)));
  arch.macs = read_grid(mac.at("instances"));
  arch.fill_cycles = mac.integer("fill_cycles", 0, 0, kMostInstances);
  arch.vector_lanes = reader.integer("vector_lanes", arch.macs.x, 1, kMostInstances);
  const std::vector<JsonReader> levels = reader.at("levels").items("a list of memory levels, the innermost one first");
  if (levels.empty() || levels.size() > kMaxLevels) {
    reader.at("levels").fail(fmt::format("expected 1 to {} levels, read {}", kMaxLevels, levels.size()));
  }
  for (const JsonReader& item : levels) {
    const Grid inner = arch.levels.empty() ? arch.macs : arch.levels.back().instances;
    arch.levels.push_back(read_level(item));
    require_division(inner, arch.levels.back().instances, item.at("instances"));
    for (std::size_t other = 0; other + 1 < arch.levels.size(); ++other) {
      if (arch.levels[other].name == arch.levels.back().name) {
        item.at("name").refuse("a name that no other level has");
      }
    }
  }
  check_outermost(arch.levels.back(), levels.back());
  return arch;
}

Arch load_arch(const std::string& name, const std::string& data_directory) {
  const std::string file = "arch_" + name;
  const nlohmann::json data = load_data(file, data_directory);
  return read_arch(JsonReader(data, "", data_file_name(file, data_directory)));
}

}  // namespace cosearch::asic
