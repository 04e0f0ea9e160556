// Filters from texts.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "experiments/store/query.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch {
namespace {

// Keeps the recursion of the parser and the depth of SQLite's expression tree (limit 1000) small.
constexpr int kMaxDepth = 64;
constexpr int kMaxComparisons = 256;

struct FixedField {
  std::string_view name;
  FieldKind kind;
};
constexpr std::array kFixedFields{
    FixedField{"batch", FieldKind::batch},         FixedField{"id", FieldKind::id},
    FixedField{"state", FieldKind::state},         FixedField{"violated", FieldKind::violated},
    FixedField{"violation", FieldKind::violation},
};
constexpr std::array<std::string_view, 5> kStates{"complete", "failed", "infeasible", "pending", "screened"};

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c) || c == '.'; }

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

std::string unknown_field(std::string_view read, const std::vector<std::string>& gene_names) {
  std::vector<std::string> known;
  for (const FixedField& field : kFixedFields) {
    known.emplace_back(field.name);
  }
  for (const MetricInfo& metric : metric_registry()) {
    known.emplace_back(metric.name);
  }
  known.insert(known.end(), gene_names.begin(), gene_names.end());
  return unknown_name(read, known);
}

std::optional<Field> find_gene(std::string_view name, const std::vector<std::string>& gene_names) {
  // A quote or backslash would end the JSON path that `to_sql` binds; no parameter set has such names.
  const bool plain = name.find_first_of("\"\\") == std::string_view::npos;
  if (plain && std::find(gene_names.begin(), gene_names.end(), name) != gene_names.end()) {
    return Field{FieldKind::gene, std::string(name)};
  }
  return std::nullopt;
}

std::optional<Field> find_field(std::string_view name, const std::vector<std::string>& gene_names) {
  for (const FixedField& field : kFixedFields) {
    if (field.name == name) {
      return Field{field.kind, std::string(name)};
    }
  }
  if (find_metric(name)) {
    return Field{FieldKind::metric, std::string(name)};
  }
  return find_gene(name, gene_names);
}

bool is_text_field(FieldKind kind) { return kind == FieldKind::state || kind == FieldKind::violated; }

enum class TokenKind { end, name, number, text, comparator, open, close };

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t column = 1;
  std::string text;  ///< as read; of a text without its quotes
  double number = 0.0;
};

class WhereParser {
 public:
  WhereParser(std::string_view text, const std::vector<std::string>& gene_names)
      : text_(text), gene_names_(gene_names) {
    advance();
  }

  FilterExpression parse() {
    FilterExpression expression = disjunction();
    if (token_.kind != TokenKind::end) {
      fail("\"and\", \"or\" or the end");
    }
    return expression;
  }

 private:
  [[noreturn]] void fail_at(std::size_t column, const std::string& message) const {
    throw ConfigError("--where", fmt::format("column {}: {}", column, message));
  }
  [[noreturn]] void fail(const std::string& allowed) const {
    const std::string read = token_.kind == TokenKind::end ? "the end" : "\"" + token_.text + "\"";
    fail_at(token_.column, fmt::format("read {}; allowed here: {}", read, allowed));
  }

