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

}  // namespace
}  // namespace cosearch::svg
