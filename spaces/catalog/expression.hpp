#pragma once

#include <functional>
#include <string>
#include <vector>

#include "spaces/space/genome.hpp"

namespace cosearch::catalog {

/// Arithmetic in the templates of the `custom` space.
///
///   comparison := sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]            1 or 0
///   sum        := product {("+" | "-") product}
///   product    := factor {("*" | "/" | "%") factor}
///   factor     := "-" factor | number | 'string' | "$"name | function "(" comparison {"," comparison} ")" |
///                 "(" comparison ")"
///   function   := min | max (two or more arguments) | floor | ceil | round (one)
///
/// Integers stay integers; `/` and `%` of two integers round down (7 / 2 == 3, -7 / 2 == -4), with a real operand
/// arithmetic is real. Strings can only be compared with == and !=. A program of a stack machine: nothing outside the
/// given variables can be reached, and evaluation ends after as many steps as the text has parts.
class Expression {
 public:
  using Variables = std::function<GeneValue(const std::string& name)>;

  /// @throws ConfigError (no place) that quotes the text and the column.
  static Expression parse(const std::string& text);
  /// @throws ConfigError (no place): division by zero, overflow, a string where a number is needed; and what
  /// `variables` throws.
  [[nodiscard]] GeneValue evaluate(const Variables& variables) const;
  /// Names of the variables, without the `$`, in the order of the text.
  [[nodiscard]] std::vector<std::string> variables() const;

 private:
  friend class ExpressionParser;
  enum class Code { constant, variable, negate, call, binary };
  struct Step {
    Code code = Code::constant;
    GeneValue value;        ///< of a constant
    std::string name;       ///< of a variable, function or operator
    std::size_t count = 0;  ///< arguments of a call
  };
  std::string text_;
  std::vector<Step> steps_;  ///< postfix
};

}  // namespace cosearch::catalog
