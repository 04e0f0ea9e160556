#pragma once

#include "trainer/store/weight_store.hpp"

namespace cosearch {

/// Fills `into` with what `from`, trained for networks of the same kind, knows; the rest keeps its initial values.
/// - A weight of the same name gives what both have of it, by the slice rules: leading entries, the centre of kernels;
///   position embeddings are resampled. Weights of another structure give nothing.
/// - A pair of low-rank factors `x.a`, `x.b` (see the low-rank layers of catalog::VisionTransformer) becomes the best
///   approximation of the product that `from` has, of its `x` or of its own pair: with the singular value decomposition
///   U S V', a = U sqrt(S) and b = sqrt(S) V' to the pair's rank (Eckart and Young, Psychometrika 1936), strongest
///   first, so that leading slices are best approximations too. Where the product has a lower rank, the rest of `a`
///   keeps its initial values and that of `b` is 0: the product is the same, and both can learn.
/// - A dense `x` becomes the product of a pair in `from`.
void inherit(const WeightStore& from, WeightStore& into);

}  // namespace cosearch