  void advance() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t')) {
      ++position_;
    }
    token_ = Token{TokenKind::end, position_ + 1, {}, 0.0};
    if (position_ == text_.size()) {
      return;
    }
    const char c = text_[position_];
    if (is_name_start(c)) {
      read_name();
    } else if (is_digit(c) || c == '.' || c == '-' || c == '+') {
      read_number();
    } else if (c == '"' || c == '\'') {
      read_text(c);
    } else if (c == '(' || c == ')') {
      token_.kind = c == '(' ? TokenKind::open : TokenKind::close;
      token_.text = c;
      ++position_;
    } else {
      read_comparator();
    }
  }

  void read_name() {
    const std::size_t start = position_;
    while (position_ < text_.size() && is_name_part(text_[position_])) {
      ++position_;
    }
    token_.kind = TokenKind::name;
    token_.text = text_.substr(start, position_ - start);
  }

  void read_number() {
    const std::size_t start = position_;
    std::size_t first = start;
    if (text_[first] == '+') {
      ++first;  // from_chars takes no plus sign
    }
    const auto [end, error] = std::from_chars(text_.data() + first, text_.data() + text_.size(), token_.number);
    const auto stop = static_cast<std::size_t>(end - text_.data());
    if (error != std::errc{} || !std::isfinite(token_.number) || (stop < text_.size() && is_name_part(text_[stop]))) {
      fail_at(start + 1, fmt::format("read \"{}\"; allowed here: a number such as 10, 0.9 or 1e-3",
                                     text_.substr(start, text_.find_first_of(" \t()", start) - start)));
    }
    token_.kind = TokenKind::number;
    token_.text = text_.substr(start, stop - start);
    position_ = stop;
  }

  void read_text(char quote) {
    const std::size_t close = text_.find(quote, position_ + 1);
    if (close == std::string_view::npos) {
      fail_at(position_ + 1, fmt::format("the text that begins here has no closing {}", quote));
    }
    token_.kind = TokenKind::text;
    token_.text = text_.substr(position_ + 1, close - position_ - 1);
    position_ = close + 1;
  }

  void read_comparator() {
    constexpr std::array<std::string_view, 7> kComparators{"==", "!=", "<=", ">=", "=", "<", ">"};
    for (const std::string_view comparator : kComparators) {
      if (text_.substr(position_, comparator.size()) == comparator) {
        token_.kind = TokenKind::comparator;
        token_.text = comparator;
        position_ += comparator.size();
        return;
      }
    }
    fail_at(position_ + 1,
            fmt::format("read \"{}\"; allowed: field names, numbers, quoted texts, parentheses, and, or, "
                        "not, = == != < <= > >=",
                        text_[position_]));
  }

  [[nodiscard]] bool at_word(std::string_view word) const {
    return token_.kind == TokenKind::name && lower_case(token_.text) == word;
  }

  FilterExpression joined(FilterExpression::Kind kind, std::string_view word,
                          FilterExpression (WhereParser::*operand)()) {
    FilterExpression first = (this->*operand)();
    if (!at_word(word)) {
      return first;
    }
    FilterExpression expression;
    expression.kind = kind;
    expression.operands.push_back(std::move(first));
    while (at_word(word)) {
      advance();
      expression.operands.push_back((this->*operand)());
    }
    return expression;
  }

  FilterExpression disjunction() {
    return joined(FilterExpression::Kind::disjunction, "or", &WhereParser::conjunction);
  }
  FilterExpression conjunction() { return joined(FilterExpression::Kind::conjunction, "and", &WhereParser::factor); }

  FilterExpression factor() {
    if (++depth_ > kMaxDepth) {
      fail_at(token_.column, fmt::format("nested deeper than {} levels", kMaxDepth));
    }
    FilterExpression expression;
    if (at_word("not")) {
      advance();
      expression.kind = FilterExpression::Kind::negation;
      expression.operands.push_back(factor());
    } else if (token_.kind == TokenKind::open) {
      advance();
      expression = disjunction();
      if (token_.kind != TokenKind::close) {
        fail("\"and\", \"or\" or \")\"");
      }
      advance();
    } else {
      expression = comparison();
    }
    --depth_;
    return expression;
  }

  Field field() {
    if (token_.kind != TokenKind::name || at_word("and") || at_word("or")) {
      fail("a field name, \"not\" or \"(\"");
    }
    const Token name = token_;
    advance();
    if (name.text == "gene" && token_.kind == TokenKind::open) {
      return quoted_gene();
    }
    const std::optional<Field> found = find_field(name.text, gene_names_);
    if (!found) {
      fail_at(name.column, unknown_field(name.text, gene_names_));
    }
    return *found;
  }

  Field quoted_gene() {
    advance();
    if (token_.kind != TokenKind::text) {
      fail("a gene name in quotes");
    }
    const std::optional<Field> found = find_gene(token_.text, gene_names_);
    if (!found) {
      fail_at(token_.column, unknown_name(token_.text, gene_names_));
    }
    advance();
    if (token_.kind != TokenKind::close) {
      fail("\")\"");
    }
    advance();
    return *found;
  }

  FilterExpression comparison() {
    if (++comparisons_ > kMaxComparisons) {
      fail_at(token_.column, fmt::format("more than {} comparisons", kMaxComparisons));
    }
    FilterExpression expression;
    FieldComparison& result = expression.comparison;
    result.field = field();
    if (token_.kind != TokenKind::comparator) {
      fail("= == != < <= > >=");
    }
    result.comparator = comparator(token_.text);
    advance();
    if (is_text_field(result.field.kind) ? token_.kind != TokenKind::text : !literal_allowed(result.field.kind)) {
      fail(allowed_literal(result.field.kind));
    }
    if (token_.kind == TokenKind::number) {
      result.value = token_.number;
    } else {
      text_value(result);
    }
    advance();
    return expression;
  }

  [[nodiscard]] bool literal_allowed(FieldKind kind) const {
    return token_.kind == TokenKind::number || (token_.kind == TokenKind::text && kind == FieldKind::gene);
  }

  static std::string allowed_literal(FieldKind kind) {
    if (is_text_field(kind)) {
      return "a text in quotes";
    }
    return kind == FieldKind::gene ? "a number or a text in quotes" : "a number";
  }

  void text_value(FieldComparison& result) {
    if (result.comparator != Comparator::equal && result.comparator != Comparator::not_equal) {
      fail_at(token_.column, fmt::format("the text \"{}\" can be compared with = and != only", token_.text));
    }
    if (result.field.kind == FieldKind::state &&
        std::find(kStates.begin(), kStates.end(), token_.text) == kStates.end()) {
      fail_at(token_.column, unknown_name(token_.text, {kStates.begin(), kStates.end()}));
    }
    result.value = token_.text;
  }

  static Comparator comparator(std::string_view text) {
    if (text == "<") {
      return Comparator::less;
    }
    if (text == "<=") {
      return Comparator::less_equal;
    }
    if (text == ">") {
      return Comparator::greater;
    }
    if (text == ">=") {
      return Comparator::greater_equal;
    }
    return text == "!=" ? Comparator::not_equal : Comparator::equal;
  }

  std::string_view text_;
  const std::vector<std::string>& gene_names_;
  std::size_t position_ = 0;
  Token token_;
  int depth_ = 0;
  int comparisons_ = 0;
};

