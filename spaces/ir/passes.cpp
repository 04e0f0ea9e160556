#include "spaces/ir/passes.hpp"

#include <algorithm>
#include <compare>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "spaces/base/config_error.hpp"
#include "spaces/ir/checked.hpp"

namespace cosearch::ir {
namespace {

/// A pass over all elements, and the walks over blocks that follow it before the next one.
struct Time {
  int pass = 0;
  int step = 0;
  auto operator<=>(const Time&) const = default;
};

/// What is known of a tensor: its elements come one by one during the walk at `time`, or it is complete after it.
struct State {
  Time time;
  bool complete = true;
  int block = -1;  ///< the block of an iteration over the dimension that wrote it last
};

bool later(const State& a, const State& b) { return a.time != b.time ? a.time > b.time : a.complete && !b.complete; }

/// Ranks that the loops in the dimension's axes of an access name.
RankSet named_ranks(const Dimension& dimension, std::size_t e, const Access& access) {
  RankSet ranks = 0;
  for (std::size_t a = 0; a < access.axes.size(); ++a) {
    const RankSet of_axis = dimension.axes[static_cast<std::size_t>(access.tensor)][a];
    for (const Term& term : access.axes[a].terms) {
      ranks |= dimension.loops[e][static_cast<std::size_t>(term.loop)] & of_axis;
    }
  }
  return ranks;
}

/// The times of all einsums for one nesting order of the ranks: what has the rank `outermost` streams, the
/// rest is complete only after a walk.
class PassCounter {
 public:
  PassCounter(const Workload& workload, const Dimension& dimension, RankSet outermost)
      : workload_(workload), dimension_(dimension), outermost_(outermost) {
    for (std::size_t t = 0; t < workload.tensors.size(); ++t) {
      const bool streams = (dimension.of_tensor(static_cast<int>(t)) & outermost_) != 0;
      states_.push_back(streams ? State{{1, 0}, false, -1} : State{});
    }
    written_.resize(workload.tensors.size(), false);
    passes_.resize(workload.einsums.size());
  }

  std::vector<EinsumPass> run() {
    for (std::size_t begin = 0; begin < workload_.einsums.size();) {
      begin = run_block(begin);
    }
    return std::move(passes_);
  }

 private:
  /// The einsum at `begin`, or the whole block of its iteration. Returns the index after it.
  std::size_t run_block(std::size_t begin) {
    const int iteration = workload_.einsums[begin].iteration;
    std::size_t end = begin + 1;
    while (iteration >= 0 && end < workload_.einsums.size() && workload_.einsums[end].iteration == iteration) {
      ++end;
    }
    block_ = iteration >= 0 && iterates(begin) ? static_cast<int>(begin) : -1;
    // What a step hands to the next one comes round once for each einsum at most.
    for (std::size_t round = begin; round < end; ++round) {
      const std::vector<State> before = states_;
      for (std::size_t e = begin; e < end; ++e) {
        run_einsum(e);
      }
      if (std::equal(before.begin(), before.end(), states_.begin(),
                     [](const State& a, const State& b) { return a.time == b.time && a.complete == b.complete; })) {
        break;
      }
    }
    if (block_ >= 0) {
      for (std::size_t e = begin; e < end; ++e) {
        iterated_ = std::max(iterated_, Time{passes_[e].pass, passes_[e].step});
      }
    }
    block_ = -1;
    return end;
  }

  /// Whether the iteration of an einsum walks the dimension.
  [[nodiscard]] bool iterates(std::size_t e) const {
    const Einsum& einsum = workload_.einsums[e];
    const std::string& rank = workload_.iterations[static_cast<std::size_t>(einsum.iteration)].rank;
    for (std::size_t i = 0; i < einsum.loops.size(); ++i) {
      if (einsum.loops[i].name == rank && dimension_.loops[e][i] != 0) {
        return true;
      }
    }
    return false;
  }

  void run_einsum(std::size_t e) {
    const Einsum& einsum = workload_.einsums[e];
    EinsumPass pass;
    const RankSet walked = dimension_.of_einsum(static_cast<int>(e));
    pass.walks = walked != 0;
    pass.full = walked == dimension_.all_ranks();
    Time time{pass.walks ? 1 : 0, 0};
    const auto wait = [&](const Time& least, int tensor) {
      if (least > time) {
        time = least;
        pass.waits_for = tensor;
      }
    };
    for (const Operand& operand : einsum.operands) {
      if (const auto* access = std::get_if<Access>(&operand)) {
        const State state = read(e, *access);
        wait(start_after(state, pass), state.complete ? access->tensor : -1);
      }
    }
    if (einsum.accumulate) {
      const State state = read(e, einsum.output);
      wait(start_after(state, pass), state.complete ? einsum.output.tensor : -1);
    }
    if (einsum.part == Part::final && pass.walks && iterated_.pass > 0) {
      wait(start_after({iterated_, true, -1}, pass), pass.waits_for);
    }
    pass.pass = time.pass;
    pass.step = time.step;
    passes_[e] = pass;
    write(e, {time, (named_ranks(dimension_, e, einsum.output) & outermost_) == 0, block_});
  }

