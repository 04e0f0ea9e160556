#include "hwmodels/asic/mapper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

#include "tests/hwmodels/asic/timeloop_cases.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch::asic {
namespace {

using ::testing::HasSubstr;

ir::Workload product(std::int64_t m, std::int64_t n, std::int64_t k) {
  const std::string sizes[] = {std::to_string(m), std::to_string(n), std::to_string(k)};
  return ir::parse_workload("workload p\ninput x activation int16 [" + sizes[0] + "," + sizes[2] +
                            "]\ntensor w weight int16 [" + sizes[2] + "," + sizes[1] +
                            "]\noutput y activation int16 [" + sizes[0] + "," + sizes[1] + "]\neinsum p M<" + sizes[0] +
                            " N<" + sizes[1] + " K<" + sizes[2] + " : y[M,N] += mul(x[M,K], w[K,N])\n");
}

/// Two elements with four registers, a buffer of `buffer_words` and DRAM.
Arch small_arch(std::int64_t buffer_words) {
  const nlohmann::json json{{"name", "small"},
                            {"node_nm", 45},
                            {"frequency_mhz", 100},
                            {"mac", {{"type", "int16"}, {"instances", {2, 1}}}},
                            {"levels",
                             {{{"name", "Registers"},
                               {"capacity_words", 4},
                               {"word_bits", 16},
                               {"instances", {2, 1}},
                               {"keeps", {"weight", "output"}}},
                              {{"name", "Buffer"},
                               {"capacity_words", buffer_words},
                               {"word_bits", 16},
                               {"read_bandwidth", 3},
                               {"instances", {1, 1}},
                               {"keeps", {"input", "weight", "output"}}},
                              {{"name", "DRAM"},
                               {"word_bits", 16},
                               {"read_bandwidth", 1},
                               {"write_bandwidth", 1},
                               {"instances", {1, 1}},
                               {"keeps", {"input", "weight", "output"}},
                               {"dram", "lpddr4"}}}}};
  return read_arch(JsonReader(json));
}

/// Every nest over three loops: any extents, the first element loop along x, any order at each level, any kept tensors.
class EveryNest {
 public:
  EveryNest(const ir::Workload& workload, const Arch& arch, const Pricing& pricing, MapObjective objective)
      : workload_(workload), pricing_(pricing), objective_(objective), counter_(workload, workload.einsums[0], arch) {}

  double best() {
    visit_extents(0);
    return best_;
  }

 private:
  using Extents = std::array<std::int64_t, 4>;  ///< registers, along x, buffer, DRAM

  void visit_extents(std::size_t dim) {
    if (dim == 3) {
      visit_orders();
      return;
    }
    const std::int64_t whole = workload_.einsums[0].loops[dim].extent;
    for (std::int64_t a = 1; a <= whole; ++a) {
      for (std::int64_t b = a; b <= std::min(whole, 2 * a); ++b) {
        for (std::int64_t c = b; c <= whole; ++c) {
          extents_[dim] = {a, b, c, whole};
          visit_extents(dim + 1);
        }
      }
    }
  }

  void visit_orders() {
    std::int64_t along_x = 1;
    for (const Extents& extents : extents_) {
      along_x *= (extents[1] - 1) / extents[0] + 1;
    }
    if (along_x > 2) {
      return;
    }
    std::array<int, 3> inner{0, 1, 2};
    do {
      std::array<int, 3> outer{0, 1, 2};
      do {
        for (unsigned kept = 0; kept < 32; ++kept) {
          judge(inner, outer, kept);
        }
      } while (std::next_permutation(outer.begin(), outer.end()));
    } while (std::next_permutation(inner.begin(), inner.end()));
  }

  void judge(const std::array<int, 3>& inner, const std::array<int, 3>& outer, unsigned kept) {
    LoopNest nest;
    for (const int dim : {0, 1, 2}) {  // one element's operations in any order cost the same: nothing lies inside
      nest.levels[0].add(dim, LoopKind::temporal, extents_[static_cast<std::size_t>(dim)][0]);
    }
    for (const int dim : inner) {
      nest.levels[1].add(dim, LoopKind::temporal, extents_[static_cast<std::size_t>(dim)][2]);
    }
    for (const int dim : {0, 1, 2}) {
      nest.levels[1].add(dim, LoopKind::spatial_x, extents_[static_cast<std::size_t>(dim)][1]);
    }
    for (const int dim : outer) {
      nest.levels[2].add(dim, LoopKind::temporal, extents_[static_cast<std::size_t>(dim)][3]);
    }
    nest.levels[0].kept = (kept & 3U) << 1U;
    nest.levels[1].kept = kept >> 2U;
    nest.levels[2].kept = 7;
    const auto counts = counter_.count(nest, ir::FootprintKind::exact);
    if (counts) {
      const double picojoules = pricing_.price(*counts).total_pj;
      const auto cycles = static_cast<double>(counts->cycles);
      best_ = std::min(best_, objective_ == MapObjective::latency
                                  ? cycles
                                  : (objective_ == MapObjective::energy ? picojoules : cycles * picojoules));
    }
  }

