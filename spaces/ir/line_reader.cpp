#include "spaces/ir/line_reader.hpp"

#include <charconv>
#include <cmath>

namespace cosearch::ir {

void LineReader::expected(const std::string& allowed) {
  fail(fmt::format("read {}, allowed: {}", next_text(), allowed));
}

bool LineReader::at_end() {
  skip_blanks();
  return position_ >= line_.size();
}

bool LineReader::take(std::string_view sign) {
  skip_blanks();
  if (line_.substr(position_, sign.size()) != sign) {
    return false;
  }
  position_ += sign.size();
  return true;
}

void LineReader::require(std::string_view sign) {
  if (!take(sign)) {
    expected(fmt::format("\"{}\"", sign));
  }
}

std::string LineReader::name(const std::string& what) {
  if (!at_name()) {
    expected(what);
  }
  return peek() == '"' ? quoted_name() : std::string(plain_name());
}

std::string LineReader::size_name(const std::string& what) {
  if (!starts_name(peek())) {
    expected(what);
  }
  const std::size_t begin = position_;
  while (position_ < line_.size() && continues_name(line_[position_]) && line_[position_] != '.' &&
         line_[position_] != '/') {
    ++position_;
  }
  return std::string(line_.substr(begin, position_ - begin));
}

bool LineReader::take_keyword(std::string_view keyword) {
  skip_blanks();
  const std::size_t before = position_;
  if (starts_name(peek()) && plain_name() == keyword) {
    return true;
  }
  position_ = before;
  return false;
}

bool LineReader::at_digit() {
  const char c = peek();
  return c >= '0' && c <= '9';
}

std::int64_t LineReader::integer(const std::string& what) {
  skip_blanks();
  std::int64_t value = 0;
  const char* const begin = line_.data() + position_;
  const auto [end, error] = std::from_chars(begin, line_.data() + line_.size(), value);
  if (error == std::errc::result_out_of_range) {
    expected(what + " that fits in 64 bits");
  }
  if (error != std::errc{}) {
    expected(what);
  }
  position_ += static_cast<std::size_t>(end - begin);
  return value;
}

double LineReader::number(const std::string& what) {
  skip_blanks();
  double value = 0.0;
  const char* const begin = line_.data() + position_;
  const auto [end, error] = std::from_chars(begin, line_.data() + line_.size(), value);
  if (error != std::errc{} || std::isnan(value)) {
    expected(what);
  }
  position_ += static_cast<std::size_t>(end - begin);
  return value;
}

void LineReader::require_end() {
  if (!at_end()) {
    expected("the end of the line");
  }
}

void LineReader::skip_blanks() {
  while (position_ < line_.size() && (line_[position_] == ' ' || line_[position_] == '\t')) {
    ++position_;
  }
  if (position_ < line_.size() && (line_[position_] == '#' || line_[position_] == '\r')) {
    position_ = line_.size();
  }
}

std::string_view LineReader::plain_name() {
  const std::size_t begin = position_;
  while (position_ < line_.size() && continues_name(line_[position_])) {
    ++position_;
  }
  return line_.substr(begin, position_ - begin);
}

std::string LineReader::quoted_name() {
  std::string name;
  for (std::size_t i = position_ + 1; i < line_.size(); ++i) {
    if (line_[i] == '"') {
      position_ = i + 1;
      return name;
    }
    if (line_[i] != '\\') {
      name += line_[i];
      continue;
    }
    ++i;
    const std::string_view escape = line_.substr(i, 3);
    unsigned code = 0;
    if (!escape.empty() && (escape[0] == '"' || escape[0] == '\\')) {
      name += escape[0];
    } else if (escape.size() == 3 && escape[0] == 'x' &&
               std::from_chars(escape.data() + 1, escape.data() + 3, code, 16).ptr == escape.data() + 3) {
      name += static_cast<char>(code);
      i += 2;
    } else {
      fail("in quotes: allowed after \\ are \", \\ and x with two hexadecimal digits");
    }
  }
  fail("a quoted name has no closing \"");
}

std::string LineReader::next_text() {
  if (at_end()) {
    return "the end of the line";
  }
  constexpr std::size_t kShown = 24;
  const std::string_view rest = line_.substr(position_);
  return fmt::format("\"{}{}\"", rest.substr(0, kShown), rest.size() > kShown ? "..." : "");
}

}  // namespace cosearch::ir
