#include "spaces/base/svg.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cosearch::svg {
namespace {

TEST(Svg, TextIsEscapedAndShapesStandInsideOfThePicture) {
  Picture picture(100.0, 50.0);
  picture.text(1.0, 2.0, Anchor::middle, "a < b & \"c\" > d");
  picture.rectangle(1.0, 2.0, 3.0, 4.0, colour(0), "<tip>");
  picture.line(0.0, 0.0, 1.0, 1.0, "stroke=\"#000\"");
  const std::string text = picture.finish();
  EXPECT_THAT(text, ::testing::StartsWith("<svg xmlns="));
  EXPECT_THAT(text, ::testing::EndsWith("</svg>\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("text-anchor=\"middle\">a &lt; b &amp; &quot;c&quot; &gt; d</text>"));
  EXPECT_THAT(text, ::testing::HasSubstr("<title>&lt;tip&gt;</title>"));
  EXPECT_THAT(text, ::testing::HasSubstr("<line x1=\"0.0\""));
}

TEST(Svg, ColoursDifferAndTakeTurns) {
  for (std::size_t i = 0; i < 10; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_NE(colour(i), colour(j));
    }
  }
  EXPECT_EQ(colour(10), colour(0));
}

TEST(Svg, WordsMayRunUpwards) {
  Picture picture(10.0, 10.0);
  picture.upright_text(3.0, 4.0, Anchor::end, "a & b");
  EXPECT_THAT(picture.finish(),
              ::testing::HasSubstr("text-anchor=\"end\" transform=\"rotate(-90 3.0 4.0)\">a &amp; b<"));
}

TEST(Svg, TicksAreRoundAndFewerThanTenMakeUpTheSpan) {
  for (std::int64_t span = 1; span < 3000; span += 7) {
    const std::int64_t tick = tick_of(span);
    EXPECT_LT(span / tick, 10);
    std::int64_t digit = tick;
    while (digit % 10 == 0) {
      digit /= 10;
    }
    EXPECT_TRUE(digit == 1 || digit == 2 || digit == 5) << tick;
    const std::int64_t finer = digit == 5 ? tick / 5 * 2 : tick / 2;
    EXPECT_TRUE(tick == 1 || span / finer >= 10) << "a finer one would do for " << span;
  }
}

}  // namespace
}  // namespace cosearch::svg
