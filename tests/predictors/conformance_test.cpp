// What every predictor of the registry promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "predictors/predictor.hpp"
#include "predictors/rank.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct Data {
  std::vector<Row> rows;
  std::vector<double> targets;
};

Data random_data(std::uint64_t index, std::size_t rows, std::size_t features) {
  RngStream rng(4, Purpose::test, index);
  Data data;
  for (std::size_t i = 0; i < rows; ++i) {
    Row row;
    double target = 0.0;
    for (std::size_t j = 0; j < features; ++j) {
      row.push_back(static_cast<double>(rng.below(4)));
      target += row.back() / (1.0 + static_cast<double>(j));
    }
    data.rows.push_back(row);
    data.targets.push_back(target + 0.1 * rng.normal());
  }
  return data;
}

class EveryPredictor : public ::testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] static std::unique_ptr<Predictor> make() { return make_predictor(GetParam(), json::object()); }

  static std::vector<Prediction> predictions(const Data& table, const std::vector<Row>& rows) {
    const auto predictor = make();
    predictor->fit(table.rows, table.targets);
    std::vector<Prediction> result;
    for (const Row& row : rows) {
      result.push_back(predictor->predict(row));
      EXPECT_TRUE(std::isfinite(result.back().mean));
      EXPECT_TRUE(std::isfinite(result.back().std_dev));
      EXPECT_GE(result.back().std_dev, 0.0);
    }
    return result;
  }
};

TEST_P(EveryPredictor, GivesEqualPredictionsForEqualTables) {
  const Data table = random_data(0, 50, 6);
  const Data fresh = random_data(1, 50, 6);
  const auto first = predictions(table, fresh.rows);
  const auto second = predictions(table, fresh.rows);
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].mean, second[i].mean);
    EXPECT_EQ(first[i].std_dev, second[i].std_dev);
  }
}

TEST_P(EveryPredictor, ForgetsTheTableBefore) {
  const Data before = random_data(2, 30, 9);
  const Data table = random_data(3, 20, 4);
  const auto predictor = make();
  predictor->fit(before.rows, before.targets);
  predictor->fit(table.rows, table.targets);
  const auto fresh = predictions(table, table.rows);
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    EXPECT_EQ(predictor->predict(table.rows[i]).mean, fresh[i].mean);
    EXPECT_EQ(predictor->predict(table.rows[i]).std_dev, fresh[i].std_dev);
  }
}

TEST_P(EveryPredictor, OrdersUnseenRowsOfALearnableTable) {
  const Data table = random_data(4, 200, 5);
  const Data fresh = random_data(5, 200, 5);
  std::vector<double> means;
  for (const Prediction& prediction : predictions(table, fresh.rows)) {
    means.push_back(prediction.mean);
  }
  EXPECT_GT(spearman(means, fresh.targets), 0.9);
}

TEST_P(EveryPredictor, OneRowPredictsItsTarget) {
  const Data table{{{1.0, 2.0}}, {-3.5}};
  for (const Prediction& prediction : predictions(table, {{1.0, 2.0}, {100.0, -7.0}})) {
    EXPECT_DOUBLE_EQ(prediction.mean, -3.5);
    EXPECT_DOUBLE_EQ(prediction.std_dev, 3.5);
  }
}

TEST_P(EveryPredictor, TwoRowsAndRowsWithoutFeaturesWork) {
  predictions({{{0.0}, {1.0}}, {1.0, 2.0}}, {{0.0}, {0.5}, {9.0}});
  const auto featureless = predictions({{{}, {}, {}}, {1.0, 2.0, 6.0}}, {{}});
  EXPECT_DOUBLE_EQ(featureless[0].mean, 3.0);
  EXPECT_GT(featureless[0].std_dev, 0.0);
}

TEST_P(EveryPredictor, ConstantTargetsAreCertain) {
  Data table = random_data(6, 30, 4);
  std::fill(table.targets.begin(), table.targets.end(), 0.25);
  for (const Prediction& prediction : predictions(table, random_data(7, 20, 4).rows)) {
    EXPECT_NEAR(prediction.mean, 0.25, 1e-12);
    EXPECT_NEAR(prediction.std_dev, 0.0, 1e-12);
  }
}

TEST_P(EveryPredictor, ConstantColumnsAndEqualRowsWork) {
  Data table = random_data(8, 30, 4);
  for (Row& row : table.rows) {
    row = {3.0, 3.0, 3.0, 3.0};
  }
  const double mean = std::accumulate(table.targets.begin(), table.targets.end(), 0.0) / 30.0;
  const double low = *std::min_element(table.targets.begin(), table.targets.end());
  const double high = *std::max_element(table.targets.begin(), table.targets.end());
  for (const Prediction& prediction : predictions(table, {{3.0, 3.0, 3.0, 3.0}, {4.0, 3.0, 3.0, 3.0}})) {
    EXPECT_GE(prediction.mean, low);
    EXPECT_LE(prediction.mean, high);
    EXPECT_NEAR(prediction.mean, mean, high - low);
    EXPECT_GT(prediction.std_dev, 0.0);
  }
}

