#include "spaces/program/arena.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/program/stacking.hpp"

namespace cosearch::program {
namespace {

/// Buffers that share their first byte: a buffer, its alias, the alias of that, ...
struct Chain {
  std::vector<std::size_t> members;
  std::int64_t bytes = 0;  ///< of the largest member
  std::int64_t alignment = 1;
  int first = 0, last = 0;
  std::int64_t crowd = 0;  ///< largest sum of live bytes over its calls
};

bool meet(const LiveRange& a, const LiveRange& b) { return a.first <= b.last && b.first <= a.last; }

std::vector<Chain> chains_of(const Program& program, const std::vector<LiveRange>& ranges) {
  std::vector<Chain> chains;
  std::vector<std::size_t> chain_of(program.buffers.size());
  for (std::size_t i = 0; i < program.buffers.size(); ++i) {
    const Buffer& buffer = program.buffers[i];
    if (buffer.alias_of) {
      chain_of[i] = chain_of[static_cast<std::size_t>(*buffer.alias_of)];
    } else {
      chain_of[i] = chains.size();
      chains.push_back({{}, 0, 1, ranges[i].first, ranges[i].last, 0});
    }
    Chain& chain = chains[chain_of[i]];
    chain.members.push_back(i);
    chain.bytes = std::max(chain.bytes, buffer.bytes);
    chain.alignment = std::max(chain.alignment, buffer.alignment);
    chain.first = std::min(chain.first, ranges[i].first);
    chain.last = std::max(chain.last, ranges[i].last);
  }
  return chains;
}

bool alive(const LiveRange& range, int call) { return range.first <= call && call <= range.last; }

/// Bytes that a chain takes during a call.
std::int64_t live_bytes(const Program& program, const std::vector<LiveRange>& ranges, const Chain& chain, int call) {
  std::int64_t bytes = 0;
  for (const std::size_t member : chain.members) {
    bytes = std::max(bytes, alive(ranges[member], call) ? program.buffers[member].bytes : 0);
  }
  return bytes;
}

/// Places whole chains; an alias that is smaller than its base frees the rest of the base's bytes when the base dies.
class Packer {
 public:
  Packer(const Program& program, const std::vector<LiveRange>& ranges, const std::vector<Chain>& chains)
      : program_(program), ranges_(ranges), chains_(chains) {}

  struct Packing {
    std::vector<std::int64_t> offsets;  ///< of each chain
    std::int64_t bytes = 0;
  };

  [[nodiscard]] Packing first_fit(const std::vector<std::size_t>& order) const {
    Packing packing;
    packing.offsets.resize(chains_.size(), 0);
    std::vector<std::pair<std::int64_t, std::int64_t>> forbidden;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Chain& chain = chains_[order[i]];
      forbidden.clear();
      for (std::size_t j = 0; j < i; ++j) {
        forbid(chain, chains_[order[j]], packing.offsets[order[j]], forbidden);
      }
      const std::int64_t offset = lowest_free(forbidden, chain.alignment);
      packing.offsets[order[i]] = offset;
      packing.bytes = std::max(packing.bytes, offset + chain.bytes);
    }
    return packing;
  }

 private:
  /// Adds the open intervals of offsets at which a member of `chain` would overlap a live member of `placed`.
  void forbid(const Chain& chain, const Chain& placed, std::int64_t placed_offset,
              std::vector<std::pair<std::int64_t, std::int64_t>>& forbidden) const {
    if (chain.first > placed.last || placed.first > chain.last) {
      return;
    }
    for (const std::size_t a : chain.members) {
      for (const std::size_t b : placed.members) {
        const std::int64_t size_a = program_.buffers[a].bytes;
        const std::int64_t size_b = program_.buffers[b].bytes;
        if (size_a > 0 && size_b > 0 && meet(ranges_[a], ranges_[b])) {
          forbidden.emplace_back(placed_offset - size_a, placed_offset + size_b);
        }
      }
    }
  }

  static std::int64_t lowest_free(std::vector<std::pair<std::int64_t, std::int64_t>>& forbidden,
                                  std::int64_t alignment) {
    std::sort(forbidden.begin(), forbidden.end());
    std::int64_t offset = 0;
    for (const auto& [low, high] : forbidden) {
      if (low < offset && offset < high) {
        offset = (high + alignment - 1) / alignment * alignment;
      }
    }
    return offset;
  }

