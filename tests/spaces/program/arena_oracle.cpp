#include "tests/spaces/program/arena_oracle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "spaces/base/rng.hpp"

namespace cosearch::testing {

using program::ArenaPlan;
using program::Buffer;
using program::BufferRole;
using program::KernelCall;
using program::Program;

namespace {

/// Buffers that share a first byte, as one.
class Stacking {
 public:
  explicit Stacking(const Program& program) : live_(needed_buffers(program)) {
    std::vector<std::size_t> group(program.buffers.size());
    for (std::size_t i = 0; i < program.buffers.size(); ++i) {
      const auto root = static_cast<std::size_t>(root_of(program, static_cast<int>(i)));
      if (root == i) {
        group[i] = bytes_.size();
        bytes_.push_back(0);
        alignment_.push_back(1);
      }
      group[i] = group[root];
      bytes_[group[i]] = std::max(bytes_[group[i]], program.buffers[i].bytes);
      alignment_[group[i]] = std::max(alignment_[group[i]], program.buffers[i].alignment);
    }
    find_meetings(program, group);
    low_.assign(bytes_.size(), 0);
    placed_.assign(bytes_.size(), false);
    best_ = std::accumulate(bytes_.begin(), bytes_.end(), std::int64_t{0}) +
            4 * static_cast<std::int64_t>(bytes_.size());  // one above the other, aligned
  }

  std::int64_t run() {
    place(0, 0, 0, 0);
    return best_;
  }

 private:
  /// below_[a][b]: bytes that a must leave above b's offset; on_[step]: groups alive and the bytes that they take.
  void find_meetings(const Program& program, const std::vector<std::size_t>& group) {
    below_.assign(bytes_.size(), std::vector<std::int64_t>(bytes_.size(), 0));
    for (const std::vector<bool>& step : live_) {
      std::vector<std::int64_t> taken(bytes_.size(), 0);
      for (std::size_t a = 0; a < group.size(); ++a) {
        for (std::size_t b = 0; step[a] && b < group.size(); ++b) {
          if (step[b] && group[a] != group[b] && program.buffers[a].bytes > 0) {
            std::int64_t& bytes = below_[group[a]][group[b]];
            bytes = std::max(bytes, program.buffers[b].bytes);
          }
        }
        taken[group[a]] = std::max(taken[group[a]], step[a] ? program.buffers[a].bytes : 0);
      }
      on_.push_back(std::move(taken));
    }
  }

  [[nodiscard]] std::int64_t floor_of(std::size_t group, std::int64_t last) const {
    const std::int64_t floor = std::max(low_[group], last);
    return (floor + alignment_[group] - 1) / alignment_[group] * alignment_[group];
  }

  /// No group that is not placed can lie below `last`, so those alive together stand on top of each other above it.
  [[nodiscard]] bool hopeless(std::int64_t last) const {
    return std::any_of(on_.begin(), on_.end(), [&](const std::vector<std::int64_t>& taken) {
      std::int64_t floor = best_;
      std::int64_t sum = 0;
      for (std::size_t group = 0; group < taken.size(); ++group) {
        if (!placed_[group] && taken[group] > 0) {
          floor = std::min(floor, floor_of(group, last));
          sum += taken[group];
        }
      }
      return sum > 0 && floor + sum >= best_;
    });
  }

  void place(std::size_t count, std::size_t last_group, std::int64_t last, std::int64_t height) {
    if (count == bytes_.size()) {
      best_ = height;
      return;
    }
    if (hopeless(last)) {
      return;
    }
    for (std::size_t group = 0; group < bytes_.size(); ++group) {
      // Resting on what it meets, not merely above the last one; of equal offsets the smaller index first.
      const std::int64_t offset = placed_[group] ? -1 : floor_of(group, 0);
      const bool in_order = offset > last || (offset == last && (count == 0 || group > last_group));
      if (placed_[group] || !in_order || std::max(height, offset + bytes_[group]) >= best_) {
        continue;
      }
      const std::vector<std::int64_t> low = low_;
      placed_[group] = true;
      for (std::size_t other = 0; other < bytes_.size(); ++other) {
        if (below_[other][group] > 0) {
          low_[other] = std::max(low_[other], offset + below_[other][group]);
        }
      }
      place(count + 1, group, offset, std::max(height, offset + bytes_[group]));
      placed_[group] = false;
      low_ = low;
    }
  }

