#include "search/controller.hpp"

#include <Eigen/Core>
#include <cmath>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using ConstVector = Eigen::Map<const VectorXd>;
using ConstMatrix = Eigen::Map<const MatrixXd>;
using MutableVector = Eigen::Map<VectorXd>;
using MutableMatrix = Eigen::Map<MatrixXd>;

constexpr double kInitialRange = 0.1;
constexpr double kMeanDecay = 0.9;
// Advantages shrink by orders of magnitude once the constraints are met; a mean over 1000 steps, Adam's usual one,
// would still be that of the first penalties when the search ends.
constexpr double kVarianceDecay = 0.99;
constexpr double kEpsilon = 1e-8;

/// The four gates, in this order: input, forget, output, candidate.
constexpr Index kGates = 4;

/// What a step through the cell leaves for the way back.
struct CellStep {
  VectorXd joined;       ///< input, then the hidden state before
  VectorXd cell_before;  ///< the cell's state before
  VectorXd gates;
  VectorXd cell;
  VectorXd squashed;  ///< tanh of `cell`
  VectorXd hidden;
};

CellStep run_cell(const double* weights, const ConstVector& input, const Controller::State& state) {
  const Index size = input.size();
  const ConstMatrix matrix(weights, kGates * size, 2 * size);
  const ConstVector bias(weights + matrix.size(), kGates * size);
  CellStep step;
  step.joined.resize(2 * size);
  step.joined << input, ConstVector(state.hidden.data(), size);
  step.cell_before = ConstVector(state.cell.data(), size);
  step.gates = matrix * step.joined + bias;
  step.gates.head(3 * size) = (1.0 + (-step.gates.head(3 * size)).array().exp()).inverse();
  step.gates.tail(size) = step.gates.tail(size).array().tanh();
  step.cell = step.gates.segment(size, size).cwiseProduct(step.cell_before) +
              step.gates.head(size).cwiseProduct(step.gates.tail(size));
  step.squashed = step.cell.array().tanh();
  step.hidden = step.gates.segment(2 * size, size).cwiseProduct(step.squashed);
  return step;
}

/// Given the derivatives by a step's hidden and cell state: adds those by the cell's weights, replaces the two by those
/// of the step before, and returns those by the input.
VectorXd run_cell_back(const double* weights, const CellStep& step, double* gradient, VectorXd& by_hidden,
                       VectorXd& by_cell) {
  const Index size = by_hidden.size();
  const auto input_gate = step.gates.head(size).array();
  const auto forget_gate = step.gates.segment(size, size).array();
  const auto output_gate = step.gates.segment(2 * size, size).array();
  const auto candidate = step.gates.tail(size).array();
  by_cell.array() += by_hidden.array() * output_gate * (1.0 - step.squashed.array().square());
  VectorXd by_gates(kGates * size);
  by_gates.head(size) = by_cell.array() * candidate * input_gate * (1.0 - input_gate);
  by_gates.segment(size, size) = by_cell.array() * step.cell_before.array() * forget_gate * (1.0 - forget_gate);
  by_gates.segment(2 * size, size) = by_hidden.array() * step.squashed.array() * output_gate * (1.0 - output_gate);
  by_gates.tail(size) = by_cell.array() * input_gate * (1.0 - candidate.square());
  MutableMatrix by_matrix(gradient, kGates * size, 2 * size);
  by_matrix.noalias() += by_gates * step.joined.transpose();
  MutableVector(gradient + by_matrix.size(), kGates * size) += by_gates;
  const VectorXd by_joined = ConstMatrix(weights, kGates * size, 2 * size).transpose() * by_gates;
  by_cell.array() *= forget_gate;
  by_hidden = by_joined.tail(size);
  return by_joined.head(size);
}

VectorXd log_softmax(const double* head, Index choices, const VectorXd& hidden) {
  const ConstMatrix matrix(head, choices, hidden.size());
  VectorXd logits = matrix * hidden + ConstVector(head + matrix.size(), choices);
  logits.array() -= logits.maxCoeff();
  logits.array() -= std::log(logits.array().exp().sum());
  return logits;
}

}  // namespace

Controller::Controller(std::vector<std::size_t> choices, std::size_t hidden, RngStream& rng)
    : choices_(std::move(choices)), hidden_(hidden) {
  COSEARCH_CHECK(hidden > 0, "a controller has a state");
  std::size_t size = hidden_;
  for (const std::size_t count : choices_) {
    COSEARCH_CHECK(count > 0, "a head has choices");
    embeddings_.push_back(size);
    size += count * hidden_;
    heads_.push_back(size);
    size += count * (hidden_ + 1);
  }
  cell_ = size;
  constexpr auto kGateCount = static_cast<std::size_t>(kGates);
  weights_.resize(size + kGateCount * hidden_ * (2 * hidden_ + 1));
  for (double& weight : weights_) {
    weight = kInitialRange * (2.0 * rng.uniform() - 1.0);
  }
  mean_.resize(weights_.size());
  variance_.resize(weights_.size());
}

