#include "search/fresh_genomes.hpp"

#include <algorithm>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

/// Samples before the space counts as nearly exhausted.
constexpr int kSamples = 64;
/// A space up to this size is enumerated once and as a whole, so that the last genomes are picked evenly.
constexpr std::size_t kWholeSpace = std::size_t{1} << 17U;
/// Of a larger space the beginning is enumerated, this far beyond the number of proposed genomes: at least as many of
/// it are fresh.
constexpr std::size_t kBeyond = 4096;

}  // namespace

FreshGenomes::FreshGenomes(const ParamSet& params, std::vector<Genome> initial)
    : params_(params), initial_(std::move(initial)) {
  for (const Genome& genome : initial_) {
    COSEARCH_CHECK(params_.legal(genome), "initial genomes are legal");
  }
}

void FreshGenomes::add(const Genome& genome) { proposed_.insert(genome); }

std::optional<Genome> FreshGenomes::next_initial() {
  while (initial_used_ < initial_.size()) {
    const Genome& genome = initial_[initial_used_++];
    if (is_fresh(genome)) {
      return genome;
    }
  }
  return std::nullopt;
}

std::optional<Genome> FreshGenomes::sample(RngStream& rng) {
  for (int i = 0; i < kSamples; ++i) {
    Genome genome = params_.sample(rng);
    if (is_fresh(genome)) {
      return genome;
    }
  }
  return pick_remaining(rng);
}

std::optional<Genome> FreshGenomes::sample_part(const ParamSet& part, const std::function<void(Genome&)>& place,
                                                RngStream& rng) const {
  for (int i = 0; i < kSamples; ++i) {
    Genome genome = part.sample(rng);
    place(genome);
    if (is_fresh(genome)) {
      return genome;
    }
  }
  const auto count = part.count();
  if (!count || static_cast<std::size_t>(*count) > kBeyond) {
    return std::nullopt;
  }
  std::vector<Genome> left = part.enumerate(static_cast<std::size_t>(*count));
  std::for_each(left.begin(), left.end(), place);
  std::erase_if(left, [&](const Genome& genome) { return !is_fresh(genome); });
  return left.empty() ? std::nullopt : std::optional{left[rng.below(left.size())]};
}

std::optional<Genome> FreshGenomes::pick_remaining(RngStream& rng) {
  const auto count = params_.count();
  if (!count) {
    return std::nullopt;  // real parameters, all of them fixed to a point
  }
  update_remaining(static_cast<std::size_t>(*count));
  return remaining_.empty() ? std::nullopt : std::optional{remaining_[rng.below(remaining_.size())]};
}

void FreshGenomes::update_remaining(std::size_t count) {
  if (!enumerated_all_) {
    enumerated_all_ = count <= kWholeSpace;
    remaining_ = params_.enumerate(enumerated_all_ ? count : std::min(count, proposed() + kBeyond));
  }
  std::erase_if(remaining_, [&](const Genome& genome) { return !is_fresh(genome); });
}

std::vector<Proposal> FreshGenomes::propose(std::size_t n, const Fidelity& fidelity,
                                            const std::function<std::optional<Genome>()>& next) {
  std::vector<Proposal> proposals;
  while (proposals.size() < n) {
    std::optional<Genome> genome = next();
    if (!genome) {
      break;  // the space is exhausted
    }
    add(*genome);
    proposals.push_back({*std::move(genome), fidelity, std::nullopt});
  }
  return proposals;
}

}  // namespace cosearch
