#include "search/reinforce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "search/controller.hpp"
#include "search/fresh_genomes.hpp"
#include "search/levels.hpp"
#include "search/reward.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

/// Attempts to draw a fresh genome, each from a distribution flatter (in its logarithms) by this factor than the one
/// before.
constexpr int kAttempts = 12;
constexpr double kFlatter = 1.25;

struct ReinforceOptions {
  std::size_t hardware_steps = 10;
  std::size_t hidden = 32;
  double learning_rate = 0.02;
  double discount = 1.0;
  double baseline_decay = 0.9;
  double penalty = 10.0;
  std::vector<double> weights;
};

std::vector<double> default_weights(const std::vector<bool>& learned) {
  const bool any = std::find(learned.begin(), learned.end(), true) != learned.end();
  std::vector<double> weights;
  for (const bool is_learned : learned) {
    weights.push_back(any && !is_learned ? 0.0 : 1.0);
  }
  return weights;
}

std::vector<double> read_weights(const JsonReader& reader, std::size_t objectives) {
  const std::string allowed = fmt::format("{} numbers from 0, one for each objective, not all 0", objectives);
  std::vector<double> weights;
  for (const JsonReader& item : reader.items(allowed)) {
    weights.push_back(item.number(kNonNegative));
  }
  if (weights.size() != objectives || std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0.0; })) {
    reader.refuse(allowed);
  }
  return weights;
}

ReinforceOptions read_options(const nlohmann::json& json, const std::vector<bool>& learned) {
  const JsonReader reader = JsonReader::of_options(json, "/search");
  reader.only({"baseline_decay", "discount", "hardware_steps", "hidden", "learning_rate", "penalty", "weights"});
  ReinforceOptions options;
  options.hardware_steps = static_cast<std::size_t>(reader.integer("hardware_steps", 10, 0, 10'000));
  options.hidden = static_cast<std::size_t>(reader.integer("hidden", 32, 1, 1024));
  options.learning_rate = reader.number("learning_rate", options.learning_rate, kPositive);
  options.discount = reader.number("discount", options.discount, kUnitInterval);
  options.baseline_decay = reader.number("baseline_decay", options.baseline_decay, kUnitInterval);
  options.penalty = reader.number("penalty", options.penalty, kNonNegative);
  const auto weights = reader.find("weights");
  options.weights = weights ? read_weights(*weights, learned.size()) : default_weights(learned);
  return options;
}

std::size_t pick(const std::vector<double>& log_probabilities, double temperature, RngStream& rng) {
  std::vector<double> cumulative;
  double sum = 0.0;
  for (const double log_probability : log_probabilities) {
    sum += std::exp(log_probability / temperature);
    cumulative.push_back(sum);
  }
  const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), rng.uniform() * sum);
  return std::min(static_cast<std::size_t>(found - cumulative.begin()), cumulative.size() - 1);
}

/// An exponential moving average of rewards.
class Baseline {
 public:
  explicit Baseline(double decay) : decay_(decay) {}
  /// How much better the reward is than those before it; the first is as good as itself.
  double advantage(double reward) {
    const double before = mean_.value_or(reward);
    mean_ = decay_ * before + (1.0 - decay_) * reward;
    return reward - before;
  }

 private:
  double decay_;
  std::optional<double> mean_;
};

class Reinforce final : public SearchAlgorithm {
 public:
  Reinforce(const ReinforceOptions& options, std::vector<bool> learned, const AlgorithmContext& context)
      : options_(options),
        params_(*context.params),
        hardware_(context.hardware),
        has_hardware_(std::find(hardware_.begin(), hardware_.end(), true) != hardware_.end()),
        seed_(context.seed),
        fidelity_(context.fidelity),
        fresh_(*context.params, context.initial),
        levels_(level_counts(*context.params)),
        controller_(make_controller()),
        reward_(options.weights, std::move(learned), options.penalty),
        baselines_{Baseline(options.baseline_decay), Baseline(options.baseline_decay)} {
    hardware_.resize(params_.size(), false);
  }

  std::vector<Proposal> ask(std::size_t n) override {
    const std::size_t episode_end = (episode_ + 1) * episode_size();
    const std::size_t left = episode_end - std::min(episode_end, fresh_.proposed());
    return fresh_.propose(std::min(n, left), fidelity_, [this] {
      std::optional<Genome> genome = next_genome();
      latest_ = genome.value_or(latest_);
      return genome;
    });
  }