  std::vector<std::vector<bool>> live_;
  std::vector<std::int64_t> bytes_, alignment_;
  std::vector<std::vector<std::int64_t>> below_, on_;
  std::vector<std::int64_t> low_;  ///< lowest offset above what is placed
  std::vector<bool> placed_;
  std::int64_t best_ = 0;
};

}  // namespace

std::vector<std::vector<bool>> needed_buffers(const Program& program) {
  const std::size_t calls = std::max<std::size_t>(1, program.calls.size());
  std::vector<std::vector<bool>> named(calls, std::vector<bool>(program.buffers.size(), false));
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    for (std::size_t j = 0; j < program.calls.size(); ++j) {
      const bool together =
          i == j || (program.calls[i].row_block >= 0 && program.calls[i].row_block == program.calls[j].row_block);
      if (!together) {
        continue;
      }
      std::vector<int> buffers = program.calls[j].inputs;
      buffers.insert(buffers.end(), program.calls[j].scratch.begin(), program.calls[j].scratch.end());
      buffers.push_back(program.calls[j].output);
      for (const int buffer : buffers) {
        const auto index = static_cast<std::size_t>(buffer);
        named[i][index] = named[i][index] || i == j || !program.buffers[index].per_row;
      }
    }
  }
  for (const int input : program.inputs) {
    named[0][static_cast<std::size_t>(input)] = true;
  }
  for (const int output : program.outputs) {
    named[calls - 1][static_cast<std::size_t>(output)] = true;
  }
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    std::size_t first = calls;
    std::size_t last = 0;
    for (std::size_t i = 0; i < calls; ++i) {
      if (named[i][b]) {
        first = std::min(first, i);
        last = i;
      }
    }
    if (first == calls || program.buffers[b].persistent) {
      first = 0;
      last = calls - 1;
    }
    for (std::size_t i = first; i <= last; ++i) {
      named[i][b] = true;
    }
  }
  return named;
}

int root_of(const Program& program, int buffer) {
  while (program.buffers[static_cast<std::size_t>(buffer)].alias_of) {
    buffer = *program.buffers[static_cast<std::size_t>(buffer)].alias_of;
  }
  return buffer;
}

void expect_valid_plan(const Program& program, const ArenaPlan& plan) {
  const std::vector<std::vector<bool>> live = needed_buffers(program);
  ASSERT_EQ(plan.offsets.size(), program.buffers.size());
  for (std::size_t a = 0; a < program.buffers.size(); ++a) {
    EXPECT_GE(plan.offsets[a], 0);
    EXPECT_LE(plan.offsets[a] + program.buffers[a].bytes, plan.bytes);
    EXPECT_EQ(plan.offsets[a] % program.buffers[a].alignment, 0) << program.buffers[a].name;
    const bool alias = program.buffers[a].alias_of.has_value();
    if (alias) {
      EXPECT_EQ(plan.offsets[a], plan.offsets[static_cast<std::size_t>(*program.buffers[a].alias_of)]);
    }
    for (std::size_t b = 0; b < a; ++b) {
      if (root_of(program, static_cast<int>(a)) == root_of(program, static_cast<int>(b))) {
        continue;
      }
      const bool overlap = plan.offsets[a] < plan.offsets[b] + program.buffers[b].bytes &&
                           plan.offsets[b] < plan.offsets[a] + program.buffers[a].bytes;
      for (const std::vector<bool>& step : live) {
        ASSERT_FALSE(overlap && step[a] && step[b]) << program.buffers[a].name << " and " << program.buffers[b].name;
      }
    }
  }
}

Program random_program(std::uint64_t seed, std::size_t calls, std::int64_t largest) {
  RngStream rng(seed, Purpose::test, 0);
  const auto size = [&] { return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(largest))) + 1; };
  Program program;
  program.buffers.push_back({"b0", size(), BufferRole::input});
  program.inputs.push_back(0);
  std::vector<bool> aliased(1, false);
  int previous = 0;
  for (std::size_t i = 0; i < calls; ++i) {
    KernelCall call;
    call.name = "c" + std::to_string(i);
    call.inputs.push_back(previous);
    Buffer output{"b" + std::to_string(program.buffers.size()), size()};
    if (rng.below(4) == 0 && !aliased[static_cast<std::size_t>(previous)] &&
        program.buffers[static_cast<std::size_t>(previous)].role == BufferRole::activation) {
      output.alias_of = previous;
      output.bytes = std::min(output.bytes, program.buffers[static_cast<std::size_t>(previous)].bytes);
      aliased[static_cast<std::size_t>(previous)] = true;
    } else if (rng.below(3) == 0) {
      const int extra = static_cast<int>(rng.below(program.buffers.size()));
      if (!aliased[static_cast<std::size_t>(extra)] &&
          program.buffers[static_cast<std::size_t>(extra)].role != BufferRole::scratch) {
        call.inputs.push_back(extra);
      }
    }
    if (rng.below(5) == 0) {
      program.buffers.push_back({"s" + std::to_string(i), size(), BufferRole::scratch, 4});
      aliased.push_back(false);
      call.scratch.push_back(static_cast<int>(program.buffers.size()) - 1);
    }
    call.row_block = rng.below(6) == 0 ? static_cast<int>(i / 2) : -1;
    output.per_row = call.row_block >= 0 && rng.below(2) == 0;
    program.buffers.push_back(output);
    aliased.push_back(false);
    call.output = static_cast<int>(program.buffers.size()) - 1;
    previous = call.output;
    program.calls.push_back(call);
  }
  program.outputs.push_back(previous);
  return program;
}

std::int64_t smallest_arena_bytes(const Program& program) { return Stacking(program).run(); }

}  // namespace cosearch::testing
