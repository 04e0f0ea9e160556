#include "hwmodels/asic/expert_prefetch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "hwmodels/fpga/timeline.hpp"
#include "spaces/base/rng.hpp"
#include "tests/hwmodels/asic/expert_simulator.hpp"

namespace cosearch::asic {
namespace {

using cosearch::testing::all_weights;
using cosearch::testing::Experts;
using cosearch::testing::simulated;
using cosearch::testing::Together;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

/// A product that works with what takes over from it, and how a walk tells of the two.
Together random_group(RngStream& rng, ExpertTime& expert) {
  const auto below = [&](int n) { return static_cast<int>(rng.below(static_cast<std::uint64_t>(n))); };
  Together group;
  const bool product = rng.below(3) > 0;
  const int weights = product ? below(60) : 0;
  group.first_weights = weights;
  const int reading = weights + below(8);
  const int writing = below(8);
  group.first_memory = reading + writing;
  group.first_others = below(80);
  group.serial = below(5);
  group.buffer = below(group.first_others + 1);
  EinsumTime first;
  first.others = group.first_others;
  first.buffer = group.buffer;
  first.reading = reading;
  first.writing = writing;
  first.weights = weights;
  first.cycles = std::max(group.first_memory, group.first_others) + group.serial;
  expert.einsums.push_back(first);
  EinsumTime bias;  // and its bias
  const int bias_weights = product ? below(6) : 0;
  group.memory = group.first_memory + bias_weights;
  group.others = group.first_others + below(20);
  group.weights = weights + bias_weights;
  bias.takes_over = true;
  bias.others = group.others;
  bias.buffer = group.buffer;
  bias.reading = bias.weights = bias_weights;
  bias.cycles = std::max({first.cycles, bias.others, static_cast<double>(group.memory)});
  expert.einsums.push_back(bias);
  return group;
}

struct RandomQueue {
  explicit RandomQueue(std::uint64_t seed) {
    RngStream rng(seed, Purpose::test, 0);
    const std::size_t count = 1 + rng.below(6);
    for (std::size_t e = 0; e < count; ++e) {
      ExpertTime& time = times.emplace_back();
      std::vector<Together>& groups = experts.emplace_back();
      for (std::size_t g = 0; g < 1 + rng.below(4); ++g) {
        groups.push_back(random_group(rng, time));
      }
      time.fullest.live_bytes = static_cast<std::int64_t>(rng.below(500));
    }
    queue = queue_of_counts(std::vector<std::int64_t>(count, 1), 100.0);
  }

  ExpertQueue queue;
  std::vector<ExpertTime> times;
  Experts experts;
};

WeightPath path_with(std::int64_t capacity) { return {2, 1, 4.0, 1.0, true, capacity}; }

/// Of all groups: what their last einsums say.
double cycles_of(std::span<const ExpertTime> times, std::span<const Prefetched> prefetched) {
  double cycles = 0.0;
  for (std::size_t e = 0; e < times.size(); ++e) {
    for (std::size_t i = 0; i < times[e].einsums.size(); ++i) {
      const bool last = i + 1 == times[e].einsums.size() || !times[e].einsums[i + 1].takes_over;
      cycles += last ? prefetched[e].einsums[i].cycles : 0.0;
    }
  }
  return cycles;
}

double walked(std::span<const ExpertTime> times) {
  double cycles = 0.0;
  for (const ExpertTime& time : times) {
    for (std::size_t i = 0; i < time.einsums.size(); ++i) {
      const bool last = i + 1 == time.einsums.size() || !time.einsums[i + 1].takes_over;
      cycles += last ? time.einsums[i].cycles : 0.0;
    }
  }
  return cycles;
}

TEST(ExpertPrefetch, EqualsTheCycleByCycleSimulationThatLoadsWhateverItCan) {
  int shorter = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const RandomQueue random(seed);
    const std::vector<Prefetched> result = prefetch(random.queue, random.times, path_with(1 << 20));
    std::vector<int> all;
    for (const std::vector<Together>& groups : random.experts) {
      all.push_back(all_weights(groups));
    }
    const double cycles = cycles_of(random.times, result);
    ASSERT_EQ(cycles, simulated(random.experts, all)) << seed;
    ASSERT_EQ(walked(random.times), simulated(random.experts, std::vector<int>(all.size(), 0))) << seed;
    ASSERT_LE(cycles, walked(random.times)) << seed;
    shorter += cycles < walked(random.times) ? 1 : 0;
    std::vector<int> came;
    for (const Prefetched& each : result) {
      came.push_back(static_cast<int>(each.ahead_cycles));
      EXPECT_EQ(each.lacking_bytes, 0);
      EXPECT_EQ(each.ahead_bytes, static_cast<std::int64_t>(4.0 * each.ahead_cycles));
    }
    ASSERT_EQ(simulated(random.experts, came), cycles) << seed << ": what comes ahead is enough";
  }
  EXPECT_GT(shorter, 100);
}

TEST(ExpertPrefetch, LoadsOnlyWhatHasRoom) {
  int limited = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const RandomQueue random(seed);
    const WeightPath path = path_with(520);
    const std::vector<Prefetched> result = prefetch(random.queue, random.times, path);
    std::vector<int> came;
    for (std::size_t e = 0; e < result.size(); ++e) {
      came.push_back(static_cast<int>(result[e].ahead_cycles));
      limited += result[e].lacking_bytes > 0 ? 1 : 0;
      const std::int64_t next = e + 1 < result.size() ? result[e + 1].ahead_bytes : 0;
      EXPECT_LE(random.times[e].fullest.live_bytes + result[e].ahead_bytes + next, path.capacity_bytes);
    }
    const double cycles = cycles_of(random.times, result);
    ASSERT_EQ(cycles, simulated(random.experts, came)) << seed;
    ASSERT_LE(cycles, walked(random.times)) << seed;
    ASSERT_GE(cycles, cycles_of(random.times, prefetch(random.queue, random.times, path_with(1 << 20)))) << seed;
    EXPECT_EQ(fullest_step(random.queue, random.times, result).live_bytes <= path.capacity_bytes, true);
    const std::vector<Prefetched> none = prefetch(random.queue, random.times, path_with(0));
    EXPECT_EQ(cycles_of(random.times, none), walked(random.times));
  }
  EXPECT_GT(limited, 100);
}

