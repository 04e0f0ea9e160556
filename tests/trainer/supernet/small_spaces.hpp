#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "spaces/base/check.hpp"
#include "spaces/catalog/registry.hpp"
#include "tests/spaces/catalog/example_spaces.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/multitask/learning_task.hpp"
#include "trainer/supernet/subnet_space.hpp"

/// Small spaces and data for the tests of supernets.
namespace cosearch::test_supernets {

/// 8 x 8 images of four classes.
[[nodiscard]] inline TaskData small_data() {
  return make_synthetic_data({{"name", "synthetic"},
                              {"height", 8},
                              {"width", 8},
                              {"classes", 4},
                              {"train", 160},
                              {"search", 60},
                              {"test", 8}});
}

/// One of testing::example_spaces for that data; lives as long as the program.
[[nodiscard]] inline const SearchSpace& small_space(const std::string& name) {
  static std::map<std::string, std::unique_ptr<SearchSpace>> spaces;
  std::unique_ptr<SearchSpace>& space = spaces[name];
  if (space == nullptr) {
    const std::vector<testing::SpaceExample> examples = testing::example_spaces();
    const auto example = std::find_if(examples.begin(), examples.end(), [&](const auto& e) { return e.name == name; });
    COSEARCH_CHECK(example != examples.end(), "an example that there is not");
    space = make_space(example->space, example->options, {{8, 8, 1}, 4});
  }
  return *space;
}

/// The space with the mean over all pixels behind networks that classify pixels, so that they classify images.
[[nodiscard]] inline SubnetSpace classifying(SubnetSpace space) {
  const auto pooled = [](graph::NetworkGraph network) {
    if (graph::infer_shapes(network).value().back().size() == 3) {
      network.nodes.push_back({"mean", graph::GlobalAveragePool{}, {static_cast<int>(network.nodes.size()) - 1}});
      network.outputs = {static_cast<int>(network.nodes.size()) - 1};
    }
    return network;
  };
  for (graph::NetworkGraph& corner : space.corners) {
    corner = pooled(std::move(corner));
  }
  space.sample = [pooled, sample = space.sample](RngStream& rng) { return pooled(sample(rng)); };
  return space;
}

/// The data set as the only task.
[[nodiscard]] inline std::vector<LearningTask> one_task(const TaskData& data) {
  return {{.name = {}, .data = std::make_shared<const TaskData>(data)}};
}

/// The space of one network.
[[nodiscard]] inline SubnetSpace only(const graph::NetworkGraph& network) {
  return {"", {network}, [network](RngStream& /*rng*/) { return network; }, graph::hash(network)};
}

}  // namespace cosearch::test_supernets
