#include "experiments/export/c/c_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace cosearch::c_export {
namespace {

constexpr std::size_t kLineWidth = 110;

template <class T, class Print>
std::string lines_of(std::span<const T> values, Print print) {
  std::string text;
  std::size_t line_begin = 0;
  for (const T value : values) {
    if (text.empty() || text.size() - line_begin > kLineWidth) {
      text += text.empty() ? "  " : "\n  ";
      line_begin = text.size();
    }
    print(text, value);
    text += ',';
  }
  return text;
}

}  // namespace

std::string in_comment(std::string_view text) {
  std::string safe(text);
  std::replace(safe.begin(), safe.end(), '*', '_');
  return safe;
}

std::string identifier(std::string_view text) {
  std::string name(text.empty() ? "network" : text);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      c = '_';
    }
  }
  return name;
}

std::string list(std::span<const std::int8_t> values) {
  return lines_of(values, [](std::string& text, std::int8_t value) { text += fmt::format_int(value).c_str(); });
}

std::string list(std::span<const std::int32_t> values) {
  // C has no constant for the lowest int32: it reads -2147483648 as minus one number that is too large.
  return lines_of(values, [](std::string& text, std::int32_t value) {
    text += value == INT32_MIN ? "-2147483647 - 1" : fmt::format_int(value).c_str();
  });
}

std::string list(std::span<const float> values) {
  return lines_of(values, [](std::string& text, float value) { text += fmt::format("{:a}f", value); });
}

}  // namespace cosearch::c_export
