#include "hwmodels/layers.hpp"

#include <gtest/gtest.h>

#include <map>

#include "spaces/graph/graph.hpp"

namespace cosearch {
namespace {

TEST(LayerPrefix, TellsSeveralJobsAndTheirTasksApart) {
  graph::Builder b("net", {2, 3});
  const int first = b.then("a", graph::Linear{{2}});
  const int second = b.add("b", graph::Linear{{3}}, {0});
  graph::NetworkGraph network = std::move(b).finish();
  network.outputs = {first, second};
  const Job all{network};
  Job one{network};
  one.tasks = {1};
  EXPECT_EQ(layer_prefix(std::vector<Job>{one}, one), "");
  EXPECT_EQ(layer_prefix(std::vector<Job>{all, all}, all), "net/");
  EXPECT_EQ(layer_prefix(std::vector<Job>{all, one}, one), "net@1/");
}

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

TEST(CompulsoryBytes, ATokenEmbeddingReadsTheRowsOfItsTokensOnly) {
  const auto bytes = [](std::int64_t vocabulary) {
    graph::Builder b("net", {6, 1});
    b.then("words", graph::TokenEmbed{.vocabulary = vocabulary, .width = 5});
    return traffic(std::move(b).finish()).at("words");
  };
  EXPECT_EQ(bytes(1000), 4 * 6 + 6 * 5 + 6 * 5) << "ids of four bytes, rows, result";
  EXPECT_EQ(bytes(3), 4 * 6 + 3 * 5 + 6 * 5) << "the whole table once";
}

}  // namespace
}  // namespace cosearch