  /// The earliest walk of an einsum that reads what `state` says.
  static Time start_after(const State& state, const EinsumPass& pass) {
    if (!pass.walks) {
      return state.time;
    }
    const Time& time = state.time;
    if (pass.full) {
      return state.complete || time.step > 0 ? Time{time == Time{} ? 0 : time.pass + 1, 0} : time;
    }
    return state.complete && time.pass > 0 ? Time{time.pass, time.step + 1} : time;
  }

  [[nodiscard]] State read(std::size_t e, const Access& access) const {
    const auto tensor = static_cast<std::size_t>(access.tensor);
    State state = states_[tensor];
    if (!state.complete && (named_ranks(dimension_, e, access) & outermost_) == 0) {
      // One element: of what is given it is there, of what is computed it may be the last.
      state = written_[tensor] ? State{state.time, true, state.block} : State{};
    }
    if (block_ >= 0 && state.block == block_) {
      state.complete = false;  // handed over within a step, or to the next one
    }
    return state;
  }

  void write(std::size_t e, State state) {
    const auto tensor = static_cast<std::size_t>(workload_.einsums[e].output.tensor);
    State& known = states_[tensor];
    if (!written_[tensor] || later(state, known)) {
      known = state;
    }
    known.block = state.block;
    written_[tensor] = true;
  }

  const Workload& workload_;
  const Dimension& dimension_;
  RankSet outermost_;
  int block_ = -1;  ///< index of the first einsum of the block that runs, if that iterates over the dimension
  Time iterated_;   ///< of the iterations over the dimension so far
  std::vector<State> states_;
  std::vector<bool> written_;
  std::vector<EinsumPass> passes_;
};

int count_passes(const std::vector<EinsumPass>& einsums) {
  std::set<int> passes;
  for (const EinsumPass& einsum : einsums) {
    if (einsum.full) {
      passes.insert(einsum.pass);
    }
  }
  return static_cast<int>(passes.size());
}

/// Tensors that are given, or follow from given ones by the einsums so far: each could be computed at any time.
std::vector<bool> available_tensors(const Workload& workload) {
  std::vector<bool> available(workload.tensors.size(), true);
  for (const Einsum& einsum : workload.einsums) {
    bool known = einsum.iteration < 0 && !einsum.accumulate;
    for (const Operand& operand : einsum.operands) {
      const auto* access = std::get_if<Access>(&operand);
      known = known && (access == nullptr || available[static_cast<std::size_t>(access->tensor)]);
    }
    const auto output = static_cast<std::size_t>(einsum.output.tensor);
    available[output] = available[output] && known;
  }
  return available;
}

/// What follows from given tensors alone and is read only later is computed when it is first read: what a batch norm
/// makes of its weights need not wait in a buffer.
void delay(const Workload& workload, const Dimension& dimension, RankSet outermost, std::vector<EinsumPass>& passes) {
  const std::vector<bool> available = available_tensors(workload);
  constexpr Time kNever{INT32_MAX, 0};
  std::vector<Time> first_read(workload.tensors.size(), kNever);
  for (const int output : workload.outputs) {
    first_read[static_cast<std::size_t>(output)] = Time{};
  }
  for (std::size_t e = passes.size(); e-- > 0;) {
    const Einsum& einsum = workload.einsums[e];
    const auto output = static_cast<std::size_t>(einsum.output.tensor);
    const Time reader = first_read[output];
    const bool fits = passes[e].full ? reader.step == 0 : true;
    if (passes[e].walks && available[output] && reader != kNever && fits) {
      const Time time = std::max(reader, Time{passes[e].pass, passes[e].step});
      passes[e].pass = time.pass;
      passes[e].step = time.step;
    }
    for (const Operand& operand : einsum.operands) {
      if (const auto* access = std::get_if<Access>(&operand)) {
        Time& first = first_read[static_cast<std::size_t>(access->tensor)];
        const bool streams = (named_ranks(dimension, e, *access) & outermost) != 0;
        first = std::min(first, streams ? Time{passes[e].pass, passes[e].step} : Time{});
      }
    }
  }
}

/// When a tensor's fiber is written and read.
struct Uses {
  std::set<Time> written;
  std::set<Time> read;
};

std::vector<Uses> find_uses(const Workload& workload, const Dimension& dimension,
                            const std::vector<EinsumPass>& passes) {
  std::vector<Uses> uses(workload.tensors.size());
  for (std::size_t e = 0; e < workload.einsums.size(); ++e) {
    const Einsum& einsum = workload.einsums[e];
    const Time time{passes[e].pass, passes[e].step};
    if (named_ranks(dimension, e, einsum.output) != 0) {
      uses[static_cast<std::size_t>(einsum.output.tensor)].written.insert(time);
    }
    for (const Operand& operand : einsum.operands) {
      const auto* access = std::get_if<Access>(&operand);
      if (access != nullptr && named_ranks(dimension, e, *access) != 0) {
        uses[static_cast<std::size_t>(access->tensor)].read.insert(time);
      }
    }
  }
  return uses;
}

std::int64_t fiber_elements(const Tensor& tensor, const std::vector<RankSet>& axes) {
  std::int64_t elements = 1;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    elements = axes[a] != 0 ? checked_multiply(elements, tensor.shape[a]) : elements;
  }
  return elements;
}

/// A live fiber and the walks between which it is.
struct Span {
  Time first;
  Time last;
  std::int64_t bytes = 0;
};

LiveFiber live_fiber(const Workload& workload, const Dimension& dimension, int index, const Uses& uses,
                     const std::set<Time>& times) {
  const Tensor& tensor = workload.tensors[static_cast<std::size_t>(index)];
  LiveFiber fiber;
  fiber.tensor = index;
  fiber.blocks_only = dimension.of_tensor(index) != dimension.all_ranks();
  fiber.given = uses.written.empty();
  fiber.elements = fiber_elements(tensor, dimension.axes[static_cast<std::size_t>(index)]);
  fiber.bytes = checked_multiply(fiber.elements, size_bytes(tensor.type));
  const bool is_output = std::find(workload.outputs.begin(), workload.outputs.end(), index) != workload.outputs.end();
  // The first walk reads what is given in any case; what is an output is written in any case.
  const auto later_reads = static_cast<std::int64_t>(times.size()) - 1;
  fiber.spill_bytes = checked_multiply(later_reads + (fiber.given || is_output ? 0 : 1), fiber.bytes);
  for (const Time& time : times) {
    if (fiber.passes.empty() || fiber.passes.back() != time.pass) {
      fiber.passes.push_back(time.pass);
    }
  }
  return fiber;
}

void find_live_fibers(const Workload& workload, const Dimension& dimension, PassAnalysis& analysis) {
  const std::vector<Uses> uses = find_uses(workload, dimension, analysis.einsums);
  std::vector<Span> spans;
  for (std::size_t t = 0; t < uses.size(); ++t) {
    std::set<Time> times = uses[t].written;
    times.insert(uses[t].read.begin(), uses[t].read.end());
    if (times.size() > 1) {
      const LiveFiber& fiber =
          analysis.live.emplace_back(live_fiber(workload, dimension, static_cast<int>(t), uses[t], times));
      spans.push_back({*times.begin(), *times.rbegin(), fiber.bytes});
      analysis.traffic_bytes = checked_add(analysis.traffic_bytes, fiber.spill_bytes);
    }
  }
  // Most is live where one of them begins to be.
  for (const Span& begin : spans) {
    std::int64_t bytes = 0;
    for (const Span& span : spans) {
      bytes = span.first <= begin.first && begin.first < span.last ? checked_add(bytes, span.bytes) : bytes;
    }
    analysis.buffer_bytes = std::max(analysis.buffer_bytes, bytes);
  }
}

/// Ranks that may be the outermost: that of the iteration, or any.
std::vector<std::size_t> outermost_choices(const Dimension& dimension) {
  std::vector<std::size_t> choices(dimension.iterates.front() ? 1 : dimension.ranks.size());
  std::iota(choices.begin(), choices.end(), 0U);
  return choices;
}

}  // namespace

