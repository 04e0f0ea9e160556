#pragma once

#include <variant>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "spaces/space/genome.hpp"

namespace cosearch {

/// What a candidate is, hardware aside. Classical models (forests, k-NN, ...) become a second alternative.
using TaskModel = std::variant<graph::NetworkGraph>;

/// The data that networks of a campaign see: sample shape (height, width, channels) and number of classes.
struct TaskShape {
  graph::Shape sample;
  std::int64_t classes = 10;
  bool dense = false;  ///< each position of a sample has a class, rather than the sample

  /// What a network ends with: (classes), or (height, width, classes).
  [[nodiscard]] graph::Shape output() const {
    return dense ? graph::Shape{sample.at(0), sample.at(1), classes} : graph::Shape{classes};
  }
  bool operator==(const TaskShape&) const = default;
};

/// What a genome means. Pure and immutable: any thread.
class SearchSpace {
 public:
  virtual ~SearchSpace() = default;
  [[nodiscard]] virtual const ParamSet& params() const noexcept = 0;
  /// Total: every canonical genome decodes to a network whose shapes fit.
  [[nodiscard]] virtual TaskModel decode(const Genome& genome) const = 0;
  /// The smallest and the largest network of each family, for shared weights.
  [[nodiscard]] virtual std::vector<Genome> corners() const = 0;
};

}  // namespace cosearch
