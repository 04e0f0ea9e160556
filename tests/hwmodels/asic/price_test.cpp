#include "hwmodels/asic/price.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "tests/hwmodels/asic/timeloop_cases.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch::asic {
namespace {

using ::testing::AllOf;
using testing::config_error_of;
using ::testing::HasSubstr;

TEST(Price, TimeloopsMappingsHaveTimeloopsEnergies) {
  const Arch arch = load_arch("eyeriss_256", "");
  const Pricing pricing(arch, load_price_table("energy_pat", ""));
  for (const testing::TimeloopCase& timeloop : testing::timeloop_cases(arch)) {
    SCOPED_TRACE(timeloop.name);
    const auto counts =
        count(timeloop.workload, timeloop.workload.einsums[0], arch, timeloop.nest, ir::FootprintKind::hull);
    ASSERT_TRUE(counts.has_value());
    const Price price = pricing.price(*counts);
    int rows = 0;
    for (const testing::TimeloopRow& row : timeloop.rows) {
      if (arch.levels[row.level].capacity_words) {  // for DRAM it prints no energy by tensor
        EXPECT_NEAR(price.access_pj[row.level][row.tensor], row.energy_pj, 0.005 + 1e-6);
        ++rows;
      }
    }
    EXPECT_EQ(rows, 5);
    const auto per_compute = [&](double pj) { return 1000.0 * pj / static_cast<double>(timeloop.computes); };
    EXPECT_NEAR(per_compute(price.mac_pj), timeloop.femtojoules.at("MACs"), 0.005 + 1e-9);
    for (std::size_t level = 0; level < arch.levels.size(); ++level) {
      const auto& by_tensor = price.access_pj[level];
      EXPECT_NEAR(per_compute(std::accumulate(by_tensor.begin(), by_tensor.end(), 0.0)),
                  timeloop.femtojoules.at(arch.levels[level].name), 0.005 + 1e-9);
    }
    const double dynamic_pj = price.total_pj - price.static_pj;
    EXPECT_NEAR(per_compute(dynamic_pj), timeloop.femtojoules.at("Total"), 0.005 + 1e-6);
    EXPECT_NEAR(1e-6 * dynamic_pj, timeloop.energy_uj, 0.005 + 1e-6);
    EXPECT_EQ(price.reduction_pj, 0.0);
    EXPECT_GT(price.static_pj, 0.0);
  }
}

TEST(Price, WordsThatArriveAndLeavePayForTheirWay) {
  const ir::Workload workload = ir::parse_workload(
      "workload w\ninput x activation int16 [3,4]\ntensor w weight int16 [4,1]\noutput y activation int16 [3,1]\n"
      "einsum e m<3 n<1 k<4 : y[m,n] += mul(x[m,k], w[k,n])\n");
  Arch arch = load_arch("ws_16x16", "");
  const ir::Einsum& einsum = workload.einsums[0];
  const auto price = [&](const std::string& nest) {
    const auto counts =
        count(workload, einsum, arch, parse_nest(nest, workload, einsum, arch), ir::FootprintKind::exact);
    EXPECT_TRUE(counts.has_value());
    return Pricing(arch, load_price_table("energy_45nm", "")).price(*counts);
  };
  const std::string whole = "DRAM [ x w y ]\nBuffer [ x y ]\n  for m in [0:3)\nRegFile [ w ]\n  for k in [0:4)\n";
  const std::string split =
      "DRAM [ x w y ]\n  for k in [0:2)\nBuffer [ x y ]\n  for m in [0:3)\nRegFile [ w ]\n  for k in [0:2)\n";
  const Price before = price(whole);
  EXPECT_EQ(before.network_pj, 0.0);
  arch.levels[0].hop_pj = 2.0;
  arch.levels[1].hop_pj = 3.0;
  // 4 weights reach a register; 12 inputs reach the buffer, which weights pass by, and 3 sums leave it.
  EXPECT_EQ(price(whole).network_pj, 4 * 2.0 + (12 + 3) * 3.0);
  EXPECT_NEAR(price(whole).total_pj, before.total_pj + 53.0, 1e-9);
  // Sums are kept in between: the buffer holds all three.
  EXPECT_EQ(price(split).network_pj, 4 * 2.0 + (12 + 3) * 3.0);
  // Sums of each half leave, and come back for the second one.
  arch.levels[1].hop_pj = 0.0;
  arch.levels[0].keeps = {true, true, true};
  EXPECT_EQ(price("DRAM [ x w y ]\n  for k in [0:2)\n    for m in [0:3)\nBuffer [ ]\nRegFile [ y ]\n  for k in "
                  "[0:2)\n")
                .network_pj,
            (2 * 3 + 3) * 2.0);
}

TEST(Price, EveryPresetHasAreaAndStaticPower) {
  for (const char* name : {"eyeriss_168", "eyeriss_256", "ws_16x16"}) {
    const Arch arch = load_arch(name, "");
    for (const char* table_name : {"energy_45nm", "energy_pat"}) {
      const PriceTable table = load_price_table(table_name, "");
      const Pricing pricing(arch, table);
      EXPECT_GT(pricing.area_um2(), table.mac.at(arch.mac_type).area_um2 * static_cast<double>(arch.macs.size()));
      EXPECT_GT(pricing.static_mw(), 0.0);
    }
  }
}

TEST(Price, MemoriesOfTheCactiTableCostWhatItSays) {
  Arch arch = load_arch("ws_16x16", "");
  const PriceTable table = load_price_table("energy_45nm", "");
  // A macro of 256 KiB reads 64 bits for 44.7157 pJ; a word has 16.
  const Pricing pricing(arch, table);
  EXPECT_DOUBLE_EQ(pricing.memory(1).read_pj, 44.7157 / 4.0);
  EXPECT_DOUBLE_EQ(pricing.memory(1).write_pj, 38.4949 / 4.0);
  EXPECT_DOUBLE_EQ(pricing.memory(1).area_um2, 872093.0);
  // 64 words of 16 bits are registers of 0.009 pJ and 5.98 um2 a bit.
  EXPECT_DOUBLE_EQ(pricing.memory(0).read_pj, 0.009 * 16.0);
  EXPECT_DOUBLE_EQ(pricing.memory(0).area_um2, 5.98 * 1024.0);
  EXPECT_DOUBLE_EQ(pricing.memory(2).read_pj, 8.0 * 16.0);
  EXPECT_EQ(pricing.memory(2).area_um2, 0.0);
  // Beyond 4 MiB there are several macros.
  arch.levels[1].capacity_words = 4 * 1024 * 1024;
  const Pricing large(arch, table);
  EXPECT_DOUBLE_EQ(large.memory(1).area_um2, 2.0 * 11989000.0);
  EXPECT_DOUBLE_EQ(large.memory(1).read_pj, 188.734 / 4.0);
}

TEST(Price, NodesScaleWhatIsOnTheChip) {
  Arch arch = load_arch("ws_16x16", "");
  const PriceTable table = load_price_table("energy_45nm", "");
  const Pricing at_45(arch, table);
  arch.node_nm = 7.0;
  const Pricing at_7(arch, table);
  EXPECT_DOUBLE_EQ(at_7.memory(1).read_pj, 0.094 * at_45.memory(1).read_pj);
  EXPECT_DOUBLE_EQ(at_7.area_um2(), 0.059 * at_45.area_um2());
  EXPECT_DOUBLE_EQ(at_7.memory(2).read_pj, at_45.memory(2).read_pj);
}

TEST(Price, MissingEntriesNameTheTable) {
  Arch arch = load_arch("ws_16x16", "");
  const auto error_of = [&](const char* table_name) {
    return config_error_of([&] { Pricing(arch, load_price_table(table_name, "")); });
  };
  arch.mac_type = ir::ElementType::int32;
  EXPECT_THAT(error_of("energy_45nm"), AllOf(HasSubstr("energy_45nm.json"), HasSubstr("no int32 multiply-accumulate")));
  arch.mac_type = ir::ElementType::int16;
  arch.levels[2].dram = "hbm7";
  EXPECT_THAT(error_of("energy_45nm"), AllOf(HasSubstr("/dram/pj_per_bit"), HasSubstr("\"hbm7\" is not known")));
  arch.levels[2].dram = "";
  EXPECT_THAT(error_of("energy_pat"), HasSubstr("DRAM is unbounded, but names no kind of dram"));
  arch.levels[2].dram = "lpddr4";
  arch.node_nm = 65.0;
  EXPECT_THAT(error_of("energy_45nm"), HasSubstr("no factors for the 65 nm of ws_16x16; known: 45, 7, 16, 22, 28, 32"));
  const testing::TemporaryData data;
  nlohmann::json without = load_data("energy_pat", "");
  without["linear_memory"].erase("pj_per_kilobyte");
  data.write("energy_pat.json", without.dump());
  EXPECT_THAT(config_error_of([&] { (void)load_price_table("energy_pat", data.path()); }),
              AllOf(HasSubstr("/linear_memory/pj_per_kilobyte"), HasSubstr("missing")));
}

}  // namespace
}  // namespace cosearch::asic
