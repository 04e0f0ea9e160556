#include "hwmodels/asic/tiling_moves.hpp"

#include <algorithm>
#include <cmath>

namespace cosearch::asic {
namespace {

bool has(std::uint32_t bits, int index) { return ((bits >> static_cast<unsigned>(index)) & 1U) != 0; }

}  // namespace

Tiling TilingMoves::start() {
  Tiling tiling = space_.smallest();
  for (int slot = 0; slot + 1 < static_cast<int>(space_.slots().size()); ++slot) {
    if (space_.slots()[static_cast<std::size_t>(slot)].kind == LoopKind::temporal) {
      grow(tiling, slot);
    } else {
      std::vector<int> dims = open_dims(tiling, slot);
      random_.shuffle(dims);
      spread(tiling, slot, dims);
    }
  }
  for (int level = 0; level < space_.levels(); ++level) {
    const std::size_t orders = space_.orders(level).size();
    tiling.order[static_cast<std::size_t>(level)] =
        orders < 2 ? std::uint16_t{0} : static_cast<std::uint16_t>(random_.below(orders));
  }
  return tiling;
}

std::vector<int> TilingMoves::open_dims(const Tiling& tiling, int slot) const {
  std::vector<int> dims;
  for (int dim = 0; dim < space_.dims(); ++dim) {
    if (has(space_.slots()[static_cast<std::size_t>(slot)].dims, dim) && space_.rest(tiling, slot, dim) > 1) {
      dims.push_back(dim);
    }
  }
  return dims;
}

void TilingMoves::spread(Tiling& tiling, int slot, const std::vector<int>& dims) const {
  const auto s = static_cast<std::size_t>(slot);
  std::int64_t limit = space_.slots()[s].limit;
  for (const int dim : dims) {
    if (limit < 2) {
      break;
    }
    const std::int64_t rest = space_.rest(tiling, slot, dim);
    // As few rounds as the instances allow, and no more instances than that takes.
    const std::int64_t rounds = (rest - 1) / std::min(rest, limit) + 1;
    const std::int64_t steps = (rest - 1) / rounds + 1;
    tiling.steps[s][static_cast<std::size_t>(dim)] = steps;
    limit /= steps;
  }
}

void TilingMoves::grow(Tiling& tiling, int slot) {
  std::vector<int> dims = open_dims(tiling, slot);
  random_.shuffle(dims);
  for (const int dim : dims) {
    const std::vector<std::int64_t> choices = step_choices(space_.rest(tiling, slot, dim), false);
    std::int64_t& steps = tiling.steps[static_cast<std::size_t>(slot)][static_cast<std::size_t>(dim)];
    // The largest of the choices that fits, by bisection: tiles grow with the steps.
    std::size_t low = 0;
    std::size_t high = choices.size();
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      steps = choices[middle];
      (judge_.fits(tiling) ? low : high) = middle;
    }
    steps = choices[low];
  }
}

void TilingMoves::change(Tiling& tiling) {
  const double kind = random_.uniform();
  if (kind < 0.40) {
    retile(tiling);
  } else if (kind < 0.60) {
    transfer(tiling);
  } else if (kind < 0.72) {
    trade(tiling);
  } else if (kind < 0.82) {
    respread(tiling);
  } else if (kind < 0.95 || !toggle_keep(tiling)) {
    reorder(tiling);
  }
}

std::int64_t TilingMoves::random_steps(std::int64_t rest) {
  // Few parts are as likely as many: uniform in the logarithm.
  const double parts = std::exp(random_.uniform() * std::log(static_cast<double>(rest) + 0.999));
  return (rest - 1) / std::clamp(static_cast<std::int64_t>(parts), std::int64_t{1}, rest) + 1;
}

void TilingMoves::retile(Tiling& tiling) {
  const int slot = random_slot();
  const std::vector<int> dims = open_dims(tiling, slot);
  if (!dims.empty()) {
    const int dim = dims[random_.below(dims.size())];
    tiling.steps[static_cast<std::size_t>(slot)][static_cast<std::size_t>(dim)] =
        random_steps(space_.rest(tiling, slot, dim));
  }
}

void TilingMoves::transfer(Tiling& tiling) {
  const auto from = static_cast<std::size_t>(random_slot());
  const auto to = static_cast<std::size_t>(random_slot());
  const auto dim = random_.below(static_cast<std::uint64_t>(space_.dims()));
  const std::int64_t steps = tiling.steps[from][dim];
  if (from != to && steps > 1 && has(space_.slots()[to].dims, static_cast<int>(dim))) {
    const std::int64_t part = random_steps(steps);
    tiling.steps[from][dim] = (steps - 1) / part + 1;
    tiling.steps[to][dim] = std::min(tiling.steps[to][dim] * part, space_.extent(static_cast<int>(dim)));
  }
}

void TilingMoves::trade(Tiling& tiling) {
  const int slot = random_slot();
  const auto s = static_cast<std::size_t>(slot);
  const std::uint32_t allowed = space_.slots()[s].dims;
  const auto a = random_.below(static_cast<std::uint64_t>(space_.dims()));
  const auto b = random_.below(static_cast<std::uint64_t>(space_.dims()));
  if (a != b && tiling.steps[s][a] > 1 && has(allowed, static_cast<int>(b))) {
    const std::int64_t part = random_steps(tiling.steps[s][a]);
    tiling.steps[s][a] = (tiling.steps[s][a] - 1) / part + 1;
    tiling.steps[s][b] = std::min(tiling.steps[s][b] * part, space_.extent(static_cast<int>(b)));
  }
}

void TilingMoves::respread(Tiling& tiling) {
  const int slot = random_slot();
  if (space_.slots()[static_cast<std::size_t>(slot)].kind != LoopKind::temporal) {
    tiling.steps[static_cast<std::size_t>(slot)].fill(1);
    std::vector<int> dims = open_dims(tiling, slot);
    random_.shuffle(dims);
    spread(tiling, slot, dims);
  }
}

void TilingMoves::reorder(Tiling& tiling) {
  const auto level = random_.below(static_cast<std::uint64_t>(space_.levels()));
  const std::size_t orders = space_.orders(static_cast<int>(level)).size();
  if (orders > 1) {
    tiling.order[level] = static_cast<std::uint16_t>(random_.below(orders));
  }
}

bool TilingMoves::toggle_keep(Tiling& tiling) {
  const auto level = random_.below(static_cast<std::uint64_t>(space_.levels()));
  const auto tensor = static_cast<int>(random_.below(kMaxTensors));
  if (!has(space_.optional(static_cast<int>(level)), tensor)) {
    return false;
  }
  tiling.kept[level] ^= std::uint32_t{1} << static_cast<unsigned>(tensor);
  return true;
}

}  // namespace cosearch::asic
