#include "hwmodels/asic/map_memo.hpp"

#include <gtest/gtest.h>

#include "hwmodels/asic/accelerator.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::asic {
namespace {

SharedProductCost cost(double cycles) {
  ProductCost product;
  product.cycles = cycles;
  return std::make_shared<const Expected<ProductCost, Infeasible>>(product);
}

TEST(MapMemo, HoldsNoMoreThanItsLimitAndForgetsWhatIsNotAskedFor) {
  MapMemo memo(320);
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    memo.insert(key, cost(static_cast<double>(key)));
    ASSERT_LE(memo.size(), 320U);
    const SharedProductCost often = memo.find(0);
    ASSERT_TRUE(often != nullptr && (*often)->cycles == 0.0) << "asked for all the time, at " << key;
  }
  EXPECT_EQ(memo.find(1), nullptr);
  ASSERT_NE(memo.find(9'999), nullptr);
  EXPECT_EQ((*memo.find(9'999))->cycles, 9'999.0);
  EXPECT_GE(memo.size(), 160U) << "half of it is in use at least";
}

TEST(MapMemo, AnotherCostForAKnownKeyDoesNotCountTwice) {
  MapMemo memo(32);
  for (int i = 0; i < 100; ++i) {
    memo.insert(7, cost(1.0));
  }
  EXPECT_EQ(memo.size(), 1U);
}

TEST(MapMemo, WhatIsForgottenIsFoundAgainTheSame) {
  const auto job = job_workload(Job{cosearch::testing::reference_network("resnet8")});
  ASSERT_TRUE(job.has_value());
  const auto small = std::make_shared<MapMemo>(1);
  const auto large = std::make_shared<MapMemo>();
  const auto run = [&](const std::shared_ptr<MapMemo>& memo) {
    return Accelerator(load_arch("simba", ""), load_price_table("energy_45nm", ""), std::nullopt,
                       {{.evaluations = 200}}, memo)
        .run(*job);
  };
  for (int repeat = 0; repeat < 2; ++repeat) {
    const Accelerator::Run few = run(small);
    const Accelerator::Run many = run(large);
    ASSERT_EQ(few.layers.size(), many.layers.size());
    for (std::size_t layer = 0; layer < few.layers.size(); ++layer) {
      EXPECT_EQ(few.layers[layer]->cycles, many.layers[layer]->cycles);
      EXPECT_EQ(few.layers[layer]->energy_uj, many.layers[layer]->energy_uj);
    }
  }
  EXPECT_LE(small->size(), 32U);
}

}  // namespace
}  // namespace cosearch::asic
