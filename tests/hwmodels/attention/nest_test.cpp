#include "hwmodels/attention/nest.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "tests/hwmodels/attention/designs_of_tests.hpp"

namespace cosearch::attention {
namespace {

using testing::small_arch;

std::size_t at(Rank rank) { return static_cast<std::size_t>(rank); }

/// The nest, run: every cycle computes the points of one step of its loops, and the array keeps of each tensor what it
/// used last.
class ExecutedNest {
 public:
  ExecutedNest(std::array<std::int64_t, kRanks> extents, std::array<std::int64_t, kRanks> tile,
               const std::vector<Rank>& inside_out)
      : extents_(extents), tile_(tile) {
    std::array<std::int64_t, kRanks> base{};
    walk(inside_out, inside_out.size(), base);
  }

  std::int64_t cycles = 0;
  /// Words of the tensors with these ranks that come or go.
  [[nodiscard]] std::int64_t words(std::size_t tensor) const { return words_[tensor]; }
  static constexpr std::array<RankSet, 3> kTensors{
      {{{true, false, true}}, {{true, true, false}}, {{false, true, true}}}};

 private:
  using Point = std::array<std::int64_t, kRanks>;

  void walk(const std::vector<Rank>& inside_out, std::size_t depth, Point& base) {
    if (depth == 0) {
      step(base);
      return;
    }
    const std::size_t rank = at(inside_out[depth - 1]);
    for (std::int64_t i = 0; i < extents_[rank]; i += tile_[rank]) {
      base[rank] = i;
      walk(inside_out, depth - 1, base);
    }
  }

  void step(const Point& base) {
    ++cycles;
    for (std::size_t tensor = 0; tensor < kTensors.size(); ++tensor) {
      std::set<Point> tile;
      for (std::int64_t a = base[0]; a < std::min(extents_[0], base[0] + tile_[0]); ++a) {
        for (std::int64_t b = base[1]; b < std::min(extents_[1], base[1] + tile_[1]); ++b) {
          for (std::int64_t c = base[2]; c < std::min(extents_[2], base[2] + tile_[2]); ++c) {
            const std::array<bool, kRanks>& has = kTensors[tensor].has;
            tile.insert({has[0] ? a : 0, has[1] ? b : 0, has[2] ? c : 0});
          }
        }
      }
      for (const Point& point : tile) {
        words_[tensor] += held_[tensor].contains(point) ? 0 : 1;
      }
      held_[tensor] = std::move(tile);
    }
  }

