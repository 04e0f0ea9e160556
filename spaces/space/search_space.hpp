#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "spaces/space/genome.hpp"

namespace cosearch {

/// What a candidate is, hardware aside. Classical models (forests, k-NN, ...) become a second alternative.
using TaskModel = std::variant<graph::NetworkGraph>;

/// What one task asks of a network.
struct TaskHead {
  std::string name;           ///< empty where it is the only one
  std::int64_t classes = 10;  ///< 1: a number is predicted
  bool dense = false;         ///< for each position of a sample
  bool operator==(const TaskHead&) const = default;
};

/// The data that networks of a campaign see: sample shape (height, width, channels) and number of classes.
struct TaskShape {
  graph::Shape sample;
  std::int64_t classes = 10;         ///< 1: a number is predicted, not a class
  bool dense = false;                ///< each position of a sample has a class, rather than the sample
  std::vector<TaskHead> tasks = {};  ///< where several are learned at once, one for each output; empty: one, as above

  /// What a network ends with: (classes), or (height, width, classes).
  [[nodiscard]] graph::Shape output() const {
    return dense ? graph::Shape{sample.at(0), sample.at(1), classes} : graph::Shape{classes};
  }
  /// The tasks, one at least.
  [[nodiscard]] std::vector<TaskHead> heads() const {
    return tasks.empty() ? std::vector<TaskHead>{{"", classes, dense}} : tasks;
  }
  bool operator==(const TaskShape&) const = default;
};

/// How a network's output lies over the samples of a task that it fits; nothing where it does not fit. 1: (classes), or
/// row by row (height, width, classes). Above: (patches, [patch * patch | classes]), where the square patches of so
/// many positions a side follow each other row by row, and so do the positions in each.
[[nodiscard]] std::optional<std::int64_t> output_patch(const graph::Shape& output, const graph::Shape& sample,
                                                       const TaskHead& head);

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
