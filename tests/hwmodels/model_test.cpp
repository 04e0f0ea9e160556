#include "hwmodels/model.hpp"

#include <gtest/gtest.h>

#include <set>

#include "hwmodels/text.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

TEST(Model, JobHashesDifferWhereAnyPartDiffers) {
  const Job base{testing::reference_network("ds_cnn")};
  std::vector<Job> jobs(9, base);
  jobs[1].model = testing::reference_network("resnet8");
  jobs[2].phase = graph::Phase::training;
  jobs[3].batch = 2;
  jobs[4].types.accumulator = ir::ElementType::fp32;
  jobs[5].tasks = {0};
  jobs[6].evidence = Evidence{};
  jobs[7].evidence = Evidence{{{"router", {0.5, 0.5}}}};
  jobs[8].evidence = Evidence{{{"router", {0.5, 0.25}}}};
  std::set<std::uint64_t> hashes;
  for (const Job& job : jobs) {
    EXPECT_TRUE(hashes.insert(hash(job)).second);
  }
  EXPECT_EQ(hash(base), hash(Job{testing::reference_network("ds_cnn")}));
}

TEST(Model, ByteCountsAreGroupedByThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-123456), "-123,456");
}

}  // namespace
}  // namespace cosearch