  const ir::Workload& workload_;
  const Pricing& pricing_;
  MapObjective objective_;
  NestCounter counter_;
  std::array<Extents, 3> extents_{};
  double best_ = std::numeric_limits<double>::infinity();
};

TEST(Mapper, FindsTheBestOfAllNestsOfSmallSpaces) {
  for (const MapObjective objective : {MapObjective::latency, MapObjective::energy, MapObjective::edp}) {
    for (const auto& [m, n, k] : {std::tuple{3, 2, 4}, std::tuple{5, 1, 3}}) {
      const ir::Workload workload = product(m, n, k);
      const Arch arch = small_arch(9);
      const Pricing pricing(arch, load_price_table("energy_45nm", ""));
      MapOptions options;
      options.objective = objective;
      options.evaluations = 4'000'000;
      const auto found = Mapper(workload, workload.einsums[0], arch, pricing).best(options);
      ASSERT_TRUE(found.has_value());
      EXPECT_EQ(found->stop, MapStop::exhausted);
      EXPECT_NEAR(found->value, EveryNest(workload, arch, pricing, objective).best(), 1e-9 * found->value);
      EXPECT_LE(found->lower_bound, found->value);
    }
  }
}

TEST(Mapper, LocalSearchFindsTheOptimumOfSpacesThatCanBeEnumerated) {
  const ir::Workload workload = product(6, 8, 5);
  const Arch arch = small_arch(12);
  const Pricing pricing(arch, load_price_table("energy_45nm", ""));
  const Mapper mapper(workload, workload.einsums[0], arch, pricing);
  MapOptions whole;
  whole.evaluations = 100'000'000;
  const auto optimum = mapper.best(whole);
  MapOptions part;
  part.evaluations = 40'000;
  const auto found = mapper.best(part);
  ASSERT_TRUE(optimum && found);
  ASSERT_EQ(optimum->stop, MapStop::exhausted);
  ASSERT_NE(found->stop, MapStop::exhausted);
  EXPECT_LE(found->evaluations, part.evaluations);
  EXPECT_NEAR(found->value, optimum->value, 1e-9 * optimum->value);
}

// The exhaustive searches of the given files ended in the given nests, so their price is Timeloop's optimum.
TEST(Mapper, TimeloopsOptimaAreMetUnderItsConstraintsAndBeatenWithoutThem) {
  const Arch arch = load_arch("eyeriss_256", "");
  const Pricing pricing(arch, load_price_table("energy_pat", ""));
  const std::vector<Dataflow> dataflows = load_dataflows("");
  const auto free =
      std::find_if(dataflows.begin(), dataflows.end(), [](const Dataflow& d) { return d.name == "free"; });
  ASSERT_NE(free, dataflows.end());
  MapOptions options;
  options.footprint = ir::FootprintKind::hull;
  options.evaluations = 1'000'000;
  for (const testing::TimeloopCase& timeloop : testing::timeloop_cases(arch)) {
    SCOPED_TRACE(timeloop.name);
    const ir::Einsum& einsum = timeloop.workload.einsums[0];
    const auto counts = count(timeloop.workload, einsum, arch, timeloop.nest, options.footprint);
    ASSERT_TRUE(counts.has_value());
    const double optimum = static_cast<double>(counts->cycles) * pricing.price(*counts).total_pj;
    const auto constrained = Mapper(timeloop.workload, einsum, arch, pricing).best(options);
    const auto unconstrained = Mapper(timeloop.workload, einsum, arch, pricing, &*free).best(options);
    ASSERT_TRUE(constrained && unconstrained);
    EXPECT_LE(constrained->value, optimum * (1.0 + 1e-12));
    EXPECT_LT(unconstrained->value, optimum);
    EXPECT_GE(unconstrained->value, unconstrained->lower_bound);
    // What the mapper says of a nest is what counting it says.
    const auto again = count(timeloop.workload, einsum, arch, unconstrained->nest, options.footprint);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(*again, unconstrained->counts);
    EXPECT_EQ(structure_error(unconstrained->nest, einsum, arch, 3), std::nullopt);
  }
}

TEST(Mapper, DataflowTemplatesKeepToTheirLoops) {
  const Arch arch = load_arch("ws_16x16", "");
  const Pricing pricing(arch, load_price_table("energy_45nm", ""));
  const ir::Workload workload = product(40, 24, 50);
  MapOptions options;
  options.evaluations = 3000;
  for (const Dataflow& dataflow : load_dataflows("")) {
    const auto mapped = Mapper(workload, workload.einsums[0], arch, pricing, &dataflow).best(options);
    ASSERT_TRUE(mapped.has_value()) << dataflow.name;
    const std::string letters = "QKC";  // of M, N, K
    for (const LevelNest& level : mapped->nest.levels) {
      for (const NestLoop& loop : level.loops()) {
        const char letter = letters[static_cast<std::size_t>(loop.dim)];
        if (loop.kind == LoopKind::spatial_x && dataflow.spatial_x) {
          EXPECT_NE(dataflow.spatial_x->find(letter), std::string::npos) << dataflow.name;
        }
        if (loop.kind == LoopKind::spatial_y && dataflow.spatial_y) {
          EXPECT_NE(dataflow.spatial_y->find(letter), std::string::npos) << dataflow.name;
        }
      }
    }
  }
}

TEST(Mapper, EqualOptionsGiveEqualMappings) {
  const Arch arch = load_arch("eyeriss_256", "");
  const Pricing pricing(arch, load_price_table("energy_45nm", ""));
  const ir::Workload workload = product(49, 30, 17);
  MapOptions options;
  options.evaluations = 5000;
  const auto first = Mapper(workload, workload.einsums[0], arch, pricing).best(options);
  const auto second = Mapper(workload, workload.einsums[0], arch, pricing).best(options);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->nest, second->nest);
  EXPECT_EQ(first->evaluations, second->evaluations);
}

