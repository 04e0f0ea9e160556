#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cosearch::cli {

/// Four significant digits; integers, and the integer part of large numbers, in full; no trailing zeros.
[[nodiscard]] std::string format_number(double value);

/// Text in aligned columns, two blanks apart: numbers to the right, everything else to the left.
class Table {
 public:
  /// Headers carry the units.
  explicit Table(std::vector<std::string> headers);
  /// One cell per header.
  void add_row(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  /// All lines, each with its line break and without blanks at its end.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace cosearch::cli
