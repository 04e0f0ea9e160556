#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/export/c/project.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/program/variants.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/quantize/quantize.hpp"
#include "trainer/store/weight_store.hpp"

/// From a network with its weights to the C project of a board.
namespace cosearch::c_export {

/// What a network brings.
struct Source {
  std::string name;
  graph::NetworkGraph graph;
  WeightStore weights;
  std::vector<quantize::ValueRange> ranges;  ///< what quantize() needs; empty in fp32
};

/// Where it shall run and how.
struct Choice {
  bool floating_point = false;
  std::optional<mcu::Board> board;  ///< its memory is the plan's limit and the project's budget
  bool streamed_input = false;      ///< see program::LoweringOptions
  std::int64_t test_vectors = 4;
};

/// A project, and what it points to.
class NetworkProject {
 public:
  /// `data`: where test vectors come from, the first samples of its test split; null: random inputs.
  /// Infeasible: an operator without a kernel; an arena or constants above the board's memory, by how many bytes and in
  /// which call.
  [[nodiscard]] static Expected<NetworkProject, Infeasible> make(const Source& source, const Choice& choice,
                                                                 const TaskData* data);

  [[nodiscard]] const Project& project() const noexcept { return *project_; }
  /// How the network was made to fit, see mcu::describe.
  [[nodiscard]] const program::LoweringOptions& options() const noexcept { return options_; }

 private:
  std::shared_ptr<quantize::QuantizedNetwork> integers_;  ///< where not in floating point
  std::shared_ptr<FloatNetwork> floats_;
  std::shared_ptr<Project> project_;
  program::LoweringOptions options_;
};

/// Random weights, and ranges of -4 to 4 for all values: for what does not depend on either, such as memory and
/// instructions.
[[nodiscard]] Source untrained(const std::string& name, const graph::NetworkGraph& graph, std::uint64_t seed);

}  // namespace cosearch::c_export
