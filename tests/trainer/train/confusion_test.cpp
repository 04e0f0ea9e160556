#include "trainer/train/confusion.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Confusion, TakesTheFirstOfTheLargestOutputsAndNothingAmongNaNs) {
  Confusion confusion(3);
  confusion.add(std::vector<float>{1, 3, 3}, std::vector<std::uint8_t>{1});     // right: the first of two
  confusion.add(std::vector<float>{1, 3, 3}, std::vector<std::uint8_t>{2});     // wrong
  confusion.add(std::vector<float>{1, 3, kNan}, std::vector<std::uint8_t>{1});  // wrong
  confusion.add(std::vector<float>{kNan, 3, 2}, std::vector<std::uint8_t>{1});  // wrong
  EXPECT_DOUBLE_EQ(confusion.accuracy(), 0.25);
}

TEST(Confusion, HasNothingToSayOfNothing) {
  EXPECT_EQ(Confusion(2).accuracy(), 0.0);
  EXPECT_EQ(Confusion(2).mean_intersection_over_union(), 0.0);
  Confusion background(2);
  background.add(std::vector<float>{1, 0}, std::vector<std::uint8_t>{0});
  EXPECT_EQ(background.accuracy(), 1.0);
  EXPECT_EQ(background.mean_intersection_over_union(), 0.0);
}

TEST(Confusion, CountsAnswersOfNoneAsMissed) {
  Confusion confusion(2);
  confusion.add(std::vector<float>{0, 1, kNan, 1}, std::vector<std::uint8_t>{1, 1});
  EXPECT_DOUBLE_EQ(confusion.mean_intersection_over_union(), 0.5);
}

TEST(Confusion, AgreesWithSetsOfPixels) {
  for (const std::int64_t classes : {2, 3, 5}) {
    RngStream rng(1, Purpose::test, static_cast<std::uint64_t>(classes));
    constexpr std::size_t kPixels = 400;
    std::vector<std::uint8_t> labels;
    std::vector<std::uint8_t> answers;
    std::vector<float> outputs;
    for (std::size_t i = 0; i < kPixels; ++i) {
      labels.push_back(static_cast<std::uint8_t>(rng.below(static_cast<std::uint64_t>(classes))));
      answers.push_back(static_cast<std::uint8_t>(rng.below(static_cast<std::uint64_t>(classes))));
      for (std::int64_t c = 0; c < classes; ++c) {
        outputs.push_back(c == answers.back() ? 2.0F : static_cast<float>(rng.uniform()));
      }
    }
    Confusion confusion(classes);
    const auto split = static_cast<std::ptrdiff_t>(100 * classes);  // in two parts
    confusion.add({outputs.begin(), outputs.begin() + split}, {labels.begin(), labels.begin() + 100});
    confusion.add({outputs.begin() + split, outputs.end()}, {labels.begin() + 100, labels.end()});
    double right = 0.0;
    double mean = 0.0;
    for (std::size_t i = 0; i < kPixels; ++i) {
      right += labels[i] == answers[i] ? 1.0 / kPixels : 0.0;
    }
    for (std::int64_t c = 1; c < classes; ++c) {
      double both = 0.0;
      double either = 0.0;
      for (std::size_t i = 0; i < kPixels; ++i) {
        both += labels[i] == c && answers[i] == c ? 1.0 : 0.0;
        either += labels[i] == c || answers[i] == c ? 1.0 : 0.0;
      }
      mean += both / either / static_cast<double>(classes - 1);
    }
    EXPECT_NEAR(confusion.accuracy(), right, 1e-12);
    EXPECT_NEAR(confusion.mean_intersection_over_union(), mean, 1e-12);
  }
}

}  // namespace
}  // namespace cosearch
