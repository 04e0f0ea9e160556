#include "trainer/supernet/gene_combinations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "spaces/base/config_error.hpp"
#include "spaces/space/domain.hpp"

namespace cosearch {
namespace {

constexpr std::size_t kMostCombinations = 64;

std::size_t chosen_gene(const ParamSet& genes, const std::vector<std::string>& names, std::size_t i) {
  const std::string place = fmt::format("/{}", i);
  const std::optional<std::size_t> param = genes.find(names[i]);
  if (!param) {
    std::vector<std::string> known;
    for (const Param& other : genes.params()) {
      known.push_back(other.name);
    }
    throw ConfigError(place, unknown_name(names[i], known));
  }
  if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
      names.begin() + static_cast<std::ptrdiff_t>(i)) {
    throw ConfigError(place, fmt::format("\"{}\" is listed already; allowed: each gene once", names[i]));
  }
  if (!genes.cardinality(*param)) {
    throw ConfigError(place, fmt::format("\"{}\" is a real range; allowed: genes with countable values", names[i]));
  }
  const std::string& above = genes.params()[*param].active_when.param;
  if (!above.empty() && std::find(names.begin(), names.end(), above) == names.end()) {
    throw ConfigError(place, fmt::format("\"{}\" is not in every network: whether it is depends on \"{}\"; list that "
                                         "gene as well",
                                         names[i], above));
  }
  return *param;
}

std::set<std::size_t> chosen_genes(const ParamSet& genes, const std::vector<std::string>& names) {
  std::set<std::size_t> chosen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    chosen.insert(chosen_gene(genes, names, i));
  }
  return chosen;
}

}  // namespace

void check_gene_names(const ParamSet& genes, const std::vector<std::string>& names) {
  static_cast<void>(chosen_genes(genes, names));
}

std::vector<GeneCombination> gene_combinations(const ParamSet& genes, const std::vector<std::string>& names) {
  const std::set<std::size_t> chosen = chosen_genes(genes, names);
  // Parameters come after those that their conditions name, so activity is known when a gene's turn comes.
  std::vector<Genome> partial{Genome{std::vector<double>(genes.size(), 0.0)}};
  for (const std::size_t param : chosen) {
    std::vector<Genome> longer;
    for (const Genome& genome : partial) {
      const std::int64_t values = genes.active(param, genome) ? genes.cardinality(param).value() : 1;
      for (std::int64_t gene = 0; gene < values; ++gene) {
        longer.push_back(genome);
        longer.back().genes[param] = static_cast<double>(gene);
      }
    }
    partial = std::move(longer);
    if (partial.size() > kMostCombinations) {
      throw ConfigError("", fmt::format("these genes have more than {} combinations of values; allowed: at most that "
                                        "many supernets unless they are lazy",
                                        kMostCombinations));
    }
  }
  std::vector<GeneCombination> combinations;
  for (const Genome& genome : partial) {
    nlohmann::json fixed = nlohmann::json::object();
    for (const std::size_t param : chosen) {
      if (genes.active(param, genome)) {
        fixed[genes.params()[param].name] = domain::to_json(genes.value(param, genome));
      }
    }
    combinations.push_back({combination_key(genes, names, genome), genes.restricted(fixed)});
  }
  return combinations;
}

std::string combination_key(const ParamSet& genes, const std::vector<std::string>& names, const Genome& genome) {
  nlohmann::json values = nlohmann::json::object();
  for (const std::string& name : names) {
    const std::size_t param = genes.find(name).value();
    if (genes.active(param, genome)) {
      values[name] = domain::to_json(genes.value(param, genome));
    }
  }
  return values.dump();
}

}  // namespace cosearch
