#include "hwmodels/asic/maestro/mapping.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "spaces/base/config_error.hpp"

namespace cosearch::maestro {
namespace {

/// Coefficients stay far inside std::int8_t; nobody needs more than a few.
constexpr int kLargestCoefficient = 100;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Mapping parse() {
    Mapping mapping;
    mapping.levels.emplace_back();
    for (skip_space(); position_ < text_.size(); skip_space()) {
      const std::string keyword = word();
      if (keyword == "Cluster") {
        mapping.clusters.push_back(cluster());
        mapping.levels.emplace_back();
      } else if (keyword == "TemporalMap" || keyword == "SpatialMap") {
        mapping.levels.back().push_back(directive(keyword == "SpatialMap"));
      } else {
        fail("\"TemporalMap\", \"SpatialMap\" or \"Cluster\"", keyword);
      }
      expect(';');
    }
    if (mapping.levels.back().empty()) {
      fail("a directive below the last Cluster", "");
    }
    return mapping;
  }

 private:
  Directive directive(bool spatial) {
    Directive result;
    result.spatial = spatial;
    expect('(');
    result.size = size();
    expect(',');
    result.offset = size();
    expect(')');
    result.dimension = dimension();
    if (position_ < text_.size() && text_[position_] == '\'') {
      if (result.dimension != Dimension::y && result.dimension != Dimension::x) {
        fail("Y' or X'", std::string(1, letter_of(result.dimension)) + "'");
      }
      ++position_;
      result.of_output = true;
    }
    return result;
  }

  Size cluster() {
    expect('(');
    Size units = size();
    skip_space();
    if (position_ < text_.size() && text_[position_] == ',') {
      ++position_;
      if (const std::string kind = word(); kind != "P") {
        fail("\"P\"", kind);
      }
    }
    expect(')');
    return units;
  }

  Size size() {
    Size result;
    std::optional<int> sign = sign_of_term();
    do {
      add_term(sign.value_or(1), result);
      sign = sign_of_term();
    } while (sign);
    return result;
  }

  std::optional<int> sign_of_term() {
    skip_space();
    if (position_ < text_.size() && (text_[position_] == '+' || text_[position_] == '-')) {
      return text_[position_++] == '-' ? -1 : 1;
    }
    return std::nullopt;
  }

  void add_term(int sign, Size& result) {
    skip_space();
    if (position_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[position_])) != 0) {
      std::int64_t value = 0;
      const char* const begin = text_.data() + position_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
      const std::string read(begin, end);
      if (error != std::errc{} || __builtin_add_overflow(result.constant, sign * value, &result.constant)) {
        fail("a 64-bit integer", read);
      }
      position_ += read.size();
      return;
    }
    const bool wrapped = text_.substr(position_).starts_with("Sz");
    if (wrapped) {
      position_ += 2;
      expect('(');
    }
    std::int8_t& coefficient = result.coefficients[index_of(dimension())];
    if (std::abs(coefficient + sign) > kLargestCoefficient) {
      fail("a shorter sum", "");
    }
    coefficient = static_cast<std::int8_t>(coefficient + sign);
    if (wrapped) {
      expect(')');
    }
  }

  Dimension dimension() {
    const std::string read = word();
    const std::size_t index = read.size() == 1 ? kDimensionLetters.find(read[0]) : std::string_view::npos;
    if (index == std::string_view::npos) {
      fail("a dimension (N, G, K, C, R, S, Y, X, M) or an integer", read);
    }
    return static_cast<Dimension>(index);
  }

  void expect(char symbol) {
    skip_space();
    if (position_ >= text_.size() || text_[position_] != symbol) {
      fail(fmt::format("\"{}\"", symbol), word());
    }
    ++position_;
  }

  /// Letters, digits and `_`, or one other character.
  std::string word() {
    skip_space();
    const std::size_t begin = position_;
    const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    while (position_ < text_.size() && in_word(text_[position_])) {
      ++position_;
    }
    if (position_ == begin && position_ < text_.size()) {
      ++position_;
    }
    return std::string(text_.substr(begin, position_ - begin));
  }

  void skip_space() {
    while (position_ < text_.size()) {
      if (text_.substr(position_).starts_with("//")) {
        position_ = std::min(text_.find('\n', position_), text_.size());
      } else if (std::isspace(static_cast<unsigned char>(text_[position_])) != 0) {
        ++position_;
      } else {
        return;
      }
    }
  }

  [[noreturn]] void fail(const std::string& allowed, const std::string& read) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(position_), '\n');
    throw ConfigError(fmt::format("line {}", line),
                      fmt::format("expected {}, read {}", allowed,
                                  read.empty() ? std::string("the end of the text") : fmt::format("\"{}\"", read)));
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

std::string text_of(const Size& size) {
  std::string text;
  for (std::size_t i = 0; i < kDimensions; ++i) {
    for (int times = std::abs(size.coefficients[i]); times > 0; --times) {
      text += fmt::format("{}Sz({})", size.coefficients[i] < 0 ? "-" : (text.empty() ? "" : "+"), kDimensionLetters[i]);
    }
  }
  if (size.constant != 0 || text.empty()) {
    text += text.empty() ? fmt::format("{}", size.constant) : fmt::format("{:+}", size.constant);
  }
  return text;
}

}  // namespace

Mapping parse_mapping(std::string_view text) { return Parser(text).parse(); }

std::string to_text(const Mapping& mapping) {
  std::string text;
  for (std::size_t level = 0; level < mapping.levels.size(); ++level) {
    if (level > 0) {
      text += fmt::format("Cluster({}, P);\n", text_of(mapping.clusters[level - 1]));
    }
    for (const Directive& directive : mapping.levels[level]) {
      text += fmt::format("{}Map({}, {}) {}{};\n", directive.spatial ? "Spatial" : "Temporal", text_of(directive.size),
                          text_of(directive.offset), letter_of(directive.dimension), directive.of_output ? "'" : "");
    }
  }
  return text;
}

}  // namespace cosearch::maestro
