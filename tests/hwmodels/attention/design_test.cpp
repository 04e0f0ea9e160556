#include "hwmodels/attention/design.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "spaces/base/rng.hpp"
#include "spaces/cascade/library.hpp"
#include "tests/hwmodels/attention/designs_of_tests.hpp"

namespace cosearch::attention {
namespace {

using testing::attention_data;
using ::testing::HasSubstr;
using testing::profile_of;
using testing::published_designs;
using testing::small_arch;
using testing::small_design;

constexpr std::int64_t kDim = 4;

std::vector<std::string> attention_cascades() {
  std::vector<std::string> names;
  for (const cascade::CascadeEntry& entry : cascade::cascade_registry()) {
    if (entry.name.starts_with("attention_")) {
      names.emplace_back(entry.name);
    }
  }
  return names;
}

Design design_of(const std::string& cascade, const Arch& arch, const Choices& choices = {}) {
  Expected<Design, Infeasible> design = small_design(profile_of(cascade, kDim, kDim), arch, choices);
  EXPECT_TRUE(design.has_value()) << (design ? "" : design.error().reason);
  return *std::move(design);
}

/// Elements of inputs and outputs.
double compulsory_bytes(const Design& design, const Shape& shape) {
  double words = 0.0;
  for (const TensorUse& tensor : design.profile().tensors) {
    if (tensor.input || tensor.output) {
      words += static_cast<double>(tensor.inner_words) *
               (tensor.extent == Extent::row || tensor.extent == Extent::tile ? static_cast<double>(shape.rows) : 1.0) *
               (tensor.extent == Extent::key || tensor.extent == Extent::tile ? static_cast<double>(shape.keys) : 1.0);
    }
  }
  return words * static_cast<double>(shape.instances * design.arch().word_bytes);
}

TEST(Design, ABufferThatIsTooSmallIsInfeasibleByHowMuch) {
  Arch arch = small_arch(4, 4, 4);
  arch.buffer_bytes = 64;
  const auto cost = design_of("attention_one_pass", arch).evaluate({1, 16, 16, false});
  ASSERT_FALSE(cost.has_value());
  // Keys and values of a tile, of a tile of rows queries, results, maximum and denominator; 2 bytes each.
  EXPECT_EQ(cost.error().violations.at(0).name, "buffer_bytes");
  EXPECT_EQ(cost.error().violations.at(0).required, 2 * (2 * 4 * kDim + 4 * (2 * kDim + 2)));
  EXPECT_EQ(cost.error().violations.at(0).limit, 64);
  arch.buffer_bytes = 2 * (2 * 4 * kDim + 4 * (2 * kDim + 2));
  EXPECT_TRUE(design_of("attention_one_pass", arch).evaluate({1, 16, 16, false}).has_value());
}

TEST(Design, CascadesOfSeveralPassesCannotRunTileByTile) {
  for (const auto& [cascade, passes] : {std::pair{"attention_three_pass", 3}, std::pair{"attention_two_pass", 2}}) {
    const auto design = small_design(profile_of(cascade, kDim, kDim), small_arch(4, 4, 4), {});
    ASSERT_FALSE(design.has_value());
    EXPECT_EQ(design.error().violations.at(0).name, "passes");
    EXPECT_EQ(design.error().violations.at(0).required, passes);
    EXPECT_THAT(design.error().reason, HasSubstr("whole fibers of"));
  }
}

TEST(Design, ElementsWithoutAUnitAreInfeasible) {
  Arch arch = small_arch(4, 4, 4);
  arch.lane = attention_data().pe_kinds.at("flat_array");  // neither maximum nor division
  const auto design = small_design(profile_of("attention_one_pass", kDim, kDim), arch, {});
  ASSERT_FALSE(design.has_value());
  EXPECT_THAT(design.error().reason, HasSubstr("neither fusemax_array nor flat_array has the unit that it needs"));
}

TEST(Design, RegistersHoldTheTilesInFlight) {
  Arch arch = small_arch(4, 4, 4);
  // Of a product three words, of scores three tiles until their maximum is back, of exponentials one.
  arch.array.registers = 7;
  EXPECT_TRUE(small_design(profile_of("attention_one_pass", kDim, kDim), arch, {}).has_value());
  arch.array.registers = 6;
  const auto design = small_design(profile_of("attention_one_pass", kDim, kDim), arch, {});
  ASSERT_FALSE(design.has_value());
  EXPECT_EQ(design.error().violations.at(0).name, "registers");
  EXPECT_EQ(design.error().violations.at(0).required, 7);
  Choices one_by_one;
  one_by_one.binding = "sequential";
  EXPECT_TRUE(small_design(profile_of("attention_one_pass", kDim, kDim), arch, one_by_one).has_value());
}

TEST(Design, MoreOfAnythingIsNeverSlower) {
  const Shape shape{3, 50, 70, false};
  for (const std::string& cascade : attention_cascades()) {
    for (const Fusion fusion : {Fusion::none, Fusion::rows, Fusion::tiles}) {
      const Profile profile = profile_of(cascade, kDim, kDim);
      Choices choices;
      choices.fusion = fusion;
      if (fusion == Fusion::tiles && profile.passes > 1) {
        continue;
      }
      const auto seconds = [&](auto change) {
        std::vector<double> result;
        for (const std::int64_t step : {1, 2, 3, 4, 8, 16}) {
          Arch arch = small_arch(4, 4, 4);
          arch.buffer_bytes = 2048;
          change(arch, step);
          const auto cost = small_design(profile, arch, choices)->evaluate(shape);
          EXPECT_TRUE(cost.has_value()) << cost.error().reason;
          result.push_back(-cost->seconds);
        }
        return result;
      };
      const std::string what = cascade + " " + std::to_string(static_cast<int>(fusion));
      const std::vector<double> bandwidth =
          seconds([](Arch& arch, std::int64_t step) { arch.dram_bytes_per_second = 0.05 * static_cast<double>(step); });
      EXPECT_TRUE(std::is_sorted(bandwidth.begin(), bandwidth.end())) << what;
      EXPECT_LT(bandwidth.front(), bandwidth.back()) << what;
      const std::vector<double> buffer =
          seconds([](Arch& arch, std::int64_t step) { arch.buffer_bytes = 2048 * step; });
      EXPECT_TRUE(std::is_sorted(buffer.begin(), buffer.end())) << what;
      const std::vector<double> lanes = seconds([](Arch& arch, std::int64_t step) {
        arch.lanes = step;
        arch.dram_bytes_per_second = 100.0;
      });
      EXPECT_TRUE(std::is_sorted(lanes.begin(), lanes.end())) << what;
      EXPECT_LT(lanes.front(), lanes.back()) << what;
    }
  }
}

TEST(Design, CausalLayersLeaveOutExactlyTheTilesBehindTheDiagonal) {
  const Design design = design_of("attention_one_pass", small_arch(4, 8, 4));
  for (const std::int64_t rows : {1, 8, 13, 32}) {
    for (const std::int64_t keys : {32, 37, 64}) {
      std::int64_t reached = 0;
      std::int64_t all = 0;
      for (std::int64_t row = 0; row < rows; row += 8) {
        for (std::int64_t key = 0; key < keys; key += 4) {
          bool needed = false;
          for (std::int64_t i = row; i < std::min(row + 8, rows); ++i) {
            needed = needed || key <= i + keys - rows;
          }
          reached += needed ? 1 : 0;
          ++all;
        }
      }
      const std::vector<double> whole = design.work_cycles({2, rows, keys, false});
      const std::vector<double> causal = design.work_cycles({2, rows, keys, true});
      for (std::size_t i = 0; i < whole.size(); ++i) {
        const bool of_rows = design.profile().works[i].extent == Extent::row;
        EXPECT_DOUBLE_EQ(causal[i] * static_cast<double>(all), whole[i] * static_cast<double>(of_rows ? all : reached))
            << design.profile().works[i].name << " " << rows << " " << keys;
      }
    }
  }
}

TEST(Design, ADecoderStepIsBoundByItsKeys) {
  for (const std::string& cascade : attention_cascades()) {
    for (const Fusion fusion : {Fusion::none, Fusion::rows, Fusion::tiles}) {
      const Profile profile = profile_of(cascade, kDim, kDim);
      if (fusion == Fusion::tiles && profile.passes > 1) {
        continue;
      }
      Choices choices;
      choices.fusion = fusion;
      const Design design = design_of(cascade, small_arch(4, 4, 4), choices);
      const Shape step{6, 1, 1000, true};
      const auto cost = design.evaluate(step);
      ASSERT_TRUE(cost.has_value()) << cascade << ": " << cost.error().reason;
      EXPECT_GE(cost->traffic_bytes, 6.0 * 2.0 * 1000.0 * 2.0 * kDim) << cascade;
      EXPECT_GE(cost->traffic_bytes, compulsory_bytes(design, step)) << cascade;
      EXPECT_LE(cost->array_utilization, 0.25 + 1e-9) << cascade;  // of four columns one has a row
    }
  }
}

TEST(Design, EveryAttentionCascadeRunsUnfusedAndByRows) {
  for (const std::string& cascade : attention_cascades()) {
    for (const auto& [name, elements] : published_designs().elements) {
      for (const Fusion fusion : {Fusion::none, Fusion::rows}) {
        Arch arch = small_arch(8, 8, 8);
        arch.array = elements.array;
        arch.lane = elements.lane;
        Choices choices;
        choices.fusion = fusion;
        const Shape shape{2, 24, 40, false};
        const Design design = design_of(cascade, arch, choices);
        const auto cost = design.evaluate(shape);
        ASSERT_TRUE(cost.has_value()) << cascade << " " << name << ": " << cost.error().reason;
        EXPECT_GE(cost->traffic_bytes, compulsory_bytes(design, shape)) << cascade << " " << name;
        EXPECT_GT(cost->seconds, 0.0);
      }
    }
  }
}

TEST(Design, EvenChunksAreTheLargestThatDivideTheRowsTiles) {
  for (const std::int64_t row_tiles : {1, 2, 7, 12, 24, 36, 97, 210}) {
    const Shape shape{1, 4 * row_tiles, 8, false};
    for (std::int64_t buffer = 256; buffer < 40000; buffer += 301) {
      Arch arch = small_arch(4, 4, 4);
      arch.buffer_bytes = buffer;
      Choices choices;
      choices.even_chunks = false;
      const auto uneven = design_of("attention_one_pass", arch, choices).evaluate(shape);
      choices.even_chunks = true;
      const auto even = design_of("attention_one_pass", arch, choices).evaluate(shape);
      ASSERT_EQ(even.has_value(), uneven.has_value());
      if (!even) {
        continue;
      }
      std::int64_t largest = uneven->chunk_rows / 4;
      while (row_tiles % largest != 0) {
        --largest;
      }
      EXPECT_EQ(even->chunk_rows, 4 * largest) << row_tiles << " tiles, " << buffer << " bytes";
    }
  }
}

TEST(Design, TheArrayIsUsedAsFarAsItComputesProducts) {
  for (const std::string& cascade : attention_cascades()) {
    for (const Fusion fusion : {Fusion::none, Fusion::rows}) {
      Choices choices;
      choices.fusion = fusion;
      const Design design = design_of(cascade, small_arch(8, 6, 5), choices);
      const AttentionCost cost = design.evaluate({2, 13, 21, false}).value();
      EXPECT_NEAR(cost.array_utilization * cost.seconds * 8 * 6, cost.macs, 1e-9 * cost.macs) << cascade;
    }
  }
}

TEST(Design, CausalityChangesNothingWhereNoTilesAreLeftOut) {
  for (const Fusion fusion : {Fusion::none, Fusion::rows}) {
    Choices choices;
    choices.fusion = fusion;
    const Design design = design_of("attention_three_pass", small_arch(4, 4, 4), choices);
    const AttentionCost whole = design.evaluate({1, 32, 32, false}).value();
    const AttentionCost causal = design.evaluate({1, 32, 32, true}).value();
    EXPECT_EQ(causal.macs, whole.macs);
    EXPECT_EQ(causal.energy.total(), whole.energy.total());
    EXPECT_EQ(causal.seconds, whole.seconds);
  }
}

/// A design and a shape of any kind; nothing where the design is infeasible.
struct Random {
  explicit Random(std::uint64_t index) : rng(7, Purpose::test, index) {}

