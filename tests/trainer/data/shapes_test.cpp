#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "trainer/data/dataset.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

TaskData shapes(const std::string& task, json options = json::object()) {
  options["name"] = "shapes";
  options["task"] = task;
  return load_task_data(options);
}

TEST(Shapes, EachTaskHasItsTargetsOnTheSameImages) {
  const json options = {{"size", 24}, {"train", 9}, {"search", 3}, {"test", 2}};
  const TaskData kinds = shapes("class", options);
  const TaskData edges = shapes("edges", options);
  const TaskData depth = shapes("depth", options);
  for (const auto split : {&TaskData::train, &TaskData::search, &TaskData::test}) {
    EXPECT_EQ((kinds.*split).pixels, (edges.*split).pixels);
    EXPECT_EQ((kinds.*split).pixels, (depth.*split).pixels);
    EXPECT_EQ((kinds.*split).size(), (edges.*split).size());
    EXPECT_EQ((kinds.*split).size(), (depth.*split).size());
  }
  EXPECT_EQ(kinds.train.size(), 9);
  EXPECT_EQ(depth.train.values.size(), 9U * 24 * 24);
  EXPECT_TRUE(depth.train.labels.empty());
  EXPECT_NE(kinds.content_hash, edges.content_hash);
  EXPECT_NE(kinds.content_hash, depth.content_hash);
  EXPECT_EQ(task_shape_of({{"name", "shapes"}, {"task", "class"}}).output(), (graph::Shape{4}));
  EXPECT_EQ(task_shape_of({{"name", "shapes"}, {"task", "edges"}}).output(), (graph::Shape{32, 32, 2}));
  EXPECT_EQ(task_shape_of({{"name", "shapes"}, {"task", "depth"}}).output(), (graph::Shape{32, 32, 1}));
}

TEST(Shapes, AreAFunctionOfTheSeed) {
  const TaskData a = shapes("depth", {{"seed", 1}});
  EXPECT_EQ(a.content_hash, shapes("depth", {{"seed", 1}}).content_hash);
  EXPECT_NE(a.content_hash, shapes("depth", {{"seed", 2}}).content_hash);
  // What is drawn first does not depend on how much is drawn.
  const TaskData larger = shapes("depth", {{"seed", 1}, {"train", 300}});
  EXPECT_TRUE(std::equal(a.train.values.begin(), a.train.values.end(), larger.train.values.begin()));
}

TEST(Shapes, EveryKindIsShown) {
  const TaskData data = shapes("class");
  for (std::uint8_t kind = 0; kind < 4; ++kind) {
    EXPECT_GT(std::count(data.train.labels.begin(), data.train.labels.end(), kind), 256 / 8);
  }
}

/// A surface changes its distance by a fifth over the image's side at most, so a larger step between neighbours is an
/// edge on both sides; and an edge is there only where something begins or ends.
TEST(Shapes, DistancesJumpOnlyAtEdges) {
  constexpr std::int64_t kSize = 32;
  const Dataset edges = shapes("edges", {{"size", kSize}}).train;
  const Dataset depth = shapes("depth", {{"size", kSize}}).train;
  constexpr float kSurface = 0.2F / kSize;
  std::int64_t jumps = 0;
  for (std::int64_t i = 0; i + 1 < std::ssize(depth.values); ++i) {
    if (i % kSize == kSize - 1) {
      continue;
    }
    const auto at = static_cast<std::size_t>(i);
    if (std::abs(depth.values[at] - depth.values[at + 1]) > kSurface) {
      ++jumps;
      ASSERT_EQ(edges.labels[at], 1) << i;
      ASSERT_EQ(edges.labels[at + 1], 1) << i;
    }
  }
  const std::int64_t labelled = std::count(edges.labels.begin(), edges.labels.end(), std::uint8_t{1});
  EXPECT_GT(jumps, labelled / 4);
  EXPECT_LT(labelled, std::ssize(edges.labels) / 3);
}

TEST(Shapes, TheNearestIsAboutTheMiddle) {
  const Dataset depth = shapes("depth").train;
  for (std::int64_t i = 0; i < depth.size(); ++i) {
    const auto begin = depth.values.begin() + i * 32 * 32;
    EXPECT_LE(*std::min_element(begin, begin + 32 * 32), 0.45F);
    EXPECT_GE(*std::max_element(begin, begin + 32 * 32), 0.7F);
  }
}

TEST(Shapes, RefuseWhatTheyDoNotHave) {
  const auto message = [](const json& config) -> std::string {
    try {
      static_cast<void>(task_shape_of(config));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_THAT(message({{"name", "shapes"}, {"task", "normals"}}), ::testing::HasSubstr("class, depth, edges"));
  EXPECT_THAT(message({{"name", "shapes"}, {"size", 512}, {"train", 100000}}), ::testing::HasSubstr("at most"));
  EXPECT_THAT(message({{"name", "fashion_mnist"}, {"labels", "groups"}}), ::testing::HasSubstr("class, group"));
}

TEST(Shapes, FashionMnistHasFiveGroups) {
  EXPECT_EQ(task_shape_of({{"name", "fashion_mnist"}, {"labels", "group"}}).output(), (graph::Shape{5}));
}

}  // namespace
}  // namespace cosearch
