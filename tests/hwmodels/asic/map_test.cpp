#include "hwmodels/asic/map.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "spaces/base/rng.hpp"

namespace cosearch::asic {
namespace {

const EnergyTable& table() {
  static const EnergyTable loaded = load_energy_table("energy_45nm", "");
  return loaded;
}

ir::Workload product(std::int64_t m, std::int64_t n, std::int64_t k) {
  const auto text = [](std::int64_t value) { return std::to_string(value); };
  return ir::parse_workload("workload w\ninput a activation int8 [" + text(m) + "," + text(k) +
                            "]\ntensor w weight int8 [" + text(k) + "," + text(n) + "]\noutput o activation int8 [" +
                            text(m) + "," + text(n) + "]\neinsum e i<" + text(m) + " j<" + text(n) + " l<" + text(k) +
                            " : o[i,j] += mul(a[i,l], w[l,j])\n");
}

ir::Workload depthwise(std::int64_t channels, std::int64_t size) {
  const std::string c = std::to_string(channels);
  const std::string in = std::to_string(size + 2);
  const std::string out = std::to_string(size);
  return ir::parse_workload("workload w\ninput x activation int8 [" + in + "," + in + "," + c +
                            "]\ntensor w weight int8 [3,3," + c + "]\noutput y activation int8 [" + out + "," + out +
                            "," + c + "]\neinsum e oy<" + out + " ox<" + out + " g<" + c +
                            " ky<3 kx<3 : y[oy,ox,g] += mul(x[oy+ky,ox+kx,g], w[ky,kx,g])\n");
}

Resources resources(const ir::Workload& workload, ArrayShape array, std::int64_t bytes, double bandwidth = 1e9) {
  return {array, bytes, bandwidth, std::vector<bool>(workload.tensors.size(), false)};
}

/// What happens when a product runs uncut: array tiles of at most rows x columns, each with all vectors.
struct Executed {
  double cycles = 0.0, weights = 0.0, activations = 0.0, sums = 0.0;
};
Executed execute_uncut(std::int64_t m, std::int64_t n, std::int64_t k, const ArrayShape& array) {
  Executed run;
  for (std::int64_t row = 0; row < k; row += array.rows) {
    for (std::int64_t column = 0; column < n; column += array.columns) {
      const std::int64_t rows = std::min(array.rows, k - row);
      const std::int64_t columns = std::min(array.columns, n - column);
      for (std::int64_t i = 0; i < rows; ++i) {
        ++run.cycles;  // one row of weights per cycle
        run.weights += static_cast<double>(columns);
      }
      for (std::int64_t v = 0; v < m; ++v) {
        run.activations += static_cast<double>(rows);
        run.sums += static_cast<double>(columns);
      }
      run.cycles += static_cast<double>(m + array.rows + columns - 2);
    }
  }
  return run;
}

TEST(Map, UncutProductsCountWhatAnExecutedLoopNestDoes) {
  RngStream rng(5, Purpose::test, 0);
  for (int trial = 0; trial < 60; ++trial) {
    const auto pick = [&](std::uint64_t most) { return static_cast<std::int64_t>(rng.below(most)) + 1; };
    const std::int64_t m = pick(200) + 40;
    const std::int64_t n = pick(40) + 8;
    const std::int64_t k = pick(40) + 8;
    const ArrayShape array{pick(8), pick(8)};
    const ir::Workload workload = product(m, n, k);
    const Resources all = resources(workload, array, 1 << 24);
    const auto mapping = map_einsum(workload, workload.einsums[0], all, table());
    ASSERT_TRUE(mapping.has_value());
    if (!mapping->on_array) {
      continue;
    }
    const Executed run = execute_uncut(m, n, k, array);
    EXPECT_LE(mapping->compute_cycles, run.cycles) << "uncut is one of the choices";
    EXPECT_GE(mapping->compute_cycles * static_cast<double>(array.rows * array.columns),
              static_cast<double>(m * n * k));
    EXPECT_DOUBLE_EQ(mapping->macs, static_cast<double>(m * n * k));
    if (mapping->compute_cycles == run.cycles) {
      EXPECT_DOUBLE_EQ(mapping->weight_bytes_loaded, run.weights);
      EXPECT_DOUBLE_EQ(mapping->sram_read_bytes, run.activations + run.weights + 4.0 * run.sums);
      EXPECT_DOUBLE_EQ(mapping->dram_bytes(), static_cast<double>(m * k + k * n + m * n));
    }
  }
}

TEST(Map, SmallBuffersNeedMoreTrafficAndRespectTheirSize) {
  const ir::Workload workload = product(256, 96, 300);
  const double compulsory = 256 * 300 + 300 * 96 + 256 * 96;
  double previous = INFINITY;
  for (std::int64_t bytes = 2048; bytes <= (1 << 22); bytes *= 2) {
    const Resources slow = resources(workload, {8, 8}, bytes, 0.01);  // traffic decides
    const auto mapping = map_einsum(workload, workload.einsums[0], slow, table());
    ASSERT_TRUE(mapping.has_value());
    EXPECT_LE(mapping->buffer_bytes, bytes);
    EXPECT_GE(mapping->dram_bytes(), compulsory);
    EXPECT_LE(mapping->dram_bytes(), previous) << bytes;
    previous = mapping->dram_bytes();
  }
  EXPECT_DOUBLE_EQ(previous, compulsory);
  EXPECT_FALSE(map_einsum(workload, workload.einsums[0], resources(workload, {8, 8}, 7), table()).has_value());
}

TEST(Map, TrafficOfABlockingIsThatOfAnExecutedBlockLoop) {
  // Two operand blocks and a block of sums fit into 6 KiB only when cut: the mapper's figure must be the smallest of
  // what loops over blocks really transfer, in the two orders it may choose from.
  const std::int64_t m = 64;
  const std::int64_t n = 64;
  const std::int64_t k = 64;
  const ir::Workload workload = product(m, n, k);
  const std::int64_t capacity = 6144;
  double best = INFINITY;
  for (std::int64_t bm = 1; bm <= m; bm *= 2) {
    for (std::int64_t bn = 1; bn <= n; bn *= 2) {
      for (std::int64_t bk = 1; bk <= k; bk *= 2) {
        if (2 * bm * bk + 2 * bk * bn + 4 * bm * bn > capacity) {
          continue;
        }
        for (const bool rows_outer : {true, false}) {
          double bytes = static_cast<double>(m * n);
          std::pair<std::int64_t, std::int64_t> a_held{-1, -1};
          std::pair<std::int64_t, std::int64_t> w_held{-1, -1};
          for (std::int64_t outer = 0; outer < (rows_outer ? m / bm : n / bn); ++outer) {
            for (std::int64_t inner = 0; inner < (rows_outer ? n / bn : m / bm); ++inner) {
              for (std::int64_t step = 0; step < k / bk; ++step) {
                const std::pair<std::int64_t, std::int64_t> a{rows_outer ? outer : inner, step};
                const std::pair<std::int64_t, std::int64_t> w{rows_outer ? inner : outer, step};
                bytes += a == a_held ? 0.0 : static_cast<double>(bm * bk);
                bytes += w == w_held ? 0.0 : static_cast<double>(bk * bn);
                a_held = a;
                w_held = w;
              }
            }
          }
          best = std::min(best, bytes);
        }
      }
    }
  }
  const auto mapping = map_einsum(workload, workload.einsums[0], resources(workload, {8, 8}, capacity, 0.001), table());
  ASSERT_TRUE(mapping.has_value());
  EXPECT_DOUBLE_EQ(mapping->dram_bytes(), best);
}

TEST(Map, TensorsOnTheChipCostNoTrafficAndNoTile) {
  const ir::Workload workload = product(64, 32, 48);
  Resources all = resources(workload, {8, 8}, 1 << 20);
  all.on_chip = {true, false, true};
  const auto mapping = map_einsum(workload, workload.einsums[0], all, table());
  ASSERT_TRUE(mapping.has_value());
  EXPECT_DOUBLE_EQ(mapping->dram_bytes(), 48.0 * 32.0);
}

TEST(Map, SmallProductsShareTheArrayInDiagonalBlocks) {
  const ir::Workload workload = depthwise(64, 16);
  const ArrayShape square{36, 36};  // four 9-row products at once
  const auto shared = map_einsum(workload, workload.einsums[0], resources(workload, square, 1 << 20), table());
  ASSERT_TRUE(shared.has_value());
  // The vector unit would take 64*16*16*9/36 = 4096 cycles; sharing takes 16 passes of 36 + 256 + 36 + 4 - 2 cycles.
  EXPECT_FALSE(shared->on_array);
  EXPECT_DOUBLE_EQ(shared->compute_cycles, 4096.0);
  const ArrayShape tall{144, 16};
  const auto on_array = map_einsum(workload, workload.einsums[0], resources(workload, tall, 1 << 20), table());
  ASSERT_TRUE(on_array.has_value());
  EXPECT_TRUE(on_array->on_array);
  EXPECT_DOUBLE_EQ(on_array->compute_cycles, 4.0 * (144 + 256 + 144 + 16 - 2));
  EXPECT_DOUBLE_EQ(on_array->weight_bytes_loaded, 9.0 * 64.0);
}

TEST(Map, ElementwiseEinsumsTakeTheirOperationsOnTheVectorUnit) {
  const ir::Workload workload = ir::parse_workload(
      "workload w\ninput x activation int8 [100]\noutput y activation int8 [100]\n"
      "einsum e i<100 : y[i] = gelu(x[i])\n");
  const auto mapping = map_einsum(workload, workload.einsums[0], resources(workload, {4, 8}, 4096), table());
  ASSERT_TRUE(mapping.has_value());
  EXPECT_FALSE(mapping->on_array);
  EXPECT_DOUBLE_EQ(mapping->compute_cycles, std::ceil(100.0 * 15.0 / 8.0));
  EXPECT_DOUBLE_EQ(mapping->dram_bytes(), 200.0);
}

TEST(Map, OperandTypesWithoutAMultiplierRunOnTheVectorUnit) {
  ir::Workload workload = product(64, 64, 64);
  workload.tensors[0].type = ir::ElementType::int32;
  const auto mapping = map_einsum(workload, workload.einsums[0], resources(workload, {8, 8}, 1 << 20), table());
  ASSERT_TRUE(mapping.has_value());
  EXPECT_FALSE(mapping->on_array);
}

}  // namespace
}  // namespace cosearch::asic
