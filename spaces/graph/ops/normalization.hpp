#pragma once

#include <vector>

#include "spaces/graph/ops/lowering.hpp"

/// What batch norm (training) and layer norm share; internal to spaces/graph.
namespace cosearch::graph::ops {

/// Which elements have a mean and variance of their own: each feature over all positions (batch norm), or each position
/// over its features (layer norm).
enum class Statistics { of_features, of_positions };

class Normalization {
 public:
  Normalization(Statistics statistics, const Scope& scope);

  /// Shape of the tensors of means and variances.
  [[nodiscard]] std::vector<std::int64_t> statistics_shape() const;
  /// 1 / number of elements that one statistic covers.
  [[nodiscard]] double share() const;

  /// y = normalized * scale + shift. Leaves the tensors `mean`, `variance`, `rsqrt` and `normalized` in the scope.
  void lower(double epsilon, Scope& scope) const;
  /// scale += output gradient * normalized, shift += output gradient.
  void lower_weight_gradients(Scope& scope) const;
  /// (upstream - mean - normalized * projection) * factor, where `mean` and `projection` are the means of `upstream`
  /// and of upstream * normalized; these and `factor` have the statistics' shape.
  void lower_input_gradient(int upstream, int mean, int projection, int factor, Scope& scope) const;

 private:
  [[nodiscard]] Element statistic(const Loops& loops, int tensor) const;
  /// Emits the step that makes the tensor `name`, of the shape of the outputs.
  int elementwise(const std::string& name, ir::Combine combine, const Element& a, const Element& b, Scope& scope) const;
  /// Emits the step that makes the statistic `name`: the mean of `values`.
  int mean_of(const std::string& name, int values, Scope& scope) const;

  Statistics statistics_;
  std::vector<std::int64_t> batch_shape_;
};

}  // namespace cosearch::graph::ops
