#include "spaces/catalog/expression.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"

namespace cosearch::catalog {
namespace {

GeneValue evaluate(const std::string& text) {
  return Expression::parse(text).evaluate([](const std::string& name) -> GeneValue {
    if (name == "width") {
      return std::int64_t{16};
    }
    if (name == "vit.ratio") {
      return 0.5;
    }
    if (name == "kind") {
      return std::string("gelu");
    }
    throw ConfigError("", "no variable " + name);
  });
}

TEST(Expression, ArithmeticFollowsPrecedenceAndTypes) {
  const std::vector<std::pair<std::string, GeneValue>> cases{
      {"1 + 2 * 3", std::int64_t{7}},
      {"(1 + 2) * 3", std::int64_t{9}},
      {"10 - 4 - 3", std::int64_t{3}},
      {"-2 * -3", std::int64_t{6}},
      {"--2", std::int64_t{2}},
      {"7 / 2", std::int64_t{3}},
      {"-7 / 2", std::int64_t{-4}},
      {"7 % 4", std::int64_t{3}},
      {"-7 % 4", std::int64_t{1}},
      {"7 % -4", std::int64_t{-1}},
      {"7.0 / 2", 3.5},
      {"-7.5 % 2", 0.5},
      {"1e2", 100.0},
      {"$width * 2", std::int64_t{32}},
      {"$width * $vit.ratio", 8.0},
      {"$width/2+1", std::int64_t{9}},
      {"min(3, $width, 5)", std::int64_t{3}},
      {"max(1.5, 1)", 1.5},
      {"floor(2.7) + ceil(2.1) + round(2.5)", std::int64_t{8}},
      {"round(-2.5)", std::int64_t{-3}},
      {"floor(4)", std::int64_t{4}},
      {"2 < 3", std::int64_t{1}},
      {"2 >= 3", std::int64_t{0}},
      {"2 == 2.0", std::int64_t{1}},
      {"1 + 1 != 2", std::int64_t{0}},
      {"$kind == 'gelu'", std::int64_t{1}},
      {"$kind != 'gelu'", std::int64_t{0}},
      {"$kind", std::string("gelu")},
      {"(1 < 2) * (3 <= 3)", std::int64_t{1}},
      {"  8\t", std::int64_t{8}},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(evaluate(text), expected) << text;
  }
}

TEST(Expression, VariablesAreListedInOrder) {
  EXPECT_EQ(Expression::parse("$b * ($a.c + max($b, 1))").variables(), (std::vector<std::string>{"b", "a.c", "b"}));
}

TEST(Expression, RefusesBadTextAndValues) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "expected a number"},
      {"1 +", "end of the expression"},
      {"1 2", "unexpected \"2\""},
      {"(1", "expected \")\""},
      {"1)", "unexpected"},
      {"width * 2", "variables are written $width"},
      {"$", "expected a name"},
      {"$1", "expected a name"},
      {"rond(1.5)", "did you mean \"round\""},
      {"min(1)", "two or more"},
      {"floor(1, 2)", "one argument"},
      {"floor 1", "expected \"(\""},
      {"'open", "no end"},
      {"1 < 2 < 3", "unexpected"},
      {".", "cannot be read"},
      {"1e999", "cannot be read"},
      {"system('ls')", "not known"},
      {std::string(1000, '('), "nested too deeply"},
      {std::string(1000, '-') + "1", "nested too deeply"},
      {"1 / 0", "division by zero"},
      {"1 % 0", "division by zero"},
      {"1 / 0.0", "division by zero"},
      {"9223372036854775807 + 1", "64 bits"},
      {"-9223372036854775807 - 2", "64 bits"},
      {"4611686018427387904 * 2", "64 bits"},
      {"(-9223372036854775807 - 1) / -1", "64 bits"},
      {"1e308 * 10", "not finite"},
      {"ceil(1e300)", "64 bits"},
      {"$kind + 1", "string where a number"},
      {"$kind < 'x'", "string where a number"},
      {"'a' == 1", "string where a number"},
      {"-'a'", "string where a number"},
      {"$heads", "no variable heads"},
  };
  for (const auto& [text, message] : cases) {
    try {
      static_cast<void>(evaluate(text));
      ADD_FAILURE() << text << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_NE(error.message().find(message), std::string::npos) << text << ": " << error.what();
    }
  }
}

/// Oracle: a random tree is printed with all its parentheses and evaluated while it is built.
std::string random_tree(RngStream& rng, int depth, std::int64_t& value) {
  if (depth == 0) {
    value = static_cast<std::int64_t>(rng.below(20));
    return std::to_string(value);
  }
  std::int64_t a = 0;
  std::int64_t b = 0;
  const std::string left = random_tree(rng, depth - 1, a);
  const std::string right = random_tree(rng, depth - 1, b);
  switch (rng.below(6)) {
    case 0:
      value = a + b;
      return "(" + left + " + " + right + ")";
    case 1:
      value = a - b;
      return "(" + left + "-" + right + ")";
    case 2:
      value = a * b;
      return "(" + left + "*" + right + ")";
    case 3:
      value = std::min(a, b);
      return "min(" + left + "," + right + ")";
    case 4:
      value = std::max(a, b);
      return "max( " + left + " , " + right + ")";
    default:
      value = a < b ? 1 : 0;
      return "(" + left + "<" + right + ")";
  }
}

TEST(Expression, RandomTreesEvaluateAsTheyWereBuilt) {
  for (std::uint64_t i = 0; i < 500; ++i) {
    RngStream rng(1, Purpose::test, i);
    std::int64_t expected = 0;
    const std::string text = random_tree(rng, 1 + static_cast<int>(i % 5), expected);
    EXPECT_EQ(evaluate(text), GeneValue(expected)) << text;
  }
}

TEST(Expression, RandomGarbageIsRefusedOrEvaluatedButNeverCrashes) {
  const std::string letters = "01.9$ab_'(),+-*/%<>=!me minmaxfloor ";
  int accepted = 0;
  for (std::uint64_t i = 0; i < 6000; ++i) {
    RngStream rng(2, Purpose::test, i);
    std::string text;
    for (std::uint64_t c = rng.below(14); c > 0; --c) {
      text += letters[rng.below(letters.size())];
    }
    try {
      static_cast<void>(Expression::parse(text).evaluate([](const std::string&) { return std::int64_t{3}; }));
      ++accepted;
    } catch (const ConfigError&) {
      continue;
    }
  }
  EXPECT_GT(accepted, 30);
}

}  // namespace
}  // namespace cosearch::catalog