/// One entry of a comma-separated list.
struct ListEntry {
  std::size_t column;
  std::string_view text;
};

std::vector<ListEntry> split_list(std::string_view text, const std::string& place) {
  std::vector<ListEntry> entries;
  std::size_t start = 0;
  while (true) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    std::size_t first = start;
    std::size_t last = comma;
    while (first < last && text[first] == ' ') {
      ++first;
    }
    while (last > first && text[last - 1] == ' ') {
      --last;
    }
    if (first == last) {
      throw ConfigError(place,
                        fmt::format("column {}: read nothing; allowed: field names with commas between", first + 1));
    }
    entries.push_back({first + 1, text.substr(first, last - first)});
    if (comma == text.size()) {
      return entries;
    }
    start = comma + 1;
  }
}

Field listed_field(const ListEntry& entry, const std::vector<std::string>& gene_names, const std::string& place) {
  const std::optional<Field> field = find_field(entry.text, gene_names);
  if (!field) {
    throw ConfigError(place, fmt::format("column {}: {}", entry.column, unknown_field(entry.text, gene_names)));
  }
  return *field;
}

}  // namespace

FilterExpression parse_where(std::string_view text, const std::vector<std::string>& gene_names) {
  return WhereParser(text, gene_names).parse();
}

std::vector<SortKey> parse_sort(std::string_view text, const std::vector<std::string>& gene_names) {
  std::vector<SortKey> keys;
  for (ListEntry entry : split_list(text, "--sort")) {
    const bool descending = entry.text.front() == '-';
    if (descending) {
      entry = {entry.column + 1, entry.text.substr(1)};
    }
    keys.push_back({listed_field(entry, gene_names, "--sort"), descending});
  }
  return keys;
}

std::vector<Field> parse_fields(std::string_view text, const std::vector<std::string>& gene_names,
                                const std::string& place) {
  std::vector<Field> fields;
  for (const ListEntry& entry : split_list(text, place)) {
    fields.push_back(listed_field(entry, gene_names, place));
  }
  return fields;
}

}  // namespace cosearch
