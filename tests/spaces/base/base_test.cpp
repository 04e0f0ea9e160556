#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "spaces/base/config_error.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/base/metrics.hpp"
#include "spaces/base/quantity.hpp"
#include "spaces/base/registry.hpp"

namespace cosearch {
namespace {

TEST(Expected, HoldsAValueOrAnErrorAndAbortsOnTheWrongOne) {
  const Expected<int, std::string> good = 3;
  const Expected<int, std::string> bad = Unexpected{std::string("no")};
  EXPECT_TRUE(good.has_value());
  EXPECT_EQ(*good, 3);
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.error(), "no");
  EXPECT_DEATH((void)bad.value(), "check failed.*no value");
}

TEST(ConfigError, IsOneLineWithFilePlaceAndMessage) {
  const ConfigError error("/search/population", "read \"a\nb\"; allowed: 2..1000", "c.json");
  EXPECT_STREQ(error.what(), "c.json: /search/population: read \"a b\"; allowed: 2..1000");
  EXPECT_STREQ(ConfigError("", "empty").what(), "empty");
  EXPECT_STREQ(ConfigError("/b", "m").below("/a").in_file("f").what(), "f: /a/b: m");
}

TEST(ConfigError, UnknownNamesGetTheListAndTheNearestOne) {
  EXPECT_EQ(unknown_name("nsga3", {"nsga2", "random"}),
            "\"nsga3\" is not known; known: nsga2, random; did you mean \"nsga2\"?");
  EXPECT_EQ(unknown_name("bayesian", {"nsga2", "random"}), "\"bayesian\" is not known; known: nsga2, random");
  EXPECT_EQ(unknown_name("population", {}), "\"population\" is not known; known: none");
}

TEST(Registry, FindsEntriesByNameAndRefusesOthers) {
  struct Entry {
    std::string_view name;
    int number;
  };
  constexpr std::array kEntries{Entry{"nsga2", 1}, Entry{"random", 2}};
  EXPECT_EQ(entry_named(kEntries, "random", "/search/algorithm").number, 2);
  try {
    static_cast<void>(entry_named(kEntries, "nsga3", "/search/algorithm"));
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "/search/algorithm: \"nsga3\" is not known; known: nsga2, random; did you mean \"nsga2\"?");
  }
}

TEST(Hasher, SeparatesFieldsAndKeepsItsValues) {
  EXPECT_NE(Hasher{}.add(std::string_view("ab")).add(std::string_view("c")).value(),
            Hasher{}.add(std::string_view("a")).add(std::string_view("bc")).value());
  EXPECT_EQ(Hasher{}.add(0.0).value(), Hasher{}.add(-0.0).value());
  EXPECT_NE(Hasher{}.add(1.0).value(), Hasher{}.add(std::nextafter(1.0, 2.0)).value());
  EXPECT_EQ(Hasher{}.add("ab").value(), Hasher{}.add(std::string_view("ab")).value());  // not as a bool
  // Stored hashes must stay: pinned.
  EXPECT_EQ(hex(Hasher{}.add(std::string_view("cosearch")).add(42).value()), "5552024cf17ef2a0");
}

TEST(Hasher, HasNoCollisionsAmongSmallIntegersAndTheirBitsAreBalanced) {
  std::set<std::uint64_t> seen;
  std::array<int, 64> ones{};
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) {
    const std::uint64_t hash = Hasher{}.add(i).value();
    seen.insert(hash);
    for (unsigned bit = 0; bit < 64; ++bit) {
      ones[bit] += static_cast<int>((hash >> bit) & 1U);
    }
  }
  EXPECT_EQ(seen.size(), kCount);
  for (const int count : ones) {
    EXPECT_NEAR(count, kCount / 2, 5 * std::sqrt(kCount / 4.0));  // five standard deviations
  }
}

TEST(Violation, AmountIsRelativeToTheLimit) {
  EXPECT_DOUBLE_EQ((Violation{"sram_bytes", 150, 100}.amount()), 0.5);
  EXPECT_DOUBLE_EQ((Violation{"accuracy", 0.6, 0.8}.amount()), 0.25);
  EXPECT_DOUBLE_EQ((Violation{"error", 0.5, 0.0}.amount()), 0.5);
}

TEST(Metrics, AreSortedAndFound) {
  const auto metrics = metric_registry();
  for (std::size_t i = 1; i < metrics.size(); ++i) {
    EXPECT_LT(metrics[i - 1].name, metrics[i].name);
  }
  for (const MetricInfo& metric : metrics) {
    ASSERT_TRUE(find_metric(metric.name).has_value()) << metric.name;
    EXPECT_EQ(find_metric(metric.name)->meaning, metric.meaning);
  }
  EXPECT_FALSE(find_metric("latency").has_value());
}

TEST(Metrics, ThoseOfOneOfSeveralNetworksAreFoundAsWhatTheyAre) {
  EXPECT_EQ(network_metric("accuracy", "digits"), "accuracy_digits");
  EXPECT_EQ(network_metric("accuracy", ""), "accuracy");
  EXPECT_EQ(find_metric("accuracy_digits")->name, "accuracy");
  EXPECT_EQ(find_metric("test_accuracy_a1")->name, "test_accuracy");
  EXPECT_EQ(find_metric("train_loss_a_b")->direction, Direction::minimize);
  for (const char* name : {"accuracy_", "accuracy_A", "accuracy_1", "accuracy_a\"b", "accuracydigits", "macs_digits"}) {
    EXPECT_FALSE(find_metric(name).has_value()) << name;
  }
}

TEST(Quantity, CyclesBecomeTimeOnlyThroughAClock) {
  const Seconds time = duration(Cycles{480e6}, Hertz{240e6});
  EXPECT_DOUBLE_EQ(time.value, 2.0);
  EXPECT_DOUBLE_EQ(energy(Watts{0.5}, time).value, 1.0);
  static_assert(!std::is_convertible_v<Cycles, Seconds>);
}

}  // namespace
}  // namespace cosearch