  Point extents_;
  Point tile_;
  std::array<std::set<Point>, 3> held_;
  std::array<std::int64_t, 3> words_{};
};

/// What lies along the rows and columns of the array while `innermost` runs whole: rows of the cascade along columns.
std::array<std::int64_t, kRanks> spatial_tile(const Arch& arch, Rank innermost) {
  switch (innermost) {
    case Rank::inner:
      return {1, arch.rows, arch.columns};
    case Rank::streamed:
      return {arch.rows, 1, arch.columns};
    case Rank::rows:
      return {arch.columns, arch.rows, 1};
  }
  return {1, 1, 1};
}

TEST(ProductNest, CyclesAndWordsAreThoseOfTheExecutedNest) {
  const Arch arch = small_arch(4, 6, 4);
  for (const Rank innermost : {Rank::inner, Rank::streamed, Rank::rows}) {
    std::vector<Rank> inside_out{innermost};
    for (const Rank rank : {Rank::inner, Rank::streamed, Rank::rows}) {
      if (rank != innermost) {
        inside_out.push_back(rank);
      }
    }
    for (const std::int64_t inner : {1, 3, 6, 12, 13}) {
      for (const std::int64_t streamed : {1, 4, 9, 12}) {
        for (const std::int64_t rows : {1, 5, 6, 12, 14}) {
          const std::array<std::int64_t, kRanks> extents{inner, streamed, rows};
          const ProductNest nest(arch, extents, innermost);
          const ExecutedNest executed(extents, spatial_tile(arch, innermost), inside_out);
          const std::string what = std::to_string(at(innermost)) + " innermost of " + std::to_string(inner) + "x" +
                                   std::to_string(streamed) + "x" + std::to_string(rows);
          EXPECT_EQ(nest.cycles(), executed.cycles) << what;
          for (std::size_t tensor = 0; tensor < ExecutedNest::kTensors.size(); ++tensor) {
            EXPECT_EQ(nest.words(ExecutedNest::kTensors[tensor]), executed.words(tensor)) << what << " " << tensor;
          }
        }
      }
    }
  }
}

TEST(ProductNest, WhatStaysRunsItsMissingRankInnermost) {
  const Profile profile = testing::profile_of("attention_three_pass", 8, 8);
  const Work& qk = profile.works[static_cast<std::size_t>(profile.find_work("qk"))];
  const Work& av = profile.works[static_cast<std::size_t>(profile.find_work("av"))];
  EXPECT_EQ(innermost_rank(profile, qk, Stationary::output), Rank::inner);
  EXPECT_EQ(innermost_rank(profile, qk, Stationary::input), Rank::streamed);  // q stays
  EXPECT_EQ(innermost_rank(profile, qk, Stationary::weight), Rank::rows);     // k stays
  EXPECT_EQ(innermost_rank(profile, av, Stationary::output), Rank::streamed);
  EXPECT_EQ(innermost_rank(profile, av, Stationary::input), Rank::inner);  // shares stay
  EXPECT_EQ(innermost_rank(profile, av, Stationary::weight), Rank::rows);  // v stays
}

/// All chunks of one tile doubled, stationarities and residencies of a cascade of two products and four tensors that
/// may stay.
std::vector<RowsMapping> all_mappings(const Profile& profile, const Arch& arch, const Shape& shape) {
  std::vector<RowsMapping> all;
  std::vector<std::int64_t> chunks{0};
  for (std::int64_t chunk = arch.columns; chunk < shape.rows; chunk *= 2) {
    chunks.push_back(chunk);
  }
  const std::vector<Stationary> kinds{Stationary::output, Stationary::input, Stationary::weight};
  for (const std::int64_t chunk : chunks) {
    for (const Stationary first : kinds) {
      for (const Stationary second : kinds) {
        for (int stay = 0; stay < 32; ++stay) {
          RowsMapping mapping{chunk, stay >= 16, {first, second}, {}};
          for (const TensorUse& tensor : profile.tensors) {
            const int bit = tensor.name == "q" ? 0 : tensor.name == "k" ? 1 : tensor.name == "v" ? 2 : 3;
            const bool outer = tensor.input || tensor.output;
            mapping.resident.push_back(outer && (stay >> bit) % 2 == 1);
          }
          all.push_back(std::move(mapping));
        }
      }
    }
  }
  return all;
}

TEST(BestMapping, IsTheBestOfAll) {
  const Profile profile = testing::profile_of("attention_three_pass", 6, 6);
  for (const std::int64_t buffer : {400, 1000, 4000, 1 << 20}) {
    for (const double bandwidth : {0.05, 1.0, 50.0}) {
      Arch arch = small_arch(4, 4, 4);
      arch.lane = testing::attention_data().pe_kinds.at("flat_lane");
      arch.buffer_bytes = buffer;
      arch.dram_bytes_per_second = bandwidth;
      Choices choices;
      choices.fusion = Fusion::rows;
      const Design design = testing::small_design(profile, arch, choices).value();
      for (const Shape& shape : {Shape{2, 16, 32, false}, Shape{1, 1, 40, false}, Shape{1, 13, 9, false}}) {
        const AttentionCost best = design.evaluate(shape, design.best_mapping(shape)).value();
        EXPECT_EQ(design.evaluate(shape)->seconds, best.seconds);
        double seconds = best.seconds;
        double traffic = best.traffic_bytes;
        for (const RowsMapping& mapping : all_mappings(profile, arch, shape)) {
          const auto cost = design.evaluate(shape, mapping);
          if (cost && (cost->seconds < seconds || (cost->seconds == seconds && cost->traffic_bytes < traffic))) {
            seconds = cost->seconds;
            traffic = cost->traffic_bytes;
          }
        }
        EXPECT_EQ(best.seconds, seconds) << buffer << " " << bandwidth << " " << shape.rows;
        EXPECT_EQ(best.traffic_bytes, traffic) << buffer << " " << bandwidth << " " << shape.rows;
      }
    }
  }
}

}  // namespace
}  // namespace cosearch::attention
