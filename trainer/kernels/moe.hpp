#pragma once

#include <cstdint>

/// The parts of a mixture of experts that are no matrix products: choosing experts, sorting tokens by them, and what
/// moves rows between tokens and experts. A pair is a token and an expert that it has chosen; pairs are ordered by
/// expert, those of one expert by token. Serial; the same bits for the same arguments; results are overwritten.
namespace cosearch::kernels {

struct MoeShape {
  std::int64_t rows = 1;  ///< tokens of the call
  std::int64_t experts = 1;
  std::int64_t top_k = 1;

  [[nodiscard]] std::int64_t pairs() const noexcept { return rows * top_k; }
};

/// picks (rows, top_k): the experts of the largest scores (rows, experts), the largest first, of equal ones the lower
/// expert.
void top_k(const MoeShape& shape, const float* scores, std::int32_t* picks);
/// Of picks: `begin` (experts + 1), where each expert's pairs begin; `tokens` (pairs), the row of each pair.
void sort_by_expert(const MoeShape& shape, const std::int32_t* picks, std::int32_t* begin, std::int32_t* tokens);

/// y (pairs, columns) = the rows of x (rows, columns) that `tokens` names.
void gather_rows(std::int64_t pairs, std::int64_t columns, const std::int32_t* tokens, const float* x, float* y);
/// Adds each row of x (pairs, columns) to the row of y that `tokens` names; y is not overwritten.
void scatter_add_rows(std::int64_t pairs, std::int64_t columns, const std::int32_t* tokens, const float* x, float* y);
/// The same with the weight `share` of each pair.
void scatter_add_weighted(std::int64_t pairs, std::int64_t columns, const std::int32_t* tokens, const float* share,
                          const float* x, float* y);
/// Of scatter_add_weighted: dx = share * dy of the pair's token, dshare (pairs) = the product of dy and x; dy (rows,
/// columns).
void scatter_weighted_backward(std::int64_t pairs, std::int64_t columns, const std::int32_t* tokens, const float* share,
                               const float* x, const float* dy, float* dx, float* dshare);

}  // namespace cosearch::kernels
