#pragma once

#include <cstddef>
#include <span>

/// How well one list orders another: both of the same length, without NaN. Ties get mean ranks (Spearman) and the
/// tau-b correction (Kendall).
namespace cosearch {

/// Pearson correlation of the ranks; 0 when either list is constant or shorter than 2.
[[nodiscard]] double spearman(std::span<const double> a, std::span<const double> b);
/// Tau-b in O(n log n) (Knight, "A computer method for calculating Kendall's tau with ungrouped data", 1966); 0 when
/// either list is constant or shorter than 2.
[[nodiscard]] double kendall(std::span<const double> a, std::span<const double> b);
/// Share of the k largest of `truth` that are among the k largest of `predicted` (ties by index). k in [1, n].
[[nodiscard]] double top_k_overlap(std::span<const double> predicted, std::span<const double> truth, std::size_t k);

}  // namespace cosearch
