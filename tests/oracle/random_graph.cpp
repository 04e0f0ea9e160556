#include <array>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "spaces/base/rng.hpp"
#include "spaces/catalog/registry.hpp"
#include "tests/oracle/random_network.hpp"
#include "tests/oracle/random_quantized.hpp"

namespace cosearch::oracle {
namespace {

/// A network of a space that costs little enough to run naively.
graph::NetworkGraph network_of_space(RngStream& rng) {
  constexpr std::int64_t kMostMacs = 1'000'000;
  constexpr int kDraws = 200;
  static constexpr std::array kSpaces = {"ds_cnn", "mcu_vit", "mobile_cnn", "moe_vit", "resnet8", "unet", "vit"};
  const std::string name = kSpaces[rng.below(kSpaces.size())];
  const auto side = [&rng] { return 16 + 2 * static_cast<std::int64_t>(rng.below(4)); };
  const TaskShape task{{side(), side(), 1 + static_cast<std::int64_t>(rng.below(3))}, 5, name == "unet"};
  const std::unique_ptr<SearchSpace> space = make_space(name, nlohmann::json::object(), task);
  graph::NetworkGraph best = std::get<graph::NetworkGraph>(space->decode(space->corners().front()));
  for (int i = 0; i < kDraws; ++i) {
    graph::NetworkGraph drawn = std::get<graph::NetworkGraph>(space->decode(space->params().sample(rng)));
    if (graph::total_counts(drawn).macs <= kMostMacs) {
      return drawn;
    }
  }
  return best;
}

graph::NetworkGraph draw_graph(std::uint64_t seed, RngStream& rng) {
  static constexpr std::array kNetworks = {&small_residual_network, &small_text_network, &small_u_net,
                                           &small_transformer};
  switch (rng.below(4)) {
    case 0:
      return network_of_space(rng);
    case 1:
      return kNetworks[rng.below(kNetworks.size())]();
    default:
      return random_operator(1 + rng.below(kOperatorKinds - 1), seed, rng.below(2) == 0);
  }
}

}  // namespace

graph::NetworkGraph random_graph(std::uint64_t seed) {
  RngStream rng(seed, Purpose::test, 102);
  graph::NetworkGraph graph = draw_graph(seed, rng);
  for (graph::Node& node : graph.nodes) {
    std::visit(
        [&rng](auto& op) {
          if constexpr (requires { op.weight_bits; }) {
            op.weight_bits = rng.below(4) == 0 ? 4 : graph::kDefaultWeightBits;
          }
        },
        node.op);
  }
  const int other = static_cast<int>(1 + rng.below(graph.nodes.size() - 1));
  if (rng.below(4) == 0 && graph.outputs[0] != other) {
    graph.outputs.push_back(other);
  }
  return graph;
}

}  // namespace cosearch::oracle
