#include "hwmodels/asic/accelerator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "hwmodels/asic/array_arch.hpp"
#include "hwmodels/asic/expert_prefetch.hpp"
#include "spaces/base/rng.hpp"
#include "tests/hwmodels/asic/expert_simulator.hpp"

namespace cosearch::asic {
namespace {

using cosearch::testing::all_weights;
using cosearch::testing::Experts;
using cosearch::testing::simulated;
using cosearch::testing::Together;
using ::testing::HasSubstr;

constexpr std::int64_t kWidth = 64;
constexpr std::int64_t kHidden = 128;
constexpr std::int64_t kTokens = 64;
constexpr std::int64_t kExperts = 4;

graph::NetworkGraph mixture() {
  graph::Builder b("net", {kTokens, kWidth});
  b.then("first", graph::Activation{});  // what the mixture reads is in the buffer
  b.then("moe", graph::MoeFfn{.experts = kExperts, .top_k = 1, .hidden = kHidden});
  b.then("last", graph::Activation{});
  return std::move(b).finish();
}

JobWorkload lowered(const std::vector<double>& counts, graph::Phase phase = graph::Phase::inference) {
  Job job{mixture(), phase};
  job.evidence = Evidence{{{"moe.tokens", counts}}};
  return job_workload(job).value();
}

/// 16 x 16 elements, a buffer that is never the slowest, and a memory of 8 bytes a cycle.
Arch board(std::int64_t buffer_kib = 512) {
  ArrayKnobs knobs;
  knobs.rows = knobs.columns = 16;
  knobs.register_words = 32;
  knobs.buffer_bytes = 1024 * buffer_kib;
  knobs.bytes_per_second = 8e8;
  knobs.frequency_hz = 1e8;
  knobs.dram = "lpddr4";
  Arch arch = array_arch(knobs, ir::ElementType::int8);
  for (MemoryLevel& level : std::span(arch.levels).first(2)) {
    level.read_bandwidth = level.write_bandwidth = std::nullopt;
  }
  arch.vector_lanes = 1 << 20;
  return arch;
}

Accelerator chip(bool prefetches, const Arch& arch = board()) {
  RunOptions options;
  options.mapper.evaluations = 300;
  options.expert_prefetch = prefetches;
  return {arch, load_price_table("energy_45nm", ""), std::nullopt, options, std::make_shared<MapMemo>()};
}

LayerCost moe_layer(const Accelerator::Run& run) {
  const auto found =
      std::find_if(run.layers.begin(), run.layers.end(), [](const auto& layer) { return layer->kind == "moe_ffn"; });
  return found->value();
}

/// Random token counts of which one expert has most.
std::vector<double> skewed(std::uint64_t seed) {
  RngStream rng(seed, Purpose::test, 1);
  std::vector<double> counts(kExperts, 1.0);
  double left = kTokens - kExperts;
  for (double& count : counts) {
    const double more = static_cast<double>(rng.below(static_cast<std::uint64_t>(left) + 1));
    count += more;
    left -= more;
  }
  counts[rng.below(kExperts)] += left;
  return counts;
}

double einsums_cycles(const std::vector<EinsumCost>& einsums) {
  return std::accumulate(einsums.begin(), einsums.end(), 0.0,
                         [](double sum, const EinsumCost& each) { return sum + each.layer.cycles; });
}

TEST(AcceleratorPrefetch, AWalkTakesWhatTheSimulationOfItsProductsTakes) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const JobWorkload job = lowered(skewed(seed));
    ASSERT_EQ(job.queues.size(), 1U);
    const auto einsums = chip(false).run_einsums(job.workload).value();
    Experts experts;
    std::vector<int> all;
    double others = 0.0;
    for (std::size_t i = 0; i < einsums.size(); ++i) {
      others += i < job.queues[0].ranges.front().first ? einsums[i].layer.cycles : 0.0;
    }
    for (const graph::QueuedEinsums::Range& range : job.queues[0].ranges) {
      std::vector<Together>& groups = experts.emplace_back();
      for (std::size_t i = range.first; i < range.end; ++i) {
        if (!einsums[i].mapped) {
          if (!einsums[i].takes_over) {  // a fetch on the lanes
            const int cycles = static_cast<int>(einsums[i].layer.cycles);
            Together lanes;
            lanes.first_others = lanes.others = cycles;
            groups.push_back(lanes);
          }
          continue;
        }
        const Counts& counts = einsums[i].mapped->counts;
        const bool first = job.workload.einsums[i].name.ends_with("product1");
        const int bias = static_cast<int>(first ? kHidden : kWidth) / 8;
        const int weights = static_cast<int>(kWidth * kHidden) / 8;
        const auto memory = static_cast<int>(counts.levels[2].cycles);
        const auto compute = static_cast<int>(counts.compute_cycles);
        groups.push_back({memory, memory + bias, compute, compute, 0, weights + bias, weights, 0});
      }
      all.push_back(all_weights(groups));
    }
    const auto prefetching = chip(true).run_einsums(job.workload, {}, job.queues).value();
    const double cycles = einsums_cycles(prefetching);
    const double behind = einsums.back().layer.cycles;
    EXPECT_EQ(einsums_cycles(einsums) - others - behind, simulated(experts, std::vector<int>(all.size(), 0))) << seed;
    EXPECT_EQ(cycles - others - behind, simulated(experts, all)) << seed;
  }
}

