#include "spaces/catalog/mcunet_import.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "hwmodels/mcu/cortex_m.hpp"
#include "tests/spaces/catalog/mcunet_configurations.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

// published: SRAM of TinyEngine on STM32H743, README of mit-han-lab/tinyengine.
TEST(McunetImport, SramOfTinyEngineIsThePublishedOne) {
  const auto target = make_cortex_m(nlohmann::json::object(), "");
  const auto model = target->build(target->params().from_json({{"board", "h743"}, {"engine", "tinyengine"}}));
  ASSERT_TRUE(model.has_value());
  const testing::Table table = testing::read_table("mcunet_cfg/published.csv");
  int compared = 0;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (table.cell(row, "h743_sram_kib").empty()) {
      continue;
    }
    const std::string name = table.cell(row, "configuration");
    const Job job{mcunet_from_json(testing::mcunet_configuration(name), name)};
    const auto cost = (*model)->evaluate(std::span(&job, 1));
    ASSERT_TRUE(cost.has_value()) << name;
    const double kib = cost->metrics.at("sram_bytes") / 1024.0;
    std::printf("%-30s planned %6.2f KiB, published %s\n", name.c_str(), kib, table.cell(row, "h743_sram_kib").c_str());
    EXPECT_EQ(std::lround(kib), std::lround(table.number(row, "h743_sram_kib"))) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 6);
}

}  // namespace
}  // namespace cosearch
