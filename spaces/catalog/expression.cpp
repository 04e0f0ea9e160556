#include "spaces/catalog/expression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::catalog {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

double number(const GeneValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return static_cast<double>(*integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return *real;
  }
  throw ConfigError("", "\"" + std::get<std::string>(value) + "\" is a string where a number is needed");
}

double finite(double value) {
  if (!std::isfinite(value)) {
    throw ConfigError("", "the result is not finite");
  }
  return value;
}

[[noreturn]] void overflow() { throw ConfigError("", "the result does not fit into 64 bits"); }

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0) {
    throw ConfigError("", "division by zero");
  }
  if (b == -1) {
    std::int64_t negated = 0;
    if (__builtin_sub_overflow(std::int64_t{0}, a, &negated)) {
      overflow();
    }
    return negated;
  }
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

GeneValue integer_arithmetic(char op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (op) {
    case '+':
      if (__builtin_add_overflow(a, b, &result)) {
        overflow();
      }
      return result;
    case '-':
      if (__builtin_sub_overflow(a, b, &result)) {
        overflow();
      }
      return result;
    case '*':
      if (__builtin_mul_overflow(a, b, &result)) {
        overflow();
      }
      return result;
    case '/':
      return floor_divide(a, b);
    default:  // the remainder has the divisor's sign
      return a - floor_divide(a, b) * b;
  }
}

GeneValue real_arithmetic(char op, double a, double b) {
  switch (op) {
    case '+':
      return finite(a + b);
    case '-':
      return finite(a - b);
    case '*':
      return finite(a * b);
    default:
      if (b == 0.0) {
        throw ConfigError("", "division by zero");
      }
      return finite(op == '/' ? a / b : a - std::floor(a / b) * b);
  }
}

bool holds(std::string_view op, const GeneValue& a, const GeneValue& b) {
  const bool text_a = std::holds_alternative<std::string>(a);
  const bool text_b = std::holds_alternative<std::string>(b);
  if (text_a && text_b && (op == "==" || op == "!=")) {
    return (std::get<std::string>(a) == std::get<std::string>(b)) == (op == "==");
  }
  const double x = number(a);
  const double y = number(b);
  if (op == "==") {
    return x == y;
  }
  if (op == "!=") {
    return x != y;
  }
  if (op == "<") {
    return x < y;
  }
  if (op == "<=") {
    return x <= y;
  }
  return op == ">" ? x > y : x >= y;
}

GeneValue binary(const std::string& op, const GeneValue& a, const GeneValue& b) {
  if (op[0] == '<' || op[0] == '>' || op[0] == '=' || op[0] == '!') {
    return std::int64_t{holds(op, a, b) ? 1 : 0};
  }
  const auto* x = std::get_if<std::int64_t>(&a);
  const auto* y = std::get_if<std::int64_t>(&b);
  if (x != nullptr && y != nullptr) {
    return integer_arithmetic(op[0], *x, *y);
  }
  return real_arithmetic(op[0], number(a), number(b));
}

GeneValue call(const std::string& function, const GeneValue* first, std::size_t count) {
  if (function == "min" || function == "max") {
    const GeneValue* best = first;
    for (std::size_t i = 0; i < count; ++i) {
      const double x = number(first[i]);
      if (function == "min" ? x < number(*best) : x > number(*best)) {
        best = first + i;
      }
    }
    return *best;
  }
  if (std::holds_alternative<std::int64_t>(*first)) {
    return *first;
  }
  const double x = number(*first);
  const double rounded = function == "floor" ? std::floor(x) : function == "ceil" ? std::ceil(x) : std::round(x);
  constexpr double kLargest = 9007199254740992.0;  // 2^53: exact in both types
  if (std::abs(rounded) > kLargest) {
    overflow();
  }
  return static_cast<std::int64_t>(rounded);
}

}  // namespace

/// Recursive descent over the grammar in the header.
class ExpressionParser {
 public:
  explicit ExpressionParser(const std::string& text) { expression_.text_ = text; }

  Expression parse() {
    comparison();
    skip_space();
    if (at_ != text().size()) {
      fail("unexpected " + rest());
    }
    return std::move(expression_);
  }

 private:
  using Code = Expression::Code;
  static constexpr int kDeepest = 64;  // parentheses and signs, so that no text exhausts the stack

  [[nodiscard]] const std::string& text() const { return expression_.text_; }
  [[nodiscard]] char peek() const { return at_ < text().size() ? text()[at_] : '\0'; }
  [[nodiscard]] std::string rest() const {
    return at_ < text().size() ? "\"" + text().substr(at_, 12) + "\"" : "end of the expression";
  }
  void skip_space() {
    while (peek() == ' ' || peek() == '\t') {
      ++at_;
    }
  }
  [[noreturn]] void fail(const std::string& message) const {
    throw ConfigError("", fmt::format("\"{}\" column {}: {}", text(), at_ + 1, message));
  }
  bool accept(std::string_view token) {
    skip_space();
    if (text().compare(at_, token.size(), token) != 0) {
      return false;
    }
    at_ += token.size();
    return true;
  }
  void emit(Code code, GeneValue value, std::string name, std::size_t count) {
    expression_.steps_.push_back({code, std::move(value), std::move(name), count});
  }

