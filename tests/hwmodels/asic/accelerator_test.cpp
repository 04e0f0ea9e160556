#include "hwmodels/asic/accelerator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/hwmodels/temporary_data.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::asic {
namespace {

using cosearch::testing::config_error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

Accelerator chip(const std::string& arch = "simba", const std::string& table = "energy_45nm", RunOptions options = {}) {
  options.mapper.evaluations = 300;
  return {load_arch(arch, ""), load_price_table(table, ""), std::nullopt, options, std::make_shared<MapMemo>()};
}

TEST(Accelerator, EinsumsOneByOneCostWhatTheirLayersCost) {
  const auto job = job_workload(Job{cosearch::testing::reference_network("resnet8")});
  ASSERT_TRUE(job.has_value());
  const Accelerator simba = chip();
  const Accelerator::Run run = simba.run(*job);
  const auto costs = simba.run_einsums(job->workload);
  ASSERT_TRUE(costs.has_value());
  const std::vector<EinsumRun> layers = einsum_runs(*job);
  ASSERT_EQ(run.layers.size(), layers.size());
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    LayerCost sum;
    for (std::size_t i = layers[layer].first; i < layers[layer].end; ++i) {
      sum.cycles += (*costs)[i].layer.cycles;
      sum.energy_uj += (*costs)[i].layer.energy_uj;
      sum.macs += (*costs)[i].layer.macs;
    }
    const LayerCost& whole = run.layers[layer].value();
    EXPECT_NEAR(sum.cycles, whole.cycles, 1e-9 * whole.cycles) << whole.name;
    EXPECT_NEAR(sum.energy_uj, whole.energy_uj, 1e-9 * whole.energy_uj) << whole.name;
    EXPECT_EQ(sum.macs, whole.macs) << whole.name;
  }
}

/// Scores of a block of keys and their largest value, with a block as long as there are steps, or as one step.
ir::Workload blocks(int steps) {
  const std::string over = steps > 1 ? " over b b<" + std::to_string(steps) : "";
  const std::string place = steps > 1 ? "8*b+k" : "k";
  return ir::parse_workload("workload w\ninput q activation int8 [16,4]\ninput x activation int8 [" +
                            std::to_string(8 * steps) +
                            ",4]\ntensor s activation int8 [16,8]\noutput y activation int8 [16]\n" +
                            (steps > 1 ? "iteration b<" + std::to_string(steps) + "\n" : "") + "einsum scores" + over +
                            " p<16 k<8 e<4 : s[p,k] += mul(q[p,e], x[" + place + ",e])\neinsum largest" + over +
                            " p<16 k<8 : y[p] max= copy(s[p,k])\n");
}

TEST(Accelerator, IterationsAreCostedForAllTheirSteps) {
  const Accelerator simba = chip();
  const auto one = simba.run_einsums(blocks(1));
  const auto five = simba.run_einsums(blocks(5));
  ASSERT_TRUE(one && five);
  for (std::size_t i = 0; i < 2; ++i) {
    const LayerCost& step = (*one)[i].layer;
    const LayerCost& all = (*five)[i].layer;
    EXPECT_EQ((*five)[i].steps, 5);
    EXPECT_EQ(all.macs, 5 * step.macs);
    EXPECT_DOUBLE_EQ(all.cycles, 5.0 * step.cycles);
    EXPECT_DOUBLE_EQ(all.traffic_bytes, 5.0 * step.traffic_bytes);
    EXPECT_NEAR(all.energy_uj, 5.0 * step.energy_uj, 1e-9 * all.energy_uj);
  }
  EXPECT_THAT(simba.describe(blocks(5), 0, (*five)[0]),
              AllOf(HasSubstr("scores, each of 5 steps:"), HasSubstr("DRAM [")));
}

TEST(Accelerator, FillingTheArrayTakesTimeOncePerProduct) {
  Arch arch = load_arch("tpu", "");
  ASSERT_EQ(arch.fill_cycles, arch.macs.x - 1 + arch.macs.y - 1) << "a wavefront from corner to corner";
  const auto cycles = [&](int steps) {
    const Accelerator tpu(arch, load_price_table("energy_45nm", ""), std::nullopt, {{.evaluations = 300}},
                          std::make_shared<MapMemo>());
    const auto costs = tpu.run_einsums(blocks(steps));
    EXPECT_TRUE(costs.has_value());
    const std::string text = tpu.describe(blocks(steps), 0, (*costs)[0]);
    EXPECT_EQ(text.find("filling and draining the array 510") != std::string::npos, arch.fill_cycles > 0) << text;
    return (*costs)[0].layer.cycles;
  };
  const double with = cycles(1);
  const double with_steps = cycles(3);
  arch.fill_cycles = 0;
  EXPECT_EQ(with, cycles(1) + 510.0);
  EXPECT_EQ(with_steps, cycles(3) + 3 * 510.0);
}

TEST(Accelerator, WhatIsNoProductNeedsVectorOperations) {
  const Accelerator plain = chip("eyeriss_256", "energy_pat");
  const auto product = ir::parse_workload(
      "workload w\ninput x activation int16 [8,4]\ntensor w weight int16 [4,8]\noutput y activation int16 [8,8]\n"
      "einsum e m<8 n<8 k<4 : y[m,n] += mul(x[m,k], w[k,n])\n");
  EXPECT_TRUE(plain.run_einsums(product).has_value());
  EXPECT_THAT(config_error_of([&] { static_cast<void>(plain.run_einsums(blocks(1))); }),
              AllOf(HasSubstr("energy_pat"), HasSubstr("einsum largest"), HasSubstr("/vector_operations")));
}

TEST(Accelerator, FusedEinsumsWaitForMemoriesThatTheProductKeepsBusy) {
  // The residual has to come from DRAM, which the product's weights keep busy all the time.
  const std::string head =
      "workload w\ninput x activation int8 [1,64]\ntensor w weight int8 [64,256]\ninput r activation int8 [1,256]\n"
      "tensor p activation int8 [1,256]\noutput y activation int8 [1,256]\n"
      "einsum e m<1 n<256 k<64 : p[m,n] += mul(x[m,k], w[k,n])\n";
  const Accelerator simba = chip();
  const auto read = simba.run_einsums(ir::parse_workload(head + "einsum a m<1 n<256 : y[m,n] = add(p[m,n], r[m,n])\n"));
  const auto none = simba.run_einsums(ir::parse_workload(head + "einsum a m<1 n<256 : y[m,n] = add(p[m,n], 1)\n"));
  ASSERT_TRUE(read && none);
  ASSERT_EQ((*read)[0].layer.bound, "dram_bandwidth");
  EXPECT_TRUE((*read)[1].takes_over);
  EXPECT_EQ((*none)[1].layer.cycles, 0.0);
  EXPECT_EQ((*read)[1].layer.cycles, 256.0 / 8.0);  // 8 bytes a cycle
}

}  // namespace
}  // namespace cosearch::asic