  const Program& program_;
  const std::vector<LiveRange>& ranges_;
  const std::vector<Chain>& chains_;
};

/// Orders in which first fit does well on networks: big first, long-lived and big first, by birth, or those of the
/// most crowded call first.
std::vector<std::vector<std::size_t>> starting_orders(const std::vector<Chain>& chains) {
  const auto ordered = [&chains](auto key) {
    std::vector<std::size_t> order(chains.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return key(chains[a]) < key(chains[b]); });
    return order;
  };
  return {
      ordered([](const Chain& c) { return std::tuple(-c.bytes, c.first); }),
      ordered([](const Chain& c) { return std::tuple(-c.bytes * (c.last - c.first + 1), std::int64_t{c.first}); }),
      ordered([](const Chain& c) { return std::tuple(std::int64_t{c.first}, -c.bytes); }),
      ordered([](const Chain& c) { return std::tuple(std::int64_t{-c.last}, -c.bytes); }),
      ordered([](const Chain& c) { return std::tuple(std::int64_t{c.first} - c.last, -c.bytes); }),
      ordered([](const Chain& c) { return std::tuple(-c.crowd, c.first - c.last, -c.bytes); }),
  };
}

// Rounds of reordering above the lower bound. Small programs are solved in a few; large ones are stopped here.
constexpr int kMaxRounds = 64;

/// Moves the chains that touch the top of the packing to the front, one at a time, as long as that helps.
void improve(const Packer& packer, const std::vector<Chain>& chains, std::int64_t lower_bound,
             std::vector<std::size_t>& order, Packer::Packing& best) {
  for (int round = 0; round < kMaxRounds && best.bytes > lower_bound; ++round) {
    std::optional<std::vector<std::size_t>> better;
    for (std::size_t from = 1; from < order.size() && !better; ++from) {
      if (best.offsets[order[from]] + chains[order[from]].bytes != best.bytes) {
        continue;
      }
      for (std::size_t to = 0; to < from && !better; ++to) {
        std::vector<std::size_t> trial = order;
        const auto at = [&trial](std::size_t i) { return trial.begin() + static_cast<std::ptrdiff_t>(i); };
        std::rotate(at(to), at(from), at(from + 1));
        Packer::Packing packing = packer.first_fit(trial);
        if (packing.bytes < best.bytes) {
          best = std::move(packing);
          better = std::move(trial);
        }
      }
    }
    if (!better) {
      return;
    }
    order = std::move(*better);
  }
}

/// First fit in several orders, then improved.
Packer::Packing packed(const Packer& packer, const std::vector<Chain>& chains, std::int64_t lower_bound) {
  std::optional<Packer::Packing> best;
  std::vector<std::size_t> best_order;
  for (std::vector<std::size_t>& order : starting_orders(chains)) {
    Packer::Packing packing = packer.first_fit(order);
    if (!best || packing.bytes < best->bytes) {
      best = std::move(packing);
      best_order = std::move(order);
    }
    if (best->bytes == lower_bound) {
      break;
    }
  }
  COSEARCH_CHECK(best.has_value(), "no order of placement");
  improve(packer, chains, lower_bound, best_order, *best);
  return *std::move(best);
}

// Partial stacks that the search may visit, times the calls and buffers that each visit looks at: at most some ten
// milliseconds.
constexpr std::int64_t kMostStackingWork = 2'000'000;

/// The chains and what they must leave free of each other.
Stacking stacking_of(const Program& program, const std::vector<LiveRange>& ranges, const std::vector<Chain>& chains) {
  Stacking stacking;
  stacking.moments.resize(std::max<std::size_t>(1, program.calls.size()));
  const auto bytes = [&program](std::size_t buffer) { return program.buffers[buffer].bytes; };
  for (std::size_t low = 0; low < chains.size(); ++low) {
    Stacking::Block block{chains[low].bytes, chains[low].alignment};
    for (std::size_t high = 0; high < chains.size(); ++high) {
      std::int64_t distance = 0;
      for (const std::size_t a : chains[low].members) {
        for (const std::size_t b : chains[high].members) {
          const bool apart = low != high && bytes(b) > 0 && meet(ranges[a], ranges[b]);
          distance = std::max(distance, apart ? bytes(a) : 0);
        }
      }
      if (distance > 0) {
        block.above.emplace_back(high, distance);
      }
    }
    for (int moment = chains[low].first; moment <= chains[low].last; ++moment) {
      if (const std::int64_t used = live_bytes(program, ranges, chains[low], moment); used > 0) {
        stacking.moments[static_cast<std::size_t>(moment)].emplace_back(low, used);
      }
    }
    stacking.blocks.push_back(std::move(block));
  }
  return stacking;
}

