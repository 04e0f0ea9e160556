#include "hwmodels/asic/expert_prefetch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "spaces/base/check.hpp"

namespace cosearch::asic {
namespace {

double memory_cycles(double reading, double writing, const WeightPath& path) {
  return path.one_port ? reading + writing : std::max(reading, writing);
}

/// Neighbouring einsums of an expert that work together.
struct Group {
  std::size_t begin = 0;
  std::size_t end = 0;
  double weights = 0.0;  ///< cycles
  double waits = 0.0;    ///< cycles of weights that all else has to wait for
};

/// Cycles of one group, of whose weights `ahead` cycles need not load any more.
struct GroupRun {
  std::vector<RetimedEinsum> einsums;
  double idle = 0.0;  ///< in which other weights can load
};

GroupRun run_group(const ExpertTime& expert, const Group& group, double ahead, const WeightPath& path) {
  GroupRun run;
  double walked = 0.0;  // cycles of the external memory without prefetching
  double memory = 0.0;  // with it
  double reading = 0.0;
  double cycles = 0.0;
  for (std::size_t i = group.begin; i < group.end; ++i) {
    const EinsumTime& each = expert.einsums[i];
    const double there = std::min(ahead, each.weights);
    ahead -= there;
    walked += memory_cycles(each.reading, each.writing, path);
    memory += memory_cycles(each.reading - there, each.writing, path);
    reading += each.reading - there;
    // What comes before or behind all else, as filling the array does.
    const double serial = i > group.begin ? 0.0 : each.cycles - std::max(each.others, walked);
    cycles = std::max(cycles, std::max(each.others, memory) + serial);
    run.einsums.push_back({cycles, memory > each.others ? path.outer_level : each.others_level});
  }
  const double busy = std::max(path.one_port ? memory : reading, expert.einsums[group.end - 1].buffer);
  run.idle = std::floor((cycles - busy) * path.pace);
  return run;
}

/// Without prefetching beyond what makes the group as short as it can be.
double waits_of(const ExpertTime& expert, const Group& group, const WeightPath& path) {
  const double shortest = run_group(expert, group, group.weights, path).einsums.back().cycles;
  double memory = 0.0;
  double waits = 0.0;
  for (std::size_t i = group.begin; i < group.end; ++i) {
    const EinsumTime& each = expert.einsums[i];
    memory += memory_cycles(each.reading, each.writing, path);
    const double serial = i > group.begin ? 0.0 : each.cycles - std::max(each.others, memory);
    waits = std::max(waits, memory + serial - shortest);
  }
  return std::min(waits, group.weights);
}

std::vector<Group> groups_of(const ExpertTime& expert, const WeightPath& path) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < expert.einsums.size(); ++i) {
    if (!expert.einsums[i].takes_over) {
      groups.push_back({i, i, 0.0, 0.0});
    }
    groups.back().end = i + 1;
    groups.back().weights += expert.einsums[i].weights;
  }
  for (Group& group : groups) {
    group.waits = waits_of(expert, group, path);
  }
  return groups;
}

struct ExpertRun {
  std::vector<RetimedEinsum> einsums;
  double idle = 0.0;
};

/// With `ahead` cycles of the weights there: first those that are waited for, then the others.
ExpertRun run_expert(const ExpertTime& expert, std::span<const Group> groups, double ahead, const WeightPath& path) {
  std::vector<double> there;
  for (const Group& group : groups) {
    there.push_back(std::min(group.waits, ahead));
    ahead -= there.back();
  }
  ExpertRun run;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const double more = std::min(groups[g].weights - there[g], ahead);
    ahead -= more;
    const GroupRun part = run_group(expert, groups[g], there[g] + more, path);
    run.einsums.insert(run.einsums.end(), part.einsums.begin(), part.einsums.end());
    run.idle += part.idle;
  }
  return run;
}

/// The least cycles of an expert's weights that should come ahead so that it waits for none, and that the next one's
/// `of_next` cycles can load meanwhile as far as they ever can.
double least_ahead(const ExpertTime& expert, std::span<const Group> groups, double of_next, const WeightPath& path) {
  double weights = 0.0;
  double least = 0.0;
  for (const Group& group : groups) {
    weights += group.weights;
    least += group.waits;
  }
  const auto idle = [&](double ahead) { return run_expert(expert, groups, ahead, path).idle; };
  const double reached = std::min(of_next, idle(weights));
  double most = weights;  // whole cycles by bisection: the more comes ahead, the more idle is the memory
  while (least < most) {
    const double middle = std::floor(0.5 * (least + most));
    if (idle(middle) >= reached) {
      most = middle;
    } else {
      least = middle + 1.0;
    }
  }
  return least;
}

