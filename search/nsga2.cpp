#include "search/nsga2.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "search/fresh_genomes.hpp"
#include "search/selection.hpp"
#include "search/variation.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

/// Attempts to breed a fresh child, each with twice the mutation of the one before; from the second on with at least
/// one mutated gene.
constexpr int kAttempts = 6;

struct Nsga2Options {
  std::size_t population = 40;
  double crossover = 0.9;
  std::optional<double> mutation;  ///< nothing: 1 / active genes
};

Nsga2Options read_options(const nlohmann::json& json) {
  constexpr std::int64_t kLargestPopulation = 1'000'000;
  const JsonReader reader = JsonReader::of_options(json, "/search");
  reader.only({"crossover", "mutation", "population"});
  Nsga2Options options;
  options.population = static_cast<std::size_t>(reader.integer("population", 40, 2, kLargestPopulation));
  options.crossover = reader.number("crossover", options.crossover, kUnitInterval);
  if (const auto mutation = reader.find("mutation")) {
    options.mutation = mutation->number(kUnitInterval);
  }
  return options;
}

class Nsga2 final : public SearchAlgorithm {
 public:
  Nsga2(const Nsga2Options& options, const AlgorithmContext& context)
      : options_(options),
        params_(*context.params),
        objectives_(context.objectives),
        seed_(context.seed),
        fidelity_(context.fidelity),
        fresh_(*context.params, context.initial) {}

  std::vector<Proposal> ask(std::size_t n) override {
    const std::size_t generation_end = (generation_ + 1) * options_.population;
    const std::size_t left = generation_end - std::min(generation_end, fresh_.proposed());
    return fresh_.propose(std::min(n, left), fidelity_, [this] { return next_genome(); });
  }

  void tell(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) {
      fresh_.add(trial.proposal.genome);  // a replayed trial was never asked of this instance
      told_.push_back(make_individual(trial, objectives_));
      if (told_.size() == options_.population) {
        std::move(population_.begin(), population_.end(), std::back_inserter(told_));
        population_ = select_survivors(std::exchange(told_, {}), options_.population);
        ++generation_;
      }
    }
  }

 private:
  std::optional<Genome> next_genome() {
    if (auto initial = fresh_.next_initial()) {
      return initial;
    }
    const std::uint64_t index = fresh_.proposed();
    if (!population_.empty()) {
      RngStream rng{seed_, Purpose::vary, index};
      if (auto child = breed(rng)) {
        return child;
      }
    }
    RngStream rng{seed_, Purpose::sample, index};
    return fresh_.sample(rng);
  }

  std::optional<Genome> breed(RngStream& rng) {
    double factor = 1.0;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const Genome& first = tournament(population_, rng).genome;
      const Genome& second = tournament(population_, rng).genome;
      Genome child = rng.uniform() < options_.crossover ? cross(params_, first, second, rng) : first;
      const double probability = std::min(1.0, factor * mutation_probability(child));
      // Independent mutations leave a child whole now and then; to force one in every child slows the search down. Only
      // a child that was known needs one.
      if (attempt > 0 || rng.uniform() >= std::pow(1.0 - probability, active_genes(child))) {
        child = mutate(params_, child, probability, rng);
      }
      if (fresh_.is_fresh(child)) {
        return child;
      }
      factor *= 2.0;
    }
    return std::nullopt;
  }

  [[nodiscard]] double mutation_probability(const Genome& genome) const {
    return options_.mutation ? *options_.mutation : 1.0 / std::max(active_genes(genome), 1.0);
  }

  [[nodiscard]] double active_genes(const Genome& genome) const {
    std::size_t active = 0;
    for (std::size_t i = 0; i < params_.size(); ++i) {
      active += params_.active(i, genome) ? 1 : 0;
    }
    return static_cast<double>(active);
  }

  Nsga2Options options_;
  const ParamSet& params_;
  std::size_t objectives_;
  std::uint64_t seed_;
  Fidelity fidelity_;
  FreshGenomes fresh_;
  std::vector<Individual> population_;  ///< survivors of the generations that were told completely
  std::vector<Individual> told_;        ///< of the current generation
  std::size_t generation_ = 0;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_nsga2(const nlohmann::json& options, const AlgorithmContext& context) {
  COSEARCH_CHECK(context.params != nullptr, "an algorithm needs parameters");
  return std::make_unique<Nsga2>(read_options(options), context);
}

}  // namespace cosearch
