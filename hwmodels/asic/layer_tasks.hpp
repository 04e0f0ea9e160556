#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/asic/schedule/problem.hpp"
#include "hwmodels/job_graph.hpp"
#include "hwmodels/layers.hpp"

namespace cosearch::asic {

/// The layers (runs of einsums) of a job as tasks that are assigned as one: a layer without multiply-accumulates
/// belongs to the task of the latest layer that it reads, or to the first task.
struct LayerTasks {
  std::vector<int> task_of;           ///< by layer
  std::vector<int> first_layer;       ///< by task: the layer that names it
  std::vector<schedule::Edge> edges;  ///< between different tasks, each once
};
[[nodiscard]] LayerTasks layer_tasks(const JobWorkload& job);

}  // namespace cosearch::asic