TEST(AcceleratorPrefetch, SavesTimeAndMovesTheSameBytes) {
  const std::vector<double> counts{61, 1, 1, 1};
  for (const graph::Phase phase : {graph::Phase::inference, graph::Phase::training}) {
    const JobWorkload job = lowered(counts, phase);
    EXPECT_EQ(job.queues.size(), phase == graph::Phase::training ? 2U : 1U);
    const LayerCost with = moe_layer(chip(true).run(job));
    const LayerCost without = moe_layer(chip(false).run(job));
    EXPECT_LT(with.cycles, without.cycles);
    EXPECT_EQ(with.cycles, without.cycles - with.parts.at("prefetch_saved_cycles"));
    EXPECT_EQ(with.traffic_bytes, without.traffic_bytes);
    EXPECT_EQ(with.macs, without.macs);
    EXPECT_EQ(with.parts.at("dram_gbps"), without.parts.at("dram_gbps"));
    for (const auto& [name, value] : without.parts) {
      if (name.ends_with("_pj") && name != "static_pj") {
        EXPECT_EQ(with.parts.at(name), value) << name;
      }
    }
    EXPECT_NEAR(with.parts.at("static_pj") / without.parts.at("static_pj"), with.cycles / without.cycles, 1e-9);
    const auto texts = chip(true).explain(job);
    EXPECT_THAT(texts.at(1), HasSubstr("queue of moe:\n  queue 0:61 1:1 2:1 3:1 (expert:tokens)"));
  }
}

TEST(AcceleratorPrefetch, NeedsRoomAndSaysWhatLacksIt) {
  const JobWorkload job = lowered({61, 1, 1, 1});
  const Accelerator::Run run = chip(true, board(16)).run(job);
  const LayerCost tight = moe_layer(run);
  const LayerCost wide = moe_layer(chip(true).run(job));
  EXPECT_GT(tight.parts.at("prefetch_lacking_bytes"), 0.0);
  EXPECT_EQ(wide.parts.at("prefetch_lacking_bytes"), 0.0);
  EXPECT_LT(tight.parts.at("prefetched_bytes"), wide.parts.at("prefetched_bytes"));
  EXPECT_EQ(tight.bound, "dram_bandwidth") << "most of what could come ahead did";
  const LayerCost full = moe_layer(chip(true, board(8)).run(job));
  EXPECT_EQ(full.parts.at("prefetched_bytes"), 0.0);
  EXPECT_EQ(full.bound, "buffer_capacity");
  EXPECT_EQ(full.cycles, moe_layer(chip(false, board(8)).run(job)).cycles) << "as without prefetching";
  for (const MemoryStep& step : run.memory) {
    EXPECT_LE(step.live_bytes, 16 * 1024) << step.name;
  }
  const Accelerator::Run roomy = chip(true).run(job);
  EXPECT_GT(roomy.memory[1].live_bytes, chip(false).run(job).memory[1].live_bytes) << "they wait in the buffer";
  EXPECT_THAT(roomy.memory[1].buffers.back().first, HasSubstr("weights of expert"));
}

