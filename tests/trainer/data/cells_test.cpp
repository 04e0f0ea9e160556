#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "spaces/base/config_error.hpp"
#include "trainer/data/dataset.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

TaskData cells(json options = json::object()) {
  options["name"] = "cells";
  return load_task_data(options);
}

TEST(Cells, LabelEveryPixel) {
  const TaskData data = cells({{"size", 24}, {"train", 5}, {"search", 3}, {"test", 2}});
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"background", "cell"}));
  for (const auto& [split, samples] : {std::pair{&data.train, 5}, {&data.search, 3}, {&data.test, 2}}) {
    EXPECT_EQ(split->sample, (graph::Shape{24, 24, 1}));
    EXPECT_EQ(split->classes, 2);
    EXPECT_TRUE(split->dense);
    EXPECT_EQ(split->size(), samples);
    EXPECT_EQ(split->pixels.size(), static_cast<std::size_t>(samples) * 576);
    EXPECT_EQ(split->labels.size(), split->pixels.size());
  }
  const TaskShape shape = task_shape_of({{"name", "cells"}, {"size", 24}});
  EXPECT_EQ(shape.output(), (graph::Shape{24, 24, 2}));
}

TEST(Cells, AreAFunctionOfTheSeed) {
  const TaskData a = cells({{"seed", 1}});
  EXPECT_EQ(a.content_hash, cells({{"seed", 1}}).content_hash);
  EXPECT_NE(a.content_hash, cells({{"seed", 2}}).content_hash);
  EXPECT_NE(a.train.pixels, a.test.pixels);
  // What is drawn first does not depend on how much is drawn.
  const TaskData larger = cells({{"seed", 1}, {"train", 300}});
  EXPECT_TRUE(std::equal(a.train.pixels.begin(), a.train.pixels.end(), larger.train.pixels.begin()));
}

double share_of_cells(const Dataset& split) {
  return std::accumulate(split.labels.begin(), split.labels.end(), 0.0) / static_cast<double>(split.labels.size());
}

TEST(Cells, CoverAMinorityOfThePixelsAndMoreWhenThereAreMore) {
  const double share = share_of_cells(cells().train);
  EXPECT_GT(share, 0.1);
  EXPECT_LT(share, 0.4);
  EXPECT_GT(share_of_cells(cells({{"cells", 12}}).train), 1.3 * share);
}

/// Horizontal neighbours of which one is cell and one is background: the mean difference of their levels.
double contrast(const Dataset& split) {
  double sum = 0.0;
  int edges = 0;
  for (std::size_t i = 0; i + 1 < split.labels.size(); ++i) {
    const bool same_row = (i + 1) % static_cast<std::size_t>(split.sample[1]) != 0;
    if (same_row && split.labels[i] != split.labels[i + 1]) {
      const int step = split.pixels[i + 1] - split.pixels[i];
      sum += split.labels[i + 1] == 1 ? step : -step;
      ++edges;
    }
  }
  return sum / edges;
}

TEST(Cells, AreBrighterThanWhatIsBesideThemUnlessBlurred) {
  const TaskData sharp = cells({{"blur", 0}, {"noise", 0}});
  for (std::size_t i = 0; i + 1 < sharp.train.labels.size(); ++i) {
    if ((i + 1) % 32 != 0 && sharp.train.labels[i] != sharp.train.labels[i + 1]) {
      const int step = sharp.train.pixels[i + 1] - sharp.train.pixels[i];
      ASSERT_GT(sharp.train.labels[i + 1] == 1 ? step : -step, 30);  // the light changes by less than 2 a pixel
    }
  }
  const TaskData blurred = cells({{"blur", 2}, {"noise", 0}});
  EXPECT_EQ(blurred.train.labels, sharp.train.labels);
  EXPECT_LT(contrast(blurred.train), 0.5 * contrast(sharp.train));
}

TEST(Cells, BlurKeepsTheMeanLevelAndNoiseHasItsDeviation) {
  const auto mean = [](const Dataset& split) {
    return std::accumulate(split.pixels.begin(), split.pixels.end(), 0.0) / static_cast<double>(split.pixels.size());
  };
  const TaskData plain = cells({{"blur", 0}, {"noise", 0}});
  EXPECT_NEAR(mean(cells({{"blur", 1.5}, {"noise", 0}}).train), mean(plain.train), 1.0);
  const TaskData noisy = cells({{"blur", 0}, {"noise", 10}});
  double squares = 0.0;
  for (std::size_t i = 0; i < plain.train.pixels.size(); ++i) {
    squares += std::pow(noisy.train.pixels[i] - plain.train.pixels[i], 2);
  }
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(plain.train.pixels.size())), 10.0, 0.5);
}

TEST(Cells, NoSingleThresholdFindsThem) {
  // The best intersection over union of any threshold, in hindsight, leaves much to learn.
  const Dataset split = cells().train;
  double best = 0.0;
  for (int threshold = 0; threshold < 256; ++threshold) {
    double both = 0.0;
    double either = 0.0;
    for (std::size_t i = 0; i < split.labels.size(); ++i) {
      const bool answer = split.pixels[i] >= threshold;
      both += answer && split.labels[i] == 1 ? 1.0 : 0.0;
      either += answer || split.labels[i] == 1 ? 1.0 : 0.0;
    }
    best = std::max(best, both / either);
  }
  EXPECT_GT(best, 0.3);
  EXPECT_LT(best, 0.75);
}

TEST(Cells, RefuseOptionsThatAreWrong) {
  const auto message = [](const json& options) {
    try {
      (void)cells(options);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(message({{"size", 4}}), "/size: expected an integer from 8 to 512, read 4");
  EXPECT_EQ(message({{"cells", 0}}), "/cells: expected an integer from 1 to 1000, read 0");
  EXPECT_EQ(message({{"blur", -1}}), "/blur: expected a number from 0 to 16, read -1");
  EXPECT_EQ(message({{"noise", "much"}}), "/noise: expected a number from 0 to 255, read \"much\"");
  EXPECT_THAT(message({{"classes", 2}}), testing::HasSubstr("\"classes\" is not known"));
  EXPECT_THAT(message({{"size", 512}, {"train", 1'000'000}}), testing::HasSubstr("expected at most"));
}

}  // namespace
}  // namespace cosearch