std::size_t Controller::embedding(const Decision& decision) const {
  COSEARCH_CHECK(decision.head < choices_.size() && decision.choice < choices_[decision.head],
                 "a choice that the head has");
  return embeddings_[decision.head] + decision.choice * hidden_;
}

Controller::State Controller::begin() const {
  return {std::vector<double>(hidden_, 0.0), std::vector<double>(hidden_, 0.0), 0};
}

std::vector<double> Controller::log_probabilities(State& state, std::size_t head) const {
  const auto size = static_cast<Index>(hidden_);
  const CellStep step = run_cell(weights_.data() + cell_, ConstVector(weights_.data() + state.input, size), state);
  state.hidden.assign(step.hidden.begin(), step.hidden.end());
  state.cell.assign(step.cell.begin(), step.cell.end());
  const VectorXd logs = log_softmax(weights_.data() + heads_[head], static_cast<Index>(choices_[head]), step.hidden);
  return {logs.begin(), logs.end()};
}

void Controller::choose(State& state, const Decision& decision) const { state.input = embedding(decision); }

double Controller::log_likelihood(std::span<const Decision> decisions, std::span<const double> scales) const {
  COSEARCH_CHECK(decisions.size() == scales.size(), "one scale for each decision");
  double sum = 0.0;
  State state = begin();
  for (std::size_t t = 0; t < decisions.size(); ++t) {
    sum += scales[t] * log_probabilities(state, decisions[t].head)[decisions[t].choice];
    choose(state, decisions[t]);
  }
  return sum;
}

void Controller::add_gradient(std::span<const Decision> decisions, std::span<const double> scales,
                              std::span<double> gradient) const {
  COSEARCH_CHECK(decisions.size() == scales.size(), "one scale for each decision");
  COSEARCH_CHECK(gradient.size() == weights_.size(), "one derivative for each weight");
  const auto size = static_cast<Index>(hidden_);
  std::vector<CellStep> steps;
  std::vector<std::size_t> inputs;
  State state = begin();
  for (const Decision& decision : decisions) {
    inputs.push_back(state.input);
    steps.push_back(run_cell(weights_.data() + cell_, ConstVector(weights_.data() + state.input, size), state));
    state.hidden.assign(steps.back().hidden.begin(), steps.back().hidden.end());
    state.cell.assign(steps.back().cell.begin(), steps.back().cell.end());
    choose(state, decision);
  }
  VectorXd by_hidden = VectorXd::Zero(size);
  VectorXd by_cell = VectorXd::Zero(size);
  for (std::size_t t = decisions.size(); t-- > 0;) {
    const auto choices = static_cast<Index>(choices_[decisions[t].head]);
    const std::size_t head = heads_[decisions[t].head];
    const VectorXd logs = log_softmax(weights_.data() + head, choices, steps[t].hidden);
    VectorXd by_logits = -scales[t] * logs.array().exp();
    by_logits[static_cast<Index>(decisions[t].choice)] += scales[t];
    MutableMatrix by_matrix(gradient.data() + head, choices, size);
    by_matrix.noalias() += by_logits * steps[t].hidden.transpose();
    MutableVector(gradient.data() + head + by_matrix.size(), choices) += by_logits;
    by_hidden.noalias() += ConstMatrix(weights_.data() + head, choices, size).transpose() * by_logits;
    const VectorXd by_input =
        run_cell_back(weights_.data() + cell_, steps[t], gradient.data() + cell_, by_hidden, by_cell);
    MutableVector(gradient.data() + inputs[t], size) += by_input;
  }
}

void Controller::ascend(std::span<const double> gradient, double learning_rate) {
  COSEARCH_CHECK(gradient.size() == weights_.size(), "one derivative for each weight");
  ++steps_;
  const double mean_bias = 1.0 - std::pow(kMeanDecay, steps_);
  const double variance_bias = 1.0 - std::pow(kVarianceDecay, steps_);
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    mean_[i] = kMeanDecay * mean_[i] + (1.0 - kMeanDecay) * gradient[i];
    variance_[i] = kVarianceDecay * variance_[i] + (1.0 - kVarianceDecay) * gradient[i] * gradient[i];
    weights_[i] += learning_rate * (mean_[i] / mean_bias) / (std::sqrt(variance_[i] / variance_bias) + kEpsilon);
  }
}

}  // namespace cosearch
