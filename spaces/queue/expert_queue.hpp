#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace cosearch {

/// One expert of a mixture and what waits for it.
struct QueuedExpert {
  int expert = 0;
  std::int64_t tokens = 0;
  double weight_bytes = 0.0;          ///< of the expert's weights and biases
  std::vector<std::int64_t> members;  ///< indices of the tokens in their order; empty where only counts are known
  bool operator==(const QueuedExpert&) const = default;
};

/// The order in which the experts of a mixture compute when tokens wait for experts and not experts for tokens: each
/// expert works off its whole queue, so that its weights are needed once (Fan et al., "M3ViT", NeurIPS 2022, section
/// 3.2). Experts without tokens are left out: the paper's meta-queue. A value; any hardware or trainer that streams
/// experts reads it.
struct ExpertQueue {
  std::vector<QueuedExpert> experts;

  [[nodiscard]] std::int64_t tokens() const;  ///< of all experts: tokens times experts per token
  bool operator==(const ExpertQueue&) const = default;
};

/// `counts` says how many tokens chose each expert (not negative); experts follow each other by their numbers.
[[nodiscard]] ExpertQueue queue_of_counts(std::span<const std::int64_t> counts, double weight_bytes);

/// The same from a routing: for each token the experts that it chose, numbers below `experts`. Aborts on others.
[[nodiscard]] ExpertQueue queue_of_trace(std::span<const std::vector<int>> trace, int experts, double weight_bytes);

/// One step with two buffers of weights: an entry of the queue computes while the weights of the next one load. The
/// first step only loads, the last only computes.
struct QueueStep {
  std::optional<std::size_t> computes;  ///< index into ExpertQueue::experts
  std::optional<std::size_t> loads;
  bool operator==(const QueueStep&) const = default;
};
[[nodiscard]] std::vector<QueueStep> double_buffered_steps(const ExpertQueue& queue);

}  // namespace cosearch
