#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "spaces/base/config_error.hpp"
#include "spaces/space/genome.hpp"
#include "tests/spaces/space/random_space.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using testing::random_params;

ParamSet example() {
  return ParamSet(
      {{"family", Choices{{std::string("cnn"), std::string("vit")}}, {}},
       {"cnn.width", IntegerRange{8, 40, 8}, {"family", {0}}},
       {"vit.depth", IntegerRange{1, 6, 1}, {"family", {1}}},
       {"vit.heads", Choices{{std::int64_t{1}, std::int64_t{2}, std::int64_t{4}}}, {"vit.depth", {3, 4, 5}}},
       {"ratio", Choices{{0.25, 0.5, 1.0}}, {}},
       {"rate", RealRange{0.001, 1.0, true}, {}}});
}

TEST(GenesJson, GenomesSurviveTheRoundTrip) {
  for (std::uint64_t space = 0; space < 100; ++space) {
    const ParamSet set(random_params(space, 7, true));
    RngStream rng(1, Purpose::test, space);
    for (int trial = 0; trial < 10; ++trial) {
      const Genome genome = set.sample(rng);
      const json values = json::parse(set.to_json(genome).dump());
      EXPECT_EQ(set.from_json(values), genome) << values.dump();
    }
  }
}

TEST(GenesJson, ValuesAreTypedAndInactiveGenesAreLeftOut) {
  const ParamSet set = example();
  EXPECT_EQ(set.to_json({{1, 0, 3, 2, 0, 0.5}}),
            json::parse(R"({"family": "vit", "vit.depth": 4, "vit.heads": 4, "ratio": 0.25, "rate": 0.5})"));
  EXPECT_EQ(set.to_json({{0, 1, 0, 0, 2, 1.0}}),
            json::parse(R"({"family": "cnn", "cnn.width": 16, "ratio": 1.0, "rate": 1.0})"));
}

TEST(GenesJson, MissingGenesTakeTheirFirstValue) {
  const ParamSet set = example();
  EXPECT_EQ(set.from_json(json::object()), (Genome{{0, 0, 0, 0, 0, 0.001}}));
  EXPECT_EQ(set.from_json({{"family", "vit"}, {"vit.depth", 5.0}}), (Genome{{1, 0, 4, 0, 0, 0.001}}));
}

TEST(GenesJson, MissingGenesTakeWhatTheyPreferByAnotherGene) {
  const auto texts = [](std::initializer_list<std::string> list) { return Choices{{list.begin(), list.end()}}; };
  const Preference by_board{"board", {{std::string("a"), std::string("y")}, {std::string("b"), std::string("z")}}};
  const std::vector<Param> params{{"board", texts({"a", "b", "c"}), {}},
                                  {"engine", texts({"x", "y", "z"}), {}, by_board}};
  const ParamSet set(params);
  EXPECT_EQ(set.from_json(json::object()), (Genome{{0, 1}}));
  EXPECT_EQ(set.from_json({{"board", "b"}}), (Genome{{1, 2}}));
  EXPECT_EQ(set.from_json({{"board", "b"}, {"engine", "x"}}), (Genome{{1, 0}})) << "what is given stays";
  EXPECT_EQ(set.from_json({{"board", "c"}}), (Genome{{2, 0}})) << "no preference: the first value";
  const ParamSet joined(prefixed(params, "hw."));
  EXPECT_EQ(joined.from_json({{"hw.board", "b"}}), (Genome{{1, 2}}));
  const ParamSet small = set.restricted({{"board", {"b", "c"}}, {"engine", {"x", "y"}}});
  EXPECT_EQ(small.from_json({{"board", "b"}}), (Genome{{0, 0}})) << "the preferred value was left out";
  EXPECT_EQ(set.restricted({{"board", "b"}}).from_json(json::object()), (Genome{{0, 2}}));
  EXPECT_THROW(ParamSet({{"engine", texts({"x", "y", "z"}), {}, by_board}, {"board", texts({"a"}), {}}}), ConfigError)
      << "preferences look at earlier parameters";
}

TEST(GenesJson, RestrictionShrinksDomainsAndKeepsNamesAndPositions) {
  const ParamSet set = example();
  const ParamSet small = set.restricted(json::parse(
      R"({"cnn.width": {"min": 10, "max": 32}, "vit.depth": [6, 2, 4], "ratio": 1, "rate": {"max": 0.1}})"));
  ASSERT_EQ(small.size(), set.size());
  EXPECT_EQ(small.params()[1].domain, Domain(IntegerRange{16, 32, 8}));
  EXPECT_EQ(small.params()[2].domain, Domain(Choices{{std::int64_t{2}, std::int64_t{4}, std::int64_t{6}}}));
  EXPECT_EQ(small.params()[3].active_when, (Condition{"vit.depth", {1, 2}})) << "depths 4 to 6 kept 4 and 6";
  EXPECT_EQ(small.params()[4].domain, Domain(Choices{{1.0}}));
  EXPECT_EQ(small.params()[5].domain, Domain(RealRange{0.001, 0.1, true}));
}

