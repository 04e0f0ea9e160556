#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/space/genome.hpp"

namespace cosearch {

/// One combination of values of chosen genes: those that share a supernet.
struct GeneCombination {
  std::string key;  ///< the values of the active chosen genes as JSON, see `combination_key`
  ParamSet genes;   ///< the parameters with these values fixed
};

/// Every combination that a genome can have, in the order of the parameters' values. Without names: one, with all of
/// the parameters. @throws ConfigError (place: `/<index>` in the list): unknown or repeated names, real genes, a gene
/// that is active for some values of another one which is not chosen; more than 64 combinations.
[[nodiscard]] std::vector<GeneCombination> gene_combinations(const ParamSet& genes,
                                                             const std::vector<std::string>& names);

/// The same checks of the names alone.
void check_gene_names(const ParamSet& genes, const std::vector<std::string>& names);

/// `{"family":"vit","vit.low_rank":0.5}`: which combination a genome belongs to.
[[nodiscard]] std::string combination_key(const ParamSet& genes, const std::vector<std::string>& names,
                                          const Genome& genome);

}  // namespace cosearch