/// Looks for offsets below those of `best`.
void stack_lower(const Stacking& stacking, std::int64_t lower_bound, Packer::Packing& best) {
  const std::int64_t states =
      kMostStackingWork / static_cast<std::int64_t>(stacking.moments.size() + stacking.blocks.size());
  std::optional<std::vector<std::int64_t>> offsets = stacked(stacking, best.bytes, lower_bound, states);
  if (!offsets) {
    return;
  }
  best = {*std::move(offsets), 0};
  for (std::size_t i = 0; i < stacking.blocks.size(); ++i) {
    best.bytes = std::max(best.bytes, best.offsets[i] + stacking.blocks[i].bytes);
  }
}

}  // namespace

std::vector<LiveRange> live_ranges(const Program& program) {
  const int last_call = std::max(0, static_cast<int>(program.calls.size()) - 1);
  std::vector<std::optional<LiveRange>> ranges(program.buffers.size());
  const auto extend = [&ranges](int buffer, int first, int last) {
    std::optional<LiveRange>& range = ranges[static_cast<std::size_t>(buffer)];
    range = range ? LiveRange{std::min(range->first, first), std::max(range->last, last)} : LiveRange{first, last};
  };
  for (std::size_t i = 0; i < program.calls.size();) {
    std::size_t end = i + 1;
    while (program.calls[i].row_block >= 0 && end < program.calls.size() &&
           program.calls[end].row_block == program.calls[i].row_block) {
      ++end;
    }
    for (std::size_t j = i; j < end; ++j) {
      // A row is written anew in each round, so nothing of it is needed before its first call or after its last one.
      const auto name = [&](int buffer) {
        const bool per_row = program.buffers[static_cast<std::size_t>(buffer)].per_row;
        extend(buffer, static_cast<int>(per_row ? j : i), static_cast<int>(per_row ? j : end - 1));
      };
      const KernelCall& call = program.calls[j];
      std::for_each(call.inputs.begin(), call.inputs.end(), name);
      std::for_each(call.scratch.begin(), call.scratch.end(), name);
      name(call.output);
    }
    i = end;
  }
  for (const int input : program.inputs) {
    extend(input, 0, 0);
  }
  for (const int output : program.outputs) {
    extend(output, last_call, last_call);
  }
  std::vector<LiveRange> result(program.buffers.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = program.buffers[i].persistent || !ranges[i] ? LiveRange{0, last_call} : *ranges[i];
  }
  return result;
}

std::vector<LiveStep> live_steps(const Program& program) {
  const std::vector<LiveRange> ranges = live_ranges(program);
  std::vector<LiveStep> steps(std::max<std::size_t>(1, program.calls.size()));
  for (const Chain& chain : chains_of(program, ranges)) {
    for (int step = chain.first; step <= chain.last; ++step) {
      LiveStep& live = steps[static_cast<std::size_t>(step)];
      live.bytes += live_bytes(program, ranges, chain, step);
      for (const std::size_t member : chain.members) {
        if (alive(ranges[member], step)) {
          live.buffers.push_back(static_cast<int>(member));
        }
      }
    }
  }
  for (LiveStep& step : steps) {
    std::sort(step.buffers.begin(), step.buffers.end());
  }
  return steps;
}

std::int64_t peak_live_bytes(const Program& program) {
  const std::vector<LiveStep> steps = live_steps(program);
  return std::max_element(steps.begin(), steps.end(),
                          [](const LiveStep& a, const LiveStep& b) { return a.bytes < b.bytes; })
      ->bytes;
}

ArenaPlan plan_arena(const Program& program) {
  const std::vector<LiveRange> ranges = live_ranges(program);
  const std::vector<LiveStep> steps = live_steps(program);
  std::vector<Chain> chains = chains_of(program, ranges);
  ArenaPlan plan;
  for (Chain& chain : chains) {
    for (int step = chain.first; step <= chain.last; ++step) {
      chain.crowd = std::max(chain.crowd, steps[static_cast<std::size_t>(step)].bytes);
    }
    plan.lower_bound = std::max(plan.lower_bound, chain.crowd);
  }
  Packer::Packing best = packed(Packer(program, ranges, chains), chains, plan.lower_bound);
  if (best.bytes > plan.lower_bound) {
    stack_lower(stacking_of(program, ranges, chains), plan.lower_bound, best);
  }
  plan.bytes = best.bytes;
  plan.offsets.resize(program.buffers.size());
  for (std::size_t i = 0; i < chains.size(); ++i) {
    for (const std::size_t member : chains[i].members) {
      plan.offsets[member] = best.offsets[i];
    }
  }
  return plan;
}

}  // namespace cosearch::program
