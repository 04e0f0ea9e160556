#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/space/genome.hpp"

namespace cosearch {

using TrialId = std::int64_t;

/// How dearly a candidate is evaluated.
enum class FidelityKind { cost, proxy, one_shot, epochs, full };
struct Fidelity {
  FidelityKind kind = FidelityKind::full;
  int epochs = 0;  ///< for FidelityKind::epochs
  bool operator==(const Fidelity&) const = default;
};

struct Proposal {
  Genome genome;
  Fidelity fidelity;
  std::optional<TrialId> continues;  ///< a trial whose training goes on
  bool operator==(const Proposal&) const = default;
};

/// complete: measured. screened: objectives that were not measured come from the screening predictor.
/// infeasible: a capacity or constraint is broken. failed: the evaluation itself failed (diverged).
enum class TrialState { complete, screened, infeasible, failed };

/// What an algorithm learns of an evaluated proposal. Lower is better in every objective.
struct Trial {
  TrialId id = 0;
  Proposal proposal;
  TrialState state = TrialState::complete;
  std::vector<double> objectives;  ///< empty when infeasible before they could be computed, or failed
  double violation = 0.0;          ///< sum of relative constraint violations; 0 when feasible, +inf when unknown
};

/// A state machine without threads, clocks, files or logging. All draws are keyed by the seed and the number of the
/// proposal, so its state is a function of the trials told so far.
class SearchAlgorithm {
 public:
  virtual ~SearchAlgorithm() = default;
  /// At most n new proposals, each genome legal and never proposed before. Empty while nothing is pending: finished
  /// (the space is exhausted). A generational algorithm gives the rest of its generation and then waits for `tell`.
  [[nodiscard]] virtual std::vector<Proposal> ask(std::size_t n) = 0;
  /// Results of asked proposals, in trial order, each once.
  virtual void tell(std::span<const Trial> trials) = 0;
};

/// What every algorithm is given.
struct AlgorithmContext {
  const ParamSet* params = nullptr;  ///< outlives the algorithm
  std::size_t objectives = 2;
  std::uint64_t seed = 0;
  Fidelity fidelity = {};            ///< of ordinary proposals
  std::vector<Genome> initial = {};  ///< user's designs, proposed first; canonical and legal
  std::vector<bool> hardware = {};   ///< which parameters describe hardware; empty: none
  std::vector<bool> learned =
      {};  ///< which objectives are shares that a network learns, whatever the hardware; empty: none
};

struct AlgorithmEntry {
  std::string_view name;
  std::string_view summary;
  /// `options`: the config's search part without `algorithm`. @throws ConfigError.
  std::unique_ptr<SearchAlgorithm> (*make)(const nlohmann::json& options, const AlgorithmContext& context);
};
/// Sorted by name.
[[nodiscard]] std::span<const AlgorithmEntry> algorithm_registry();
/// @throws ConfigError (place "/search/algorithm") for an unknown name.
[[nodiscard]] std::unique_ptr<SearchAlgorithm> make_algorithm(const std::string& name, const nlohmann::json& options,
                                                              const AlgorithmContext& context);

}  // namespace cosearch