TEST(ExpertPrefetch, IsNeverSlowerThanEnginesThatWaitForAWholeExpert) {
  // The same queue on hwmodels/fpga's loader and engine: an expert begins when all of its weights are there.
  RngStream rng(7, Purpose::test, 2);
  for (int round = 0; round < 200; ++round) {
    std::vector<ExpertTime> times;
    std::vector<fpga::Piece> pieces;
    for (std::size_t e = 0; e < 1 + rng.below(8); ++e) {
      const auto compute = static_cast<double>(rng.below(100));
      const auto load = static_cast<double>(rng.below(100));
      EinsumTime time;
      time.others = compute;
      time.reading = time.weights = load;
      time.cycles = std::max(compute, load);
      times.push_back({{time}, {}});
      pieces.push_back({"", load, compute, static_cast<int>(e)});
    }
    const ExpertQueue queue = queue_of_counts(std::vector<std::int64_t>(times.size(), 1), 1.0);
    const double cycles = cycles_of(times, prefetch(queue, times, path_with(1 << 20)));
    EXPECT_LE(cycles, fpga::simulate(pieces, 2).cycles()) << round;
    double computing = 0.0;
    double loading = 0.0;
    for (const fpga::Piece& piece : pieces) {
      computing += piece.compute_cycles;
      loading += piece.load_cycles;
    }
    EXPECT_GE(cycles, std::max(computing, loading)) << round;
  }
}

TEST(ExpertPrefetch, NothingComesAheadThatNobodyWaitsFor) {
  ExpertTime computing;
  computing.einsums = {{.others = 100.0, .reading = 60.0, .weights = 60.0, .cycles = 100.0}};
  ExpertTime waiting;
  waiting.einsums = {{.others = 10.0, .reading = 60.0, .weights = 60.0, .cycles = 60.0}};
  const auto ahead = [&](const std::vector<ExpertTime>& times) {
    std::vector<double> cycles;
    const ExpertQueue queue = queue_of_counts(std::vector<std::int64_t>(times.size(), 1), 60.0);
    for (const Prefetched& each : prefetch(queue, times, path_with(1 << 20))) {
      cycles.push_back(each.ahead_cycles);
    }
    return cycles;
  };
  EXPECT_THAT(ahead({computing, computing, computing}), Each(0.0));
  EXPECT_THAT(ahead({waiting, waiting, waiting}), Each(0.0)) << "no time to load";
  EXPECT_EQ(ahead({computing, waiting})[1], 40.0);
  // Ten cycles in the first one's time, so that the second has fifty for the third.
  EXPECT_EQ(ahead({computing, computing, waiting}), (std::vector<double>{0.0, 10.0, 50.0}));
}

TEST(ExpertPrefetch, ABufferThatKeepsHalfThePaceTakesHalfAsMuch) {
  ExpertTime busy;
  busy.einsums = {{.others = 100.0, .reading = 20.0, .weights = 20.0, .cycles = 100.0}};
  ExpertTime waiting;
  waiting.einsums = {{.others = 10.0, .reading = 90.0, .weights = 90.0, .cycles = 90.0}};
  const std::vector<ExpertTime> times{busy, waiting};
  const ExpertQueue queue = queue_of_counts(std::vector<std::int64_t>{50, 1}, 90.0);
  WeightPath path = path_with(1 << 20);
  EXPECT_EQ(prefetch(queue, times, path)[1].ahead_cycles, 80.0);
  path.pace = 0.5;
  EXPECT_EQ(prefetch(queue, times, path)[1].ahead_cycles, 40.0);
  EXPECT_EQ(prefetch(queue, times, path)[1].einsums[0].cycles, 50.0);
  EXPECT_EQ(prefetch(queue, times, path)[1].einsums[0].bound_level, path.outer_level);
  EXPECT_THAT(describe_queue(queue, prefetch(queue, times, path)),
              AllOf(HasSubstr("0:50 1:1"), HasSubstr("computed: 0 160\n")));
}

}  // namespace
}  // namespace cosearch::asic
