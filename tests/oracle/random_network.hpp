#pragma once

#include <cstdint>

#include "spaces/graph/graph.hpp"

/// Small random networks for tests: every operator with all its options.
namespace cosearch::oracle {

/// Number of operators, the Input (index 0) included: `for (kind = 1; kind < kOperatorKinds; ++kind)` meets each one.
inline constexpr std::size_t kOperatorKinds = std::variant_size_v<graph::Op>;

/// Input and one node `op` whose operator is alternative `kind` of graph::Op, drawn by `seed`. An addition reads the
/// Input twice; a concatenation also reads linear maps `other.I` of it with other widths, and perhaps it again.
/// With `behind_weights` a trainable node `before` stands between the two (a 1 x 1 depthwise convolution with bias, a
/// position embedding or a linear map), so that a training step needs the gradient by the operator's input; but for a
/// token embedding, which reads the Input only. A kind that this function does not know throws std::logic_error.
[[nodiscard]] graph::NetworkGraph random_operator(std::size_t kind, std::uint64_t seed, bool behind_weights = false);

/// A residual network of all image operators on an 8 x 8 x 2 image with 3 classes.
[[nodiscard]] graph::NetworkGraph small_residual_network();
/// One transformer block on 5 tokens of a vocabulary of 7, with 3 classes; norms behind the sums, like BERT's.
[[nodiscard]] graph::NetworkGraph small_text_network();
/// A U-Net of two levels on an 8 x 8 x 2 image: 8 x 8 x 3 logits, one per pixel and class.
[[nodiscard]] graph::NetworkGraph small_u_net();
/// Five tokens of 4 features, a mixture of 4 experts of which each token chooses 2, 3 classes.
[[nodiscard]] graph::NetworkGraph small_mixture();
/// Two tasks behind one mixture of three experts, "moe", that routes by task: outputs "a" and "b".
[[nodiscard]] graph::NetworkGraph two_tasks();
/// A transformer of one block on a 6 x 6 x 2 image with 3 classes.
[[nodiscard]] graph::NetworkGraph small_transformer();

}  // namespace cosearch::oracle