  [[nodiscard]] std::int64_t size(std::int64_t most) {  // small ones more often
    const double power = rng.uniform();
    return 1 + static_cast<std::int64_t>(std::pow(static_cast<double>(most), power) - 1.0);
  }
  template <class List>
  auto pick(const List& list) {
    return *std::next(list.begin(), static_cast<std::ptrdiff_t>(rng.below(list.size())));
  }

  [[nodiscard]] Expected<Design, Infeasible> design() {
    const Elements elements = pick(published_designs().elements).second;
    Arch arch = small_arch(size(64), size(64), size(300));
    arch.array = elements.array;
    arch.lane = elements.lane;
    arch.buffer_bytes = 512 * size(4096);
    arch.dram_bytes_per_second = 0.01 * static_cast<double>(size(100000));
    Choices choices;
    const std::string cascade = pick(attention_cascades());
    choices.fusion = pick(std::vector{Fusion::none, Fusion::rows, Fusion::tiles, Fusion::tiles});
    choices.softmax_on_array = rng.below(2) == 0;
    choices.binding = pick(std::vector<std::string>{"sequential", "pipelined", "interleaved"});
    choices.even_chunks = rng.below(2) == 0;
    return small_design(profile_of(cascade, size(20), size(20)), arch, choices);
  }
  [[nodiscard]] Shape shape() {
    const std::int64_t rows = size(200);
    return {size(8), rows, rows + size(200), rng.below(2) == 0};
  }

