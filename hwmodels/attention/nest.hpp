#pragma once

#include <array>
#include <cstdint>

#include "hwmodels/attention/design.hpp"

namespace cosearch::attention {

/// Ranks of a product that runs alone on the array: inner (e or f), streamed (m), rows (p).
enum class Rank { inner, streamed, rows };
inline constexpr std::size_t kRanks = 3;

struct RankSet {
  std::array<bool, kRanks> has{};
  [[nodiscard]] bool operator[](Rank rank) const { return has[static_cast<std::size_t>(rank)]; }
};
/// Ranks that index a tensor.
[[nodiscard]] RankSet ranks_of(const TensorUse& tensor);

/// A product as a loop nest on the array: the rank that what stays lacks runs innermost and whole, the other two are
/// spread over the array, and what is left of them runs outside in the order inner, streamed, rows. Every number is of
/// one nest (one chunk of rows of one head).
class ProductNest {
 public:
  ProductNest(const Arch& arch, std::array<std::int64_t, kRanks> extents, Rank innermost);

  [[nodiscard]] double cycles() const noexcept;
  /// Words that the array takes of a tensor with these ranks, or gives: its elements, again for each turn of a loop
  /// that it does not have around one that it has.
  [[nodiscard]] double words(const RankSet& ranks) const noexcept;
  /// Different words.
  [[nodiscard]] double elements(const RankSet& ranks) const noexcept;

 private:
  struct Loop {
    Rank rank = Rank::inner;
    std::int64_t turns = 1;
  };
  std::array<std::int64_t, kRanks> extents_;
  std::array<Loop, kRanks> loops_;  ///< innermost first
};

/// The rank that runs innermost while `stationary` of a product stays.
[[nodiscard]] Rank innermost_rank(const Profile& profile, const Work& product, Stationary stationary);

}  // namespace cosearch::attention