  void tell(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) {
      if (fresh_.is_fresh(trial.proposal.genome)) {  // a replayed trial was never asked of this instance
        fresh_.add(trial.proposal.genome);
        latest_ = trial.proposal.genome;
      }
      told_.push_back(trial);
      if (told_.size() == episode_size()) {
        learn();
        told_.clear();
        ++episode_;
      }
    }
  }

 private:
  [[nodiscard]] std::size_t episode_size() const { return 1 + options_.hardware_steps; }

  [[nodiscard]] Controller make_controller() const {
    RngStream rng{seed_, Purpose::init_weights, Hasher().add("reinforce controller").value()};
    return {levels_, options_.hidden, rng};
  }

  std::optional<Genome> next_genome() {
    if (auto initial = fresh_.next_initial()) {
      return initial;
    }
    const std::uint64_t index = fresh_.proposed();
    RngStream rng{seed_, Purpose::vary, index};
    if (index % episode_size() != 0 && has_hardware_) {
      if (auto design = draw_fresh(&latest_, rng)) {
        return design;
      }
    }
    if (auto design = draw_fresh(nullptr, rng)) {
      return design;
    }
    RngStream uniform{seed_, Purpose::sample, index};
    return fresh_.sample(uniform);
  }

  /// `kept`: a genome whose network stays; null: all genes are drawn.
  [[nodiscard]] std::optional<Genome> draw_fresh(const Genome* kept, RngStream& rng) const {
    double temperature = 1.0;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      Genome genome = draw(kept, temperature, rng);
      if (fresh_.is_fresh(genome)) {
        return genome;
      }
      temperature *= kFlatter;
    }
    return std::nullopt;
  }

  [[nodiscard]] Genome draw(const Genome* kept, double temperature, RngStream& rng) const {
    Genome genome{std::vector<double>(params_.size(), 0.0)};
    Controller::State state = controller_.begin();
    for (std::size_t i = 0; i < params_.size(); ++i) {
      if (!params_.active(i, genome)) {
        continue;
      }
      const Domain& domain = params_.params()[i].domain;
      if (levels_[i] == 1) {  // nothing to decide
        genome.genes[i] = gene_of_level(domain, 0, rng);
        continue;
      }
      const std::vector<double> log_probabilities = controller_.log_probabilities(state, i);
      const bool keeps = kept != nullptr && !hardware_[i];
      const std::size_t level = keeps ? level_of(domain, kept->genes[i]) : pick(log_probabilities, temperature, rng);
      genome.genes[i] = keeps ? kept->genes[i] : gene_of_level(domain, level, rng);
      controller_.choose(state, {i, level});
    }
    return genome;
  }

  void learn() {
    for (const Trial& trial : told_) {
      reward_.see(trial);
    }
    std::vector<double> gradient(controller_.weights().size(), 0.0);
    for (std::size_t k = 0; k < told_.size(); ++k) {
      const bool hardware_only = k > 0 && same_network(told_[k - 1], told_[k]);
      const double reward = hardware_only ? reward_.hardware_only(told_[k]) : reward_.joint(told_[k], measured_twin(k));
      const double advantage = baselines_.at(hardware_only ? 1 : 0).advantage(reward);
      add_gradient(told_[k].proposal.genome, hardware_only, advantage / static_cast<double>(told_.size()), gradient);
    }
    controller_.ascend(gradient, options_.learning_rate);
  }

  void add_gradient(const Genome& genome, bool hardware_only, double scale, std::span<double> gradient) const {
    std::vector<Controller::Decision> decisions;
    std::vector<double> scales;
    for (std::size_t i = 0; i < params_.size(); ++i) {
      if (params_.active(i, genome) && levels_[i] > 1) {
        decisions.push_back({i, level_of(params_.params()[i].domain, genome.genes[i])});
        scales.push_back(hardware_only && !hardware_[i] ? 0.0 : scale);
      }
    }
    double discounted = 1.0;
    for (auto back = scales.rbegin(); back != scales.rend(); ++back) {
      *back *= discounted;
      discounted *= options_.discount;
    }
    controller_.add_gradient(decisions, scales, gradient);
  }

  /// Told trial k, or the next one of its network that was measured where it was not.
  [[nodiscard]] const Trial& measured_twin(std::size_t k) const {
    for (std::size_t i = k; i < told_.size() && same_network(told_[k], told_[i]); ++i) {
      if (reward_.has_objectives(told_[i])) {
        return told_[i];
      }
    }
    return told_[k];
  }

  [[nodiscard]] bool same_network(const Trial& a, const Trial& b) const {
    for (std::size_t i = 0; i < params_.size(); ++i) {
      if (!hardware_[i] && a.proposal.genome.genes[i] != b.proposal.genome.genes[i]) {
        return false;
      }
    }
    return true;
  }

  ReinforceOptions options_;
  const ParamSet& params_;
  std::vector<bool> hardware_;  ///< of each parameter
  bool has_hardware_;
  std::uint64_t seed_;
  Fidelity fidelity_;
  FreshGenomes fresh_;
  std::vector<std::size_t> levels_;
  Controller controller_;
  Reward reward_;
  std::array<Baseline, 2> baselines_;  ///< of joint and of hardware-only designs
  Genome latest_;                      ///< proposed or told
  std::vector<Trial> told_;            ///< of the current episode
  std::size_t episode_ = 0;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_reinforce(const nlohmann::json& options, const AlgorithmContext& context) {
  COSEARCH_CHECK(context.params != nullptr, "an algorithm needs parameters");
  COSEARCH_CHECK(context.hardware.empty() || context.hardware.size() == context.params->size(),
                 "each parameter is the hardware's or not");
  COSEARCH_CHECK(context.learned.empty() || context.learned.size() == context.objectives,
                 "each objective is learned or not");
  std::vector<bool> learned = context.learned;
  learned.resize(context.objectives, false);
  const ReinforceOptions read = read_options(options, learned);
  return std::make_unique<Reinforce>(read, std::move(learned), context);
}

}  // namespace cosearch
