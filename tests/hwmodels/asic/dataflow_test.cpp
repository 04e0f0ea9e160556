#include "hwmodels/asic/dataflow.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch::asic {
namespace {

using testing::config_error_of;
using ::testing::HasSubstr;

std::string parts_of(const std::string& text) {
  const ir::Workload workload = ir::parse_workload(text);
  const ir::Einsum& einsum = workload.einsums.at(0);
  return loop_parts(einsum, einsum_tensors(workload, einsum));
}

TEST(Dataflow, LoopsAreNamedByWhatTheyMove) {
  EXPECT_EQ(parts_of("workload c\ninput x activation int8 [1,8,8,3]\ntensor w weight int8 [3,3,3,16]\n"
                     "output y activation int8 [1,6,6,16]\n"
                     "einsum c n<1 oy<6 ox<6 k<16 ky<3 kx<3 c<3 : y[n,oy,ox,k] += mul(x[n,oy+ky,ox+kx,c], "
                     "w[ky,kx,c,k])\n"),
            "NPQKRSC");
  // Another order of loops and axes.
  EXPECT_EQ(parts_of("workload c\ninput x activation int8 [3,8,8,2]\ntensor w weight int8 [3,3,3,16]\n"
                     "output y activation int8 [16,6,6,2]\n"
                     "einsum c k<16 c<3 ky<3 kx<3 ox<6 oy<6 n<2 : y[k,oy,ox,n] += mul(x[c,oy+ky,ox+kx,n], "
                     "w[ky,kx,c,k])\n"),
            "KCRSQPN");
  EXPECT_EQ(parts_of("workload d\ninput x activation int8 [8,8,4]\ntensor w weight int8 [3,3,4]\n"
                     "output y activation int8 [6,6,4]\n"
                     "einsum d oy<6 ox<6 g<4 ky<3 kx<3 : y[oy,ox,g] += mul(x[oy+ky,ox+kx,g], w[ky,kx,g])\n"),
            "PQGRS");
  EXPECT_EQ(parts_of("workload m\ninput x activation int8 [5,7]\ntensor w weight int8 [7,9]\n"
                     "output y activation int8 [5,9]\neinsum m m<5 n<9 k<7 : y[m,n] += mul(x[m,k], w[k,n])\n"),
            "QKC");
  EXPECT_EQ(parts_of("workload a\ninput q activation int8 [4,5,8]\ninput k activation int8 [4,6,8]\n"
                     "output s activation int8 [4,5,6]\n"
                     "einsum a h<4 i<5 j<6 e<8 : s[h,i,j] += mul(q[h,i,e], k[h,j,e])\n"),
            "GQKC");
}

TEST(Dataflow, TemplatesReplaceWhatTheLevelsSayAndTheOutermostLevelTakesAll) {
  const Arch arch = load_arch("eyeriss_256", "");
  const ir::Workload workload = ir::parse_workload(
      "workload m\ninput x activation int8 [5,7]\ntensor w weight int8 [7,9]\n"
      "output y activation int8 [5,9]\neinsum m m<5 n<9 k<7 : y[m,n] += mul(x[m,k], w[k,n])\n");
  const ir::Einsum& einsum = workload.einsums[0];
  const std::vector<EinsumTensor> tensors = einsum_tensors(workload, einsum);
  const MapRules native = map_rules(arch, nullptr, einsum, tensors);
  EXPECT_EQ(native.levels[0].temporal, 0b010U);   // K
  EXPECT_EQ(native.levels[4].spatial_x, 0b011U);  // Q and K
  EXPECT_EQ(native.levels[3].spatial_y, 0b110U);  // K and C
  EXPECT_EQ(native.levels[4].temporal, 0b010U);   // N, K and P of the convolution: K here
  EXPECT_EQ(native.levels[5].order, (std::vector<int>{0, 1, 2}));
  EXPECT_FALSE(native.bypass);
  EXPECT_EQ(native.levels[5].temporal, ~0U);
  Dataflow stationary{"s", "", "K", "C", Role::weight};
  const MapRules rules = map_rules(arch, &stationary, einsum, tensors);
  EXPECT_EQ(rules.levels[0].temporal, ~0U);
  EXPECT_EQ(rules.levels[3].spatial_y, 0b100U);
  EXPECT_EQ(rules.stationary, Role::weight);
  EXPECT_TRUE(rules.bypass);
}

TEST(Dataflow, WrongFilesAreConfigErrors) {
  testing::TemporaryData data;
  const auto error_of = [&](const auto& change) {
    nlohmann::json json = load_data("dataflows", "");
    change(json["dataflows"]["nvdla"]);
    data.write("dataflows.json", json.dump());
    return config_error_of([&] { (void)load_dataflows(data.path()); });
  };
  EXPECT_THAT(error_of([](nlohmann::json& j) { j["spatial_x"] = "KX"; }),
              HasSubstr("/dataflows/nvdla/spatial_x: expected letters of N P Q K C R S G, each at most once, read"));
  EXPECT_THAT(error_of([](nlohmann::json& j) { j["spatial_y"] = "CC"; }), HasSubstr("each at most once"));
  EXPECT_THAT(error_of([](nlohmann::json& j) { j["stationary"] = "bias"; }), HasSubstr("/dataflows/nvdla/stationary"));
  EXPECT_THAT(error_of([](nlohmann::json& j) { j["order"] = 1; }), HasSubstr("\"order\" is not known"));
}

}  // namespace
}  // namespace cosearch::asic
