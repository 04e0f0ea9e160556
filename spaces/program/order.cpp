#include "spaces/program/order.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <tuple>

namespace cosearch::program {
namespace {

/// What is alive after some operations, and how one more changes that.
class Liveness {
 public:
  explicit Liveness(const std::vector<Operation>& operations) : operations_(operations), readers_(operations.size()) {
    for (std::size_t i = 0; i < operations.size(); ++i) {
      for (const int input : operations[i].inputs) {
        readers_[static_cast<std::size_t>(input)].push_back(i);
      }
    }
  }

  [[nodiscard]] bool ready(const std::vector<bool>& done, std::size_t next) const {
    const std::vector<int>& inputs = operations_[next].inputs;
    return !done[next] &&
           std::all_of(inputs.begin(), inputs.end(), [&](int input) { return done[static_cast<std::size_t>(input)]; });
  }

  /// Bytes that the tensors of operations done take, where something still needs them.
  [[nodiscard]] std::int64_t bytes(const std::vector<bool>& done) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      sum += done[i] && needed(done, i, operations_.size()) ? operations_[i].bytes : 0;
    }
    return sum;
  }

  /// Bytes while `next` runs after those done, which hold `bytes`.
  [[nodiscard]] std::int64_t bytes_during(const std::vector<bool>& done, std::int64_t bytes, std::size_t next) const {
    const Operation& operation = operations_[next];
    std::int64_t saved = 0;
    for (const int input : operation.overwrites) {
      const auto index = static_cast<std::size_t>(input);
      if (!needed(done, index, next)) {
        saved = std::max(saved, std::min(operations_[index].bytes, operation.bytes));
      }
    }
    return bytes + operation.bytes + operation.scratch_bytes - saved;
  }

  /// Operations whose tensors are there before anything runs.
  [[nodiscard]] std::vector<bool> start() const {
    std::vector<bool> done(operations_.size());
    std::transform(operations_.begin(), operations_.end(), done.begin(),
                   [](const Operation& operation) { return operation.inputs.empty(); });
    return done;
  }

 private:
  /// Something not done but `except` reads the tensor, or it is kept.
  [[nodiscard]] bool needed(const std::vector<bool>& done, std::size_t tensor, std::size_t except) const {
    return operations_[tensor].kept ||
           std::any_of(readers_[tensor].begin(), readers_[tensor].end(),
                       [&](std::size_t reader) { return !done[reader] && reader != except; });
  }

  const std::vector<Operation>& operations_;
  std::vector<std::vector<std::size_t>> readers_;
};

using Set = std::vector<bool>;

/// How a set of operations done is reached at the smallest peak known so far.
struct Reached {
  std::int64_t peak = 0;
  std::size_t last = 0;  ///< the operation that made it of the set without it
};

/// Back from the whole set to the start.
std::vector<int> path(const std::map<Set, Reached>& reached, Set set, const Set& start) {
  std::vector<int> order;
  while (set != start) {
    const std::size_t last = reached.at(set).last;
    order.push_back(static_cast<int>(last));
    set[last] = false;
  }
  for (std::size_t i = start.size(); i-- > 0;) {
    if (start[i]) {
      order.push_back(static_cast<int>(i));
    }
  }
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace

std::int64_t peak_bytes(const std::vector<Operation>& operations, const std::vector<int>& order) {
  const Liveness liveness(operations);
  Set done = liveness.start();
  std::int64_t peak = liveness.bytes(done);
  for (const int next : order) {
    const auto index = static_cast<std::size_t>(next);
    if (!done[index]) {
      peak = std::max(peak, liveness.bytes_during(done, liveness.bytes(done), index));
      done[index] = true;
    }
  }
  return peak;
}

std::optional<std::vector<int>> smallest_peak_order(const std::vector<Operation>& operations, std::size_t most_states) {
  const Liveness liveness(operations);
  const Set start = liveness.start();
  const Set all(operations.size(), true);
  std::vector<int> given(operations.size());
  std::iota(given.begin(), given.end(), 0);
  const std::int64_t given_peak = peak_bytes(operations, given);

  // The smallest peak first, and of those the largest set, so that a plain chain is walked once.
  using Entry = std::tuple<std::int64_t, std::size_t, Set>;  // peak, operations not done, set
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> open;
  std::map<Set, Reached> reached{{start, {liveness.bytes(start), 0}}};
  std::set<Set> closed;
  open.emplace(reached.at(start).peak, operations.size(), start);
  while (!open.empty()) {
    const auto [peak, left, set] = open.top();
    open.pop();
    if (peak >= given_peak) {
      return given;
    }
    if (set == all) {
      return path(reached, set, start);
    }
    if (!closed.insert(set).second) {
      continue;
    }
    if (closed.size() > most_states) {
      return std::nullopt;
    }
    const std::int64_t bytes = liveness.bytes(set);
    for (std::size_t next = 0; next < operations.size(); ++next) {
      if (!liveness.ready(set, next)) {
        continue;
      }
      Set larger = set;
      larger[next] = true;
      const Reached way{std::max(peak, liveness.bytes_during(set, bytes, next)), next};
      const auto [found, fresh] = reached.emplace(larger, way);
      if (fresh || way.peak < found->second.peak) {
        found->second = way;
        open.emplace(way.peak, left - 1, std::move(larger));
      }
    }
  }
  return given;
}

}  // namespace cosearch::program
