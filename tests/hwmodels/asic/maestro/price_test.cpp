#include "hwmodels/asic/maestro/price.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/hwmodels/asic/maestro/reference_rows.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch::maestro {
namespace {

using ::cosearch::testing::config_error_of;
using ::cosearch::testing::maestro_rows;
using ::cosearch::testing::MaestroRow;

TEST(MaestroPrice, EnergyEqualsMaestroToItsPrintedDigits) {
  const Constants constants = load_constants("current", "", "");
  for (const MaestroRow& row : maestro_rows()) {
    const Mapping mapping = parse_mapping(template_named(row.mapping, "").text(row.layer.kind));
    if (const auto analysis = analyse(row.layer, mapping, row.hardware)) {
      EXPECT_NEAR(energy_macs(*analysis, constants), std::stod(row.columns.at("energy_mac_units")), 0.0051)
          << row.name();
    }
  }
}

// 64 PEs, 54 bytes of L1 each, 1000 bytes of L2, 16 bytes per cycle: the formulas evaluated by hand.
TEST(MaestroPrice, AreaAndPowerOfBothSetsByHand) {
  const Array array{64, 1, 16, 54, 1000};
  const Constants current = load_constants("current", "", "");
  EXPECT_NEAR(area_um2(array, current), 3813195.393697, 1e-5 * 3813195.0);
  EXPECT_NEAR(power_mw(array, current), 107.889311828, 1e-5 * 107.9);
  EXPECT_DOUBLE_EQ(current.nj_per_mac, 0.00023);
  const Constants old = load_constants("2020", "", "");
  EXPECT_NEAR(area_um2(array, old), 4373251.195297, 1e-5 * 4373251.0);
  EXPECT_NEAR(power_mw(array, old), 110.647311828, 1e-5 * 110.6);
  EXPECT_DOUBLE_EQ(old.nj_per_mac, 0.904);
}

TEST(MaestroPrice, TheArbiterNeverCostsLessThanOne) {
  const Constants constants = load_constants("current", "", "");
  // 1.2886 + 5.5814 - 23.711 is negative.
  EXPECT_NEAR(area_um2({1, 1, 1, 0, 0}, constants), 283.0 + 101.7938 * (14.662 + 28.895) + 395.473, 1e-6);
}

// The arbiter grows with the square of the processing elements; everything else with their number.
TEST(MaestroPrice, TheArbiterDominatesLargeArrays) {
  const Constants old = load_constants("2020", "", "");
  const double whole = area_um2({2048, 1, 32, 640, 65536}, old);
  const double without = area_um2({2048, 1, 32, 640, 65536}, [&] {
    Constants none = old;
    none.arbiter_um2 = 0.0;
    return none;
  }());
  EXPECT_GT((whole - without) / whole, 0.85);
}

TEST(MaestroPrice, WrongSetsAndMissingFiguresAreConfigErrors) {
  EXPECT_THAT(config_error_of([] { (void)load_constants("2021", "/target/constants", ""); }),
              ::testing::HasSubstr("/target/constants: \"2021\" is not known; known: 2020, current"));
  const ::cosearch::testing::TemporaryData data;
  data.write("maestro_constants.json", R"({"energy": {"mac": 1}, "noc": {}, "sets": {"current": {}}})");
  EXPECT_THAT(config_error_of([&] { (void)load_constants("current", "", data.path()); }),
              ::testing::HasSubstr("/energy/l1_access"));
}

}  // namespace
}  // namespace cosearch::maestro