  void comparison() {
    sum();
    for (const std::string_view op : {"<=", ">=", "==", "!=", "<", ">"}) {
      if (accept(op)) {
        sum();
        emit(Code::binary, {}, std::string(op), 2);
        return;
      }
    }
  }
  void sum() {
    product();
    while (true) {
      const char op = accept("+") ? '+' : accept("-") ? '-' : '\0';
      if (op == '\0') {
        return;
      }
      product();
      emit(Code::binary, {}, std::string(1, op), 2);
    }
  }
  void product() {
    factor();
    while (true) {
      const char op = accept("*") ? '*' : accept("/") ? '/' : accept("%") ? '%' : '\0';
      if (op == '\0') {
        return;
      }
      factor();
      emit(Code::binary, {}, std::string(1, op), 2);
    }
  }

  void factor() {
    if (++depth_ > kDeepest) {
      fail("nested too deeply");
    }
    if (accept("-")) {
      factor();
      emit(Code::negate, {}, "-", 1);
    } else if (accept("(")) {
      comparison();
      close();
    } else {
      skip_space();
      operand();
    }
    --depth_;
  }
  void close() {
    if (!accept(")")) {
      fail("expected \")\", read " + rest());
    }
  }
  void operand() {
    const char c = peek();
    if (c == '$') {
      ++at_;
      const std::string variable = name();
      emit(Code::variable, {}, variable, 0);
    } else if (c == '\'') {
      const std::size_t end = text().find('\'', at_ + 1);
      if (end == std::string::npos) {
        fail("the string has no end");
      }
      emit(Code::constant, text().substr(at_ + 1, end - at_ - 1), "", 0);
      at_ = end + 1;
    } else if (is_digit(c) || c == '.') {
      literal();
    } else if (is_letter(c)) {
      function();
    } else {
      fail("expected a number, $name, function or \"(\", read " + rest());
    }
  }
  std::string name() {
    const std::size_t first = at_;
    if (!is_letter(peek())) {
      fail("expected a name, read " + rest());
    }
    while (is_letter(peek()) || is_digit(peek()) || peek() == '.') {
      ++at_;
    }
    return text().substr(first, at_ - first);
  }
  void literal() {
    const char* first = text().data() + at_;
    const char* last = text().data() + text().size();
    std::int64_t integer = 0;
    double real = 0.0;
    const auto as_integer = std::from_chars(first, last, integer);
    const auto as_real = std::from_chars(first, last, real);
    if (as_real.ec != std::errc{}) {
      fail("the number cannot be read: " + rest());
    }
    const bool whole = as_integer.ec == std::errc{} && as_integer.ptr == as_real.ptr;
    emit(Code::constant, whole ? GeneValue(integer) : GeneValue(real), "", 0);
    at_ += static_cast<std::size_t>(as_real.ptr - first);
  }
  void function() {
    const std::size_t start = at_;
    const std::string called = name();
    const std::vector<std::string> known{"ceil", "floor", "max", "min", "round"};
    if (std::find(known.begin(), known.end(), called) == known.end()) {
      at_ = start;
      fail("function " + unknown_name(called, known) + " (variables are written $" + called + ")");
    }
    if (!accept("(")) {
      fail("expected \"(\", read " + rest());
    }
    std::size_t count = 0;
    do {
      comparison();
      ++count;
    } while (accept(","));
    close();
    const bool folds = called == "min" || called == "max";
    if (folds ? count < 2 : count != 1) {
      fail(fmt::format("{} takes {}, read {}", called, folds ? "two or more arguments" : "one argument", count));
    }
    emit(Code::call, {}, called, count);
  }

  Expression expression_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

Expression Expression::parse(const std::string& text) { return ExpressionParser(text).parse(); }

GeneValue Expression::evaluate(const Variables& variables) const {
  std::vector<GeneValue> stack;
  try {
    for (const Step& step : steps_) {
      if (step.code == Code::constant) {
        stack.push_back(step.value);
      } else if (step.code == Code::variable) {
        stack.push_back(variables(step.name));
      } else if (step.code == Code::negate) {
        stack.back() = binary("-", std::int64_t{0}, stack.back());
      } else {
        GeneValue* first = stack.data() + (stack.size() - step.count);
        GeneValue result =
            step.code == Code::binary ? binary(step.name, first[0], first[1]) : call(step.name, first, step.count);
        stack.resize(stack.size() - step.count);
        stack.push_back(std::move(result));
      }
    }
  } catch (const ConfigError& error) {
    throw ConfigError("", "\"" + text_ + "\": " + error.message());
  }
  COSEARCH_CHECK(stack.size() == 1, "an expression has one result");
  return stack.front();
}

std::vector<std::string> Expression::variables() const {
  std::vector<std::string> names;
  for (const Step& step : steps_) {
    if (step.code == Code::variable) {
      names.push_back(step.name);
    }
  }
  return names;
}

}  // namespace cosearch::catalog