TEST_P(EveryPredictor, MoreFeaturesThanRowsWork) {
  const Data table = random_data(9, 8, 40);
  const Data fresh = random_data(10, 30, 40);
  for (const Prediction& prediction : predictions(table, fresh.rows)) {
    EXPECT_GT(prediction.std_dev, 0.0);
  }
}

TEST_P(EveryPredictor, FeatureUnitsDoNotMatter) {
  const Data table = random_data(11, 40, 3);
  const Data fresh = random_data(12, 20, 3);
  const auto scaled = [](Data data) {
    for (Row& row : data.rows) {
      row[1] = 1e7 * row[1] + 5e6;
    }
    return data;
  };
  const auto plain = predictions(table, fresh.rows);
  const auto other = predictions(scaled(table), scaled(fresh).rows);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(plain[i].mean, other[i].mean, 1e-7);
  }
}

TEST_P(EveryPredictor, BadOptionsNameTheKey) {
  EXPECT_THROW(static_cast<void>(make_predictor(GetParam(), json::array({1}))), ConfigError);
  EXPECT_NO_THROW(static_cast<void>(make_predictor(GetParam(), json())));
  try {
    static_cast<void>(make_predictor(GetParam(), {{"no_such_option", 1}}));
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.place(), "/no_such_option");
    EXPECT_THAT(error.message(), HasSubstr("known:"));
  }
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const PredictorEntry& entry : predictor_registry()) {
    names.emplace_back(entry.name);
  }
  return names;
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryPredictor, ::testing::ValuesIn(all_names()),
                         [](const auto& parameter) { return parameter.param; });

TEST(PredictorRegistry, IsSortedAndDescribed) {
  const auto entries = predictor_registry();
  EXPECT_GE(entries.size(), 2U);
  EXPECT_TRUE(std::is_sorted(entries.begin(), entries.end(),
                             [](const PredictorEntry& a, const PredictorEntry& b) { return a.name < b.name; }));
  for (const PredictorEntry& entry : entries) {
    EXPECT_FALSE(entry.summary.empty());
  }
}

TEST(PredictorRegistry, BadNamesAndValuesSayWhatIsAllowed) {
  struct Case {
    std::string name;
    json options;
    std::string place;
    std::string message;
  };
  const std::vector<Case> cases{
      {"rigde", json::object(), "/predictor", "known: knn, ridge; did you mean \"ridge\"?"},
      {"ridge", {{"lamda", 1}}, "/lamda", "did you mean \"lambda\"?"},
      {"ridge", {{"lambda", 0}}, "/lambda", "expected a number from 1e-09 to 1000000000, read 0"},
      {"ridge", {{"lambda", -1.5}}, "/lambda", "read -1.5"},
      {"ridge", {{"lambda", "small"}}, "/lambda", "read \"small\""},
      {"ridge", {{"lambda", nullptr}}, "/lambda", "read null"},
      {"knn", {{"k", 0}}, "/k", "expected an integer from 1 to 1000000, read 0"},
      {"knn", {{"k", 2.5}}, "/k", "read 2.5"},
      {"knn", {{"k", 18446744073709551615ULL}}, "/k", "read 18446744073709551615"},
  };
  for (const Case& bad : cases) {
    try {
      static_cast<void>(make_predictor(bad.name, bad.options));
      ADD_FAILURE() << bad.options << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.place(), bad.place);
      EXPECT_THAT(error.message(), HasSubstr(bad.message));
    }
  }
}

TEST(PredictorDeathTest, MisuseAborts) {
  for (const PredictorEntry& entry : predictor_registry()) {
    const auto predictor = entry.make(json());
    EXPECT_DEATH(static_cast<void>(predictor->predict({1.0})), "fit comes before predict") << entry.name;
    EXPECT_DEATH(predictor->fit(std::vector<Row>{{1.0}}, std::vector<double>{}), "one target per row");
    EXPECT_DEATH(predictor->fit(std::vector<Row>{{1.0}, {1.0, 2.0}}, std::vector<double>{1.0, 2.0}), "one length");
    EXPECT_DEATH(predictor->fit(std::vector<Row>{{NAN}}, std::vector<double>{1.0}), "features are finite");
  }
}

}  // namespace
}  // namespace cosearch
