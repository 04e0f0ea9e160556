#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "spaces/base/rng.hpp"

namespace cosearch {

/// A policy that emits one choice after the other: an LSTM cell (Hochreiter, Schmidhuber 1997) whose input is a learned
/// embedding of the choice before it and whose state, through a softmax head per kind of choice, gives the
/// probabilities of the next one. The form of the controllers of Zoph, Le (arXiv:1611.01578) and of NASAIC (Yang et
/// al., arXiv:2002.04116). Double precision, one thread.
class Controller {
 public:
  /// A choice made at a head, both counted from 0.
  struct Decision {
    std::size_t head = 0;
    std::size_t choice = 0;
  };
  /// Where the policy stands within a sequence.
  struct State {
    std::vector<double> hidden;
    std::vector<double> cell;
    std::size_t input = 0;  ///< offset, among the weights, of the vector that goes in next
  };

  /// `choices`: of each head, at least one. Weights begin evenly within [-0.1, 0.1].
  Controller(std::vector<std::size_t> choices, std::size_t hidden, RngStream& rng);

  [[nodiscard]] State begin() const;
  /// Moves on to the next decision and gives the logarithms of its probabilities; `choose` tells what became of it.
  [[nodiscard]] std::vector<double> log_probabilities(State& state, std::size_t head) const;
  void choose(State& state, const Decision& decision) const;

  /// Sum over the decisions of their scale times the logarithm of their probability. One scale for each.
  [[nodiscard]] double log_likelihood(std::span<const Decision> decisions, std::span<const double> scales) const;
  /// Adds the derivatives of `log_likelihood` to `gradient`, one for each weight (backpropagation through time).
  void add_gradient(std::span<const Decision> decisions, std::span<const double> scales,
                    std::span<double> gradient) const;
  /// A step of Adam (Kingma, Ba, arXiv:1412.6980) up the gradient.
  void ascend(std::span<const double> gradient, double learning_rate);

  [[nodiscard]] std::span<double> weights() noexcept { return weights_; }
  [[nodiscard]] std::span<const double> weights() const noexcept { return weights_; }

 private:
  [[nodiscard]] std::size_t embedding(const Decision& decision) const;

  std::vector<std::size_t> choices_;
  std::size_t hidden_;
  // Offsets of the parts in `weights_`; the first `hidden_` weights are the first input.
  std::vector<std::size_t> embeddings_;  ///< of each head: (choice, hidden)
  std::vector<std::size_t> heads_;       ///< of each head: (hidden, choice), then a bias for each choice
  std::size_t cell_ = 0;                 ///< (input and hidden, gate), then a bias for each gate
  std::vector<double> weights_;
  std::vector<double> mean_;      ///< of Adam
  std::vector<double> variance_;  ///< of Adam
  int steps_ = 0;                 ///< of Adam
};

}  // namespace cosearch
