#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cosearch {

/// How often each class was taken for which. An answer is the first of the largest outputs; outputs with a NaN answer
/// none of the classes.
class Confusion {
 public:
  explicit Confusion(std::int64_t classes);

  /// `outputs`: (labels, classes).
  void add(std::span<const float> outputs, std::span<const std::uint8_t> labels);

  /// Share of right answers; 0 without any.
  [[nodiscard]] double accuracy() const;
  /// Mean over the classes but 0, the background, of the positions that are rightly answered with the class over those
  /// that have it as label or answer (Everingham et al., "The PASCAL visual object classes challenge", IJCV 2010).
  /// Classes that are nowhere do not count; 0 where none is left.
  [[nodiscard]] double mean_intersection_over_union() const;

 private:
  [[nodiscard]] std::int64_t at(std::size_t label, std::size_t answer) const {
    return counts_[label * (classes_ + 1) + answer];
  }
  std::size_t classes_;
  std::vector<std::int64_t> counts_;  ///< (label, answer); the last answer is none of the classes
};

}  // namespace cosearch
