#include "spaces/space/search_space.hpp"

#include <gtest/gtest.h>

namespace cosearch {
namespace {

TEST(OutputPatch, KnowsBothOrdersOfPixels) {
  const graph::Shape sample{12, 18, 3};
  const TaskHead pixels{"edges", 2, true};
  EXPECT_EQ(output_patch({12, 18, 2}, sample, pixels), 1);
  EXPECT_EQ(output_patch({6 * 9, 4 * 2}, sample, pixels), 2);
  EXPECT_EQ(output_patch({2 * 3, 36 * 2}, sample, pixels), 6);
  EXPECT_EQ(output_patch({12 * 18, 2}, sample, pixels), 1);
  EXPECT_EQ(output_patch({6 * 9, 4 * 3}, sample, pixels), std::nullopt);
  EXPECT_EQ(output_patch({18, 12, 2}, sample, pixels), std::nullopt);
  EXPECT_EQ(output_patch({2}, sample, pixels), std::nullopt);
}

TEST(OutputPatch, OfWholeSamplesIsARowOfClasses) {
  const TaskHead kind{"kind", 4, false};
  EXPECT_EQ(output_patch({4}, {12, 18, 3}, kind), 1);
  EXPECT_EQ(output_patch({5}, {12, 18, 3}, kind), std::nullopt);
  EXPECT_EQ(output_patch({54, 16}, {12, 18, 3}, kind), std::nullopt);
}

TEST(TaskShape, HasTheTasksOrOneOfItsOwn) {
  TaskShape shape{{8, 8, 1}, 3, true};
  EXPECT_EQ(shape.heads(), (std::vector<TaskHead>{{"", 3, true}}));
  shape.tasks = {{"a", 2, false}, {"b", 1, true}};
  EXPECT_EQ(shape.heads(), shape.tasks);
}

}  // namespace
}  // namespace cosearch
