#include "hwmodels/job_graph.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "spaces/base/rng.hpp"
#include "spaces/ir/interpreter.hpp"
#include "tests/oracle/random_network.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using Tensors = std::map<std::string, ir::Values>;

graph::NetworkGraph conv_norm_network() {
  graph::Builder builder("net", {5, 5, 2});
  builder.then("conv", graph::Conv2d{3, 3, 3, 1, graph::symmetric_padding(3), 1, false});
  builder.then("norm", graph::BatchNorm{});
  builder.then("act", graph::Activation{graph::ActivationKind::relu});
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("head", graph::Linear{{4}, {}, true});
  return std::move(builder).finish();
}

Tensors random_inputs(const graph::NetworkGraph& network) {
  RngStream rng(7, Purpose::test, 0);
  Tensors values;
  const auto fill = [&](const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : shape) {
      elements *= extent;
    }
    ir::Values tensor{std::move(shape), {}};
    for (std::int64_t i = 0; i < elements; ++i) {
      tensor.data.push_back(0.25 + rng.uniform());
    }
    values[name] = std::move(tensor);
  };
  fill("input", {1, 5, 5, 2});
  for (const graph::WeightSpec& spec : graph::weights(network)) {
    fill(spec.name, spec.shape());
  }
  return values;
}

TEST(JobGraph, FoldedNetworkComputesTheSameWithFoldedWeights) {
  const graph::NetworkGraph network = conv_norm_network();
  const graph::NetworkGraph folded = fold_batch_norms(network);
  ASSERT_EQ(folded.nodes.size(), network.nodes.size() - 1);
  Tensors values = random_inputs(network);
  const graph::DataTypes types;
  const auto run = [&](const graph::NetworkGraph& graph) {
    const auto result = ir::interpret(graph::lower(graph, graph::Phase::inference, 1, types), values);
    EXPECT_TRUE(result.has_value()) << result.error();
    return result->at("head").data;
  };
  const std::vector<double> expected = run(network);
  std::vector<double> factor(3);
  values["conv.bias"] = {{3}, std::vector<double>(3)};
  for (std::size_t c = 0; c < 3; ++c) {
    factor[c] = values.at("norm.scale").data[c] / std::sqrt(values.at("norm.running_variance").data[c] + 1e-5);
    values["conv.bias"].data[c] = values.at("norm.shift").data[c] - factor[c] * values.at("norm.running_mean").data[c];
  }
  std::vector<double>& weight = values["conv.weight"].data;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    weight[i] *= factor[i % 3];
  }
  for (const char* gone : {"norm.scale", "norm.shift", "norm.running_mean", "norm.running_variance"}) {
    values.erase(gone);
  }
  const std::vector<double> actual = run(folded);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 1e-9);
  }
}

TEST(JobGraph, KeepsBatchNormsThatCannotFold) {
  graph::Builder builder("net", {4, 4, 2});
  builder.then("first", graph::BatchNorm{});  // nothing linear before it
  const int conv = builder.then("conv", graph::Conv2d{2, 1, 1, 1, {}, 1, false});
  const int norm = builder.then("norm", graph::BatchNorm{});  // the convolution has a second reader
  builder.add("add", graph::Add{}, {conv, norm});
  const graph::NetworkGraph network = std::move(builder).finish();
  EXPECT_EQ(fold_batch_norms(network), network);
}

TEST(JobGraph, TasksSelectTheirPartOfTheNetwork) {
  graph::Builder builder("net", {4, 4, 2});
  const int shared = builder.then("shared", graph::GlobalAveragePool{});
  const int a = builder.add("a", graph::Linear{{3}, {}, true}, {shared});
  const int b = builder.add("b", graph::Linear{{5}, {}, true}, {shared});
  graph::NetworkGraph network = std::move(builder).finish();
  network.outputs = {a, b};
  Job job{network};
  EXPECT_EQ(job_graph(job), network);
  job.tasks = {1};
  const graph::NetworkGraph part = job_graph(job);
  ASSERT_EQ(part.nodes.size(), 3U);
  EXPECT_EQ(part.nodes[2].name, "b");
  EXPECT_EQ(part.outputs, std::vector<int>{2});
  ASSERT_TRUE(graph::infer_shapes(part).has_value());
}