  RngStream rng;
};

TEST(Design, RandomDesignsKeepWithinTheirBounds) {
  int feasible = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    Random random(i);
    const auto design = random.design();
    const Shape shape = random.shape();
    const auto evaluated =
        design ? design->evaluate(shape) : Expected<AttentionCost, Infeasible>(Unexpected{design.error()});
    if (!evaluated) {
      EXPECT_FALSE(evaluated.error().reason.empty());
      continue;
    }
    ++feasible;
    const AttentionCost& cost = *evaluated;
    SCOPED_TRACE(std::to_string(i) + " " + design->profile().name + " " +
                 std::to_string(static_cast<int>(design->choices().fusion)));
    for (const double each :
         {cost.seconds, cost.compute_seconds, cost.memory_seconds, cost.array_cycles, cost.lane_cycles,
          cost.drain_cycles, cost.traffic_bytes, cost.macs, cost.spilled, cost.energy.array_units,
          cost.energy.lane_units, cost.energy.registers, cost.energy.buffer, cost.energy.dram}) {
      EXPECT_TRUE(std::isfinite(each) && each >= 0.0) << each;
    }
    for (const double each : {cost.array_utilization, cost.lane_utilization, cost.spilled}) {
      EXPECT_LE(each, 1.0 + 1e-9);
      EXPECT_GE(each, 0.0);
    }
    EXPECT_GE(cost.traffic_bytes, compulsory_bytes(*design, shape) * (1.0 - 1e-12));
    EXPECT_GE(cost.seconds, std::max(cost.compute_seconds, cost.memory_seconds) * (1.0 - 1e-12));
    EXPECT_GE(cost.compute_seconds, std::max(cost.array_cycles, cost.lane_cycles) * (1.0 - 1e-12));
    if (design->choices().fusion == Fusion::tiles) {
      EXPECT_LE(cost.buffer_bytes, design->arch().buffer_bytes);
    }
  }
  EXPECT_GT(feasible, 1000);
}

TEST(Design, CompleteEnergyIsAtLeastTheArtifacts) {
  for (std::uint64_t i = 0; i < 300; ++i) {
    Random random(i);
    const auto design = random.design();
    const Shape shape = random.shape();
    const auto cost =
        design ? design->evaluate(shape) : Expected<AttentionCost, Infeasible>(Unexpected{design.error()});
    if (!cost) {
      continue;
    }
    Choices choices = design->choices();
    choices.complete_energy = true;
    const AttentionCost complete =
        Design::make(design->profile(), design->arch(), choices, design->prices())->evaluate(shape).value();
    EXPECT_GT(complete.energy.registers, 0.0);
    EXPECT_GE(complete.energy.total(), cost->energy.total()) << i;
    EXPECT_EQ(complete.seconds, cost->seconds) << i;
  }
}

}  // namespace
}  // namespace cosearch::attention
