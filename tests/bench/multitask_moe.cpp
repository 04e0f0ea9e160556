// Does a mixture of experts help a network that learns several tasks? Transformers with experts in every second block
// against one without, at equal multiply-accumulates for a token (top-k times an expert's hidden width is the MLP's),
// on the class, edges and depth of rendered shapes (synthetic). What Delta_m compares with: the one without experts,
// learning each task alone by the same recipe and seed. Prints each seed, means and standard deviations.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "spaces/catalog/families.hpp"
#include "spaces/graph/moe.hpp"
#include "trainer/multitask/train_tasks.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace)

struct Arguments {
  std::int64_t samples = 4096;
  double epochs = 8;
  std::int64_t seeds = 3;
  std::int64_t embed_dim = 32;
  std::int64_t depth = 4;
  std::int64_t experts = 8;
  std::int64_t top_k = 2;
  double learning_rate = 0.003;
};

constexpr std::int64_t kSize = 32;
constexpr std::int64_t kDenseRatio = 2;

std::vector<LearningTask> tasks(const Arguments& arguments) {
  const auto load = [&](const char* task) {
    return std::make_shared<const TaskData>(load_task_data({{"name", "shapes"},
                                                            {"task", task},
                                                            {"size", kSize},
                                                            {"train", arguments.samples},
                                                            {"search", 1024},
                                                            {"test", 1024}}));
  };
  return {{.name = "kind", .data = load("class"), .output = 0},
          {.name = "edges", .data = load("edges"), .output = 1, .class_weights = {0.5F, 2.0F}},
          {.name = "depth", .data = load("depth"), .output = 2, .weight = 4.0}};
}

graph::NetworkGraph network(const Arguments& arguments, std::optional<graph::MoeRouting> routing) {
  catalog::VisionTransformer net;
  net.input = {kSize, kSize, 1};
  net.patch = 4;
  net.embed_dim = arguments.embed_dim;
  net.blocks.assign(static_cast<std::size_t>(arguments.depth),
                    {.heads = 2, .mlp_ratio = static_cast<double>(kDenseRatio)});
  for (std::size_t i = 1; routing && i < net.blocks.size(); i += 2) {
    net.blocks[i].experts = graph::MoeFfn{.experts = arguments.experts,
                                          .top_k = arguments.top_k,
                                          .hidden = kDenseRatio * arguments.embed_dim / arguments.top_k,
                                          .tasks = 3,
                                          .routing = *routing};
  }
  net.tasks = {{"kind", 4, false}, {"edges", 2, true}, {"depth", 1, true}};
  return catalog::build("shapes", net);
}

std::vector<TaskScore> trained(const graph::NetworkGraph& graph, const std::vector<LearningTask>& list,
                               const Arguments& arguments, std::uint64_t seed) {
  MultitaskOptions options;
  options.train = {.epochs = arguments.epochs,
                   .batch = 64,
                   .optimizer = OptimizerKind::adamw,
                   .learning_rate = arguments.learning_rate,
                   .weight_decay = 0.05,
                   .flip = true};
  WeightStore weights = make_task_weights(graph, seed);
  const auto result = train_tasks(graph, list, options, seed, weights, &TaskData::test);
  if (!result) {
    throw std::runtime_error(result.error().reason);
  }
  return result->scores;
}

struct Moments {
  double mean = 0.0;
  double deviation = 0.0;
};

Moments moments(const std::vector<double>& values) {
  Moments result;
  for (const double value : values) {
    result.mean += value / static_cast<double>(values.size());
  }
  for (const double value : values) {
    result.deviation += (value - result.mean) * (value - result.mean);
  }
  const double degrees = std::max(1.0, static_cast<double>(values.size()) - 1.0);
  return {result.mean, std::sqrt(result.deviation / degrees)};
}

std::string score_text(const std::vector<TaskScore>& scores) {
  std::vector<std::string> texts;
  for (const TaskScore& score : scores) {
    texts.push_back(fmt::format("{:.4f}", score.value));
  }
  return fmt::format("{}", fmt::join(texts, ","));
}

void compare(const Arguments& arguments) {
  const std::vector<LearningTask> list = tasks(arguments);
  const graph::NetworkGraph dense = network(arguments, std::nullopt);
  std::vector<std::vector<double>> baselines;
  std::cout << "network,seed,macs_of_a_frame,params,kind_accuracy,edges_iou,depth_rmse,delta_m\n";
  for (std::int64_t seed = 1; seed <= arguments.seeds; ++seed) {
    std::vector<TaskScore> alone;
    for (const LearningTask& task : list) {
      alone.push_back(trained(dense, {task}, arguments, static_cast<std::uint64_t>(seed)).front());
    }
    std::vector<double>& values = baselines.emplace_back();
    for (const TaskScore& score : alone) {
      values.push_back(score.value);
    }
    std::cout << fmt::format("alone,{},,,{},0\n", seed, score_text(alone)) << std::flush;
  }
  const std::vector<std::pair<std::string, std::optional<graph::MoeRouting>>> kinds{
      {"dense", std::nullopt},
      {"moe_per_task", graph::MoeRouting::per_task},
      {"moe_conditioned", graph::MoeRouting::conditioned}};
  for (const auto& [name, routing] : kinds) {
    const graph::NetworkGraph graph = network(arguments, routing);
    std::vector<double> gains;
    for (std::int64_t seed = 1; seed <= arguments.seeds; ++seed) {
      const std::vector<TaskScore> scores = trained(graph, list, arguments, static_cast<std::uint64_t>(seed));
      gains.push_back(delta_m(scores, baselines[static_cast<std::size_t>(seed - 1)]));
      std::cout << fmt::format("{},{},{},{},{},{:.4f}\n", name, seed,
                               graph::total_counts(graph::task_network(graph, 0)).macs,
                               graph::total_counts(graph).parameters, score_text(scores), gains.back())
                << std::flush;
    }
    const Moments gain = moments(gains);
    std::cout << fmt::format("# {}: delta_m {:+.2f} % +- {:.2f}\n", name, 100.0 * gain.mean, 100.0 * gain.deviation)
              << std::flush;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Multi-task learning with and without mixtures of experts, at equal work for a token");
  app.add_option("--samples", arguments.samples, "training pictures")->capture_default_str();
  app.add_option("--epochs", arguments.epochs, "of each training")->capture_default_str();
  app.add_option("--seeds", arguments.seeds, "trainings of each kind")->capture_default_str();
  app.add_option("--embed-dim", arguments.embed_dim, "features of a token")->capture_default_str();
  app.add_option("--depth", arguments.depth, "blocks")->capture_default_str();
  app.add_option("--experts", arguments.experts, "of a block that has some")->capture_default_str();
  app.add_option("--top-k", arguments.top_k, "experts of a token")->capture_default_str();
  app.add_option("--learning-rate", arguments.learning_rate, "of all trainings")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    compare(arguments);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