TEST(AcceleratorPrefetch, SkewRaisesTheLatencyWhereTokensFillTheArray) {
  // Queues in steps of 16 tokens: no rows of the array lie idle, so that only the waiting differs.
  const auto cycles = [&](const std::vector<double>& counts) {
    return moe_layer(chip(true).run(lowered(counts))).cycles;
  };
  const double even = cycles({16, 16, 16, 16});
  for (const std::vector<double>& counts : {std::vector<double>{32, 16, 8, 8}, {40, 8, 8, 8}, {8, 8, 8, 40}}) {
    EXPECT_GE(cycles(counts), even);
  }
}

TEST(AcceleratorPrefetch, EmptyExpertsMoveNoWeights) {
  const JobWorkload all = lowered({16, 16, 16, 16});
  const JobWorkload three = lowered({16, 0, 32, 16});
  ASSERT_EQ(three.queues[0].ranges.size(), 3U);
  const double bytes = 2.0 * kWidth * kHidden + kWidth + kHidden;
  EXPECT_EQ(all.queues[0].queue.experts[0].weight_bytes, bytes);
  EXPECT_EQ(moe_layer(chip(true).run(all)).traffic_bytes - moe_layer(chip(true).run(three)).traffic_bytes, bytes);
}

TEST(AcceleratorPrefetch, NeedsABufferThatKeepsWeightsAndAMemoryThatLimits) {
  EXPECT_TRUE(weight_path(board()).has_value());
  EXPECT_FALSE(weight_path(load_arch("eyeriss_256", "")).has_value()) << "its memory is unbounded";
  Arch arch = board();
  arch.levels[1].keeps[static_cast<std::size_t>(Role::weight)] = false;
  EXPECT_FALSE(weight_path(arch).has_value());
  arch = board();
  arch.levels[1].write_bandwidth = 4.0;
  EXPECT_EQ(weight_path(arch)->pace, 0.5);
}

TEST(AcceleratorPrefetch, ItsBandwidthIsTheHighestOfWhatWorksTogether) {
  // Of einsums one by one: bytes over cycles, a product with what takes over from it.
  const JobWorkload job = lowered({61, 1, 1, 1});
  const Arch arch = board();
  double highest = 0.0;
  double bytes = 0.0;
  double cycles = 0.0;
  const auto einsums = chip(false).run_einsums(job.workload).value();
  for (std::size_t i = job.queues[0].ranges.front().first; i < job.queues[0].ranges.back().end; ++i) {
    bytes = (einsums[i].takes_over ? bytes : 0.0) + einsums[i].layer.traffic_bytes;
    cycles = (einsums[i].takes_over ? cycles : 0.0) + einsums[i].layer.cycles;
    if (i + 1 == einsums.size() || !einsums[i + 1].takes_over) {
      highest = std::max(highest, bytes / cycles);
    }
  }
  EXPECT_EQ(highest, 8.0) << "weights keep the memory busy";
  EXPECT_NEAR(moe_layer(chip(true).run(job)).parts.at("dram_gbps"), highest * arch.frequency_hz * 1e-9, 1e-12);
  Arch fast = arch;  // the array is the slowest: less than the memory gives will do
  fast.levels[2].read_bandwidth = fast.levels[2].write_bandwidth = 1024.0;
  const double need = moe_layer(chip(true, fast).run(lowered({16, 16, 16, 16}))).parts.at("dram_gbps");
  EXPECT_LT(need, 1024.0 * arch.frequency_hz * 1e-9);
  EXPECT_GT(need, 0.0);
}

}  // namespace
}  // namespace cosearch::asic
