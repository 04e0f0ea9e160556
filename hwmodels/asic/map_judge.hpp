#pragma once

#include <cstdint>
#include <limits>

#include "hwmodels/asic/count.hpp"
#include "hwmodels/asic/mapper.hpp"
#include "hwmodels/asic/price.hpp"
#include "hwmodels/asic/tiling.hpp"

/// Inside of hwmodels/asic: what mappers know of the tilings that they try.
namespace cosearch::asic {

/// A tiling with what it costs.
struct MapCandidate {
  Tiling tiling;
  Counts counts;
  double value = std::numeric_limits<double>::infinity();
  double second = std::numeric_limits<double>::infinity();  ///< decides between equal values

  [[nodiscard]] bool better_than(const MapCandidate& other) const {
    return value < other.value || (value == other.value && second < other.second);
  }
};

/// Counts and prices tilings, remembers the best one, and keeps the books on evaluations.
class MapJudge {
 public:
  /// All have to outlive the judge.
  MapJudge(const TilingSpace& space, const NestCounter& counter, const Pricing& pricing, const MapBound& bound,
           const MapOptions& options)
      : space_(space), counter_(counter), pricing_(pricing), bound_(bound), options_(options) {}

  /// Whether the tiling is a mapping at all; then with its value.
  bool evaluate(MapCandidate& candidate);
  /// Whether tiles fit their levels; where dims have no steps yet, nothing that is added makes them fit.
  [[nodiscard]] bool fits(const Tiling& tiling) const;
  /// Whether the instances that the tiling uses make even the lower bound worse than the best mapping.
  [[nodiscard]] bool hopeless(const Tiling& tiling) const;

  [[nodiscard]] double value_of(double cycles, double picojoules) const;
  [[nodiscard]] double bound_value() const { return value_of(bound_.cycles, bound_.picojoules); }
  [[nodiscard]] const TilingSpace& space() const noexcept { return space_; }
  [[nodiscard]] const MapCandidate& best() const noexcept { return best_; }
  [[nodiscard]] std::int64_t evaluations() const noexcept { return evaluations_; }
  [[nodiscard]] std::int64_t budget() const noexcept { return options_.evaluations; }
  [[nodiscard]] bool exhausted() const noexcept { return evaluations_ >= options_.evaluations; }

 private:
  const TilingSpace& space_;
  const NestCounter& counter_;
  const Pricing& pricing_;
  const MapBound& bound_;
  const MapOptions& options_;
  LoopNest nest_;
  MapCandidate best_;
  std::int64_t evaluations_ = 0;
};

}  // namespace cosearch::asic
