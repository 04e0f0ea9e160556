#include "hwmodels/fpga/timeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "spaces/base/rng.hpp"
#include "spaces/queue/expert_queue.hpp"

namespace cosearch::fpga {
namespace {

std::vector<Piece> even_pieces(int count, double load, double compute) {
  return std::vector<Piece>(static_cast<std::size_t>(count), Piece{"", load, compute});
}

std::vector<Piece> random_pieces(std::uint64_t index) {
  RngStream rng(5, Purpose::test, index);
  std::vector<Piece> pieces(1 + rng.below(12));
  for (Piece& piece : pieces) {
    piece.load_cycles = static_cast<double>(rng.below(20));
    piece.compute_cycles = static_cast<double>(rng.below(20));
  }
  return pieces;
}

// Equal experts: the first load, then whatever takes longer for all but one, then the last computation.
TEST(Timeline, EvenPiecesTakeTheClosedForm) {
  for (const double load : {1.0, 7.0, 30.0}) {
    for (const double compute : {1.0, 7.0, 30.0}) {
      for (const int count : {1, 2, 16}) {
        const double expected = load + (count - 1) * std::max(load, compute) + compute;
        EXPECT_DOUBLE_EQ(simulate(even_pieces(count, load, compute), 2).cycles(), expected);
        EXPECT_DOUBLE_EQ(double_buffered_cycles(even_pieces(count, load, compute)), expected);
      }
    }
  }
}

TEST(Timeline, TwoBuffersTakeTheSumOfMaximaWhateverThePieces) {
  for (std::uint64_t i = 0; i < 200; ++i) {
    const std::vector<Piece> pieces = random_pieces(i);
    EXPECT_DOUBLE_EQ(simulate(pieces, 2).cycles(), double_buffered_cycles(pieces));
  }
}

TEST(Timeline, LoadsAndComputationsKeepTheirOrderAndTheirBuffers) {
  for (std::uint64_t i = 0; i < 200; ++i) {
    for (const int buffers : {1, 2, 3}) {
      const Timeline line = simulate(random_pieces(i), buffers);
      ASSERT_EQ(line.loads.size(), line.pieces.size());
      ASSERT_EQ(line.computes.size(), line.pieces.size());
      for (std::size_t p = 0; p < line.pieces.size(); ++p) {
        EXPECT_DOUBLE_EQ(line.loads[p].end - line.loads[p].start, line.pieces[p].load_cycles);
        EXPECT_DOUBLE_EQ(line.computes[p].end - line.computes[p].start, line.pieces[p].compute_cycles);
        // Each starts as soon as what it waits for has ended, and no sooner.
        const auto ahead = static_cast<std::size_t>(buffers);
        const double freed = p >= ahead ? line.computes[p - ahead].end : 0.0;
        EXPECT_DOUBLE_EQ(line.loads[p].start, std::max(p > 0 ? line.loads[p - 1].end : 0.0, freed));
        EXPECT_DOUBLE_EQ(line.computes[p].start, std::max(p > 0 ? line.computes[p - 1].end : 0.0, line.loads[p].end));
      }
    }
  }
}

TEST(Timeline, FollowsTheStepsOfTheQueue) {
  const ExpertQueue queue = queue_of_counts(std::vector<std::int64_t>{9, 0, 3, 5}, 1.0);
  std::vector<Piece> pieces;
  for (const QueuedExpert& each : queue.experts) {
    pieces.push_back({"", 4.0, static_cast<double>(each.tokens), each.expert});
  }
  const Timeline line = simulate(pieces, 2);
  for (const QueueStep& step : double_buffered_steps(queue)) {
    if (step.computes && step.loads) {
      EXPECT_DOUBLE_EQ(line.computes[*step.computes].start, line.loads[*step.loads].start);
    }
  }
}

TEST(Timeline, MoreBuffersAreNeverSlower) {
  for (std::uint64_t i = 0; i < 100; ++i) {
    const double one = simulate(random_pieces(i), 1).cycles();
    const double two = simulate(random_pieces(i), 2).cycles();
    EXPECT_LE(two, one);
    EXPECT_LE(simulate(random_pieces(i), 3).cycles(), two);
  }
}

TEST(Timeline, NothingToDoTakesNoTime) {
  EXPECT_EQ(simulate({}, 2).cycles(), 0.0);
  EXPECT_EQ(double_buffered_cycles({}), 0.0);
}

TEST(Timeline, BelowBreakEvenTheEngineWaits) {
  const double tokens = break_even_tokens(96.0, 6.0);
  EXPECT_DOUBLE_EQ(tokens, 16.0);
  const auto waiting = [](double each) {
    const std::vector<Piece> pieces = even_pieces(8, 96.0, 6.0 * each);
    return double_buffered_cycles(pieces) - 96.0 - 8.0 * 6.0 * each;
  };
  EXPECT_DOUBLE_EQ(waiting(tokens), 0.0);
  EXPECT_DOUBLE_EQ(waiting(tokens + 1.0), 0.0);
  EXPECT_GT(waiting(tokens - 1.0), 0.0);
}

}  // namespace
}  // namespace cosearch::fpga
