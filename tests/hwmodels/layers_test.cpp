#include "hwmodels/layers.hpp"

#include <gtest/gtest.h>

#include <map>

#include "spaces/graph/graph.hpp"

namespace cosearch {
namespace {

/// Compulsory traffic by layer at batch 1: bytes are elements.
std::map<std::string, double> traffic(graph::NetworkGraph network) {
  const auto job = job_workload(Job{std::move(network)});
  EXPECT_TRUE(job.has_value());
  std::map<std::string, double> bytes;
  for (const EinsumRun& run : einsum_runs(*job)) {
    bytes[run.name] = compulsory_bytes(job->workload, run);
  }
  return bytes;
}

TEST(CompulsoryBytes, AConcatReadsEachInputOnceAndWritesAllOfItsOutput) {
  graph::Builder b("net", {4, 4, 2});
  const int wide = b.then("wide", graph::Conv2d{.out_channels = 3});
  b.add("concat", graph::Concat{}, {wide, 0, wide});
  const auto bytes = traffic(std::move(b).finish());
  EXPECT_EQ(bytes.at("wide"), 16 * 2 + 2 * 3 + 16 * 3);
  EXPECT_EQ(bytes.at("concat"), 16 * 3 + 16 * 2 + 16 * (3 + 2 + 3));
}

TEST(CompulsoryBytes, AnUpsamplingReadsEachPixelOnce) {
  graph::Builder b("net", {4, 4, 2});
  b.then("up", graph::Upsample{3});
  EXPECT_EQ(traffic(std::move(b).finish()).at("up"), 16 * 2 + 9 * 16 * 2);
}

}  // namespace
}  // namespace cosearch
