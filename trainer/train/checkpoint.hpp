#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "trainer/net/parameters.hpp"
#include "trainer/train/optimizer.hpp"

namespace cosearch {

/// Where a training stands, beside its weights, states and optimiser state.
struct TrainPosition {
  std::int64_t step = 0;    ///< steps done
  double epoch_loss = 0.0;  ///< sum of the losses of the current epoch's steps so far
  std::int64_t epoch_steps = 0;
};

/// Writes everything that decides how a training continues to a temporary file, flushes and renames it, so that a
/// crash leaves the old file or the new one. `key` identifies the training (network, recipe, data, seed, code).
/// @throws std::runtime_error naming the path.
void save_checkpoint(const std::string& path, std::uint64_t key, const TrainPosition& position,
                     const Parameters& parameters, const Optimizer& optimizer);

/// Restores what `save_checkpoint` wrote. Nothing, and nothing changed, when the file is missing, damaged, or of
/// another training.
[[nodiscard]] std::optional<TrainPosition> load_checkpoint(const std::string& path, std::uint64_t key,
                                                           Parameters& parameters, Optimizer& optimizer);

}  // namespace cosearch
