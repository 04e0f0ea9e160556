#include "spaces/queue/expert_queue.hpp"

#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch {

std::int64_t ExpertQueue::tokens() const {
  std::int64_t sum = 0;
  for (const QueuedExpert& each : experts) {
    sum += each.tokens;
  }
  return sum;
}

ExpertQueue queue_of_counts(std::span<const std::int64_t> counts, double weight_bytes) {
  ExpertQueue queue;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    COSEARCH_CHECK(counts[i] >= 0, "no expert is chosen less than never");
    if (counts[i] > 0) {
      queue.experts.push_back({static_cast<int>(i), counts[i], weight_bytes, {}});
    }
  }
  return queue;
}

ExpertQueue queue_of_trace(std::span<const std::vector<int>> trace, int experts, double weight_bytes) {
  std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(experts));
  for (std::size_t token = 0; token < trace.size(); ++token) {
    for (const int expert : trace[token]) {
      COSEARCH_CHECK(expert >= 0 && expert < experts, "a token chose an expert that there is not");
      members[static_cast<std::size_t>(expert)].push_back(static_cast<std::int64_t>(token));
    }
  }
  ExpertQueue queue;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!members[i].empty()) {
      const auto tokens = static_cast<std::int64_t>(members[i].size());
      queue.experts.push_back({static_cast<int>(i), tokens, weight_bytes, std::move(members[i])});
    }
  }
  return queue;
}

std::vector<QueueStep> double_buffered_steps(const ExpertQueue& queue) {
  std::vector<QueueStep> steps;
  const std::size_t size = queue.experts.size();
  for (std::size_t i = 0; size > 0 && i <= size; ++i) {
    steps.push_back({i > 0 ? std::optional(i - 1) : std::nullopt, i < size ? std::optional(i) : std::nullopt});
  }
  return steps;
}

}  // namespace cosearch
