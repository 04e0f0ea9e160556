#include "hwmodels/fpga/picture.hpp"

#include <gtest/gtest.h>

#include <string>

namespace cosearch::fpga {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST(ExpertPicture, ShowsEachExpertsTokensItsLoadAndItsComputation) {
  MoeTime moe;
  moe.queue = queue_of_counts(std::vector<std::int64_t>{9, 0, 1500}, 1.0);
  moe.timeline = simulate({{"0", 100.0, 90.0, 0}, {"2", 100.0, 15000.0, 2}}, 2);
  const std::string svg = expert_picture("a & b", moe);
  EXPECT_NE(svg.find("a &amp; b"), std::string::npos);
  EXPECT_NE(svg.find("expert 2: 1,500 tokens"), std::string::npos);
  EXPECT_NE(svg.find("expert 0 load: 0 to 100, 100 cycles"), std::string::npos);
  EXPECT_NE(svg.find("expert 2 load: 100 to 200, 100 cycles"), std::string::npos);
  EXPECT_NE(svg.find("expert 2 compute: 200 to 15,200, 15,000 cycles"), std::string::npos);
  EXPECT_EQ(count(svg, "<title>"), 2U + 2U * 2U) << "the empty expert has no bar";
  EXPECT_EQ(svg.substr(svg.size() - 7), "</svg>\n");
}

TEST(ExpertPicture, HasNoTimelineWhereExpertsDoNotQueue) {
  MoeTime moe;
  moe.queue = queue_of_counts(std::vector<std::int64_t>{4, 4}, 1.0);
  EXPECT_EQ(count(expert_picture("", moe), "<title>"), 2U);
}

}  // namespace
}  // namespace cosearch::fpga
