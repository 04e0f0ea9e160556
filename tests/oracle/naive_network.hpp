#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

/// A naive forward pass of every operator in double precision, written from the definitions: no workload, no
/// interpreter, no trainer, no shape inference of the code under test. What lowerings, kernels and gradients are
/// compared with.
namespace cosearch::oracle {

/// A batch of samples, row-major: (batch, sample shape...).
struct Batch {
  graph::Shape shape;  ///< of one sample
  std::vector<double> values;
};

/// What the router of a mixture of experts did, (tokens of the batch, experts) each.
struct Mixture {
  std::int64_t experts = 1;
  std::vector<double> clean, noisy;  ///< logits without and with noise
  std::vector<double> kept;          ///< shares of the chosen experts, 0 for the others
  std::vector<bool> chosen;
  std::vector<double> hidden;  ///< what the chosen experts pass to gelu, token by token, (choices, hidden)
};

struct Forward {
  /// Output of every node by its name, that of the Input included.
  std::map<std::string, Batch> nodes;
  /// In training mode the new running statistics of batch norms by their weights' names: (1 - momentum) * old +
  /// momentum * batch, the variance divided by the number of positions (not that minus one).
  std::map<std::string, std::vector<double>> states;
  std::map<std::string, Mixture> mixtures;  ///< by node
};

/// Weights and states by WeightSpec name, row-major; every one that the graph's operators use must be there.
using Weights = std::map<std::string, std::vector<double>>;

/// `input` is (batch, input shape...). `training` makes batch norms use the statistics of the batch. `noise_seed`: of
/// the routers' noise, see Targets::noise_seed; none: no noise.
[[nodiscard]] Forward forward(const graph::NetworkGraph& graph, const Weights& weights,
                              const std::vector<double>& input, std::int64_t batch, bool training,
                              std::optional<std::uint64_t> noise_seed = std::nullopt);

/// Normal random numbers, deviation 1, for the given seed and stream.
[[nodiscard]] std::vector<double> random_values(std::int64_t count, std::uint64_t seed, std::uint64_t stream);
/// A batch of inputs of a graph: normal numbers of the given deviation, or token ids that its tables have.
[[nodiscard]] std::vector<double> random_input(const graph::NetworkGraph& graph, std::int64_t batch, std::uint64_t seed,
                                               double deviation = 1.0);
/// Random weights and states of a graph: normal with a deviation of 0.5 around 0 (around 1 for scales); running
/// variances between 0.5 and 1.5.
[[nodiscard]] Weights random_weights(const graph::NetworkGraph& graph, std::uint64_t seed);

}  // namespace cosearch::oracle
