#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/base/rng.hpp"

/// Parameters and genomes: what a search algorithm sees of networks and hardware alike.
namespace cosearch {

/// What a gene means.
using GeneValue = std::variant<std::int64_t, double, std::string>;

/// One of a list; all numbers or all strings, without repetition. Numbers are ordered (as listed), strings are not.
struct Choices {
  std::vector<GeneValue> values;
  bool operator==(const Choices&) const = default;
};
/// lower, lower + step, ..., <= upper.
struct IntegerRange {
  std::int64_t lower = 0, upper = 0, step = 1;
  bool operator==(const IntegerRange&) const = default;
};
/// [lower, upper]; logarithmic: uniform in the logarithm, lower > 0.
struct RealRange {
  double lower = 0.0, upper = 1.0;
  bool logarithmic = false;
  bool operator==(const RealRange&) const = default;
};
using Domain = std::variant<Choices, IntegerRange, RealRange>;

/// A gene is active when the parameter `param` (an earlier one, itself active, not a RealRange) has one of the listed
/// gene values (indices, see Genome). Always active when `param` is empty; never when `param` is named and `values` is
/// empty, which is what a restriction of the parent may leave.
struct Condition {
  std::string param;
  std::vector<std::int64_t> values;
  bool operator==(const Condition&) const = default;
};

/// What a missing gene means where one value for all is wrong: a value for each of an earlier parameter `param`. Pairs
/// of what that one and what this one is; where none fits, this domain's first value.
struct Preference {
  std::string param;  ///< empty: no preference
  std::vector<std::pair<GeneValue, GeneValue>> values;
  bool operator==(const Preference&) const = default;
};

struct Param {
  std::string name;  ///< dotted, e.g. `vit.depth`, `hw.board`
  Domain domain;
  Condition active_when;
  Preference preferred = {};
  bool operator==(const Param&) const = default;
};

/// One number per parameter: the index into a Choices or IntegerRange (0 = first), the value of a RealRange.
/// Canonical: inactive genes are 0, so equal designs have equal genomes and hashes.
struct Genome {
  std::vector<double> genes;
  bool operator==(const Genome&) const = default;
};
[[nodiscard]] std::uint64_t hash(const Genome& genome);

/// The parameters with `prefix` before their names and the names in their conditions; those without a condition get
/// `when`. Joins sets: `hw.` + a target's parameters, `vit.` + a space's parameters when the family is `vit`.
[[nodiscard]] std::vector<Param> prefixed(std::vector<Param> params, const std::string& prefix,
                                          const Condition& when = {});

/// An ordered set of parameters and the generic operations on its genomes. Immutable.
class ParamSet {
 public:
  /// @throws ConfigError (place `/<name>`) for empty or inverted domains, duplicate names, conditions on unknown, later
  /// or real parameters or on values that they do not have, preferences by unknown or later parameters.
  explicit ParamSet(std::vector<Param> params);
  ParamSet() = default;

  [[nodiscard]] const std::vector<Param>& params() const noexcept { return params_; }
  [[nodiscard]] std::size_t size() const noexcept { return params_.size(); }
  [[nodiscard]] std::optional<std::size_t> find(const std::string& name) const;
  /// Number of values of a Choices or IntegerRange; nothing for a RealRange.
  [[nodiscard]] std::optional<std::int64_t> cardinality(std::size_t param) const;

  [[nodiscard]] bool active(std::size_t param, const Genome& genome) const;
  /// Inactive genes set to 0.
  [[nodiscard]] Genome canonical(Genome genome) const;
  /// Right length, every gene in its domain, canonical.
  [[nodiscard]] bool legal(const Genome& genome) const;

  /// Uniform over each active parameter's domain.
  [[nodiscard]] Genome sample(RngStream& rng) const;
  /// Each active gene changes with `probability`: ordered domains by a step or (half of the time) anew, unordered ones
  /// anew. At least one gene changes where any can; so the result differs from the parent unless the space has one
  /// point.
  [[nodiscard]] Genome mutate(const Genome& parent, double probability, RngStream& rng) const;
  /// Uniform crossover; genes inactive in a parent are taken from the other.
  [[nodiscard]] Genome crossover(const Genome& a, const Genome& b, RngStream& rng) const;

  /// Number of canonical genomes; nothing when a real parameter can be active. Saturates at 2^63 - 1. Conditions form a
  /// forest (each parameter hangs on at most one other), so the count is exact and linear in the number of parameters
  /// and listed condition values, whatever the size of the space.
  [[nodiscard]] std::optional<std::int64_t> count() const;
  /// The first `limit` canonical genomes in lexicographic order of the genes. Aborts when a real parameter can be
  /// active.
  [[nodiscard]] std::vector<Genome> enumerate(std::size_t limit) const;

  /// The same parameters with some fixed to one value or restricted to some, from a config's
  /// {"vit.depth": 4, "hw.board": ["f746", "h743"], "x": {"min": 2, "max": 6}}. Names stay, so stored genes can be
  /// read; domains shrink (a listed or fixed range becomes Choices), and conditions follow their parents' new indices.
  /// Every parameter stays, those that can no longer be active too, so positions agree with the unrestricted set.
  /// @throws ConfigError (place `/<name>`) for unknown names (did you mean) and values outside the domain.
  [[nodiscard]] ParamSet restricted(const nlohmann::json& genes) const;

  /// Readable values of active genes: {"vit.depth": 4, "hw.board": "f746"}.
  [[nodiscard]] nlohmann::json to_json(const Genome& genome) const;
  /// The inverse; missing genes take their preferred value, else the first (reals their lower end). @throws ConfigError
  /// (place `/<name>`) for unknown names, values outside the domain and genes that the other values make inactive.
  [[nodiscard]] Genome from_json(const nlohmann::json& values) const;
  /// The genome of `to` with the same meaning: each active parameter `name` of `to` gets the value that the parameter
  /// `prefix + name` has here. For restricted and joined sets. Aborts when it is missing, inactive or outside `to`'s
  /// domain.
  [[nodiscard]] Genome translate(const Genome& genome, const ParamSet& to, const std::string& prefix = "") const;

  /// What the gene says; for inactive genes the meaning of 0.
  [[nodiscard]] GeneValue value(std::size_t param, const Genome& genome) const;
  // Typed reads for decoders. Abort when the name or the type is wrong (a defect of the space).
  [[nodiscard]] std::int64_t integer(const Genome& genome, const std::string& name) const;
  [[nodiscard]] double real(const Genome& genome, const std::string& name) const;  ///< also numeric choices
  [[nodiscard]] const std::string& text(const Genome& genome, const std::string& name) const;

  /// Numbers for predictors: ordered parameters scaled to [0, 1], unordered ones one-hot, inactive ones 0, plus one
  /// activity flag per conditional parameter.
  [[nodiscard]] std::vector<double> features(const Genome& genome) const;

 private:
  /// Index of the parameter that `param`'s condition names; -1 without condition.
  [[nodiscard]] int parent(std::size_t param) const { return parents_[param]; }
  /// Whether some genome activates the parameter.
  [[nodiscard]] bool reachable(std::size_t param) const;
  [[nodiscard]] bool condition_holds(std::size_t param, const Genome& genome) const;
  /// The gene that a missing one stands for; those before it are known.
  [[nodiscard]] double missing_gene(std::size_t param, const Genome& genome) const;
  [[nodiscard]] std::size_t index_of(const std::string& name) const;

  std::vector<Param> params_;
  std::vector<int> parents_;
};

}  // namespace cosearch
