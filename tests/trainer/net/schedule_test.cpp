#include "trainer/net/schedule.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/trainer/train/networks.hpp"
#include "trainer/net/parameters.hpp"

namespace cosearch {
namespace {

TEST(Schedule, NetworksWithoutBatchNormAreOneRegion) {
  const Schedule schedule = make_schedule(test_networks::vit({8, 8, 1}, 4), 8, kernels::Use::training);
  ASSERT_EQ(schedule.regions.size(), 1U);
  EXPECT_EQ(schedule.regions.front().batch_norm, -1);
}

TEST(Schedule, EveryBatchNormEndsARegionInEachDirection) {
  const graph::NetworkGraph network = test_networks::cnn({8, 8, 2}, 4);
  const Schedule schedule = make_schedule(network, 8, kernels::Use::training);
  EXPECT_EQ(schedule.regions.size(), 2U * 4U + 1U);
  EXPECT_EQ(make_schedule(network, 8, kernels::Use::inference).regions.size(), 1U);
}

TEST(Schedule, ActivationsAfterBatchNormsAreFused) {
  const graph::NetworkGraph network = test_networks::cnn({8, 8, 2}, 4);
  const Schedule schedule = make_schedule(network, 8, kernels::Use::training);
  EXPECT_EQ(schedule.units.size(), network.nodes.size() - 3);  // the batch norm before the addition keeps its own
}

/// Buffers that an action reads or writes, each once.
std::set<int> buffers_of(const Schedule& schedule, const Action& action) {
  const Unit& unit = schedule.units[static_cast<std::size_t>(action.unit)];
  std::set<int> buffers(action.x.begin(), action.x.end());
  buffers.insert(action.y);
  if (action.kind == ActionKind::forward || action.kind == ActionKind::backward) {
    buffers.insert(unit.saved);
  }
  if (action.kind != ActionKind::forward && action.kind != ActionKind::statistics) {
    buffers.insert(unit.gradient);
  }
  for (const int input : unit.inputs) {
    if (action.kind == ActionKind::backward) {
      buffers.insert(schedule.units[static_cast<std::size_t>(input)].gradient);
    }
  }
  buffers.erase(-1);
  return buffers;
}

/// Floats of each buffer, from the units that use it.
std::map<int, std::int64_t> buffer_sizes(const Schedule& schedule) {
  std::map<int, std::int64_t> sizes;
  for (const Region& region : schedule.regions) {
    for (const Action& action : region.actions) {
      const Unit& unit = schedule.units[static_cast<std::size_t>(action.unit)];
      const std::int64_t output = schedule.chunk * graph::elements(unit.geometry.output);
      sizes[action.y] = output;
      sizes[unit.gradient] = output;
      sizes[unit.saved] = schedule.chunk * unit.needs.saved;
    }
  }
  return sizes;
}

TEST(Schedule, BuffersInUseAtTheSameTimeDoNotOverlap) {
  for (const auto& network :
       {test_networks::cnn({8, 8, 2}, 4), test_networks::vit({8, 8, 1}, 4), test_networks::u_net({8, 8, 2}, 4, 4)}) {
    const Schedule schedule = make_schedule(network, 8, kernels::Use::training);
    const std::map<int, std::int64_t> sizes = buffer_sizes(schedule);
    std::map<int, std::pair<int, int>> lifetimes;  // by time of first and last use
    int time = 0;
    for (const Region& region : schedule.regions) {
      for (const Action& action : region.actions) {
        for (const int buffer : buffers_of(schedule, action)) {
          lifetimes.try_emplace(buffer, time, time).first->second.second = time;
        }
        ++time;
      }
    }
    ASSERT_EQ(lifetimes.size(), schedule.places.size());
    for (const auto& [a, life_a] : lifetimes) {
      const Place& place_a = schedule.places[static_cast<std::size_t>(a)];
      EXPECT_EQ(place_a.offset % AlignedFloats::kAlignment, 0);
      EXPECT_LE(place_a.offset + sizes.at(a), place_a.kept ? schedule.kept_size : schedule.transient_size);
      for (const auto& [b, life_b] : lifetimes) {
        const Place& place_b = schedule.places[static_cast<std::size_t>(b)];
        const bool meet = life_a.first <= life_b.second && life_b.first <= life_a.second;
        if (a < b && meet && place_a.kept == place_b.kept) {
          EXPECT_TRUE(place_a.offset + sizes.at(a) <= place_b.offset || place_b.offset + sizes.at(b) <= place_a.offset)
              << a << " and " << b;
        }
      }
    }
  }
}

TEST(Schedule, BuffersOutsideTheChunksBlockAreUsedInOneRegionOnly) {
  const Schedule schedule = make_schedule(test_networks::cnn({8, 8, 2}, 4), 8, kernels::Use::training);
  std::map<int, std::set<const Region*>> regions;
  for (const Region& region : schedule.regions) {
    for (const Action& action : region.actions) {
      for (const int buffer : buffers_of(schedule, action)) {
        regions[buffer].insert(&region);
      }
    }
  }
  for (const auto& [buffer, users] : regions) {
    EXPECT_EQ(schedule.places[static_cast<std::size_t>(buffer)].kept, users.size() > 1) << buffer;
  }
}

TEST(Schedule, NetworksWithoutBatchNormKeepNothingPerChunk) {
  const Schedule schedule = make_schedule(test_networks::vit({8, 8, 1}, 4), 8, kernels::Use::training);
  EXPECT_EQ(schedule.kept_size, 0);
}

TEST(Schedule, MemoryIsSharedAlongTheBackwardPass) {
  const Schedule schedule = make_schedule(test_networks::vit({16, 16, 1}, 4, 4, 24, 6), 8, kernels::Use::training);
  std::int64_t everything = 0;
  for (const auto& [buffer, size] : buffer_sizes(schedule)) {
    everything += buffer < 0 ? 0 : size;
  }
  EXPECT_LT(schedule.transient_size, everything * 7 / 10);
}

TEST(Parameters, RoundTripThroughAStoreKeepsEveryValue) {
  const graph::NetworkGraph network = test_networks::cnn({8, 8, 2}, 4);
  const WeightStore original = WeightStore::for_network(network, 3);
  Parameters parameters(network);
  parameters.load(original);
  WeightStore copy = WeightStore::for_network(network, 4);
  parameters.save(copy);
  for (const auto& [name, weight] : original.weights()) {
    EXPECT_EQ(copy.at(name).values, weight.values) << name;
  }
}

TEST(Parameters, StatesLieBehindAllTrainableWeights) {
  const Parameters parameters(test_networks::cnn({8, 8, 2}, 4));
  for (const Parameters::Entry& entry : parameters.entries()) {
    EXPECT_EQ(entry.offset < parameters.trainable_size(), entry.spec.trainable) << entry.spec.name;
    EXPECT_EQ(entry.offset % AlignedFloats::kAlignment, 0);
  }
}

}  // namespace
}  // namespace cosearch
