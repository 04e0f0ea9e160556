#include "tests/hwmodels/asic/expert_simulator.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace cosearch::testing {
namespace {

/// What loads weights of the next expert: `wanted` cycles of them, counted down.
struct Loader {
  int wanted = 0;
  int loaded = 0;
};

/// One group, cycle by cycle: the memory does the group's own work first, then what the loader wants unless the buffer
/// is busy. Returns its cycles.
int step_through(const Together& group, int ahead, Loader& loader) {
  int first = group.first_memory;
  int own = group.memory;
  first -= std::min(ahead, group.first_weights);  // these are the first that come
  own -= ahead;
  int product_done = -1;
  for (int now = 0;; ++now) {
    const bool product_ready = now >= first && now >= group.first_others;
    product_done = product_ready && product_done < 0 ? now : product_done;
    if (product_done >= 0 && now >= product_done + group.serial && now >= own && now >= group.others) {
      return now;
    }
    if (now >= own && now >= group.buffer && loader.wanted > 0) {
      --loader.wanted;
      ++loader.loaded;
    }
  }
}

/// The least that must come ahead for the group to be as short as it gets, by trial.
int waits(const Together& group) {
  Loader none;
  const int shortest = step_through(group, group.weights, none);
  int ahead = 0;
  while (step_through(group, ahead, none) > shortest) {
    ++ahead;
  }
  return ahead;
}

}  // namespace

int all_weights(const std::vector<Together>& groups) {
  return std::accumulate(groups.begin(), groups.end(), 0, [](int sum, const Together& g) { return sum + g.weights; });
}

int simulated(const Experts& experts, const std::vector<int>& limits) {
  int cycles = 0;
  int there = 0;
  for (std::size_t e = 0; e < experts.size(); ++e) {
    std::vector<int> ahead;
    for (const Together& group : experts[e]) {
      ahead.push_back(std::min(there, waits(group)));
      there -= ahead.back();
    }
    Loader loader{e + 1 < experts.size() ? limits[e + 1] : 0, 0};
    for (std::size_t g = 0; g < ahead.size(); ++g) {
      const int more = std::min(there, experts[e][g].weights - ahead[g]);
      there -= more;
      cycles += step_through(experts[e][g], ahead[g] + more, loader);
    }
    there = loader.loaded;
  }
  return cycles;
}

}  // namespace cosearch::testing
