#include "hwmodels/attention/binding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "spaces/cascade/library.hpp"
#include "tests/hwmodels/attention/designs_of_tests.hpp"

namespace cosearch::attention {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::profile_of;
using testing::published_designs;

/// Works of tiles on the array, the rest on the lanes: FuseMax's.
std::vector<bool> tiles_on_array(const Profile& profile) {
  std::vector<bool> on_array;
  for (const Work& work : profile.works) {
    on_array.push_back(work.product || work.extent == Extent::tile);
  }
  return on_array;
}

struct OnePass {
  Profile profile = profile_of("attention_one_pass", 4, 4);
  std::vector<bool> on_array = tiles_on_array(profile);

  [[nodiscard]] Binding parse(const std::string& text) const {
    Expected<Binding, std::string> binding = parse_binding(text, profile, on_array);
    EXPECT_TRUE(binding.has_value()) << text << ": " << (binding ? "" : binding.error());
    return *std::move(binding);
  }
  [[nodiscard]] std::string reason(const std::string& text) const {
    const Expected<Binding, std::string> binding = parse_binding(text, profile, on_array);
    return binding ? "" : binding.error();
  }
  [[nodiscard]] int lag(const Binding& binding, const char* work) const {
    return binding.lag[static_cast<std::size_t>(profile.find_work(work))];
  }
};

const char* const kInterleaved = "qk lm | rd rnv av ; | rm ; sln sld | prm spd ; slnv | spnv";

/// Every work once on its array; walked slot by slot over a few tiles, no work comes before what it reads: of its own
/// array an earlier one, of the other one of an earlier slot. The first reason otherwise.
std::string illegal(const Binding& binding, const Profile& profile, const std::vector<bool>& on_array) {
  constexpr int kTiles = 12;
  std::set<std::pair<int, int>> visible;  // work, tile
  std::vector<int> uses(profile.works.size(), 0);
  const int rounds = kTiles + *std::max_element(binding.lag.begin(), binding.lag.end());
  for (int round = 0; round < rounds; ++round) {
    for (const Slot& slot : binding.slots) {
      std::set<std::pair<int, int>> done;
      for (const bool array : {true, false}) {
        std::set<std::pair<int, int>> own;
        for (const int work : array ? slot.array : slot.lanes) {
          const auto number = static_cast<std::size_t>(work);
          const int tile = round - binding.lag[number];
          uses[number] += round == 0 ? 1 : 0;
          if (on_array[number] != array) {
            return profile.works[number].name + " is on the wrong array";
          }
          for (const Dependence& edge : profile.dependences) {
            const std::pair needed{edge.before, tile - edge.distance};
            if (edge.after == work && needed.second >= 0 && tile < kTiles && !visible.contains(needed) &&
                !own.contains(needed)) {
              return profile.works[number].name + " reads what is not there";
            }
          }
          own.insert({work, tile});
        }
        done.insert(own.begin(), own.end());
      }
      visible.insert(done.begin(), done.end());
    }
  }
  return std::all_of(uses.begin(), uses.end(), [](int count) { return count == 1; }) ? "" : "a work is not there once";
}

TEST(Binding, TextsWithMistakesAreRefusedByReason) {
  const OnePass one;
  EXPECT_THAT(one.reason("qk softmax"), HasSubstr("\"softmax\", which is none of attention_one_pass's einsums"));
  EXPECT_THAT(one.reason("qk lm | rd rnv av ; | rm ; sln sld | prm spd ; slnv"), HasSubstr("spnv 0 times"));
  EXPECT_THAT(one.reason(std::string(kInterleaved) + " rd"), HasSubstr("rd 2 times, allowed: once"));
  EXPECT_THAT(one.reason("rm qk"), HasSubstr("rm on the array, this design computes it on the lanes"));
  EXPECT_THAT(one.reason("| qk"), HasSubstr("qk on the lanes, this design computes it on the array"));
  EXPECT_THAT(one.reason(""), HasSubstr("0 times"));
}

TEST(Binding, RecurrencesThatTakeLongerThanATileAreRefused) {
  // Maximum by maximum: the running one goes to the array and back in the step.
  Profile profile = profile_of("attention_one_pass", 4, 4);
  const int sln = profile.find_work("sln");
  const int rm = profile.find_work("rm");
  profile.dependences.push_back({sln, rm, 1});
  const std::vector<bool> on_array = tiles_on_array(profile);
  for (const auto& binding : {interleaved_binding(profile, on_array), parse_binding(kInterleaved, profile, on_array)}) {
    if (!binding) {
      EXPECT_THAT(binding.error(), HasSubstr("no lags satisfy the dependences"));
    }
  }
  EXPECT_FALSE(interleaved_binding(profile, on_array).has_value());
  EXPECT_TRUE(parse_binding(kInterleaved, profile, on_array).has_value());  // rm and sln have slots of their own
  EXPECT_EQ(illegal(sequential_binding(profile, on_array), profile, on_array), "");
}

TEST(Binding, TheTextOfABindingGivesItAgain) {
  const OnePass one;
  std::vector<std::string> texts{kInterleaved};
  for (const auto& [name, text] : published_designs().bindings) {
    texts.push_back(text);
  }
  for (const std::string& text : texts) {
    EXPECT_EQ(to_text(one.parse(text), one.profile), text);
  }
  for (const Binding& binding :
       {sequential_binding(one.profile, one.on_array), *pipelined_binding(one.profile, one.on_array),
        *interleaved_binding(one.profile, one.on_array)}) {
    const Binding again = one.parse(to_text(binding, one.profile));
    EXPECT_EQ(to_text(again, one.profile), to_text(binding, one.profile)) << binding.name;
    EXPECT_EQ(again.lag, binding.lag) << binding.name;
    for (std::size_t slot = 0; slot < binding.slots.size(); ++slot) {
      EXPECT_EQ(again.slots[slot].drains, binding.slots[slot].drains) << binding.name;
    }
  }
}

TEST(Binding, LagsAreTheTilesThatOperandsTake) {
  const OnePass one;
  const Binding published = one.parse(kInterleaved);
  for (const char* work : {"qk", "lm", "rm", "sln", "sld", "slnv", "prm", "spd", "spnv"}) {
    EXPECT_EQ(one.lag(published, work), 0) << work;
  }
  for (const char* work : {"rd", "rnv", "av"}) {  // in the first slot, of sums of the last
    EXPECT_EQ(one.lag(published, work), 1) << work;
  }
  // In one slot each way from one array to the other is a tile.
  const Binding interleaved = *interleaved_binding(one.profile, one.on_array);
  EXPECT_EQ(one.lag(interleaved, "qk"), 0);
  EXPECT_EQ(one.lag(interleaved, "rm"), 1);
  EXPECT_EQ(one.lag(interleaved, "sln"), 2);
  EXPECT_EQ(one.lag(interleaved, "slnv"), 2);
  EXPECT_EQ(one.lag(interleaved, "rnv"), 3);
}

TEST(Binding, TilesInFlightReachFromAWorkToItsLastReader) {
  const OnePass one;
  const auto in_flight = [&](const Binding& binding, const char* work) {
    return tiles_in_flight(binding, one.profile, one.profile.find_work(work));
  };
  const Binding interleaved = *interleaved_binding(one.profile, one.on_array);
  EXPECT_EQ(in_flight(interleaved, "qk"), 3);
  EXPECT_EQ(in_flight(interleaved, "sln"), 1);
  EXPECT_EQ(in_flight(one.parse(kInterleaved), "qk"), 1);
  EXPECT_EQ(in_flight(one.parse(kInterleaved), "slnv"), 1);
  EXPECT_EQ(in_flight(sequential_binding(one.profile, one.on_array), "qk"), 1);
}

TEST(Binding, SumsDownTheColumnsDrainWhereSomethingWaitsForThem) {
  const OnePass one;
  const Binding pipelined = *pipelined_binding(one.profile, one.on_array);
  std::vector<std::string> drains;
  for (const Slot& slot : pipelined.slots) {
    for (const int work : slot.drains) {
      drains.push_back(one.profile.works[static_cast<std::size_t>(work)].name);
    }
  }
  EXPECT_THAT(drains, ElementsAre("lm", "sld"));
}

TEST(Binding, EveryGeneratedBindingIsLegal) {
  for (const cascade::CascadeEntry& entry : cascade::cascade_registry()) {
    const Expected<Profile, std::string> profile = make_profile(cascade::cascade(std::string(entry.name)));
    if (!profile) {
      continue;
    }
    std::vector<std::vector<bool>> placements{tiles_on_array(*profile),
                                              std::vector<bool>(profile->works.size(), false)};
    std::vector<bool> products;
    for (const Work& work : profile->works) {
      products.push_back(work.product);
    }
    placements.push_back(products);
    for (const std::vector<bool>& on_array : placements) {
      EXPECT_EQ(illegal(sequential_binding(*profile, on_array), *profile, on_array), "") << entry.name;
      for (const auto& binding : {pipelined_binding(*profile, on_array), interleaved_binding(*profile, on_array)}) {
        if (!binding) {  // its sum goes from the lanes to the array and back in every step
          EXPECT_EQ(entry.name, "softmax_two_pass") << binding.error();
          continue;
        }
        EXPECT_EQ(illegal(*binding, *profile, on_array), "") << entry.name << " " << binding->name;
      }
    }
  }
  const OnePass one;
  for (const auto& [name, text] : published_designs().bindings) {
    EXPECT_EQ(illegal(one.parse(text), one.profile, one.on_array), "") << name;
  }
}

TEST(Binding, TheCheckOfLegalityFindsMissingLags) {
  const OnePass one;
  Binding rash = *interleaved_binding(one.profile, one.on_array);
  std::fill(rash.lag.begin(), rash.lag.end(), 0);
  EXPECT_NE(illegal(rash, one.profile, one.on_array), "");
}

}  // namespace
}  // namespace cosearch::attention