PassAnalysis analyze_passes(const Workload& workload, const Dimension& dimension) {
  PassAnalysis analysis;
  analysis.dimension = dimension.name;
  analysis.ranks = dimension.ranks;
  analysis.extent = dimension.extent;
  analysis.obstacle = dimension.obstacle;
  if (!dimension.obstacle.empty()) {
    return analysis;
  }
  std::size_t best = 0;
  for (const std::size_t choice : outermost_choices(dimension)) {
    const RankSet outermost = RankSet{1} << choice;
    std::vector<EinsumPass> einsums = PassCounter(workload, dimension, outermost).run();
    delay(workload, dimension, outermost, einsums);
    const int passes = count_passes(einsums);
    if (analysis.einsums.empty() || passes < analysis.passes) {
      analysis.passes = passes;
      analysis.einsums = std::move(einsums);
      best = choice;
    }
  }
  std::rotate(analysis.ranks.begin(), analysis.ranks.begin() + static_cast<std::ptrdiff_t>(best),
              analysis.ranks.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  find_live_fibers(workload, dimension, analysis);
  return analysis;
}

PassAnalysis analyze_passes(const Workload& workload, const std::string& name) {
  std::vector<std::string> known;
  for (const Dimension& dimension : find_dimensions(workload)) {
    const bool has_rank = std::any_of(dimension.ranks.begin(), dimension.ranks.end(),
                                      [&](const Loop& rank) { return rank.name == name; });
    if (dimension.name == name || has_rank) {
      return analyze_passes(workload, dimension);
    }
    known.push_back(dimension.name);
  }
  throw ConfigError("dimension", unknown_name(name, known));
}

}  // namespace cosearch::ir
