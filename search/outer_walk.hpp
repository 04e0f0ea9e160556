#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spaces/base/json_reader.hpp"
#include "spaces/base/rng.hpp"
#include "spaces/space/genome.hpp"

/// The outer part of MCUFormer's search (Liang et al., "MCUFormer: deploying vision transformers on microcontrollers
/// with limited memory", NeurIPS 2023): points of a few genes, each with a supernet of its own, move down planes that
/// are fitted to what is known around them.
namespace cosearch {

/// One gene for each axis of an OuterSpace, as in Genome.
using OuterPoint = std::vector<double>;

/// What the trials of a point tell.
struct OuterResult {
  OuterPoint point;
  std::size_t trials = 0;
  double illegal = 0.0;         ///< share of the trials that violate something
  std::optional<double> error;  ///< mean first objective of the legal ones; nothing where there are none
  double violation = 0.0;       ///< the least
};

/// The chosen genes of a parameter set: axes, each of one parameter or of several that are tied, that is, always have
/// the same value. Axes with one value are left out.
class OuterSpace {
 public:
  /// `outer`: a list of names, or of lists of tied names. Nothing: each numeric parameter that is in every genome, is
  /// not the hardware's, and whose name ends in `patch`, `low_rank` or `rank_*`. `params` outlives the object.
  /// @throws ConfigError: unknown or repeated names, genes that are not in every genome, names without an order, tied
  /// genes with different values.
  OuterSpace(const ParamSet& params, const std::vector<bool>& hardware, const std::optional<JsonReader>& outer);

  [[nodiscard]] std::size_t axes() const noexcept { return axes_.size(); }
  /// Where a genome lies; nothing when its tied genes differ.
  [[nodiscard]] std::optional<OuterPoint> point_of(const Genome& genome) const;
  /// Puts the point's genes into a genome.
  void place(const OuterPoint& point, Genome& genome) const;
  /// Whether a parameter belongs to an axis.
  [[nodiscard]] bool contains(std::size_t param) const { return chosen_[param]; }
  /// The parameters with those of the point fixed.
  [[nodiscard]] ParamSet fixed_at(const OuterPoint& point) const;
  /// Uniform over the values of each axis.
  [[nodiscard]] OuterPoint sample(RngStream& rng) const;
  /// Each axis scaled to [0, 1] by its smallest and largest value.
  [[nodiscard]] std::vector<double> coordinates(const OuterPoint& point) const;

  /// The point after one published step. Around `from` the `neighbours` nearest results (Euclidean, in `coordinates`;
  /// of equally near ones the earlier) give two least-squares planes, of `illegal` and of `error` / `error_scale`; of
  /// several solutions the flattest. Along an axis the point moves by -(trunc(slope of illegal / its threshold) +
  /// trunc(slope of error / its threshold)) steps and is then clipped and moved to the nearest allowed value. A rank
  /// ratio has the published step 0.05 of the published range 0.55 and the thresholds 0.2 and 0.1 (10 %), every other
  /// axis 4 of 16 (pixels of a patch), 2 and 0.2.
  ///
  /// Deviations: slopes are per range of the axis rather than per unit, as in the authors' later code, so that one
  /// threshold suits every axis; they are truncated, since floor would take a step down every negative slope however
  /// flat; both terms count steps, so neither scale drowns the other; a step always reaches the neighbouring value,
  /// however coarse the values are.
  [[nodiscard]] OuterPoint step(const OuterPoint& from, std::span<const OuterResult> results, std::size_t neighbours,
                                double error_scale) const;

 private:
  struct Axis {
    std::vector<std::size_t> params;
    Domain domain;
    double lower = 0.0, upper = 0.0;  ///< smallest and largest value
    double step = 0.0;                ///< share of the range
    double illegal_threshold = 0.0, error_threshold = 0.0;
  };
  void add(const std::vector<std::size_t>& params);
  [[nodiscard]] std::size_t chosen_param(const JsonReader& name) const;
  [[nodiscard]] static double moved(const Axis& axis, double gene, double shift);

  const ParamSet& params_;
  std::vector<bool> chosen_;  ///< of each parameter
  std::vector<Axis> axes_;
};

/// Slopes of the plane through the points that fits the values best; of several such planes the flattest.
[[nodiscard]] std::vector<double> plane_slopes(const std::vector<std::vector<double>>& points,
                                               const std::vector<double>& values);

/// The best of some results: of those whose share of legal trials is at least half of the largest, the one with the
/// lowest mean error; where nothing is legal, the one with the least violation. The first of equals; index into
/// `results`, which is not empty.
[[nodiscard]] std::size_t best_outer(std::span<const OuterResult> results);

}  // namespace cosearch