TEST(Mapper, PrimeSizesUseAllElementsWithAShorterLastStep) {
  const Arch arch = load_arch("ws_16x16", "");
  const Pricing pricing(arch, load_price_table("energy_45nm", ""));
  const ir::Workload workload = product(97, 97, 97);
  MapOptions options;
  options.objective = MapObjective::latency;
  const auto mapped = Mapper(workload, workload.einsums[0], arch, pricing).best(options);
  ASSERT_TRUE(mapped.has_value());
  // 97 is 7 rounds of at most 16; only divisors would leave all but one instance idle.
  EXPECT_LE(mapped->counts.compute_cycles, 97 * 7 * 7);
}

TEST(Mapper, ResidentTensorsCostNothingOutside) {
  const ir::Workload workload = product(8, 4, 6);
  const Arch arch = small_arch(64);
  const Pricing pricing(arch, load_price_table("energy_45nm", ""));
  const std::uint32_t input_and_output = 0b101;
  const auto resident = Mapper(workload, workload.einsums[0], arch, pricing, nullptr, input_and_output).best({});
  const auto outside = Mapper(workload, workload.einsums[0], arch, pricing).best({});
  ASSERT_TRUE(resident && outside);
  const LevelCounts& dram = resident->counts.levels[2];
  EXPECT_EQ(dram.tensors[0], TensorTraffic{});
  EXPECT_EQ(dram.tensors[2], TensorTraffic{});
  EXPECT_EQ(dram.tensors[1].reads, 24);
  EXPECT_EQ(resident->counts.levels[1].tensors[0].fills, 0);
  EXPECT_GE(resident->counts.levels[1].tensors[0].reads, 48);
  EXPECT_LT(resident->value, outside->value);
}

TEST(Mapper, SaysWhatTheSmallestTilesDoNotFit) {
  const ir::Workload workload = product(3, 3, 3);
  const Arch arch = small_arch(1);
  const Pricing pricing(arch, load_price_table("energy_45nm", ""));
  // The buffer may leave tensors out, so one word is enough; under rules of its own it may not.
  EXPECT_TRUE(Mapper(workload, workload.einsums[0], arch, pricing).best({}).has_value());
  Arch strict = arch;
  strict.levels[1].loops.temporal = "NPQKCRSG";
  const auto mapped = Mapper(workload, workload.einsums[0], strict, pricing).best({});
  ASSERT_FALSE(mapped.has_value());
  EXPECT_EQ(mapped.error().reason, "tiles need 3 words of Buffer, which has 1");
}

}  // namespace
}  // namespace cosearch::asic