TEST(JobGraph, BadBatchAndMalformedNetworksAreReasonsNotCrashes) {
  Job job{conv_norm_network()};
  job.batch = 0;
  EXPECT_FALSE(job_workload(job).has_value());
  job.batch = 1;
  graph::NetworkGraph broken = conv_norm_network();
  broken.nodes[5].op = graph::Linear{{4}, {9}, true};
  job.model = broken;
  const auto result = job_workload(job);
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().reason.find("head"), std::string::npos) << result.error().reason;
}

/// Multiply-accumulates of an expert's first product: its tokens * 4 * 5.
std::vector<std::int64_t> tokens_of_experts(const JobWorkload& job) {
  std::vector<std::int64_t> tokens(3, 0);
  for (const ir::Einsum& einsum : job.workload.einsums) {
    for (std::size_t e = 0; e < tokens.size(); ++e) {
      if (einsum.name == "moe.expert_" + std::to_string(e) + ".product1") {
        tokens[e] = ir::operation_counts(einsum).macs / 20;
      }
    }
  }
  return tokens;
}

TEST(JobGraph, ExpertsGetTheTokensOfTheEvidence) {
  Job job{oracle::two_tasks(), graph::Phase::inference, 2, {}, {1}, std::nullopt};
  EXPECT_EQ(tokens_of_experts(job_workload(job).value()), (std::vector<std::int64_t>{4, 4, 4}));
  job.evidence = Evidence{{{"moe.tokens", {0.0, 1.5, 4.5}}}};
  EXPECT_EQ(tokens_of_experts(job_workload(job).value()), (std::vector<std::int64_t>{0, 3, 9}));
  job.evidence = Evidence{{{"moe.tokens", {0.0, 1.5}}}};
  EXPECT_EQ(job_workload(job).error().reason, "tokens per expert of node \"moe\": 2 counts for 3 experts");
}

TEST(JobGraph, TasksThatRouteTokensAreJobsOfTheirOwn) {
  const Job job{oracle::two_tasks(), graph::Phase::inference, 1, {}, {}, std::nullopt};
  EXPECT_FALSE(job_workload(job).has_value());
  const std::vector<Job> jobs = task_jobs(job);
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(job_workload(jobs[0]).value().graph.nodes.back().name, "a");
  EXPECT_EQ(job_workload(jobs[1]).value().graph.nodes.back().name, "b");
  EXPECT_EQ(task_jobs(jobs[1]).size(), 1U);
  const Job plain{conv_norm_network(), graph::Phase::inference, 1, {}, {}, std::nullopt};
  EXPECT_EQ(task_jobs(plain).size(), 1U);
}

TEST(JobGraph, EachTaskIsAJobWhateverTasksShare) {
  graph::NetworkGraph network = oracle::two_tasks();
  std::get<graph::MoeFfn>(network.nodes[1].op).tasks = 1;
  const Job job{network, graph::Phase::inference, 1, {}, {}, std::nullopt};
  EXPECT_EQ(task_jobs(job).size(), 1U);
  const std::vector<Job> jobs = each_task(job);
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(job_graph(jobs[1]).nodes.back().name, "b");
  EXPECT_EQ(each_task(jobs[1]).size(), 1U);
  EXPECT_EQ(each_task(Job{conv_norm_network()}).size(), 1U);
}

TEST(JobGraph, WeightsThatTasksOfANetworkShareAreCountedOnce) {
  const Job job{oracle::two_tasks(), graph::Phase::inference, 1, {}, {}, std::nullopt};
  const double router = 4 * 3;
  const double experts = 3 * (4 * 5 + 5 + 5 * 4 + 4);
  const double first = 4 * 2 + 2;
  const double second = 4 * 3 + 3;
  const std::vector<Job> tasks = task_jobs(job);
  EXPECT_EQ(job_params(tasks), (std::vector<double>{router + experts + first, router + second}));
  EXPECT_EQ(job_params(std::span(&job, 1)), (std::vector<double>{2 * router + experts + first + second}));
  // Two networks that are alike are trained each.
  const std::vector<Job> twice{tasks[0], tasks[1], tasks[0], tasks[1]};
  EXPECT_EQ(job_params(twice), (std::vector<double>{router + experts + first, router + second, router + experts + first,
                                                    router + second}));
  Job other = tasks[1];
  std::get<graph::NetworkGraph>(other.model).name = "other";
  std::get<graph::NetworkGraph>(other.model).nodes[1].name = "other";
  EXPECT_EQ(job_params(std::vector<Job>{tasks[0], other}),
            (std::vector<double>{router + experts + first, router + experts + second}));
}

}  // namespace
}  // namespace cosearch
