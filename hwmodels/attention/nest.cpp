#include "hwmodels/attention/nest.hpp"

#include <algorithm>

namespace cosearch::attention {
namespace {

std::size_t at(Rank rank) { return static_cast<std::size_t>(rank); }

constexpr std::array<Rank, kRanks> kInsideOut{Rank::inner, Rank::streamed, Rank::rows};

/// The first rank that the set lacks; the inner one where it lacks none.
Rank lacking(const RankSet& set) {
  for (const Rank rank : kInsideOut) {
    if (!set[rank]) {
      return rank;
    }
  }
  return Rank::inner;
}

}  // namespace

RankSet ranks_of(const TensorUse& tensor) {
  RankSet set;
  set.has[at(Rank::inner)] = tensor.inner_words > 1;
  set.has[at(Rank::streamed)] = tensor.extent == Extent::tile || tensor.extent == Extent::key;
  set.has[at(Rank::rows)] =
      tensor.extent == Extent::tile || tensor.extent == Extent::row || tensor.extent == Extent::step;
  return set;
}

ProductNest::ProductNest(const Arch& arch, std::array<std::int64_t, kRanks> extents, Rank innermost)
    : extents_(extents) {
  loops_[0] = {innermost, extents[at(innermost)]};
  std::size_t next = 1;
  bool columns_taken = innermost != Rank::rows;  // rows of the cascade lie along the columns where they are spread
  for (const Rank rank : kInsideOut) {
    if (rank == innermost) {
      continue;
    }
    const bool along_columns = rank == Rank::rows || !columns_taken;
    columns_taken = true;
    const std::int64_t size = along_columns ? arch.columns : arch.rows;
    const std::int64_t extent = extents[at(rank)];
    const std::int64_t turns = (extent + size - 1) / size;
    loops_[next++] = {rank, turns};
  }
}

double ProductNest::cycles() const noexcept {
  double cycles = 1.0;
  for (const Loop& loop : loops_) {
    cycles *= static_cast<double>(loop.turns);
  }
  return cycles;
}

double ProductNest::elements(const RankSet& ranks) const noexcept {
  double elements = 1.0;
  for (const Rank rank : kInsideOut) {
    elements *= ranks[rank] ? static_cast<double>(extents_[at(rank)]) : 1.0;
  }
  return elements;
}

double ProductNest::words(const RankSet& ranks) const noexcept {
  double words = elements(ranks);
  bool inside = true;  // of every loop that the tensor has
  for (const Loop& loop : loops_) {
    inside = inside && (!ranks[loop.rank] || loop.turns == 1);
    words *= !inside && !ranks[loop.rank] ? static_cast<double>(loop.turns) : 1.0;
  }
  return words;
}

Rank innermost_rank(const Profile& profile, const Work& product, Stationary stationary) {
  const auto ranks = [&](int tensor) { return ranks_of(profile.tensors[static_cast<std::size_t>(tensor)]); };
  if (stationary == Stationary::output) {
    return lacking(ranks(product.writes));
  }
  for (const int read : product.reads) {
    if (ranks(read)[Rank::rows] == (stationary == Stationary::input)) {
      return lacking(ranks(read));
    }
  }
  return Rank::inner;
}

}  // namespace cosearch::attention
