#include <gtest/gtest.h>

#include "spaces/ir/interpreter.hpp"
#include "tests/trainer/ops/gradient_problem.hpp"
#include "tests/trainer/train/networks.hpp"

// What training-system models price is what the trainer executes: the training phase of the lowering, interpreted,
// gives the trainer's gradients.

namespace cosearch {
namespace {

/// Gradient of the mean cross entropy by the logits, from the naive network's logits.
std::vector<double> loss_gradient(const GradientProblem& problem) {
  const oracle::Forward forward =
      oracle::forward(problem.graph, problem.weights, problem.input, problem.batch, /*training=*/true);
  std::vector<double> gradient = forward.nodes.at(problem.graph.nodes.back().name).values;
  const auto width = static_cast<std::size_t>(problem.classes());
  for (std::size_t n = 0; n < problem.labels.size(); ++n) {
    double sum = 0.0;
    for (std::size_t c = 0; c < width; ++c) {
      sum += std::exp(gradient[n * width + c]);
    }
    for (std::size_t c = 0; c < width; ++c) {
      const double target = (problem.labels[n] == c ? 1.0 - problem.label_smoothing : 0.0) +
                            problem.label_smoothing / static_cast<double>(width);
      gradient[n * width + c] = (std::exp(gradient[n * width + c]) / sum - target) / static_cast<double>(problem.batch);
    }
  }
  return gradient;
}

void expect_lowering_gives_the_trainers_gradients(const GradientProblem& problem) {
  const oracle::Forward forward =
      oracle::forward(problem.graph, problem.weights, problem.input, problem.batch, /*training=*/true);
  const ir::Workload workload = graph::lower(problem.graph, graph::Phase::training, problem.batch, {},
                                             oracle::token_histograms(forward, problem.batch));
  std::map<std::string, ir::Values> given;
  for (const ir::Tensor& tensor : workload.tensors) {
    if (tensor.name == "input") {
      given[tensor.name] = {tensor.shape, problem.input};
    } else if (tensor.name == "learning_rate") {
      given[tensor.name] = {tensor.shape, {0.1}};
    } else if (tensor.name == problem.graph.nodes.back().name + ".gradient") {
      given[tensor.name] = {tensor.shape, loss_gradient(problem)};
    } else if (problem.weights.contains(tensor.name)) {
      given[tensor.name] = {tensor.shape, problem.weights.at(tensor.name)};
    }
  }
  const auto tensors = ir::interpret(workload, given);
  ASSERT_TRUE(tensors.has_value()) << tensors.error();
  const TrainerStep step = trainer_step(problem);
  ASSERT_FALSE(step.gradients.empty());
  for (const auto& [name, gradient] : step.gradients) {
    const std::vector<double>& expected = tensors->at(name + ".gradient").data;
    ASSERT_EQ(gradient.size(), expected.size()) << name;
    double largest = 1e-3;
    for (const double value : expected) {
      largest = std::max(largest, std::abs(value));
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(gradient[i]), expected[i], 1e-4 * largest) << name << " element " << i;
    }
  }
}

TEST(TrainingLowering, InterpretedGivesTheTrainersGradientsOfACnn) {
  expect_lowering_gives_the_trainers_gradients({test_networks::cnn({6, 5, 2}, 4, 4), 9, 1});
}

TEST(TrainingLowering, InterpretedGivesTheTrainersGradientsOfAUNet) {
  expect_lowering_gives_the_trainers_gradients({test_networks::u_net({8, 4, 2}, 4, 3), 9, 3});
}

TEST(TrainingLowering, InterpretedGivesTheTrainersGradientsOfATokenEmbedding) {
  expect_lowering_gives_the_trainers_gradients({test_networks::text(5, 7, 4, 3), 9, 4});
}

// One chunk: the set of the balance loss is the same for both.
TEST(TrainingLowering, InterpretedGivesTheTrainersGradientsOfAMixtureOfExperts) {
  graph::Builder b("mixture", {5, 4});
  b.then("first", graph::Linear{.out_factors = {6}});
  b.then("moe", graph::MoeFfn{.experts = 4, .top_k = 2, .hidden = 3, .balance = 0.5});
  test_networks::classifier(b, 3);
  expect_lowering_gives_the_trainers_gradients({std::move(b).finish(), 7, 5});
}

TEST(TrainingLowering, InterpretedGivesTheTrainersGradientsOfAVit) {
  expect_lowering_gives_the_trainers_gradients({test_networks::vit({8, 8, 1}, 4, 4, 6, 1, 2), 9, 2});
}

}  // namespace
}  // namespace cosearch
