// Design's closed forms against an executed schedule of small arrays, cycle by cycle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/hwmodels/attention/designs_of_tests.hpp"
#include "tests/hwmodels/attention/schedule_simulator.hpp"

namespace cosearch::attention {
namespace {

using testing::published_designs;
using testing::run_schedule;
using testing::ScheduleCounts;
using testing::small_arch;

constexpr std::int64_t kQueryDim = 5;
constexpr std::int64_t kValueDim = 3;

struct Case {
  std::string cascade;
  std::string binding;
  bool softmax_on_array = true;
  std::string array = "fusemax_array";
  std::string lane = "fusemax_lane";
};

/// Every cascade of one pass that the library has, on the array and on the lanes, under every binding.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* cascade : {"attention_one_pass", "attention_sigmoid", "attention_linear", "softmax_unstable"}) {
    for (const char* binding : {"sequential", "pipelined", "interleaved"}) {
      all.push_back({cascade, binding});
      all.push_back({cascade, binding, true, "flat_lane", "cascade_lane"});  // an array with every unit
      all.push_back({cascade, binding, false, "flat_array", "cascade_lane"});
    }
  }
  for (const auto& [name, slots] : published_designs().bindings) {
    all.push_back({"attention_one_pass", slots});
  }
  return all;
}

std::string name_of(const Case& each, const Arch& arch, const Shape& shape) {
  return each.cascade + " [" + each.binding + "] " + each.array + (each.softmax_on_array ? "" : " softmax on lanes") +
         " " + std::to_string(arch.rows) + "x" + std::to_string(arch.columns) + "," + std::to_string(arch.lanes) +
         " for " + std::to_string(shape.instances) + " of " + std::to_string(shape.rows) + "x" +
         std::to_string(shape.keys) + (shape.causal ? " causal" : "");
}

Design design_of(const Case& each, Arch arch, bool even_chunks = false) {
  arch.array = testing::attention_data().pe_kinds.at(each.array);
  arch.array.registers = 1 << 10;
  arch.lane = testing::attention_data().pe_kinds.at(each.lane);
  Choices choices;
  choices.softmax_on_array = each.softmax_on_array;
  choices.binding = each.binding;
  choices.even_chunks = even_chunks;
  Expected<Design, Infeasible> design =
      testing::small_design(testing::profile_of(each.cascade, kQueryDim, kValueDim), arch, choices);
  EXPECT_TRUE(design.has_value()) << each.cascade << ": " << (design ? "" : design.error().reason);
  return *std::move(design);
}

ScheduleCounts execute(const Design& design, const Shape& shape, std::int64_t chunk_rows) {
  std::vector<bool> on_array;
  for (std::size_t i = 0; i < design.profile().works.size(); ++i) {
    on_array.push_back(design.on_array(static_cast<int>(i)));
  }
  return run_schedule({design.profile(), design.binding(), on_array, design.arch(), shape, chunk_rows});
}

std::int64_t most_lag(const Binding& binding) { return *std::max_element(binding.lag.begin(), binding.lag.end()); }

/// Cycles of one head's works of whole rows: what may run after the last tile.
double cycles_of_rows(const Design& design, const Shape& shape) {
  const std::vector<double> cycles = design.work_cycles(shape);
  double sum = 0.0;
  for (std::size_t i = 0; i < cycles.size(); ++i) {
    const Extent extent = design.profile().works[i].extent;
    sum += extent == Extent::row || extent == Extent::head ? cycles[i] : 0.0;
  }
  return sum / static_cast<double>(shape.instances);
}

void compare(const Design& design, const Shape& shape) {
  const Expected<AttentionCost, Infeasible> cost = design.evaluate(shape);
  ASSERT_TRUE(cost.has_value()) << cost.error().reason;
  const ScheduleCounts counts = execute(design, shape, cost->chunk_rows);
  EXPECT_THAT(counts.violations, ::testing::IsEmpty());
  EXPECT_EQ(cost->array_cycles, counts.array_cycles);
  EXPECT_EQ(cost->lane_cycles, counts.lane_cycles);
  EXPECT_EQ(cost->drain_cycles, counts.drain_cycles);
  EXPECT_EQ(cost->traffic_bytes, design.arch().word_bytes * counts.dram_words);
  // The steady state: what fills and empties the pipeline is left out, at most the most lag in tiles, and the last
  // head's works of rows.
  const auto executed = static_cast<double>(counts.cycles);
  const auto lag = most_lag(design.binding());
  EXPECT_GE(executed, cost->compute_seconds);
  if (design.choices().binding == "sequential") {
    EXPECT_EQ(executed, cost->compute_seconds);
  } else {
    EXPECT_LE(executed,
              cost->compute_seconds + static_cast<double>(lag * counts.longest_round) + cycles_of_rows(design, shape));
  }
  const bool divides = shape.rows % design.arch().columns == 0 && shape.keys % design.arch().rows == 0;
  if (!shape.causal || divides) {
    const auto elements = static_cast<double>(design.arch().rows * design.arch().columns);
    EXPECT_NEAR(cost->array_utilization * cost->seconds * elements, static_cast<double>(counts.useful_operations),
                1e-9 * elements * executed);
  }
  // The next rows arrive while the last ones' tiles are in the pipeline: the lag in tiles of their state.
  const std::int64_t words = cost->buffer_bytes / design.arch().word_bytes;
  const std::int64_t tile_words = (words + cost->chunk_rows - 1) / cost->chunk_rows * design.arch().columns;
  EXPECT_LE(counts.buffer_words, words + lag * tile_words);
}

const std::vector<Arch>& arches() {
  static const std::vector<Arch> kArches{small_arch(4, 4, 4), small_arch(4, 8, 2), small_arch(8, 4, 3)};
  return kArches;
}

