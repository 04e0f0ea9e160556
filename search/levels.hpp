#pragma once

#include <cstddef>
#include <vector>

#include "spaces/space/genome.hpp"

/// Finitely many levels for every parameter, for algorithms that choose among alternatives. A Choices has one level for
/// each value. An IntegerRange of at most kMostLevels values too; a larger one has runs of equally many neighbouring
/// values (the last may be shorter). A RealRange has kMostLevels equally wide intervals, in the logarithm where it is
/// logarithmic, and one where it is a point.
namespace cosearch {

inline constexpr std::size_t kMostLevels = 32;

/// Number of levels of each parameter.
[[nodiscard]] std::vector<std::size_t> level_counts(const ParamSet& params);
/// The level that a gene of the parameter's domain lies in.
[[nodiscard]] std::size_t level_of(const Domain& domain, double gene);
/// A gene of that level, each equally likely.
[[nodiscard]] double gene_of_level(const Domain& domain, std::size_t level, RngStream& rng);

}  // namespace cosearch
