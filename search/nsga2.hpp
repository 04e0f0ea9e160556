#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "search/algorithm.hpp"

namespace cosearch {

/// NSGA-II (Deb, Pratap, Agarwal, Meyarivan 2002) with constrained domination, generational: the proposals with
/// numbers [g * population, (g + 1) * population) are generation g; those of a generation are children of the survivors
/// of all before it, so nothing is asked until they all are told. The first generation begins with the initial designs
/// and is random otherwise.
/// Options: `population` (default 40), `crossover` (probability per child, default 0.9), `mutation` (probability per
/// active gene, default 1 / active genes). A child that was proposed before is bred again with more mutation, then
/// replaced by a random genome.
/// @throws ConfigError.
[[nodiscard]] std::unique_ptr<SearchAlgorithm> make_nsga2(const nlohmann::json& options,
                                                          const AlgorithmContext& context);

}  // namespace cosearch
