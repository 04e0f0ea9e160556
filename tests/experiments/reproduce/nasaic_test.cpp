#include "experiments/reproduce/nasaic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spaces/base/config_error.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::nasaic {
namespace {

using nlohmann::json;

/// Both tasks small enough for seconds; specs that some designs meet and others do not.
Workload tiny() {
  Workload workload;
  workload.name = "tiny";
  workload.first = {{"name", "classes"},
                    {"dataset",
                     {{"name", "synthetic"},
                      {"height", 8},
                      {"width", 8},
                      {"classes", 3},
                      {"train", 48},
                      {"search", 24},
                      {"test", 24}}},
                    {"space",
                     {{"name", "resnet9"},
                      {"genes",
                       {{"stem.width", {8, 16}},
                        {"blocks.0.width", 32},
                        {"blocks.1.width", 32},
                        {"blocks.2.width", {32, 64}},
                        {"blocks.0.residuals", 0},
                        {"blocks.1.residuals", 0},
                        {"blocks.2.residuals", {0, 1}}}}}}};
  workload.second = {
      {"name", "cells"},
      {"dataset", {{"name", "cells"}, {"size", 8}, {"cells", 2}, {"train", 16}, {"search", 8}, {"test", 8}}},
      {"space", {{"name", "unet"}, {"genes", {{"levels", {1, 2}}, {"width", {4, 8}}}}}}};
  workload.paper = {2e4, 2e7, 4e9};
  return workload;
}

Options few() {
  Options options;
  options.evaluations = 40;
  options.spec_scale = 1.0;
  options.train_samples = 32;
  options.epochs = 1;
  return options;
}

TEST(Nasaic, EveryWayEndsWithADesignAndRunsOnceForAStore) {
  const testing_support::TemporaryFolder folder;
  Store store = Store::open_writer(folder.file("nasaic.db"));
  RunOptions quiet;
  quiet.quiet = true;
  const Workload workload = tiny();
  for (const Way way : {Way::nas_then_asic, Way::asic_then_nas, Way::joint_reinforce, Way::joint_nsga2}) {
    const Outcome first = run(workload, way, 1, few(), store, quiet, {});
    EXPECT_GT(first.cycles, 0.0);
    EXPECT_GT(first.area_um2, 0.0);
    EXPECT_THAT(first.hardware, ::testing::HasSubstr("<"));
    EXPECT_EQ(first.met, first.cycles <= workload.paper.cycles && first.energy_nj <= workload.paper.energy_nj &&
                             first.area_um2 <= workload.paper.area_um2);
    if (first.met) {
      EXPECT_GT(first.trained, 0);
    }
    const std::size_t campaigns = store.campaigns().size();
    const Outcome second = run(workload, way, 1, few(), store, quiet, {});
    EXPECT_EQ(store.campaigns().size(), campaigns);
    EXPECT_EQ(second.cycles, first.cycles);
    EXPECT_EQ(second.accuracy, first.accuracy);
    EXPECT_EQ(second.hardware, first.hardware);
  }
  Options other = few();
  other.evaluations = 60;
  EXPECT_THROW((void)run(workload, Way::joint_nsga2, 1, other, store, quiet, {}), ConfigError);
}

TEST(Nasaic, WorkloadsAreThePapersThree) {
  std::vector<std::string> names;
  for (const Workload& workload : workloads()) {
    names.push_back(workload.name);
    EXPECT_NE(workload.first.at("name"), workload.second.at("name"));
    // The abstract's figures are those of the first workload.
    EXPECT_EQ(workload.gains && workload.gains->source == "NASAIC, abstract", workload.name == "w1");
  }
  EXPECT_THAT(names, ::testing::ElementsAre("w1", "w2", "w3"));
}

}  // namespace
}  // namespace cosearch::nasaic
