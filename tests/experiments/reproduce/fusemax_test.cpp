#include "experiments/reproduce/fusemax.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace cosearch::fusemax {
namespace {

/// As printed: two digits of a speed-up, one of an energy in per cent.
double rounded(double value, double digits) { return std::round(value * digits) / digits; }

std::vector<Result> results(bool with_overflow) {
  attention::DesignOptions options;
  options.timeloop_overflow = with_overflow;
  return Experiment(options, "").results();
}

TEST(FuseMax, MeansAreTheArtifactsToThePrintedDigits) {
  const std::vector<Result> all = results(true);
  for (const char* against : {"flat", "unfused"}) {
    for (const char* design : {"architecture", "binding"}) {
      const Means ours = means(all, design, against);
      const Means theirs = published_means(design, against);
      EXPECT_EQ(rounded(ours.attention_speedup, 100.0), rounded(theirs.attention_speedup, 100.0)) << design << against;
      EXPECT_EQ(rounded(ours.layer_speedup, 100.0), rounded(theirs.layer_speedup, 100.0)) << design << against;
      EXPECT_EQ(rounded(ours.attention_energy, 1000.0), rounded(theirs.attention_energy, 1000.0)) << design << against;
      EXPECT_EQ(rounded(ours.layer_energy, 1000.0), rounded(theirs.layer_energy, 1000.0)) << design << against;
    }
  }
}

TEST(FuseMax, OverflowAddsEnergyToLongSequencesOnly) {
  const std::vector<Result> without = results(false);
  const std::vector<Result> with = results(true);
  ASSERT_EQ(with.size(), without.size());
  bool added = false;
  for (std::size_t i = 0; i < with.size(); ++i) {
    const double more = with[i].attention.energy.total() - without[i].attention.energy.total();
    EXPECT_GE(more, 0.0);
    EXPECT_TRUE(more == 0.0 || with[i].tokens >= 65536) << with[i].design << with[i].tokens;
    added = added || more > 0.0;
  }
  EXPECT_TRUE(added);
}

TEST(FuseMax, EnumerationFindsAFasterDesignOfNoMoreArea) {
  const Better best = Experiment({}, "").better_design(65536);
  EXPECT_LE(best.area_mm2, best.published_area_mm2);
  EXPECT_LT(best.seconds, best.published_seconds);
  EXPECT_GT(best.feasible, 0);
  EXPECT_LT(best.feasible, best.designs);
}

TEST(FuseMax, PicturesShowEveryStepAndSize) {
  const std::string steps = contribution_svg(results(false), "BERT", 65536);
  for (const char* label : {"FLAT", "+ binding", "7.41x", "0.88x", "2.24x"}) {
    EXPECT_NE(steps.find(label), std::string::npos) << label;
  }
  const std::vector<Size> sizes = Experiment({}, "").sizes(262144);
  const std::string picture = sizes_svg(sizes);
  for (const Size& size : sizes) {
    EXPECT_NE(picture.find(size.model + " " + std::to_string(size.size) + " x"), std::string::npos);
  }
}

}  // namespace
}  // namespace cosearch::fusemax
