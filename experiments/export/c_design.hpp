#pragma once

#include <memory>
#include <string>
#include <vector>

#include "experiments/export/c_network.hpp"
#include "experiments/export/design.hpp"

namespace cosearch {

/// `trial_000017/`, a C project of the design's network in int8 (see c_export::Project); of several networks one each,
/// `trial_000017_<network>/`, and of a network of several tasks one for each task, with `_<task>` behind that: what
/// runs for it (graph::task_network). On a board of the target cortex_m the plan fits into its memory, and the project
/// refuses to compile for less. Integers are those whose accuracy the final stage has measured, where it has quantised;
/// else ranges are observed on the campaign's data as quantize::QuantizeOptions says. Needs the final training's
/// weights.
/// @throws StoreError 4 for a design without them, or that does not fit, with the reason.
[[nodiscard]] std::vector<std::string> write_c(const Design& design, const std::string& directory);
/// The same in fp32.
[[nodiscard]] std::vector<std::string> write_c_fp32(const Design& design, const std::string& directory);

/// What becomes a project of its own.
struct DesignSource {
  c_export::Source source;
  std::shared_ptr<const TaskData> data;  ///< whose test split has its test vectors; null: random inputs
};
/// A design's networks, each task's by itself, with their trained weights; where it has none and `untrained` allows it,
/// with random ones.
[[nodiscard]] std::vector<DesignSource> c_sources(const Design& design, bool floating_point, bool untrained);
/// The same of a network without a design, named as it is (of several tasks with `_task<t>` behind it) or `name`, where
/// it has no name.
[[nodiscard]] std::vector<DesignSource> untrained_sources(const graph::NetworkGraph& network, const std::string& name);
/// The board that its hardware is, if it is one, and whether its input is streamed. @throws ConfigError (place
/// `--board`) for a board that the data does not have.
[[nodiscard]] c_export::Choice c_choice(const Hardware& hardware, const std::string& data_directory);

}  // namespace cosearch
