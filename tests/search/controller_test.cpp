#include "search/controller.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace cosearch {
namespace {

Controller small_controller(std::uint64_t seed = 5) {
  RngStream rng{seed, Purpose::test, 0};
  return {{3, 2, 4, 1}, 5, rng};
}

/// Heads out of order, one twice, one of a single choice.
const std::vector<Controller::Decision> kDecisions{{2, 3}, {0, 1}, {3, 0}, {0, 2}, {1, 0}};
const std::vector<double> kScales{0.7, -1.3, 0.4, 0.0, 2.0};

TEST(Controller, GivesProbabilitiesThatAddUpToOneAndDependOnTheChoicesBefore) {
  const Controller controller = small_controller();
  std::vector<std::vector<double>> last;
  for (const std::size_t choice : {0U, 1U}) {
    Controller::State state = controller.begin();
    (void)controller.log_probabilities(state, 0);
    controller.choose(state, {0, choice});
    last.push_back(controller.log_probabilities(state, 2));
    double sum = 0.0;
    for (const double logarithm : last.back()) {
      sum += std::exp(logarithm);
    }
    EXPECT_NEAR(sum, 1.0, 1e-12);
    EXPECT_EQ(last.back().size(), 4U);
  }
  EXPECT_NE(last[0], last[1]);
}

/// The cell and the softmax written out for one unit, as in Hochreiter and Schmidhuber with a forget gate.
TEST(Controller, IsAnLstmWithASoftmaxHead) {
  RngStream rng{6, Purpose::test, 0};
  Controller controller{{2}, 1, rng};
  // First input, two embeddings, head (2 weights, 2 biases), cell (4 gates by input, by hidden, biases).
  const std::vector<double> w{0.5, -0.4, 0.9, 1.1, -0.7, 0.2,  0.1,  0.3,   -0.2, 0.8,
                              0.6, -0.5, 0.4, 0.7, -0.9, 0.05, 0.15, -0.25, 0.35};
  ASSERT_EQ(controller.weights().size(), w.size());
  std::copy(w.begin(), w.end(), controller.weights().begin());
  const auto sigmoid = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  double h = 0.0;
  double c = 0.0;
  Controller::State state = controller.begin();
  for (const double input : {w[0], w[2]}) {  // the first input, then choice 1
    const auto gate = [&](std::size_t i) { return w[7 + i] * input + w[11 + i] * h + w[15 + i]; };
    const double next_c = sigmoid(gate(1)) * c + sigmoid(gate(0)) * std::tanh(gate(3));
    h = sigmoid(gate(2)) * std::tanh(next_c);
    c = next_c;
    const double difference = (w[3] * h + w[5]) - (w[4] * h + w[6]);
    const std::vector<double> logs = controller.log_probabilities(state, 0);
    EXPECT_NEAR(logs[0], std::log(sigmoid(difference)), 1e-12);
    EXPECT_NEAR(logs[1], std::log(sigmoid(-difference)), 1e-12);
    controller.choose(state, {0, 1});
  }
}

TEST(Controller, HasTheGradientOfFiniteDifferences) {
  Controller controller = small_controller();
  std::vector<double> gradient(controller.weights().size(), 1.0);  // it adds
  controller.add_gradient(kDecisions, kScales, gradient);
  constexpr double kStep = 1e-5;
  int moving = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double weight = controller.weights()[i];
    controller.weights()[i] = weight + kStep;
    const double above = controller.log_likelihood(kDecisions, kScales);
    controller.weights()[i] = weight - kStep;
    const double below = controller.log_likelihood(kDecisions, kScales);
    controller.weights()[i] = weight;
    const double expected = (above - below) / (2.0 * kStep);
    EXPECT_NEAR(gradient[i] - 1.0, expected, 1e-8) << "weight " << i;
    moving += std::abs(expected) > 1e-6 ? 1 : 0;
  }
  EXPECT_GT(moving, static_cast<int>(gradient.size() / 2));
}

TEST(Controller, AscendsTheLikelihood) {
  Controller controller = small_controller();
  const std::vector<double> scales(kDecisions.size(), 1.0);
  for (int step = 0; step < 200; ++step) {
    std::vector<double> gradient(controller.weights().size(), 0.0);
    controller.add_gradient(kDecisions, scales, gradient);
    controller.ascend(gradient, 0.02);
  }
  EXPECT_GT(controller.log_likelihood(kDecisions, scales), -0.1);  // a probability above 90 %
}

TEST(Controller, TakesFirstStepsOfTheLearningRate) {
  // Adam's first step is the rate times the sign of the gradient.
  Controller controller = small_controller();
  const std::vector<double> before(controller.weights().begin(), controller.weights().end());
  std::vector<double> gradient(before.size(), 0.0);
  gradient[0] = 1e-3;
  gradient[1] = -40.0;
  controller.ascend(gradient, 0.01);
  EXPECT_NEAR(controller.weights()[0], before[0] + 0.01, 1e-6);
  EXPECT_NEAR(controller.weights()[1], before[1] - 0.01, 1e-6);
  EXPECT_TRUE(std::equal(before.begin() + 2, before.end(), controller.weights().begin() + 2));
}

}  // namespace
}  // namespace cosearch
