#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "search/algorithm.hpp"

namespace cosearch {

/// MCUFormer's search (Liang et al., "MCUFormer: deploying vision transformers on microcontrollers with limited
/// memory", NeurIPS 2023, and its authors' code): first the genes that decide about shared weights (rank ratio and
/// patch size, see OuterSpace), then all others.
///
/// 1. The walk. From `starts` random points every point takes `steps` steps (OuterSpace::step, by the 5 nearest of all
///    points visited), all at a time. Where a step arrives at a point for the first time, `samples` random candidates
///    are proposed there, fewer where it has no more; their trials tell the share that breaks the budget (a violation
///    above 0, failed ones too) and the mean error of the others. A step that arrives at known points costs nothing.
/// 2. Evolution at the best point visited (`best_outer`). What the walk proposed there counts for its first generation,
///    filled up with random candidates to `population`; then each generation is bred from the best `parents` of all
///    before it: half by mutation (each gene drawn anew with probability 0.2, those whose name ends in `depth`,
///    `embed_dim` or `width` with 0.4), half by uniform crossover of two.
///
/// The first objective is the error; where it is not what a network learns, it is scaled by the range of its means
/// over the points visited. With several objectives parents are chosen by constrained domination and crowding
/// (select_survivors), which for one is "feasible first, then the lowest"; the walk knows the first only.
/// Without outer genes there is one point and no walk. Initial designs come first. A point with nothing fresh left
/// gives random candidates of the whole space, so the search ends when that is exhausted. Nothing of a walk's round or
/// a generation depends on another of its candidates, so `ask` gives at most the rest of it and then waits.
///
/// Deviations from the published code, beside those of OuterSpace::step: the evolution filters by whatever the
/// campaign constrains (published: by parameter count; its memory option was never read); legal shares and errors are
/// never added (published: a sum of a share and percents with the wrong sign); candidates that violate are kept as
/// parents while there are too few others, rather than drawn again until legal; parents of a crossover may differ in
/// depth.
///
/// Options: `outer` (a list of genes, or of lists of tied genes; default see OuterSpace), `starts` (default 5), `steps`
/// (default 7), `samples` (default 8), `population` (default 50), `parents` (default 10).
/// @throws ConfigError.
[[nodiscard]] std::unique_ptr<SearchAlgorithm> make_mcuformer(const nlohmann::json& options,
                                                              const AlgorithmContext& context);

}  // namespace cosearch
