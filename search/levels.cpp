#include "search/levels.hpp"

#include <algorithm>
#include <cmath>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

constexpr auto kMost = static_cast<std::int64_t>(kMostLevels);

std::int64_t values_of(const IntegerRange& range) { return (range.upper - range.lower) / range.step + 1; }

/// Values per level.
std::int64_t run_of(const IntegerRange& range) { return (values_of(range) + kMost - 1) / kMost; }

double linear(const RealRange& range, double gene) { return range.logarithmic ? std::log(gene) : gene; }

std::size_t count_levels(const Domain& domain) {
  if (const auto* choices = std::get_if<Choices>(&domain)) {
    return choices->values.size();
  }
  if (const auto* range = std::get_if<IntegerRange>(&domain)) {
    return static_cast<std::size_t>((values_of(*range) + run_of(*range) - 1) / run_of(*range));
  }
  const auto& range = std::get<RealRange>(domain);
  return range.lower < range.upper ? kMostLevels : 1;
}

}  // namespace

std::vector<std::size_t> level_counts(const ParamSet& params) {
  std::vector<std::size_t> counts;
  for (const Param& param : params.params()) {
    counts.push_back(count_levels(param.domain));
  }
  return counts;
}

std::size_t level_of(const Domain& domain, double gene) {
  if (std::holds_alternative<Choices>(domain)) {
    return static_cast<std::size_t>(gene);
  }
  if (const auto* range = std::get_if<IntegerRange>(&domain)) {
    return static_cast<std::size_t>(static_cast<std::int64_t>(gene) / run_of(*range));
  }
  const auto& range = std::get<RealRange>(domain);
  if (range.lower == range.upper) {
    return 0;
  }
  const double lower = linear(range, range.lower);
  const double share = (linear(range, gene) - lower) / (linear(range, range.upper) - lower);
  const double level = std::floor(share * static_cast<double>(kMostLevels));
  return static_cast<std::size_t>(std::clamp(level, 0.0, static_cast<double>(kMostLevels - 1)));
}

double gene_of_level(const Domain& domain, std::size_t level, RngStream& rng) {
  COSEARCH_CHECK(level < count_levels(domain), "a level of the domain");
  if (std::holds_alternative<Choices>(domain)) {
    return static_cast<double>(level);
  }
  if (const auto* range = std::get_if<IntegerRange>(&domain)) {
    const std::int64_t first = static_cast<std::int64_t>(level) * run_of(*range);
    const std::int64_t last = std::min(first + run_of(*range), values_of(*range));
    return static_cast<double>(first + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(last - first))));
  }
  const auto& range = std::get<RealRange>(domain);
  if (range.lower == range.upper) {
    return range.lower;
  }
  const double lower = linear(range, range.lower);
  const double share = (static_cast<double>(level) + rng.uniform()) / static_cast<double>(kMostLevels);
  const double place = lower + share * (linear(range, range.upper) - lower);
  return std::clamp(range.logarithmic ? std::exp(place) : place, range.lower, range.upper);
}

}  // namespace cosearch
