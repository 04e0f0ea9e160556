#pragma once

#include "spaces/space/genome.hpp"

/// Crossover and mutation of genomes with real parameters: real genes vary as in Deb's NSGA-II, simulated binary
/// crossover (Deb, Agrawal 1995) and polynomial mutation (Deb, Goyal 1996) within their bounds, in the logarithm where
/// the range is logarithmic; all others as in ParamSet.
namespace cosearch {

/// Distribution index of both, as in Deb et al. 2002: children lie the nearer to their parents the larger it is.
inline constexpr double kDistributionIndex = 20.0;

/// A child of two legal genomes; legal.
[[nodiscard]] Genome cross(const ParamSet& params, const Genome& a, const Genome& b, RngStream& rng);

/// Each active gene changes with `probability`, at least one where any can. Legal.
[[nodiscard]] Genome mutate(const ParamSet& params, const Genome& parent, double probability, RngStream& rng);

}  // namespace cosearch
