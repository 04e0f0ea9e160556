#include "spaces/space/domain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::domain {
namespace {

// Genes are doubles, so indices and differences of values must stay exact.
constexpr std::int64_t kMaxInteger = std::int64_t{1} << 52;

bool is_text(const GeneValue& value) { return std::holds_alternative<std::string>(value); }

double as_number(const GeneValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return static_cast<double>(*integer);
  }
  return std::get<double>(value);
}

bool same(const GeneValue& a, const GeneValue& b) {
  if (is_text(a) != is_text(b)) {
    return false;
  }
  return is_text(a) ? std::get<std::string>(a) == std::get<std::string>(b) : as_number(a) == as_number(b);
}

std::int64_t count(const IntegerRange& range) { return (range.upper - range.lower) / range.step + 1; }

void check_choices(const Choices& choices, const std::string& place) {
  if (choices.values.empty()) {
    throw ConfigError(place, "has no values; at least one is needed");
  }
  for (std::size_t i = 0; i < choices.values.size(); ++i) {
    const GeneValue& v = choices.values[i];
    if (is_text(v) != is_text(choices.values[0])) {
      throw ConfigError(place, "mixes numbers and strings; the values must be all numbers or all strings");
    }
    if (!is_text(v) && !std::isfinite(as_number(v))) {
      throw ConfigError(place, "has a value that is not finite");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (same(v, choices.values[j])) {
        throw ConfigError(place, fmt::format("lists {} twice; values must differ", describe(v)));
      }
    }
  }
}

void check_range(const IntegerRange& range, const std::string& place) {
  if (range.step < 1) {
    throw ConfigError(place, fmt::format("has step {}; allowed: 1 or more", range.step));
  }
  if (range.lower > range.upper) {
    throw ConfigError(place, fmt::format("has minimum {} above maximum {}", range.lower, range.upper));
  }
  if (range.lower < -kMaxInteger || range.upper > kMaxInteger) {
    throw ConfigError(place, "goes beyond 2^52; allowed: -2^52 to 2^52");
  }
}

void check_range(const RealRange& range, const std::string& place) {
  if (!std::isfinite(range.lower) || !std::isfinite(range.upper) || range.lower > range.upper) {
    throw ConfigError(place, fmt::format("has minimum {} and maximum {}; allowed: finite, minimum <= maximum",
                                         range.lower, range.upper));
  }
  if (range.logarithmic && range.lower <= 0.0) {
    throw ConfigError(place, fmt::format("is logarithmic with minimum {}; allowed: above 0", range.lower));
  }
}

}  // namespace

void check(const Domain& domain, const std::string& place) {
  if (const auto* choices = std::get_if<Choices>(&domain)) {
    check_choices(*choices, place);
  } else if (const auto* integers = std::get_if<IntegerRange>(&domain)) {
    check_range(*integers, place);
  } else {
    check_range(std::get<RealRange>(domain), place);
  }
}

std::optional<std::int64_t> cardinality(const Domain& domain) {
  if (const auto* choices = std::get_if<Choices>(&domain)) {
    return static_cast<std::int64_t>(choices->values.size());
  }
  if (const auto* integers = std::get_if<IntegerRange>(&domain)) {
    return count(*integers);
  }
  return std::nullopt;
}

bool ordered(const Domain& domain) {
  const auto* choices = std::get_if<Choices>(&domain);
  return choices == nullptr || !is_text(choices->values[0]);
}

bool contains(const Domain& domain, double gene) {
  if (const auto* real = std::get_if<RealRange>(&domain)) {
    return gene >= real->lower && gene <= real->upper;
  }
  return gene >= 0.0 && gene < static_cast<double>(*cardinality(domain)) && gene == std::floor(gene);
}

GeneValue value(const Domain& domain, double gene) {
  if (std::holds_alternative<RealRange>(domain)) {
    return gene;
  }
  COSEARCH_CHECK(contains(domain, gene), "gene outside its domain");
  const auto index = static_cast<std::int64_t>(gene);
  if (const auto* integers = std::get_if<IntegerRange>(&domain)) {
    return integers->lower + index * integers->step;
  }
  return std::get<Choices>(domain).values[static_cast<std::size_t>(index)];
}

std::optional<double> gene(const Domain& domain, const GeneValue& value) {
  if (const auto* choices = std::get_if<Choices>(&domain)) {
    const auto at = std::find_if(choices->values.begin(), choices->values.end(),
                                 [&](const GeneValue& candidate) { return same(candidate, value); });
    if (at == choices->values.end()) {
      return std::nullopt;
    }
    return static_cast<double>(at - choices->values.begin());
  }
  if (is_text(value)) {
    return std::nullopt;
  }
  const double number = as_number(value);
  if (const auto* real = std::get_if<RealRange>(&domain)) {
    return contains(*real, number) ? std::optional(number) : std::nullopt;
  }
  const auto& integers = std::get<IntegerRange>(domain);
  const double index = (number - static_cast<double>(integers.lower)) / static_cast<double>(integers.step);
  return contains(domain, index) ? std::optional(index) : std::nullopt;
}

double number(const Domain& domain, double gene) {
  const GeneValue meaning = value(domain, gene);
  return is_text(meaning) ? gene : as_number(meaning);
}

std::string describe(const GeneValue& value) { return to_json(value).dump(); }

std::string describe(const Domain& domain) {
  if (const auto* choices = std::get_if<Choices>(&domain)) {
    std::string text;
    for (const GeneValue& v : choices->values) {
      text += (text.empty() ? "" : ", ") + describe(v);
    }
    return text;
  }
  if (const auto* integers = std::get_if<IntegerRange>(&domain)) {
    return fmt::format("{} to {} in steps of {}", integers->lower, integers->upper, integers->step);
  }
  const auto& real = std::get<RealRange>(domain);
  return fmt::format("{} to {}", real.lower, real.upper);
}

nlohmann::json to_json(const GeneValue& value) {
  return std::visit([](const auto& v) { return nlohmann::json(v); }, value);
}

std::optional<GeneValue> value_from_json(const nlohmann::json& json) {
  if (json.is_string()) {
    return json.get<std::string>();
  }
  if (json.is_number_unsigned() &&
      json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return static_cast<double>(json.get<std::uint64_t>());
  }
  if (json.is_number_integer()) {
    return json.get<std::int64_t>();
  }
  if (json.is_number_float()) {
    return json.get<double>();
  }
  return std::nullopt;
}

std::vector<std::string> names(const std::vector<Param>& params) {
  std::vector<std::string> all;
  all.reserve(params.size());
  for (const Param& param : params) {
    all.push_back(param.name);
  }
  return all;
}

}  // namespace cosearch::domain
