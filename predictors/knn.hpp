#pragma once

#include <span>
#include <vector>

#include "predictors/predictor.hpp"
#include "predictors/standardizer.hpp"

namespace cosearch {

/// The mean of the k nearest rows (Euclidean distance of standardised features, ties by row index), weighted by the
/// inverse distance; rows at distance 0 outweigh all others (Shepard, ACM National Conference, 1968).
///
/// std_dev^2 = scale * (weighted variance of the neighbours' targets + slope^2 * weighted mean of squared distances):
/// neighbours that disagree and neighbours that are far make the mean unsure. `slope` is the root-mean-square change
/// of the target per distance between each row and its nearest other; `scale` makes the sum over all rows, each
/// predicted from the others, equal to the sum of their squared errors.
class NearestNeighboursPredictor final : public Predictor {
 public:
  /// k >= 1; tables with fewer rows use all of them.
  explicit NearestNeighboursPredictor(std::size_t k);

  void fit(std::span<const Row> rows, std::span<const double> targets) override;
  [[nodiscard]] Prediction predict(const Row& row) const override;

 private:
  struct Neighbour {
    double squared_distance;
    std::size_t row;
  };
  /// Mean and the two parts of the variance.
  struct Estimate {
    double mean = 0.0;
    double spread = 0.0;            ///< weighted variance of the neighbours' targets
    double squared_distance = 0.0;  ///< weighted mean
  };
  [[nodiscard]] std::vector<Neighbour> nearest(const Row& standardized, std::size_t excluded) const;
  [[nodiscard]] Estimate estimate(const std::vector<Neighbour>& neighbours) const;

  std::size_t k_;
  Standardizer standardizer_;
  std::vector<Row> rows_;  ///< standardised
  std::vector<double> targets_;
  double squared_slope_ = 0.0;
  double scale_ = 1.0;
};

}  // namespace cosearch
