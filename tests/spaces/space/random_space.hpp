#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spaces/base/rng.hpp"
#include "spaces/space/genome.hpp"

/// Small random spaces with nested conditions, for property tests.
namespace cosearch::testing {

inline Domain random_domain(RngStream& rng, bool with_reals) {
  switch (rng.below(with_reals ? 4 : 3)) {
    case 0:
      return IntegerRange{static_cast<std::int64_t>(rng.below(5)) - 2, static_cast<std::int64_t>(rng.below(4)) + 3,
                          static_cast<std::int64_t>(rng.below(3)) + 1};
    case 1: {
      Choices choices;
      const std::uint64_t count = rng.below(3) + 1;
      for (std::uint64_t i = 0; i < count; ++i) {
        choices.values.emplace_back("word" + std::to_string(i));
      }
      return choices;
    }
    case 2: {
      Choices choices;
      const std::uint64_t count = rng.below(3) + 1;
      for (std::uint64_t i = 0; i < count; ++i) {
        choices.values.emplace_back(0.5 * static_cast<double>(i + 1));
      }
      return choices;
    }
    default:
      return rng.below(2) == 0 ? RealRange{-1.0, 2.0, false} : RealRange{0.001, 10.0, true};
  }
}

inline std::int64_t domain_size(const Domain& domain) {
  if (const auto* choices = std::get_if<Choices>(&domain)) {
    return static_cast<std::int64_t>(choices->values.size());
  }
  if (const auto* range = std::get_if<IntegerRange>(&domain)) {
    std::int64_t size = 0;
    for (std::int64_t v = range->lower; v <= range->upper; v += range->step) {
      ++size;
    }
    return size;
  }
  return 0;
}

inline std::vector<Param> random_params(std::uint64_t index, std::size_t count, bool with_reals) {
  RngStream rng(7, Purpose::test, index);
  std::vector<Param> params;
  for (std::size_t i = 0; i < count; ++i) {
    Param param{"p" + std::to_string(i), random_domain(rng, with_reals), {}};
    if (i > 0 && rng.below(3) != 0) {
      const Param& parent = params[rng.below(i)];
      const std::int64_t values = domain_size(parent.domain);
      if (values > 0) {
        param.active_when.param = parent.name;
        for (std::int64_t v = 0; v < values; ++v) {
          if (rng.below(2) == 0) {
            param.active_when.values.push_back(v);
          }
        }
      }
    }
    params.push_back(param);
  }
  return params;
}

}  // namespace cosearch::testing
