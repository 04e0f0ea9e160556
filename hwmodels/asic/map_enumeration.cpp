#include "hwmodels/asic/map_enumeration.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace cosearch::asic {
namespace {

// More tile sizes of one loop than this are not enumerated.
constexpr std::size_t kMostChains = 50'000;

bool has(std::uint32_t bits, int index) { return ((bits >> static_cast<unsigned>(index)) & 1U) != 0; }

/// All steps of one dim in the slots before the last one; empty: more than kMostChains.
class ChainList {
 public:
  ChainList(const TilingSpace& space, int dim, bool even) : space_(space), dim_(dim), even_(even) {
    steps_.assign(space.slots().size(), 1);
    extend(0, space.extent(dim));
    if (full_) {
      chains_.clear();
    }
  }
  [[nodiscard]] std::vector<std::vector<std::int64_t>> take() { return std::move(chains_); }

 private:
  void extend(std::size_t slot, std::int64_t rest) {
    if (full_ || slot + 1 == space_.slots().size()) {
      full_ = full_ || chains_.size() >= kMostChains;
      if (!full_) {
        chains_.push_back(steps_);
      }
      return;
    }
    const Slot& here = space_.slots()[slot];
    if (!has(here.dims, dim_)) {
      extend(slot + 1, rest);
      return;
    }
    for (const std::int64_t steps : step_choices(rest, even_)) {
      if (here.kind != LoopKind::temporal && steps > here.limit) {
        break;
      }
      steps_[slot] = steps;
      extend(slot + 1, (rest - 1) / steps + 1);
    }
    steps_[slot] = 1;
  }

  const TilingSpace& space_;
  int dim_;
  bool even_;
  bool full_ = false;
  std::vector<std::int64_t> steps_;
  std::vector<std::vector<std::int64_t>> chains_;
};

double order_count(const TilingSpace& space) {
  double orders = 1.0;
  for (int level = 0; level < space.levels(); ++level) {
    orders *= static_cast<double>(std::max<std::size_t>(space.orders(level).size(), 1));
  }
  return orders;
}

double keep_count(const TilingSpace& space) {
  double choices = 1.0;
  for (int level = 0; level < space.levels(); ++level) {
    for (int tensor = 0; tensor < kMaxTensors; ++tensor) {
      choices *= has(space.optional(level), tensor) ? 2.0 : 1.0;
    }
  }
  return choices;
}

}  // namespace

MapEnumeration::MapEnumeration(MapJudge& judge, bool even)
    : judge_(judge), space_(judge.space()), size_(order_count(space_) * keep_count(space_)) {
  for (int dim = 0; dim < space_.dims(); ++dim) {
    chains_.push_back(ChainList(space_, dim, even).take());
    if (chains_.back().empty()) {
      size_ = std::numeric_limits<double>::infinity();
    } else {
      size_ *= static_cast<double>(chains_.back().size());
    }
    dims_.push_back(dim);
  }
  std::stable_sort(dims_.begin(), dims_.end(), [&](int a, int b) {
    return chains_[static_cast<std::size_t>(a)].size() > chains_[static_cast<std::size_t>(b)].size();
  });
}

void MapEnumeration::run() {
  MapCandidate candidate;
  candidate.tiling = space_.smallest();
  over_keeps(candidate, 0, 0);
}

void MapEnumeration::over_keeps(MapCandidate& candidate, int level, int tensor) {
  if (level == space_.levels()) {
    over_dims(candidate, 0);
    return;
  }
  const bool last = tensor + 1 == kMaxTensors;
  over_keeps(candidate, last ? level + 1 : level, last ? 0 : tensor + 1);
  if (has(space_.optional(level), tensor)) {
    std::uint32_t& kept = candidate.tiling.kept[static_cast<std::size_t>(level)];
    kept ^= std::uint32_t{1} << static_cast<unsigned>(tensor);
    over_keeps(candidate, last ? level + 1 : level, last ? 0 : tensor + 1);
    kept ^= std::uint32_t{1} << static_cast<unsigned>(tensor);
  }
}

void MapEnumeration::over_dims(MapCandidate& candidate, std::size_t depth) {
  if (depth == chains_.size()) {
    if (!judge_.hopeless(candidate.tiling)) {
      over_orders(candidate, 0);
    }
    return;
  }
  const auto dim = static_cast<std::size_t>(dims_[depth]);
  for (const std::vector<std::int64_t>& steps : chains_[dim]) {
    for (std::size_t slot = 0; slot < steps.size(); ++slot) {
      candidate.tiling.steps[slot][dim] = steps[slot];
    }
    if (judge_.fits(candidate.tiling)) {
      over_dims(candidate, depth + 1);
    }
  }
  for (std::size_t slot = 0; slot < space_.slots().size(); ++slot) {
    candidate.tiling.steps[slot][dim] = 1;
  }
}

void MapEnumeration::over_orders(MapCandidate& candidate, int level) {
  if (level == space_.levels()) {
    judge_.evaluate(candidate);
    return;
  }
  const auto l = static_cast<std::size_t>(level);
  const std::size_t orders = std::max<std::size_t>(space_.orders(level).size(), 1);
  for (std::size_t order = 0; order < orders; ++order) {
    candidate.tiling.order[l] = static_cast<std::uint16_t>(order);
    over_orders(candidate, level + 1);
  }
  candidate.tiling.order[l] = 0;
}

}  // namespace cosearch::asic
