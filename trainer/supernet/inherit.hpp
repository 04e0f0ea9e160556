#pragma once

#include "trainer/store/weight_store.hpp"

namespace cosearch {

/// Fills `into` with what `from`, trained for networks of the same kind, knows; the rest keeps its initial values.
/// - A weight of the same name gives what both have of it, by the slice rules: leading entries, the centre of kernels;
///   position embeddings are resampled. Weights of another structure give nothing.
/// - Low-rank factors of a layer `x` (see catalog::LowRank), `x.a` and `x.b` or `x.in`, `x.core` and `x.out`, become
///   the best approximation of the matrix that `from` has for `x`, dense or as a product of either form: with the
///   singular value decomposition U S V', a = U sqrt(S) and b = sqrt(S) V', or in = U, core = S and out = V', to the
///   rank of `into` (Eckart and Young, Psychometrika 1936), strongest first, so that leading slices are best
///   approximations too. Where the matrix has a lower rank, the rest of the first factor keeps its initial values, that
///   of the core is the identity and that of the last factor 0: the product is the same, and all can learn.
/// - A dense `x` becomes the product of the factors in `from`.
void inherit(const WeightStore& from, WeightStore& into);

}  // namespace cosearch
