#include <gtest/gtest.h>

#include "spaces/graph/graph.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/store/weight_store.hpp"

// Subnets of a shared mixture: the first experts, the first hidden features of each, any number that a token chooses.

namespace cosearch {
namespace {

graph::NetworkGraph mixture(std::int64_t experts, std::int64_t top_k, std::int64_t hidden, std::int64_t width) {
  graph::Builder b("mixture", {5, 4});
  b.then("first", graph::Linear{.out_factors = {width}});
  b.then("moe", graph::MoeFfn{.experts = experts,
                              .top_k = top_k,
                              .hidden = hidden,
                              .tasks = 2,
                              .routing = graph::MoeRouting::conditioned,
                              .embedding = 3});
  return std::move(b).finish();
}

TEST(ElasticMixture, SubnetsTakeTheFirstExpertsAndHiddenFeaturesOfTheSharedWeights) {
  WeightStore store = WeightStore::for_network(mixture(4, 3, 6, 8), 1);
  float next = 0.0F;
  for (const auto& [name, weight] : store.weights()) {
    for (float& value : store.at(name).values) {
      value = next++;
    }
  }
  Parameters subnet(mixture(2, 1, 5, 7));
  subnet.load(store);
  for (const Parameters::Entry& entry : subnet.entries()) {
    if (!entry.spec.name.starts_with("moe.w") && !entry.spec.name.starts_with("moe.b")) {
      continue;
    }
    const auto shape = entry.spec.shape();
    const auto shared = store.at(entry.spec.name).spec.shape();
    const std::int64_t middle = shape.size() == 3 ? shape[1] : 1;
    const std::int64_t shared_middle = shape.size() == 3 ? shared[1] : 1;
    for (std::int64_t i = 0; i < entry.size; ++i) {
      const std::int64_t column = i % shape.back();
      const std::int64_t row = i / shape.back() % middle;
      const std::int64_t expert = i / shape.back() / middle;
      const std::int64_t from = (expert * shared_middle + row) * shared.back() + column;
      ASSERT_EQ(subnet.values()[static_cast<std::size_t>(entry.offset + i)],
                store.at(entry.spec.name).values[static_cast<std::size_t>(from)])
          << entry.spec.name << " element " << i;
    }
  }
}

// The router's rows for the task's embedding stand behind those for the features, in a segment of their own.
TEST(ElasticMixture, ANarrowerRouterKeepsTheRowsOfTheEmbedding) {
  WeightStore store = WeightStore::for_network(mixture(4, 3, 6, 8), 1);
  std::vector<float>& router = store.at("moe.router").values;  // (8 + 3, 4)
  for (std::size_t i = 0; i < router.size(); ++i) {
    router[i] = static_cast<float>(i);
  }
  Parameters subnet(mixture(2, 1, 5, 7));
  subnet.load(store);
  for (const Parameters::Entry& entry : subnet.entries()) {
    if (entry.spec.name == "moe.router") {
      EXPECT_EQ(entry.spec.shape(), (std::vector<std::int64_t>{10, 2}));
      EXPECT_EQ(subnet.values()[static_cast<std::size_t>(entry.offset + 6 * 2 + 1)], 6 * 4 + 1);
      EXPECT_EQ(subnet.values()[static_cast<std::size_t>(entry.offset + 7 * 2 + 1)], 8 * 4 + 1);
    }
  }
}

}  // namespace
}  // namespace cosearch
