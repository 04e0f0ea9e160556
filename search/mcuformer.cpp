#include "search/mcuformer.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "search/fresh_genomes.hpp"
#include "search/levels.hpp"
#include "search/outer_walk.hpp"
#include "search/selection.hpp"
#include "search/variation.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

constexpr std::size_t kNeighbours = 5;
/// Probability that a mutation draws a gene anew.
constexpr double kMutation = 0.2;
constexpr double kStructureMutation = 0.4;
/// Attempts to breed a fresh child, each with twice the mutation of the one before.
constexpr int kAttempts = 6;
/// Draws of a start that none before it has.
constexpr int kStartDraws = 64;

struct McuformerOptions {
  std::size_t starts = 5;
  std::size_t steps = 7;
  std::size_t samples = 8;
  std::size_t population = 50;
  std::size_t parents = 10;
};

McuformerOptions read_options(const JsonReader& reader) {
  constexpr std::int64_t kMost = 1'000'000;
  reader.only({"outer", "parents", "population", "samples", "starts", "steps"});
  McuformerOptions options;
  const auto read = [&](const char* key, std::size_t& value, std::int64_t least) {
    value = static_cast<std::size_t>(reader.integer(key, static_cast<std::int64_t>(value), least, kMost));
  };
  read("starts", options.starts, 1);
  read("steps", options.steps, 0);
  read("samples", options.samples, 1);
  read("population", options.population, 2);
  read("parents", options.parents, 1);
  return options;
}

bool is_structure(const std::string& name) {
  return name.ends_with("depth") || name.ends_with("embed_dim") || name.ends_with("width");
}

class Mcuformer final : public SearchAlgorithm {
 public:
  Mcuformer(const McuformerOptions& options, const JsonReader& reader, const AlgorithmContext& context)
      : options_(options),
        params_(*context.params),
        objectives_(context.objectives),
        error_is_share_(!context.learned.empty() && context.learned.front()),
        seed_(context.seed),
        fidelity_(context.fidelity),
        fresh_(*context.params, context.initial),
        levels_(level_counts(*context.params)),
        outer_(*context.params, context.hardware, reader.find("outer")) {
    if (outer_.axes() == 0) {
      chosen_ = OuterPoint{};
    }
    std::vector<Genome> different;
    for (const Genome& genome : context.initial) {
      if (std::find(different.begin(), different.end(), genome) == different.end()) {
        different.push_back(genome);
      }
    }
    round_.assign(different.size(), {Slot::given, {}});
    if (round_.empty()) {
      advance();
    }
  }

  std::vector<Proposal> ask(std::size_t n) override {
    const std::size_t end = round_start_ + round_.size();
    const std::size_t left = end - std::min(end, fresh_.proposed());
    return fresh_.propose(std::min(n, left), fidelity_,
                          [this] { return next_genome(round_[fresh_.proposed() - round_start_]); });
  }

