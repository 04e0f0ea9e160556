#include "experiments/cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "spaces/base/check.hpp"

namespace cosearch::cli {
namespace {

/// Code points, which is what a terminal shows of the texts that we print.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool is_number(std::string_view text) {
  return text == "-" || (!text.empty() && text.find_first_not_of("0123456789.,+-e%") == std::string_view::npos &&
                         text.find_first_of("0123456789") != std::string_view::npos);
}

void append(std::string& line, std::string_view cell, std::size_t column_width, bool right) {
  const std::string blanks(column_width - width(cell), ' ');
  line += right ? blanks : "";
  line += cell;
  line += right ? "" : blanks;
}

}  // namespace

std::string format_number(double value) {
  constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
  if (!std::isfinite(value)) {
    return fmt::format("{}", value);
  }
  const double size = std::abs(value);
  if ((value == std::floor(value) || size >= 1000.0) && size < kExactIntegers) {
    return fmt::format("{:.0f}", value);
  }
  return fmt::format("{:.4g}", value);
}

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

void Table::add_row(std::vector<std::string> cells) {
  COSEARCH_CHECK(cells.size() == headers_.size(), "a row has a cell for every column");
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths(headers_.size());
  std::vector<bool> right(headers_.size());
  for (std::size_t column = 0; column < headers_.size(); ++column) {
    widths[column] = width(headers_[column]);
    right[column] = !rows_.empty();
    for (const std::vector<std::string>& row : rows_) {
      widths[column] = std::max(widths[column], width(row[column]));
      right[column] = right[column] && is_number(row[column]);
    }
  }
  std::string text;
  const auto append_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t column = 0; column < cells.size(); ++column) {
      line += column == 0 ? "" : "  ";
      append(line, cells[column], widths[column], right[column]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  append_line(headers_);
  for (const std::vector<std::string>& row : rows_) {
    append_line(row);
  }
  return text;
}

}  // namespace cosearch::cli
