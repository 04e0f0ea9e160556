#include "experiments/calibrate/pooling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

#include "experiments/calibrate/terms.hpp"
#include "hwmodels/data_files.hpp"
#include "spaces/program/program.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::calibrate {
namespace {

const PublishedLatencies& published() {
  static const PublishedLatencies table = load_published("");
  return table;
}

const Pooling& pooling() {
  static const Pooling all = pool(published(), "");
  return all;
}

// published: the shipped table is that of tests/data, its features are those of our own programs under every engine.
TEST(Pooling, TheShippedTableIsThePublishedOne) {
  const testing::Table table = testing::read_table("mcu_published.csv");
  ASSERT_EQ(published().rows.size(), table.rows.size());
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const auto same = [&](const PublishedLatency& row) {
      return row.board == table.cell(i, "board") && row.engine == table.cell(i, "engine") &&
             row.generation == table.cell(i, "generation") && row.network == table.cell(i, "network") &&
             row.measured_ms == table.number(i, "latency_ms") && row.clock_mhz == table.number(i, "clock_mhz");
    };
    EXPECT_EQ(std::count_if(published().rows.begin(), published().rows.end(), same), 1) << i;
  }
  for (const auto& [name, features] : published().networks) {
    for (const program::LoweringOptions& rules :
         {program::tinyengine_options(), program::cmsis_nn_options(), program::tflm_reference_options()}) {
      std::map<std::string, double> counted =
          mcu::features(*program::lower_program(testing::reference_network(name), rules));
      std::erase_if(counted, [](const auto& item) {  // latencies tell nothing about the quantities of our own kernels
        const bool told =
            item.first.ends_with(".macs") || item.first.ends_with(".outputs") || item.first.ends_with(".elements");
        return item.second == 0.0 || !told;
      });
      EXPECT_EQ(counted, features) << name;
    }
  }
}

// published: each network predicted on all boards and engines by what was fitted, and chosen, without its rows.
TEST(Pooling, PredictsNetworksThatItHasNotSeenBetterThanMacsDo) {
  for (const PooledPrediction& row : pooling().rows) {
    const auto error = [&](const std::optional<double>& predicted) {
      return predicted ? 100.0 * (*predicted / row.row.measured_ms - 1.0) : 0.0;
    };
    std::printf("%-8s %-20s %-22s %9.3f ms, %+6.1f %%, by macs %+6.1f %%\n", row.row.board.c_str(),
                row.row.engine_generation().c_str(), row.row.network.c_str(), row.row.measured_ms,
                error(row.network_left_out_ms), error(row.macs_only_ms));
  }
  const Quality ours =
      quality_of(pooling().rows, &PooledPrediction::network_left_out_ms, &PooledPrediction::macs_only_ms);
  const Quality macs =
      quality_of(pooling().rows, &PooledPrediction::macs_only_ms, &PooledPrediction::network_left_out_ms);
  const Quality pairs =
      quality_of(pooling().rows, &PooledPrediction::pair_left_out_ms, &PooledPrediction::pair_left_out_ms);
  std::printf("%s: median error %.1f %%, worst %.1f %%; by macs %.1f %%, %.1f %%; pairs left out %.1f %%, %.1f %%\n",
              pooling().name.c_str(), 100.0 * ours.median_error, 100.0 * ours.worst_error, 100.0 * macs.median_error,
              100.0 * macs.worst_error, 100.0 * pairs.median_error, 100.0 * pairs.worst_error);
  EXPECT_LE(ours.median_error, 0.12);
  EXPECT_LT(ours.median_error, macs.median_error);
  EXPECT_GT(ours.kendall, macs.kendall);
  EXPECT_LE(pairs.median_error, 0.15);
  const auto predicted = std::count_if(pooling().rows.begin(), pooling().rows.end(),
                                       [](const PooledPrediction& row) { return row.network_left_out_ms.has_value(); });
  EXPECT_EQ(predicted, 116) << "all but the two pairs with one row";
}

/// By hand: pool a table without the network, multiply its rates out.
TEST(Pooling, WhatIsLeftOutIsNotInTheFit) {
  const std::string network = "ds_cnn";
  PublishedLatencies others = published();
  std::erase_if(others.rows, [&](const PublishedLatency& row) { return row.network == network; });
  const Pooling without = pool(others, "");
  const auto feature = [&](const std::string& name) {
    const auto& features = published().networks.at(network);
    return features.count(name) == 1 ? features.at(name) : 0.0;
  };
  double assumed = 0.0;
  for (const auto& [kind, rates] : mcu::kernel_cycles({}, "cortex_m4", "")) {
    const std::string name(program::kind_name(kind));
    assumed += rates.per_output * feature(name + ".outputs") + rates.per_element * feature(name + ".elements");
  }
  std::vector<double> features;
  for (const mcu::Term& term : without.terms) {
    features.push_back(0.0);
    for (const auto& [name, weight] : term.features) {
      features.back() += weight * feature(name);
    }
  }
  const auto position = [](const std::vector<std::string>& names, const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const double cycles =
      assumed + without.fit.predict(position(without.boards, "l4r5"), position(without.engines, "bosch"), features);
  int found = 0;
  for (const PooledPrediction& row : pooling().rows) {
    if (row.row.board == "l4r5" && row.row.engine == "bosch" && row.row.network == network) {
      EXPECT_NEAR(row.network_left_out_ms.value(), cycles / 120e3, 1e-6 * cycles / 120e3);
      ++found;
    }
  }
  EXPECT_EQ(found, 1);
}

void expect_near(const nlohmann::json& a, const nlohmann::json& b, const std::string& place) {
  ASSERT_EQ(a.size(), b.size()) << place;
  if (a.is_number()) {
    EXPECT_NEAR(a.get<double>(), b.get<double>(), 1e-4 * std::abs(b.get<double>()) + 2e-5) << place;
  } else if (a.is_structured()) {
    for (const auto& [key, value] : a.items()) {
      ASSERT_TRUE(b.is_array() || b.contains(key)) << place << "/" << key;
      expect_near(value, b.is_array() ? b[static_cast<std::size_t>(std::stoi(key))] : b.at(key), place + "/" + key);
    }
  } else {
    EXPECT_EQ(a, b) << place;
  }
}

TEST(Pooling, TheShippedCoefficientsComeOutOfIt) {
  expect_near(data_with_pooled(pooling(), published(), "").at("pooled"), load_data("mcu_coefficients", "").at("pooled"),
              "pooled");
}

TEST(Pooling, TermsAreThoseWithTheSmallestLeftOutError) {
  ASSERT_EQ(pooling().trials.size(), pooled_term_sets().size());
  for (const Trial& trial : pooling().trials) {
    const auto chosen = std::find_if(pooling().trials.begin(), pooling().trials.end(),
                                     [](const Trial& each) { return each.terms == pooling().name; });
    ASSERT_NE(chosen, pooling().trials.end());
    EXPECT_GE(trial.left_out_rms_error.value(), chosen->left_out_rms_error.value());
  }
}

}  // namespace
}  // namespace cosearch::calibrate