  void tell(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) {
      fresh_.add(trial.proposal.genome);  // a replayed trial was never asked of this instance
      told_.push_back(make_individual(trial, objectives_));
      if (++told_in_round_ == round_.size()) {
        round_start_ += round_.size();
        told_in_round_ = 0;
        advance();
      }
    }
  }

 private:
  /// What one proposal of a round is to be.
  struct Slot {
    enum Kind { given, sampled, mutated, crossed } kind = sampled;
    OuterPoint point;
  };

  /// Plans the next round, which is not empty.
  void advance() {
    round_.clear();
    while (!chosen_) {
      if (positions_.empty()) {
        positions_ = starts();
      } else if (steps_ < options_.steps) {
        step();
        ++steps_;
      } else {
        const std::vector<OuterResult> known = results();
        chosen_ = known[best_outer(known)].point;
        break;
      }
      visit();
      if (!round_.empty()) {
        return;
      }
    }
    select_parents();
    plan_generation();
  }

  [[nodiscard]] std::vector<OuterPoint> starts() const {
    RngStream rng{seed_, Purpose::sample, Hasher().add("mcuformer starts").value()};
    std::vector<OuterPoint> points;
    for (int draw = 0; draw < kStartDraws && points.size() < options_.starts; ++draw) {
      OuterPoint point = outer_.sample(rng);
      if (std::find(points.begin(), points.end(), point) == points.end()) {
        points.push_back(std::move(point));
      }
    }
    return points;
  }

  /// Samples where the walk is for the first time.
  void visit() {
    for (const OuterPoint& point : positions_) {
      if (std::find(visited_.begin(), visited_.end(), point) != visited_.end()) {
        continue;
      }
      visited_.push_back(point);
      const auto known = static_cast<std::size_t>(std::count_if(
          told_.begin(), told_.end(), [&](const Individual& item) { return outer_.point_of(item.genome) == point; }));
      const auto count = outer_.fixed_at(point).count();
      const std::size_t fresh = count ? static_cast<std::size_t>(*count) - known : options_.samples;
      round_.insert(round_.end(), std::min(options_.samples, fresh), {Slot::sampled, point});
    }
  }

  [[nodiscard]] std::vector<OuterResult> results() const {
    std::vector<OuterResult> all;
    for (const OuterPoint& point : visited_) {
      OuterResult result{point, 0, 0.0, {}, std::numeric_limits<double>::infinity()};
      std::size_t legal = 0;
      double errors = 0.0;
      for (const Individual& item : told_) {
        if (outer_.point_of(item.genome) != point) {
          continue;
        }
        ++result.trials;
        result.violation = std::min(result.violation, item.violation);
        if (item.violation == 0.0) {
          ++legal;
          errors += item.objectives.front();
        }
      }
      result.illegal = static_cast<double>(result.trials - legal) / static_cast<double>(result.trials);
      if (legal > 0) {
        result.error = errors / static_cast<double>(legal);
      }
      all.push_back(std::move(result));
    }
    return all;
  }

  void step() {
    const std::vector<OuterResult> known = results();
    const double scale = error_scale(known);
    for (OuterPoint& position : positions_) {
      position = outer_.step(position, known, kNeighbours, scale);
    }
  }

  /// What an error of 1 means to the step's thresholds.
  [[nodiscard]] double error_scale(const std::vector<OuterResult>& known) const {
    if (error_is_share_) {
      return 1.0;
    }
    double least = std::numeric_limits<double>::infinity();
    double most = -least;
    for (const OuterResult& result : known) {
      least = std::min(least, result.error.value_or(least));
      most = std::max(most, result.error.value_or(most));
    }
    return most > least ? most - least : 1.0;
  }

  void select_parents() {
    std::erase_if(told_, [&](const Individual& item) { return outer_.point_of(item.genome) != chosen_; });
    bred_from_ += told_.size();
    std::move(told_.begin(), told_.end(), std::back_inserter(parents_));
    told_.clear();
    parents_ = select_survivors(std::move(parents_), options_.parents);
  }

  void plan_generation() {
    if (bred_from_ < options_.population && !first_planned_) {
      round_.assign(options_.population - bred_from_, {Slot::sampled, *chosen_});
    } else {
      round_.assign(options_.population / 2, {Slot::mutated, *chosen_});
      round_.resize(options_.population, {Slot::crossed, *chosen_});
    }
    first_planned_ = true;
  }

  std::optional<Genome> next_genome(const Slot& slot) {
    if (slot.kind == Slot::given) {
      return fresh_.next_initial();
    }
    const std::uint64_t index = fresh_.proposed();
    if (slot.kind != Slot::sampled && !parents_.empty()) {
      RngStream rng{seed_, Purpose::vary, index};
      if (auto child = breed(slot.kind == Slot::crossed, rng)) {
        return child;
      }
    }
    RngStream rng{seed_, Purpose::sample, index};
    if (auto genome = fresh_.sample_part(
            outer_.fixed_at(slot.point), [&](Genome& part) { outer_.place(slot.point, part); }, rng)) {
      return genome;
    }
    return fresh_.sample(rng);
  }

  std::optional<Genome> breed(bool crossed, RngStream& rng) const {
    const auto parent = [&]() -> const Genome& { return parents_[rng.below(parents_.size())].genome; };
    double factor = crossed ? 0.0 : 1.0;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const Genome& first = parent();
      Genome child = crossed ? cross(params_, first, parent(), rng) : first;
      if (factor > 0.0) {
        child = redrawn(child, factor, rng);
      }
      if (fresh_.is_fresh(child)) {
        return child;
      }
      factor = factor == 0.0 ? 1.0 : 2.0 * factor;
    }
    return std::nullopt;
  }

  /// Genes drawn anew, each with its probability times `factor`; those that come to life with them too.
  [[nodiscard]] Genome redrawn(const Genome& parent, double factor, RngStream& rng) const {
    Genome child{std::vector<double>(params_.size(), 0.0)};
    for (std::size_t i = 0; i < params_.size(); ++i) {
      if (!params_.active(i, child)) {
        continue;
      }
      const Param& param = params_.params()[i];
      const double probability = factor * (is_structure(param.name) ? kStructureMutation : kMutation);
      const bool kept = outer_.contains(i) || (params_.active(i, parent) && rng.uniform() >= probability);
      child.genes[i] = kept ? parent.genes[i] : gene_of_level(param.domain, rng.below(levels_[i]), rng);
    }
    return child;
  }

  McuformerOptions options_;
  const ParamSet& params_;
  std::size_t objectives_;
  bool error_is_share_;
  std::uint64_t seed_;
  Fidelity fidelity_;
  FreshGenomes fresh_;
  std::vector<std::size_t> levels_;
  OuterSpace outer_;
  std::vector<Slot> round_;      ///< proposals that do not wait for each other
  std::size_t round_start_ = 0;  ///< number of its first proposal
  std::size_t told_in_round_ = 0;
  std::vector<Individual> told_;  ///< in the walk all, then those of the generation
  std::vector<OuterPoint> positions_;
  std::vector<OuterPoint> visited_;
  std::size_t steps_ = 0;
  std::optional<OuterPoint> chosen_;  ///< where the evolution is
  std::vector<Individual> parents_;
  std::size_t bred_from_ = 0;  ///< trials at the chosen point
  bool first_planned_ = false;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_mcuformer(const nlohmann::json& options, const AlgorithmContext& context) {
  COSEARCH_CHECK(context.params != nullptr, "an algorithm needs parameters");
  const JsonReader reader = JsonReader::of_options(options, "/search");
  return std::make_unique<Mcuformer>(read_options(reader), reader, context);
}

}  // namespace cosearch