TEST(GenesJson, AParameterWhoseConditionCanNoLongerHoldStaysInactive) {
  const ParamSet set = example();
  const ParamSet cnn = set.restricted({{"family", "cnn"}, {"rate", 0.5}});
  EXPECT_EQ(cnn.count(), 5 * 3);
  RngStream rng(1, Purpose::test, 0);
  for (int trial = 0; trial < 50; ++trial) {
    const Genome genome = cnn.sample(rng);
    EXPECT_FALSE(cnn.active(2, genome));
    EXPECT_FALSE(cnn.active(3, genome));
    EXPECT_EQ(set.text(cnn.translate(genome, set), "family"), "cnn");
  }
  const ParamSet shallow = set.restricted({{"vit.depth", {{"max", 3}}}});
  EXPECT_TRUE(shallow.params()[3].active_when.values.empty());
}

/// Oracle: the points of a restricted space are those of the whole space whose values the restriction allows.
TEST(GenesJson, RestrictedSpacesHoldExactlyTheAllowedPoints) {
  for (std::uint64_t space = 0; space < 120; ++space) {
    const std::vector<Param> params = random_params(space, 5, false);
    const ParamSet set(params);
    RngStream rng(2, Purpose::test, space);
    json restriction = json::object();
    std::vector<std::set<std::string>> allowed(params.size());
    for (std::size_t i = 0; i < params.size(); ++i) {
      const std::int64_t values = testing::domain_size(params[i].domain);
      json list = json::array();
      for (std::int64_t v = 0; v < values; ++v) {
        Genome genome{std::vector<double>(params.size(), 0.0)};
        genome.genes[i] = static_cast<double>(v);
        const GeneValue meaning = set.value(i, genome);
        const json value = std::visit([](const auto& x) { return json(x); }, meaning);
        if (rng.below(2) == 0 || (v + 1 == values && list.empty())) {
          list.push_back(value);
          allowed[i].insert(value.dump());
        }
      }
      if (rng.below(3) != 0) {
        restriction[params[i].name] = list.size() == 1 && rng.below(2) == 0 ? list[0] : list;
      } else {
        allowed[i].clear();
      }
    }
    const ParamSet small = set.restricted(restriction);
    std::set<std::vector<double>> expected;
    for (const Genome& genome : set.enumerate(100000)) {
      bool inside = true;
      for (std::size_t i = 0; i < params.size(); ++i) {
        if (set.active(i, genome) && restriction.contains(params[i].name)) {
          const json value = std::visit([](const auto& x) { return json(x); }, set.value(i, genome));
          inside = inside && allowed[i].contains(value.dump());
        }
      }
      if (inside) {
        expected.insert(genome.genes);
      }
    }
    std::set<std::vector<double>> translated;
    for (const Genome& genome : small.enumerate(100000)) {
      const Genome whole = small.translate(genome, set);
      EXPECT_TRUE(set.legal(whole));
      EXPECT_EQ(small.to_json(genome), set.to_json(whole));
      EXPECT_EQ(set.translate(whole, small), genome);
      translated.insert(whole.genes);
    }
    EXPECT_EQ(translated, expected) << "space " << space << " restricted by " << restriction.dump();
    EXPECT_EQ(small.count(), static_cast<std::int64_t>(expected.size()));
  }
}

TEST(GenesJson, TranslationFindsPrefixedParameters) {
  const ParamSet part({{"board", Choices{{std::string("f746"), std::string("h743")}}, {}},
                       {"clock", IntegerRange{100, 400, 100}, {"board", {1}}}});
  std::vector<Param> joined{{"depth", IntegerRange{1, 3, 1}, {}}};
  for (const Param& param : prefixed(part.params(), "hw.")) {
    joined.push_back(param);
  }
  const ParamSet all = ParamSet(joined).restricted({{"hw.board", "h743"}});
  const Genome genome = all.from_json({{"depth", 2}, {"hw.clock", 300}});
  EXPECT_EQ(all.translate(genome, part, "hw."), (Genome{{1, 2}}));
}

