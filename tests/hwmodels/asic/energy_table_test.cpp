#include "hwmodels/asic/energy_table.hpp"

#include <gtest/gtest.h>

namespace cosearch::asic {
namespace {

TEST(EnergyTable, SramIsTheMacrosFigureAndBetweenItsNeighboursElsewhere) {
  const EnergyTable table = load_energy_table("energy_45nm", "");
  // measured elsewhere: CACTI 45 nm, 64-bit words: 32 KiB reads 17.0418 pJ, 64 KiB 25.8695 pJ.
  const SramCost at = table.sram(32768);
  EXPECT_DOUBLE_EQ(at.read_pj_per_byte, 17.0418 / 8.0);
  EXPECT_DOUBLE_EQ(at.area_um2, 94859.7);
  double previous = 0.0;
  for (std::int64_t bytes = 512; bytes <= 4194304; bytes += 20000) {
    const SramCost cost = table.sram(bytes);
    EXPECT_GT(cost.read_pj_per_byte, previous);
    EXPECT_GT(cost.write_pj_per_byte, 0.0);
    EXPECT_GT(cost.leakage_mw, 0.0);
    previous = cost.read_pj_per_byte;
  }
  const SramCost middle = table.sram(48000);
  EXPECT_GT(middle.area_um2, at.area_um2);
  EXPECT_LT(middle.area_um2, table.sram(65536).area_um2);
}

TEST(EnergyTable, EveryCombineAndTheTypesOfTheTrainerHaveAPrice) {
  const EnergyTable table = load_energy_table("energy_45nm", "");
  for (int combine = 0; combine <= static_cast<int>(ir::Combine::opaque); ++combine) {
    EXPECT_EQ(table.vector_operations.count(static_cast<ir::Combine>(combine)), 1U) << combine;
  }
  EXPECT_DOUBLE_EQ(table.mac.at(ir::ElementType::int8).energy_pj, 0.3);
  EXPECT_LT(table.mac.at(ir::ElementType::int8).energy_pj, table.mac.at(ir::ElementType::fp16).energy_pj);
  EXPECT_LT(table.mac.at(ir::ElementType::fp16).energy_pj, table.mac.at(ir::ElementType::fp32).energy_pj);
  EXPECT_EQ(table.mac.count(ir::ElementType::int32), 0U);
  EXPECT_EQ(type_name(ir::ElementType::bf16), "bf16");
}

}  // namespace
}  // namespace cosearch::asic
