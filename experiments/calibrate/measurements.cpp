#include "experiments/calibrate/measurements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string_view>

#include "experiments/config/json_file.hpp"
#include "experiments/export/design.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::calibrate {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string trimmed(const std::string& text) {
  constexpr const char* kBlanks = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlanks);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::size_t begin = 0;
  for (std::size_t comma = line.find(','); comma != std::string::npos; comma = line.find(',', begin)) {
    cells.push_back(trimmed(line.substr(begin, comma - begin)));
    begin = comma + 1;
  }
  cells.push_back(trimmed(line.substr(begin)));
  return cells;
}

/// One line with cells, and how errors call it.
class Line {
 public:
  Line(const std::string& file, int number, const std::string& text)
      : file_(file), number_(number), cells_(cells_of(text)) {}

  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] const std::vector<std::string>& cells() const noexcept { return cells_; }
  [[noreturn]] void fail(const std::string& message) const {
    throw ConfigError(fmt::format("line {}", number_), message, file_);
  }
  [[nodiscard]] double positive(std::size_t column, const std::string& name) const {
    const std::string& cell = cells_[column];
    double value = 0.0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(value) || value <= 0.0) {
      fail(fmt::format("{}: expected a positive number, read \"{}\"", name, cell));
    }
    return value;
  }

 private:
  const std::string& file_;
  int number_;
  std::vector<std::string> cells_;
};

struct Columns {
  std::size_t count = 0;
  std::size_t network = 0;
  std::size_t measured_ms = 0;
  std::optional<std::size_t> clock_mhz;
};

Columns read_header(const Line& line) {
  const std::vector<std::string> known{"network", "measured_ms", "clock_mhz"};
  const std::vector<std::string>& cells = line.cells();
  for (auto cell = cells.begin(); cell != cells.end(); ++cell) {
    if (std::find(known.begin(), known.end(), *cell) == known.end()) {
      line.fail("column " + unknown_name(*cell, known));
    }
    if (std::find(cells.begin(), cell, *cell) != cell) {
      line.fail(fmt::format("the column \"{}\" is there twice; allowed: once", *cell));
    }
  }
  const auto find = [&](const std::string& name) -> std::optional<std::size_t> {
    const auto found = std::find(cells.begin(), cells.end(), name);
    return found == cells.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - cells.begin()));
  };
  const std::optional<std::size_t> network = find(known[0]);
  const std::optional<std::size_t> measured_ms = find(known[1]);
  if (!network || !measured_ms) {
    line.fail(fmt::format("the column \"{}\" is missing", network ? known[1] : known[0]));
  }
  return {cells.size(), *network, *measured_ms, find(known[2])};
}

graph::NetworkGraph read_network(const Line& line, const std::string& file, const std::string& name) {
  DesignFile design;
  try {
    design = load_design(name, std::nullopt, std::filesystem::path(file).parent_path().string());
  } catch (const ConfigError& error) {
    line.fail(error.file().empty() ? "network " + error.message() : error.what());
  }
  if (design.networks.size() != 1) {
    line.fail(fmt::format("{} holds {} networks; expected one", name, design.networks.size()));
  }
  return std::move(design.networks.front());
}

void add_row(const Line& line, const Columns& columns, Measurements& measurements) {
  if (line.cells().size() != columns.count) {
    line.fail(fmt::format("{} cells; expected {}, as in the header", line.cells().size(), columns.count));
  }
  Measurement row{line.number(), line.cells()[columns.network], {}, line.positive(columns.measured_ms, "measured_ms")};
  for (const Measurement& other : measurements.rows) {
    if (other.network == row.network) {
      line.fail(
          fmt::format("\"{}\" stands in line {} already; expected one row for each network, or what is left out "
                      "would be known from the other",
                      row.network, other.line));
    }
  }
  if (columns.clock_mhz) {
    const double clock = line.positive(*columns.clock_mhz, "clock_mhz");
    if (measurements.clock_mhz.value_or(clock) != clock) {
      line.fail(fmt::format("clock_mhz: read {}, above {}; expected one clock, since wait states depend on it", clock,
                            *measurements.clock_mhz));
    }
    measurements.clock_mhz = clock;
  }
  row.graph = read_network(line, measurements.file, row.network);
  measurements.rows.push_back(std::move(row));
}

}  // namespace

Measurements read_measurements(const std::string& path) {
  std::string all = read_text_file(path);
  if (all.starts_with(kByteOrderMark)) {
    all.erase(0, kByteOrderMark.size());
  }
  Measurements measurements{path, {}, std::nullopt};
  std::optional<Columns> columns;
  std::istringstream stream(all);
  int number = 0;
  for (std::string text; std::getline(stream, text);) {
    ++number;
    if (trimmed(text).empty() || trimmed(text).front() == '#') {
      continue;
    }
    const Line line(path, number, text);
    if (columns) {
      add_row(line, *columns, measurements);
    } else {
      columns = read_header(line);
    }
  }
  if (!columns) {
    throw ConfigError(fmt::format("line {}", std::max(number, 1)), "no header; expected network,measured_ms", path);
  }
  return measurements;
}

}  // namespace cosearch::calibrate