TEST(GenesJson, RestrictingByListedRealsMakesThemChoices) {
  const ParamSet set = example();
  const ParamSet listed = set.restricted({{"rate", {0.5, 0.01}}});
  EXPECT_EQ(listed.params()[5].domain, Domain(Choices{{0.01, 0.5}}));
  ASSERT_TRUE(listed.count().has_value());
  const Genome genome = listed.from_json({{"rate", 0.5}});
  EXPECT_EQ(set.real(listed.translate(genome, set), "rate"), 0.5);
}

struct BadGenes {
  std::string genes;
  std::string place;
  std::string message;
};

void expect_error(const BadGenes& bad, const std::function<void(const json&)>& read) {
  try {
    read(json::parse(bad.genes));
    ADD_FAILURE() << bad.genes << " was accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.place(), bad.place) << bad.genes;
    EXPECT_NE(error.message().find(bad.message), std::string::npos) << bad.genes << ": " << error.what();
  }
}

TEST(GenesJson, RefusesBadRestrictionsSayingWhatIsAllowed) {
  const ParamSet set = example();
  const std::vector<BadGenes> cases{
      {R"([1])", "", "expected an object"},
      {R"({"vit.dept": 4})", "/vit.dept", "did you mean \"vit.depth\""},
      {R"({"vit.depth": 7})", "/vit.depth", "7 is not allowed; allowed: 1 to 6 in steps of 1"},
      {R"({"vit.depth": "4"})", "/vit.depth", "\"4\" is not allowed"},
      {R"({"vit.depth": 2.5})", "/vit.depth", "2.5 is not allowed"},
      {R"({"vit.depth": true})", "/vit.depth", "true is not allowed"},
      {R"({"vit.depth": null})", "/vit.depth", "null is not allowed"},
      {R"({"vit.depth": 18446744073709551615})", "/vit.depth", "is not allowed"},
      {R"({"cnn.width": [8, 12]})", "/cnn.width/1", "12 is not allowed; allowed: 8 to 40 in steps of 8"},
      {R"({"vit.depth": []})", "/vit.depth", "empty list"},
      {R"({"vit.depth": [1, 1]})", "/vit.depth/1", "listed twice"},
      {R"({"vit.depth": [[1]]})", "/vit.depth/0", "[1] is not allowed"},
      {R"({"family": "mlp"})", "/family", "\"mlp\" is not allowed; allowed: \"cnn\", \"vit\""},
      {R"({"family": 0})", "/family", "0 is not allowed"},
      {R"({"family": {"min": 0}})", "/family", "no order"},
      {R"({"vit.depth": {}})", "/vit.depth", "restricts nothing"},
      {R"({"vit.depth": {"mn": 2}})", "/vit.depth/mn", "did you mean \"min\""},
      {R"({"vit.depth": {"min": 0}})", "/vit.depth/min", "0 is not allowed"},
      {R"({"vit.depth": {"max": "3"}})", "/vit.depth/max", "is not allowed"},
      {R"({"vit.depth": {"min": 4, "max": 3}})", "/vit.depth", "above"},
      {R"({"cnn.width": {"min": 9, "max": 15}})", "/cnn.width", "no value lies between"},
      {R"({"ratio": {"min": 0.6, "max": 0.9}})", "/ratio", "no value lies between"},
      {R"({"rate": 2})", "/rate", "2 is not allowed; allowed: 0.001 to 1"},
  };
  for (const BadGenes& bad : cases) {
    expect_error(bad, [&](const json& genes) { static_cast<void>(set.restricted(genes)); });
  }
}

TEST(GenesJson, RefusesBadDesignsSayingWhatIsAllowed) {
  const ParamSet set = example();
  const std::vector<BadGenes> cases{
      {R"("cnn")", "", "expected an object"},
      {R"({"famly": "cnn"})", "/famly", "did you mean \"family\""},
      {R"({"family": "mlp"})", "/family", "allowed: \"cnn\", \"vit\""},
      {R"({"family": ["cnn"]})", "/family", "is not allowed"},
      {R"({"vit.depth": 4})", "/vit.depth", "no meaning when \"family\" is \"cnn\""},
      {R"({"family": "vit", "vit.heads": 2})", "/vit.heads", "no meaning when \"vit.depth\" is 1"},
      {R"({"vit.heads": 2})", "/vit.heads", "because \"vit.depth\" has none"},
      {R"({"rate": 0})", "/rate", "0 is not allowed; allowed: 0.001 to 1"},
  };
  for (const BadGenes& bad : cases) {
    expect_error(bad, [&](const json& genes) { static_cast<void>(set.from_json(genes)); });
  }
}

}  // namespace
}  // namespace cosearch
