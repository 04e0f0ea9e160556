#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "spaces/graph/graph.hpp"

namespace cosearch {

/// How a subnet's weight is made of a shared one: a sparse linear map, one small table per axis. Built once per
/// (shared, subnet) pair and reused in every step; copies go in runs as long as the memory layout allows.
///
/// Both specs have the same number of axes, and of factors in each segment that both have; the subnet may have fewer
/// segments (it takes the first). Rules are those of the subnet's factors (S: shared extent, E: subnet's):
/// - leading: entry i is i; E <= S
/// - centre: entry i is (S - E) / 2 + i, rounded down; E <= S
/// - select: entry i is the shared entry of the same number; a factor that lists none consists of 0 .. extent - 1
/// - resample: linear interpolation with half-pixel centres, clamped: (i + 0.5) * S / E - 0.5. Neighbouring factors
///   multiply, so two of them are the bilinear interpolation of a grid. E == S is the identity.
/// - area: entry i is the sum over the shared axis from i * S / E to (i + 1) * S / E, entries at the ends in proportion
/// Anything else aborts: spaces, not users, write these specs.
class SliceMap {
 public:
  SliceMap(const graph::WeightSpec& shared, const graph::WeightSpec& subnet);
  /// Whether the constructor takes this pair.
  [[nodiscard]] static bool fits(const graph::WeightSpec& shared, const graph::WeightSpec& subnet);

  /// Every subnet value is a shared value of its own: nothing is resampled, so it can be written back.
  [[nodiscard]] bool copies() const noexcept { return copies_; }
  /// The subnet's weight is the shared weight, in the same order.
  [[nodiscard]] bool identity() const noexcept;
  [[nodiscard]] std::int64_t shared_elements() const noexcept { return shared_elements_; }
  [[nodiscard]] std::int64_t subnet_elements() const noexcept { return subnet_elements_; }

  /// subnet = map(shared)
  void gather(std::span<const float> shared, std::span<float> subnet) const;
  /// shared += transpose of map(subnet)
  void scatter_add(std::span<const float> subnet, std::span<float> shared) const;
  /// Puts values back where `gather` took them; other entries stay. Aborts unless `copies`.
  void scatter(std::span<const float> subnet, std::span<float> shared) const;

  /// subnet[subnet_begin + i] += weight * shared[shared_begin + i] for i < length, along one axis.
  struct Run {
    std::int64_t subnet_begin = 0;
    std::int64_t shared_begin = 0;
    std::int64_t length = 0;
    float weight = 1.0F;
  };

 private:
  struct Axis {
    std::int64_t subnet_stride = 1;
    std::int64_t shared_stride = 1;
    std::vector<Run> runs;  ///< in units of the strides; together they fill the subnet's axis
  };
  template <class Visit>
  void visit_runs(std::size_t axis, const Run& base, const Visit& visit) const;

  std::vector<Axis> axes_;  ///< outermost first; inner axes that are taken whole are merged into their outer one
  std::int64_t shared_elements_ = 1;
  std::int64_t subnet_elements_ = 1;
  bool copies_ = true;
};

}  // namespace cosearch