std::vector<double> wanted_ahead(std::span<const ExpertTime> experts, std::span<const std::vector<Group>> groups,
                                 const WeightPath& path) {
  std::vector<double> wanted(experts.size(), 0.0);
  for (std::size_t i = experts.size(); i-- > 0;) {
    wanted[i] = least_ahead(experts[i], groups[i], i + 1 < experts.size() ? wanted[i + 1] : 0.0, path);
  }
  return wanted;
}

/// While `now` computes; `own`: bytes of its weights that were loaded ahead.
double room_bytes(const ExpertTime& now, std::int64_t own, const ExpertTime& next, const WeightPath& path) {
  const std::int64_t room = path.capacity_bytes - std::max(now.fullest.live_bytes + own, next.fullest.live_bytes);
  return static_cast<double>(std::max<std::int64_t>(room, 0));
}

}  // namespace

std::optional<WeightPath> weight_path(const Arch& arch) {
  const int level = arch.resident_level();
  const MemoryLevel& outer = arch.levels.back();
  if (level < 0 || !outer.read_bandwidth || outer.instances.size() > 1) {
    return std::nullopt;
  }
  const MemoryLevel& buffer = arch.levels[static_cast<std::size_t>(level)];
  if (!buffer.keeps.at(static_cast<std::size_t>(Role::weight))) {
    return std::nullopt;
  }
  constexpr double kBitsPerByte = 8.0;
  WeightPath path;
  path.outer_level = static_cast<int>(arch.levels.size()) - 1;
  path.buffer_level = level;
  path.bytes_per_cycle = *outer.read_bandwidth * static_cast<double>(buffer.word_bits) / kBitsPerByte;
  path.pace = buffer.write_bandwidth ? std::min(1.0, *buffer.write_bandwidth / *outer.read_bandwidth) : 1.0;
  path.one_port = outer.ports == 1;
  path.capacity_bytes = *buffer.capacity_words * buffer.word_bits / 8;
  return path;
}

std::vector<Prefetched> prefetch(const ExpertQueue& queue, std::span<const ExpertTime> experts,
                                 const WeightPath& path) {
  COSEARCH_CHECK(experts.size() == queue.experts.size(), "times of each expert of the queue");
  std::vector<std::vector<Group>> groups;
  for (const ExpertTime& expert : experts) {
    groups.push_back(groups_of(expert, path));
  }
  const std::vector<double> wanted = wanted_ahead(experts, groups, path);
  const auto bytes = [&](double cycles) { return static_cast<std::int64_t>(cycles * path.bytes_per_cycle); };
  std::vector<Prefetched> result(experts.size());
  for (const QueueStep& step : double_buffered_steps(queue)) {
    if (!step.computes) {
      continue;  // the router has only just told who comes first
    }
    const std::size_t now = *step.computes;
    ExpertRun run = run_expert(experts[now], groups[now], result[now].ahead_cycles, path);
    result[now].einsums = std::move(run.einsums);
    if (step.loads) {
      const std::size_t next = *step.loads;
      const double possible = std::min(run.idle, wanted[next]);
      const double room = room_bytes(experts[now], result[now].ahead_bytes, experts[next], path);
      result[next].ahead_cycles = std::min(possible, std::floor(room / path.bytes_per_cycle));
      result[next].ahead_bytes = bytes(result[next].ahead_cycles);
      result[next].lacking_bytes = bytes(possible - result[next].ahead_cycles);
    }
  }
  return result;
}

MemoryStep fullest_step(const ExpertQueue& queue, std::span<const ExpertTime> experts,
                        std::span<const Prefetched> prefetched) {
  MemoryStep fullest;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    MemoryStep step = experts[i].fullest;
    for (std::size_t who = i; who < std::min(i + 2, experts.size()); ++who) {
      if (const std::int64_t bytes = prefetched[who].ahead_bytes; bytes > 0) {
        step.live_bytes += bytes;
        step.buffers.emplace_back(fmt::format("weights of expert {}", queue.experts[who].expert), bytes);
      }
    }
    fullest = step.live_bytes > fullest.live_bytes ? std::move(step) : fullest;
  }
  return fullest;
}

std::string describe_queue(const ExpertQueue& queue, std::span<const Prefetched> prefetched) {
  std::string text = "  queue";
  std::string ahead;
  std::string lacking;
  for (std::size_t i = 0; i < prefetched.size(); ++i) {
    text += fmt::format(" {}:{}", queue.experts[i].expert, queue.experts[i].tokens);
    ahead += fmt::format(" {}", prefetched[i].ahead_bytes);
    lacking += fmt::format(" {}", prefetched[i].lacking_bytes);
  }
  return text + " (expert:tokens)\n  bytes of their weights that came while the one before computed:" + ahead +
         "\n  that had no room:" + lacking + "\n";
}

}  // namespace cosearch::asic
