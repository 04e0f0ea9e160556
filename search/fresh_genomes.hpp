#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_set>
#include <vector>

#include "search/algorithm.hpp"
#include "spaces/space/genome.hpp"

namespace cosearch {

/// Which genomes were proposed, and where new ones come from: what every algorithm needs to propose none twice.
/// Answers depend only on the set of proposed genomes and the given stream.
class FreshGenomes {
 public:
  /// `params` outlives the object. `initial`: canonical and legal; aborts otherwise.
  FreshGenomes(const ParamSet& params, std::vector<Genome> initial);

  /// Proposed so far.
  [[nodiscard]] std::size_t proposed() const noexcept { return proposed_.size(); }
  [[nodiscard]] bool is_fresh(const Genome& genome) const { return !proposed_.contains(genome); }
  void add(const Genome& genome);

  /// The next of the initial genomes that is fresh.
  [[nodiscard]] std::optional<Genome> next_initial();
  /// A fresh random genome: by sampling, and where that meets known ones again and again, one of those that an
  /// enumeration finds left. Nothing when the space is exhausted.
  [[nodiscard]] std::optional<Genome> sample(RngStream& rng);
  /// The same within a part of the space: `part` is the parameter set with some genes fixed, which `place` puts into a
  /// genome of `part`. Nothing when the part is exhausted, or is large and nearly so.
  [[nodiscard]] std::optional<Genome> sample_part(const ParamSet& part, const std::function<void(Genome&)>& place,
                                                  RngStream& rng) const;
  /// Up to `n` proposals of what `next` gives, each added at once; fewer where it gives nothing more.
  [[nodiscard]] std::vector<Proposal> propose(std::size_t n, const Fidelity& fidelity,
                                              const std::function<std::optional<Genome>()>& next);

 private:
  struct GenomeHash {
    std::size_t operator()(const Genome& genome) const { return static_cast<std::size_t>(hash(genome)); }
  };
  [[nodiscard]] std::optional<Genome> pick_remaining(RngStream& rng);
  /// Drops the proposed ones from `remaining_`, which is filled first, or anew when the whole space is too large for
  /// it.
  void update_remaining(std::size_t count);

  const ParamSet& params_;
  std::vector<Genome> initial_;
  std::size_t initial_used_ = 0;
  std::unordered_set<Genome, GenomeHash> proposed_;  ///< for look-ups only, never iterated
  std::vector<Genome> remaining_;                    ///< in the order of the enumeration
  bool enumerated_all_ = false;
};

}  // namespace cosearch
