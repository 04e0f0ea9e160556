#include "trainer/supernet/subnet_space.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "spaces/base/config_error.hpp"
#include "tests/trainer/supernet/small_spaces.hpp"
#include "trainer/supernet/gene_combinations.hpp"
#include "trainer/supernet/supernet.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using test_supernets::small_space;

TEST(SubnetSpace, FamiliesOfTheHybridAreConvolutionalDenseAndLowRank) {
  const SubnetSpace space = make_subnet_space(small_space("hybrid"));
  const std::vector<SubnetFamily> found = families(space.corners);
  ASSERT_EQ(found.size(), 3U);
  std::set<std::string> names;
  for (const SubnetFamily& family : found) {
    EXPECT_LT(graph::total_counts(family.smallest).macs, graph::total_counts(family.largest).macs);
    EXPECT_EQ(family.smallest.name, family.largest.name);
    names.insert(family.largest.name);
  }
  EXPECT_EQ(names, (std::set<std::string>{"mobile_cnn", "vit"}));
  std::set<std::size_t> drawn;
  for (std::uint64_t i = 0; i < 50; ++i) {
    RngStream rng(1, Purpose::test, i);
    drawn.insert(family_of(space.sample(rng), found));
  }
  EXPECT_EQ(drawn.size(), 3U);
}

TEST(SubnetSpace, NetworksOfDifferentBitsShareAllWeights) {
  for (const std::string name : {"mcu_vit", "mcunet"}) {
    const WeightStore eight = make_supernet(make_subnet_space(small_space(name)), 1);
    const SubnetSpace mixed = make_subnet_space(small_space(name + " with mixed bits"));
    const WeightStore shared = make_supernet(mixed, 1);
    ASSERT_EQ(shared.weights().size(), eight.weights().size());
    for (const auto& [weight, stored] : shared.weights()) {
      EXPECT_EQ(stored.values, eight.at(weight).values) << weight;
    }
    for (std::uint64_t i = 0; i < 20; ++i) {
      RngStream rng(2, Purpose::test, i);
      EXPECT_TRUE(holds(eight, mixed.sample(rng)));
    }
  }
}

TEST(SubnetSpace, RestrictedSpacesHaveCornersWithinTheRestriction) {
  const SearchSpace& vit = small_space("vit");
  const SubnetSpace space = make_subnet_space(
      vit, vit.params().restricted({{"depth", {2, 3}}, {"embed_dim", 48}, {"low_rank", {0.25, 1.0}}}));
  const WeightStore store = make_supernet(space, 1);
  EXPECT_TRUE(store.contains("blocks.2.norm1.scale"));
  EXPECT_FALSE(store.contains("blocks.3.norm1.scale"));
  EXPECT_EQ(store.at("head.weight").spec.shape(), (std::vector<std::int64_t>{48, 4}));
  EXPECT_EQ(families(space.corners).size(), 2U);
  for (std::uint64_t i = 0; i < 50; ++i) {
    RngStream rng(2, Purpose::test, i);
    EXPECT_TRUE(holds(store, space.sample(rng)));
  }
  RngStream rng(3, Purpose::test, 0);
  EXPECT_FALSE(holds(store, make_subnet_space(small_space("mobile_cnn")).sample(rng)));
}

TEST(SubnetSpace, NetworksThatUseOneNameForDifferentThingsAreTheUsersMistake) {
  json options = testing::custom_cnn();
  options["template"][1] = json{{"name", "extra"}, {"op", "conv2d"}, {"out_channels", 8},
                                {"kernel_h", 1},   {"kernel_w", 1},  {"when", "$depth < 1"}};
  options["template"][4] = json{{"name", "pool"}, {"op", "global_average_pool"}};
  options["template"].insert(options["template"].begin() + 5,
                             json{{"name", "extra"}, {"op", "linear"}, {"out_factors", {8}}, {"when", "$depth > 0"}});
  const std::unique_ptr<SearchSpace> space = make_space("custom", options, {{8, 8, 1}, 4});
  EXPECT_THROW(static_cast<void>(make_subnet_space(*space)), ConfigError);
}

TEST(GeneCombinations, AreOneForEachValueThatANetworkCanHave) {
  const ParamSet& genes = small_space("hybrid").params();
  const auto keys = [&](const std::vector<std::string>& names) {
    std::vector<std::string> found;
    for (const GeneCombination& combination : gene_combinations(genes, names)) {
      found.push_back(combination.key);
    }
    return found;
  };
  EXPECT_EQ(keys({}), (std::vector<std::string>{"{}"}));
  EXPECT_EQ(keys({"family"}), (std::vector<std::string>{R"({"family":"cnn"})", R"({"family":"vit"})"}));
  EXPECT_EQ(
      keys({"vit.low_rank", "family"}),
      (std::vector<std::string>{R"({"family":"cnn"})", R"({"family":"vit","vit.low_rank":0.25})",
                                R"({"family":"vit","vit.low_rank":0.5})", R"({"family":"vit","vit.low_rank":1.0})"}));
  for (const GeneCombination& combination : gene_combinations(genes, {"family", "vit.low_rank"})) {
    for (std::uint64_t i = 0; i < 20; ++i) {
      RngStream rng(5, Purpose::test, i);
      const Genome genome = combination.genes.translate(combination.genes.sample(rng), genes);
      EXPECT_EQ(combination_key(genes, {"family", "vit.low_rank"}, genome), combination.key);
    }
  }
}

TEST(GeneCombinations, MistakesNameTheirPlaceInTheList) {
  const ParamSet& genes = small_space("hybrid").params();
  const auto place = [&](const std::vector<std::string>& names) {
    try {
      static_cast<void>(gene_combinations(genes, names));
    } catch (const ConfigError& error) {
      return error.place();
    }
    return std::string("none");
  };
  EXPECT_EQ(place({"famly"}), "/0");
  EXPECT_EQ(place({"family", "family"}), "/1");
  EXPECT_EQ(place({"vit.low_rank"}), "/0") << "whether it is active depends on family";
  EXPECT_EQ(place({"family", "cnn.stem.width", "cnn.stages.1.depth", "cnn.stages.1.kernel", "cnn.stages.1.expansion"}),
            "");
  EXPECT_EQ(place({"family", "vit.depth"}), "none");
}

}  // namespace
}  // namespace cosearch
