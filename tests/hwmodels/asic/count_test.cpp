#include "hwmodels/asic/count.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "spaces/base/rng.hpp"
#include "tests/hwmodels/asic/nest_simulator.hpp"
#include "tests/hwmodels/asic/timeloop_cases.hpp"

namespace cosearch::asic {
namespace {

using ir::FootprintKind;

/// An einsum, a nest for it and an architecture that the nest fits.
struct Case {
  ir::Workload workload;
  Arch arch;
  LoopNest nest;
};

std::int64_t between(RngStream& rng, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
}

std::string random_einsum(RngStream& rng) {
  const auto n = [&](std::int64_t low, std::int64_t high) { return std::to_string(between(rng, low, high)); };
  const std::string head = "workload w\ninput x activation int8 [9,99,99,9]\ninput z activation int8 [9,9,9]\n";
  switch (rng.below(5)) {
    case 0:
      return head + "tensor w weight int8 [9,9,9,9]\noutput y accumulator int32 [9,9,9,9]\neinsum c n<" + n(1, 2) +
             " p<" + n(1, 5) + " q<" + n(1, 4) + " k<" + n(1, 3) + " r<" + n(1, 3) + " s<" + n(1, 3) + " c<" + n(1, 3) +
             " : y[n,p,q,k] += mul(x[n," + n(1, 3) + "*p+" + n(1, 3) + "*r-1," + n(1, 3) + "*q+" + n(1, 3) +
             "*s,c], w[r,s,c,k])\n";
    case 1:
      return head + "tensor w weight int8 [9,9]\noutput y accumulator int32 [99,9]\neinsum g m<" + n(1, 9) + " k<" +
             n(1, 7) + " l<" + n(1, 7) + " : y[m,l] += mul(z[m,k,0], w[k,l])\n";
    case 2:
      return head + "tensor w weight int8 [9,9,9]\noutput y accumulator int32 [9,99,99,9]\neinsum d p<" + n(1, 5) +
             " q<" + n(1, 5) + " c<" + n(1, 4) + " r<" + n(1, 3) + " s<" + n(1, 3) + " : y[0,p,q,c] += mul(x[0," +
             n(1, 2) + "*p+r," + n(1, 3) + "*q-" + n(1, 2) + "*s,c], w[r,s,c])\n";
    case 3:
      return head + "input v activation int8 [9,9,9]\noutput y accumulator int32 [9,9,9]\neinsum b h<" + n(1, 4) +
             " m<" + n(1, 5) + " k<" + n(1, 5) + " l<" + n(1, 5) + " : y[h,m,l] += mul(z[h,m,k], v[h,k,l])\n";
    default:
      return head + "tensor w weight int8 [9,9]\noutput y accumulator int32 [99]\neinsum t p<" + n(1, 12) + " r<" +
             n(1, 6) + " c<" + n(1, 3) + " : y[p] += mul(x[0," + n(1, 4) + "*p+" + n(1, 4) + "*r,0,c], w[r,c])\n";
  }
}

/// The next extent of a loop that covers `covered` of `whole` values: even or uneven steps.
std::int64_t larger(RngStream& rng, std::int64_t covered, std::int64_t whole) {
  if (covered == whole || rng.below(3) == 0) {
    return covered;
  }
  return rng.below(2) == 0 ? std::min(whole, covered * between(rng, 2, 3)) : between(rng, covered, whole);
}

/// Spatial loops of a level, innermost first, over at most 9 instances.
Grid split_over_instances(RngStream& rng, const ir::Einsum& einsum, std::vector<std::int64_t>& covered,
                          std::vector<NestLoop>& loops) {
  Grid used;
  for (int dim = 0; dim < static_cast<int>(einsum.loops.size()); ++dim) {
    std::int64_t& now = covered[static_cast<std::size_t>(dim)];
    const std::int64_t whole = einsum.loops[static_cast<std::size_t>(dim)].extent;
    for (const LoopKind kind : {LoopKind::spatial_x, LoopKind::spatial_y}) {
      const std::int64_t next = rng.below(4) == 0 ? larger(rng, now, whole) : now;
      const std::int64_t count = (next + now - 1) / now;
      std::int64_t& side = kind == LoopKind::spatial_x ? used.x : used.y;
      if (next == now || used.size() * count > 9) {
        continue;
      }
      loops.push_back({dim, kind, next});
      side *= count;
      if (next % now != 0) {
        now = next;
        break;  // an outer part over the other direction would need even steps
      }
      now = next;
    }
  }
  return used;
}

Case random_case(std::uint64_t index) {
  RngStream rng(7, Purpose::test, index);
  Case result{ir::parse_workload(random_einsum(rng)), {}, {}};
  const ir::Einsum& einsum = result.workload.einsums[0];
  const int dims = static_cast<int>(einsum.loops.size());
  const auto levels = static_cast<std::size_t>(between(rng, 1, 4));
  const int tensors = 3;
  std::vector<std::int64_t> covered(static_cast<std::size_t>(dims), 1);
  std::vector<Grid> fan_out;
  for (std::size_t level = 0; level < levels; ++level) {
    const bool outermost = level + 1 == levels;
    std::vector<NestLoop> loops;  // innermost first
    const Grid used = split_over_instances(rng, einsum, covered, loops);
    std::vector<int> order;
    for (int dim = 0; dim < dims; ++dim) {
      order.push_back(dim);
    }
    rng.shuffle(order);
    for (const int dim : order) {
      std::int64_t& now = covered[static_cast<std::size_t>(dim)];
      const std::int64_t whole = einsum.loops[static_cast<std::size_t>(dim)].extent;
      const std::int64_t next = outermost ? whole : larger(rng, now, whole);
      if (next != now || rng.below(6) == 0) {
        loops.push_back({dim, LoopKind::temporal, next});
      }
      now = next;
    }
    for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop) {
      result.nest.levels[level].add(loop->dim, loop->kind, loop->extent);
    }
    for (int tensor = 0; tensor < tensors; ++tensor) {
      result.nest.levels[level].keep(tensor, outermost || rng.below(3) > 0);
    }
    fan_out.push_back(used);
  }
  Grid instances;
  result.arch.levels.resize(levels);
  for (std::size_t level = levels; level-- > 0;) {
    MemoryLevel& memory = result.arch.levels[level];
    memory.name = "level" + std::to_string(level);
    memory.instances = instances;
    memory.keeps = {true, true, true};
    memory.multicast = rng.below(4) > 0;
    memory.spatial_reduction = rng.below(4) > 0;
    memory.read_bandwidth = rng.below(2) == 0 ? std::optional(0.5 + rng.uniform()) : std::nullopt;
    memory.write_bandwidth = rng.below(2) == 0 ? std::optional(0.5 + rng.uniform()) : std::nullopt;
    instances = {instances.x * fan_out[level].x, instances.y * fan_out[level].y};
  }
  result.arch.macs = instances;
  return result;
}

std::string described(const Counts& counts) {
  std::ostringstream text;
  text << "macs " << counts.macs << " on " << counts.mac_instances << ", cycles " << counts.compute_cycles << " / "
       << counts.cycles << "\n";
  for (int l = 0; l < counts.level_count; ++l) {
    const LevelCounts& level = counts.levels[static_cast<std::size_t>(l)];
    text << l << ": instances " << level.instances << " words " << level.words << " cycles " << level.cycles << "\n";
    for (int t = 0; t < counts.tensor_count; ++t) {
      const TensorTraffic& x = level.tensors[static_cast<std::size_t>(t)];
      text << "   tile " << x.tile << " fills " << x.fills << " reads " << x.reads << " updates " << x.updates
           << " delivered " << x.delivered << " temporal " << x.temporal_reductions << " spatial "
           << x.spatial_reductions << "\n";
    }
  }
  return text.str();
}

TEST(Count, RandomNestsAgreeWithTheirExecution) {
  int simulated = 0;
  int uneven = 0;
  for (std::uint64_t index = 0; simulated < 2500; ++index) {
    const Case random = random_case(index);
    const ir::Einsum& einsum = random.workload.einsums[0];
    if (ir::iterations(einsum) > 250) {
      continue;
    }
    ++simulated;
    const std::string text = to_text(random.nest, random.workload, einsum, random.arch);
    uneven += text.find("covering") != std::string::npos ? 1 : 0;
    ASSERT_EQ(parse_nest(text, random.workload, einsum, random.arch), random.nest) << text;
    for (const FootprintKind footprint : {FootprintKind::exact, FootprintKind::hull}) {
      const auto counted = count(random.workload, einsum, random.arch, random.nest, footprint);
      ASSERT_TRUE(counted.has_value()) << counted.error().reason << "\n" << text;
      const Counts expected = testing::simulate(random.workload, einsum, random.arch, random.nest, footprint);
      ASSERT_EQ(*counted, expected) << ir::to_text(random.workload) << text << "counted " << described(*counted)
                                    << "executed " << described(expected) << "case " << index << " footprint "
                                    << static_cast<int>(footprint);
    }
  }
  EXPECT_GT(uneven, simulated / 4);
}

TEST(Count, TimeloopsMappingsHaveTimeloopsCounts) {
  const Arch arch = load_arch("eyeriss_256", "");
  int compared = 0;
  for (const testing::TimeloopCase& timeloop : testing::timeloop_cases(arch)) {
    SCOPED_TRACE(timeloop.name);
    const NestCounter counter(timeloop.workload, timeloop.workload.einsums[0], arch);
    const auto counts = counter.count(timeloop.nest, FootprintKind::hull);
    ASSERT_TRUE(counts.has_value()) << counts.error().reason;
    EXPECT_EQ(counts->cycles, timeloop.cycles);
    EXPECT_EQ(counts->macs, timeloop.computes);
    const double utilization =
        static_cast<double>(counts->macs) / static_cast<double>(counts->cycles * arch.macs.size());
    EXPECT_NEAR(utilization, timeloop.utilization, 0.005 + 1e-9);
    const auto partitions = counter.partition_sizes(timeloop.nest);
    for (const testing::TimeloopRow& row : timeloop.rows) {
      SCOPED_TRACE(arch.levels[row.level].name + " tensor " + std::to_string(row.tensor));
      const LevelCounts& level = counts->levels[row.level];
      const TensorTraffic& tensor = level.tensors[row.tensor];
      EXPECT_EQ(partitions[row.level][row.tensor], row.partition);
      EXPECT_EQ(tensor.tile, row.tile);
      EXPECT_EQ(level.instances, row.instances);
      EXPECT_EQ(tensor.reads, row.reads * row.instances);
      EXPECT_EQ(tensor.updates, row.updates * row.instances);
      EXPECT_EQ(tensor.fills, row.fills * row.instances);
      EXPECT_EQ(tensor.temporal_reductions, row.temporal_reductions * row.instances);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 32);
}

/// The layer and nest of one of Timeloop's cases.
testing::TimeloopCase timeloop_case(const Arch& arch, const std::string& name) {
  for (testing::TimeloopCase& one : testing::timeloop_cases(arch)) {
    if (one.name == name) {
      return std::move(one);
    }
  }
  ADD_FAILURE() << name;
  return {};
}

TEST(Count, WhatDoesNotFitSaysWhereAndByHowMuch) {
  Arch arch = load_arch("eyeriss_256", "");
  const testing::TimeloopCase conv = timeloop_case(arch, "resnet_conv2_3x3");
  const ir::Einsum& einsum = conv.workload.einsums[0];
  const auto reason = [&](const LoopNest& nest) {
    const auto counts = count(conv.workload, einsum, arch, nest, FootprintKind::hull);
    EXPECT_FALSE(counts.has_value());
    return counts.has_value() ? Infeasible{} : counts.error();
  };
  arch.levels[4].capacity_words = 30000;
  const Infeasible small = reason(conv.nest);
  EXPECT_EQ(small.reason, "tiles need 37952 words of GlobalBuffer, which has 30000");
  ASSERT_EQ(small.violations.size(), 1U);
  EXPECT_EQ(small.violations[0].name, "GlobalBuffer_words");
  EXPECT_EQ(small.violations[0].required, 37952.0);
  EXPECT_EQ(small.violations[0].limit, 30000.0);

  arch = load_arch("eyeriss_168", "");
  const Infeasible narrow = reason(conv.nest);
  EXPECT_EQ(narrow.violations.at(0).name, "GlobalBuffer_fan_out_x");
  EXPECT_EQ(narrow.violations.at(0).required, 16.0);
  EXPECT_EQ(narrow.violations.at(0).limit, 14.0);

  arch = load_arch("eyeriss_256", "");
  LoopNest kept = conv.nest;
  kept.levels[4].keep(0, true);
  EXPECT_EQ(reason(kept).reason, "GlobalBuffer cannot keep Weights");
}

// One word in a register, everything else through a buffer: 12 weights, 4 inputs for each of 3 rows, 3 sums.
TEST(Count, OnePortWaitsForBothDirectionsAndTwoBuffersHoldHalf) {
  const ir::Workload workload = ir::parse_workload(
      "workload w\ninput x activation int8 [3,4]\ntensor w weight int8 [4,1]\noutput y accumulator int32 [3,1]\n"
      "einsum e m<3 n<1 k<4 : y[m,n] += mul(x[m,k], w[k,n])\n");
  Arch arch = load_arch("ws_16x16", "");
  MemoryLevel& buffer = arch.levels[1];
  buffer.read_bandwidth = 1.0;
  buffer.write_bandwidth = 1.0;
  const LoopNest nest =
      parse_nest("DRAM [ x w y ]\nBuffer [ x y ]\n  for m in [0:3)\nRegFile [ w ]\n  for k in [0:4)\n", workload,
                 workload.einsums[0], arch);
  const auto cycles = [&](int ports) {
    buffer.ports = ports;
    const auto counts = count(workload, workload.einsums[0], arch, nest, FootprintKind::exact);
    EXPECT_TRUE(counts.has_value());
    const auto& here = counts->levels[1].tensors;
    const std::int64_t reads = here[0].reads + here[2].reads;
    const std::int64_t writes = here[0].fills + here[2].fills + here[0].updates + here[2].updates;
    EXPECT_EQ(counts->levels[1].cycles, ports == 1 ? reads + writes : std::max(reads, writes));
    return counts->levels[1].cycles;
  };
  EXPECT_LT(cycles(2), cycles(1));
  buffer.capacity_words = 16;  // tiles of 12 and 3 words
  EXPECT_TRUE(count(workload, workload.einsums[0], arch, nest, FootprintKind::exact).has_value());
  buffer.double_buffered = true;
  const auto over = count(workload, workload.einsums[0], arch, nest, FootprintKind::exact);
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().reason, "tiles need 15 words of Buffer, which has 8 for each of two buffers");
}

TEST(Count, CountsBeyond64BitsAreReported) {
  const Arch arch = load_arch("ws_16x16", "");
  const std::string head =
      "workload g\ninput x activation int16 [1,1]\ntensor w weight int16 [1,1]\noutput y activation int16 [1,1]\n";
  // Iterations fit; the hull of a strided tensor, loaded anew in every step, does not.
  const ir::Workload wide =
      ir::parse_workload(head + "einsum g m<1048576 k<1048576 n<1048576 : y[m,n] += mul(x[1000*m,k], w[k,n])\n");
  const LoopNest nest = parse_nest(
      "DRAM [ x w y ]\n  for m in [0:524288)\n    for n in [0:1048576)\n      for k in [0:1048576)\n"
      "Buffer [ x ]\n  for m in [0:2)\nRegFile [ ]\n",
      wide, wide.einsums[0], arch);
  const auto counts = count(wide, wide.einsums[0], arch, nest, FootprintKind::hull);
  ASSERT_FALSE(counts.has_value());
  EXPECT_EQ(counts.error().reason, "the nest's accesses do not fit in 64 bits");
  EXPECT_TRUE(count(wide, wide.einsums[0], arch, nest, FootprintKind::exact).has_value());
}

TEST(Count, HullsExceedExactFootprintsWhereAStrideSkipsElements) {
  Arch arch = load_arch("ws_16x16", "");
  const ir::Workload workload = ir::parse_workload(
      "workload c\ninput x activation int16 [1]\ntensor w weight int16 [1]\noutput y activation int16 [1]\n"
      "einsum c p<8 r<2 : y[p] += mul(x[4*p+r], w[r])\n");
  const LoopNest nest = parse_nest(
      "DRAM [ x w y ]\n  for p in [0:2)\nBuffer [ x y ]\n  for p in [0:4)\nRegFile [ w ]\n  for r in [0:2)\n", workload,
      workload.einsums[0], arch);
  const auto exact = count(workload, workload.einsums[0], arch, nest, FootprintKind::exact);
  const auto hull = count(workload, workload.einsums[0], arch, nest, FootprintKind::hull);
  EXPECT_EQ(exact->levels[1].tensors[0].tile, 8);
  EXPECT_EQ(hull->levels[1].tensors[0].tile, 14);
  EXPECT_EQ(exact->levels[1].tensors[0].fills, 16);
  EXPECT_EQ(hull->levels[1].tensors[0].fills, 28);
}

TEST(Count, PartialSumsMoveOnlyWhereAReductionIsInterrupted) {
  Arch arch = load_arch("ws_16x16", "");
  arch.levels[0].keeps = {true, true, true};
  const ir::Workload workload = ir::parse_workload(
      "workload g\ninput x activation int16 [1,1]\ntensor w weight int16 [1,1]\noutput y activation int16 [1,1]\n"
      "einsum g m<4 k<6 : y[m,0] += mul(x[m,k], w[k,0])\n");
  const auto of = [&](const std::string& loops) {
    const LoopNest nest =
        parse_nest("DRAM [ x w y ]\n" + loops + "Buffer [ x ]\nRegFile [ y ]\n", workload, workload.einsums[0], arch);
    return count(workload, workload.einsums[0], arch, nest, FootprintKind::exact)->levels;
  };
  const auto whole = of("  for m in [0:4)\n    for k in [0:6)\n");
  EXPECT_EQ(whole[0].tensors[2].fills, 0);
  EXPECT_EQ(whole[2].tensors[2].updates, 4);
  EXPECT_EQ(whole[2].tensors[2].reads, 0);
  const auto interrupted = of("  for k in [0:6)\n    for m in [0:4)\n");
  EXPECT_EQ(interrupted[0].tensors[2].fills, 20);
  EXPECT_EQ(interrupted[2].tensors[2].updates, 24);
  EXPECT_EQ(interrupted[2].tensors[2].reads, 20);
}

}  // namespace
}  // namespace cosearch::asic
