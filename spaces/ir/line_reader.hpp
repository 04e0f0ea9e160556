#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "spaces/base/config_error.hpp"
#include "spaces/ir/text_words.hpp"

/// Inside of spaces/ir: one line of the text form.
namespace cosearch::ir {

/// Reads one line from left to right. Every reading function skips blanks before it and throws a ConfigError that names
/// the line, what was read and what is allowed; `what` says what is wanted.
class LineReader {
 public:
  LineReader(std::string_view line, std::size_t number) : line_(line), number_(number) {}

  [[noreturn]] void fail(const std::string& message) const { throw ConfigError{place(number_), message}; }
  /// `read "x", allowed: ...` about what comes next.
  [[noreturn]] void expected(const std::string& allowed);
  static std::string place(std::size_t number) { return fmt::format("line {}", number); }

  [[nodiscard]] bool at_end();
  /// The next character, or 0 at the end of the line.
  [[nodiscard]] char peek() { return at_end() ? '\0' : line_[position_]; }
  [[nodiscard]] bool at_digit();
  [[nodiscard]] bool at_name() { return peek() == '"' || starts_name(peek()); }

  [[nodiscard]] bool take(std::string_view sign);
  void require(std::string_view sign);
  void require_end();
  /// Takes the plain word `keyword` if it is next.
  [[nodiscard]] bool take_keyword(std::string_view keyword);

  /// A plain or quoted name.
  std::string name(const std::string& what);
  /// The name of a size: a letter or `_`, then letters, digits and `_`; a `/` behind it divides.
  std::string size_name(const std::string& what);
  /// A plain word that a table knows.
  template <class Value, std::size_t N>
  Value word(const Words<Value, N>& words, const std::string& what) {
    if (!starts_name(peek())) {
      expected(fmt::format("{}: {}", what, fmt::join(all_words(words), ", ")));
    }
    const std::string_view read = plain_name();
    const auto value = value_of(words, read);
    if (!value) {
      fail(fmt::format("{}: {}", what, unknown_name(read, all_words(words))));
    }
    return *value;
  }
  std::int64_t integer(const std::string& what);
  double number(const std::string& what);

  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  void go_back(std::size_t position) noexcept { position_ = position; }

 private:
  void skip_blanks();
  std::string_view plain_name();
  std::string quoted_name();
  std::string next_text();

  std::string_view line_;
  std::size_t number_;
  std::size_t position_ = 0;
};

}  // namespace cosearch::ir