TEST(Schedule, BusyCyclesTrafficAndTimeAreThoseOfTheExecutedSchedule) {
  for (const Case& each : cases()) {
    for (const Arch& arch : arches()) {
      const Design design = design_of(each, arch);
      for (const Shape& shape :
           {Shape{1, 8, 16, false}, Shape{2, 16, 8, false}, Shape{2, 13, 10, false}, Shape{1, 1, 9, false}}) {
        SCOPED_TRACE(name_of(each, arch, shape));
        compare(design, shape);
      }
    }
  }
}

TEST(Schedule, EveryFurtherHeadTakesTheTimeOfTheSteadyState) {
  for (const Case& each : cases()) {
    for (const Arch& arch : arches()) {
      const Design design = design_of(each, arch);
      const auto both = [&](std::int64_t heads) {
        const Shape shape{heads, 16, 12, false};
        const AttentionCost cost = design.evaluate(shape).value();
        return std::pair{cost.compute_seconds, execute(design, shape, cost.chunk_rows).cycles};
      };
      const auto [few, few_executed] = both(4);
      const auto [many, many_executed] = both(9);
      EXPECT_EQ(many - few, many_executed - few_executed) << name_of(each, arch, {9, 16, 12, false});
    }
  }
}

TEST(Schedule, ChunksOfRowsFetchTheStreamedElementsAgain) {
  int chunked = 0;
  for (const Case& each : cases()) {
    for (const bool causal : {false, true}) {
      if (each.cascade == "attention_linear") {
        continue;  // keeps no state of rows
      }
      Arch arch = small_arch(4, 4, 4);
      const Shape shape{2, 24, 28, causal};
      const std::int64_t whole = design_of(each, arch).evaluate(shape)->buffer_bytes;
      for (const std::int64_t part : {2, 3}) {
        arch.buffer_bytes = whole / part;
        SCOPED_TRACE(name_of(each, arch, shape) + " part " + std::to_string(part));
        const Design design = design_of(each, arch);
        if (const auto cost = design.evaluate(shape)) {
          EXPECT_LT(cost->chunk_rows, shape.rows);
          compare(design, shape);
          ++chunked;
        } else {
          EXPECT_THAT(cost.error().reason, ::testing::HasSubstr("the state of one tile of rows"));
        }
      }
    }
  }
  EXPECT_GT(chunked, 50);
}

TEST(Schedule, CausalLayersRunTheTilesThatTheDiagonalReaches) {
  for (const Case& each : cases()) {
    if (each.cascade == "attention_linear") {
      continue;  // a causal one keeps a sum for every row: another cascade
    }
    for (const Shape& shape : {Shape{2, 16, 16, true}, Shape{1, 8, 24, true}, Shape{1, 10, 13, true}}) {
      const Arch arch = small_arch(4, 4, 4);
      SCOPED_TRACE(name_of(each, arch, shape));
      compare(design_of(each, arch), shape);
    }
  }
}

TEST(Schedule, TheBufferHoldsTheStateOfRowsAndTheTilesThatStream) {
  struct Expectation {
    const char* cascade;
    std::int64_t words_per_row;
  };
  // Queries with what runs along: maximum, denominator, result; sums of the result alone; denominator and result.
  for (const Expectation& each : {Expectation{"attention_one_pass", kQueryDim + 1 + 1 + kValueDim},
                                  Expectation{"attention_sigmoid", kQueryDim + kValueDim},
                                  Expectation{"softmax_unstable", kQueryDim + 1 + kValueDim}}) {
    const Arch arch = small_arch(4, 4, 4);
    const Design design = design_of({each.cascade, "sequential", true, "flat_lane", "cascade_lane"}, arch);
    const Shape shape{1, 16, 16, false};
    const AttentionCost cost = design.evaluate(shape).value();
    const ScheduleCounts counts = execute(design, shape, cost.chunk_rows);
    EXPECT_EQ(counts.row_state_words, shape.rows * each.words_per_row) << each.cascade;
    EXPECT_EQ(counts.buffer_words, counts.row_state_words + arch.rows * (kQueryDim + kValueDim)) << each.cascade;
    EXPECT_EQ(cost.buffer_bytes, arch.word_bytes * counts.buffer_words) << each.cascade;
  }
}

TEST(Schedule, TilesBetweenTheArraysNeedRoomForAllThatAreInFlight) {
  for (const Case& each : cases()) {
    const Arch arch = small_arch(4, 4, 4);
    const Shape one_row_tile{1, 4, 32, false};
    SCOPED_TRACE(name_of(each, arch, one_row_tile));
    const Design design = design_of(each, arch);
    const AttentionCost cost = design.evaluate(one_row_tile).value();
    EXPECT_LE(execute(design, one_row_tile, cost.chunk_rows).buffer_words,
              cost.buffer_bytes / design.arch().word_bytes);
  }
}

TEST(Schedule, TheJudgeFindsOperandsThatComeTooLate) {
  const Design design = design_of({"attention_one_pass", "interleaved"}, small_arch(4, 4, 4));
  Binding rash = design.binding();
  std::fill(rash.lag.begin(), rash.lag.end(), 0);
  std::vector<bool> on_array;
  for (std::size_t i = 0; i < design.profile().works.size(); ++i) {
    on_array.push_back(design.on_array(static_cast<int>(i)));
  }
  const ScheduleCounts counts = run_schedule({design.profile(), rash, on_array, design.arch(), {1, 8, 16, false}, 8});
  EXPECT_THAT(counts.violations, ::testing::Contains("rm starts before its operands"));
}

}  // namespace
}  // namespace cosearch::attention
