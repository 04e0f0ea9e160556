#include <gtest/gtest.h>

#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::testing_support {
namespace {

using nlohmann::json;

class EstimateWorkloadTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }

 private:
  TemporaryFolder folder_;
};

TEST_F(EstimateWorkloadTest, TakesEinsumsAndMappingsByHand) {
  const auto written = [&](const std::string& name, const std::string& text) {
    std::ofstream(file(name)) << text;
    return file(name);
  };
  const std::string einsums =
      written("e.txt",
              "workload p\ninput x activation int8 [4,6]\ntensor w weight int8 [6,8]\noutput y activation int8 [4,8]\n"
              "tensor z activation int8 [4,4]\n"
              "einsum first m<4 n<8 k<6 : y[m,n] += mul(x[m,k], w[k,n])\n"
              "einsum second i<4 j<4 k<8 : z[i,j] += mul(y[i,k], y[j,k])\n");
  const std::string nests = written("m.txt",
                                    "# by hand\neinsum first\nDRAM [ x w y ]\n  for m in [0:4)\nBuffer [ x y ]\n"
                                    "  for n in [0:8) (spatial x)\n    for k in [0:6) (spatial y)\nRegFile [ w ]\n");
  const std::vector<std::string> arguments{"estimate", "--workload", einsums, "--arch", "ws_16x16", "--mapping", nests};
  const ProcessResult text = run_cosearch(arguments);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_NE(text.out.find("first (product): "), std::string::npos);
  EXPECT_NE(text.out.find("mappings: "), std::string::npos) << "the second einsum is mapped";
  std::vector<std::string> as_json = arguments;
  as_json.insert(as_json.end(), {"--format", "json"});
  const json shown = json::parse(run_cosearch(as_json).out);
  const json& first = shown.at("einsums")[0];
  EXPECT_EQ(first.at("compute_cycles"), 4);
  EXPECT_EQ(first.at("mac_instances"), 48);
  EXPECT_EQ(first.at("levels")[0].at("tensors")[0].at("fills"), 48);  // each weight once
  EXPECT_FALSE(first.contains("search"));
  EXPECT_TRUE(shown.at("einsums")[1].contains("search"));
  const std::string large = written("large.txt",
                                    "einsum first\nDRAM [ x w y ]\nBuffer [ x y ]\nRegFile [ w ]\n"
                                    "  for m in [0:4)\n    for n in [0:8)\n      for k in [0:6)\n");
  const ProcessResult fits =
      run_cosearch({"estimate", "--workload", einsums, "--arch", "ws_16x16", "--mapping", large});
  EXPECT_EQ(fits.exit_code, 0) << fits.out;  // 48 of 64 weights
}

TEST_F(EstimateWorkloadTest, CostsEveryEinsumOfACascadeWithATotal) {
  std::ofstream(file("c.txt")) << "workload c\ninput q activation int8 [4,6]\ninput k activation int8 [9,6]\n"
                                  "tensor s activation int8 [4,3]\noutput y activation int8 [4]\n"
                                  "output z activation int8 [4]\niteration b<3\n"
                                  "einsum start initial p<4 : y[p] = copy(0)\n"
                                  "einsum scores over b b<3 p<4 j<3 e<6 : s[p,j] += mul(q[p,e], k[3*b+j,e])\n"
                                  "einsum largest over b b<3 p<4 j<3 : y[p] max= copy(s[p,j]) accumulate\n"
                                  "einsum last final p<4 j<3 : z[p] = opaque argmax(s[p,j]) operations 12 reads 12 "
                                  "writes 4\n";
  std::vector<std::string> arguments{"estimate", "--workload", file("c.txt"), "--arch", "simba"};
  const ProcessResult text = run_cosearch(arguments);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  for (const char* part : {"start (vector): ", "scores, each of 3 steps", "on the vector lanes, each of 3 steps",
                           "total: ", "216 multiply-accumulates"}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << part << "\n" << text.out;
  }
  arguments.insert(arguments.end(), {"--format", "json"});
  const json shown = json::parse(run_cosearch(arguments).out);
  ASSERT_EQ(shown.at("einsums").size(), 4U);
  for (const char* figure : {"macs", "cycles", "energy_uj", "traffic_bytes"}) {
    double sum = 0.0;
    for (const json& einsum : shown.at("einsums")) {
      sum += einsum.at(figure).get<double>();
    }
    EXPECT_NEAR(shown.at("total").at(figure).get<double>(), sum, 1e-12 * sum) << figure;
  }
  EXPECT_EQ(shown.at("einsums")[1].at("steps"), 3);
  EXPECT_GT(shown.at("einsums")[3].at("energy_uj").get<double>(), 0.0);
  arguments.back() = "csv";
  const std::vector<std::string> rows = lines(run_cosearch(arguments).out);
  ASSERT_EQ(rows.size(), 6U);
  EXPECT_EQ(rows[5].substr(0, 12), "total,,,216,");
}

TEST_F(EstimateWorkloadTest, EstimateSetsTheSizesOfEinsums) {
  std::ofstream(file("sized.einsums")) << "workload p\nsize M 4\nsize N 2*M\ninput x activation int8 [M,6]\n"
                                          "tensor w weight int8 [6,N]\noutput y activation int8 [M,N]\n"
                                          "einsum p m<M n<N k<6 : y[m,n] += mul(x[m,k], w[k,n])\n";
  const ProcessResult result = run_cosearch(
      {"estimate", "--workload", file("sized.einsums"), "--arch", "ws_16x16", "--set", "M=16", "--format", "json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("einsums")[0].at("macs"), 16 * 32 * 6);
}

TEST_F(EstimateWorkloadTest, EstimateTellsThePassesOfACascade) {
  std::vector<std::string> arguments{"estimate", "--workload", "cascade:attention_three_pass", "--set", "M=4096"};
  const ProcessResult text = run_cosearch(arguments);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_NE(text.out.find("m (m<4096): 3 passes over each fiber of 4096 elements"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("sn must wait for all of gm"), std::string::npos) << text.out;
  arguments.insert(arguments.end(), {"--format", "json"});
  const json shown = json::parse(run_cosearch(arguments).out);
  EXPECT_EQ(shown.at("einsums")[0].at("macs"), 4096 * 1024 * 64);
  const json& streamed = shown.at("dimensions")[0];
  EXPECT_EQ(streamed.at("dimension"), "m");
  EXPECT_EQ(streamed.at("passes"), 3);
  EXPECT_EQ(streamed.at("live")[0].at("tensor"), "qk");
  EXPECT_EQ(streamed.at("buffer_bytes"), 2 * 4096);
}

TEST_F(EstimateWorkloadTest, EstimateExplainsPassesBesideCosts) {
  std::ofstream(file("two.einsums")) << "workload p\ninput x activation int8 [16,8]\ntensor w weight int8 [8,16]\n"
                                        "output y activation int8 [16,16]\n"
                                        "einsum p m<16 n<16 k<8 : y[m,n] += mul(x[m,k], w[k,n])\n";
  const ProcessResult result =
      run_cosearch({"estimate", "--workload", file("two.einsums"), "--arch", "ws_16x16", "--explain"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out.find("1 pass, no whole fiber live: m, n, k"), 0U) << result.out;
  EXPECT_NE(result.out.find("multiply-accumulates a cycle"), std::string::npos);
}

TEST_F(EstimateWorkloadTest, CascadesAreListedAndDescribed) {
  const json listed = json::parse(run_cosearch({"cascades", "list", "--format", "json"}).out);
  EXPECT_EQ(listed.at("cascades").size(), 14U);
  const ProcessResult described = run_cosearch({"cascades", "describe", "attention_one_pass"});
  EXPECT_EQ(described.exit_code, 0) << described.err;
  EXPECT_NE(described.out.find("einsum rm over m1"), std::string::npos) << "the text";
  EXPECT_NE(described.out.find("m (m1<4, m0<256): 1 pass"), std::string::npos) << "the passes";
}

TEST_F(EstimateWorkloadTest, TargetsTakeOptionsAndCascadesOfTheUser) {
  // A softmax without its maximum, by blocks: not in the library.
  std::ofstream(file("own.einsums")) << R"(workload own
size M 64
size M0 16
size M1 M/M0
size P 64
input q activation fp16 [P,64]
input k activation fp16 [M,64]
input v activation fp16 [M,64]
tensor qk activation fp16 [M1,M0,P]
tensor sn activation fp16 [M1,M0,P]
tensor sd activation fp16 [P]
tensor snv activation fp16 [P,64]
output av activation fp16 [P,64]
einsum qk m1<M1 m0<M0 p<P e<64 : qk[m1,m0,p] += mul(q[p,e], k[M0*m1+m0,e])
einsum sn m1<M1 m0<M0 p<P : sn[m1,m0,p] = exp(qk[m1,m0,p])
einsum sd m1<M1 m0<M0 p<P : sd[p] += copy(sn[m1,m0,p])
einsum snv m1<M1 p<P f<64 m0<M0 : snv[p,f] += mul(sn[m1,m0,p], v[M0*m1+m0,f])
einsum av p<P f<64 : av[p,f] = div(snv[p,f], sd[p])
)";
  const std::vector<std::string> arguments{"estimate",  "--network", "bert_layer",  "--target", "fusemax",
                                           "--explain", "--option",  "causal=true", "--option"};
  const auto with = [&](const std::string& option, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = arguments;
    all.push_back(option);
    all.insert(all.end(), more.begin(), more.end());
    return run_cosearch(all);
  };
  const ProcessResult own = with("cascade_text=@" + file("own.einsums"), {"--option", "slots=qk | av ; sn sd snv"});
  EXPECT_EQ(own.exit_code, 0) << own.err;
  EXPECT_NE(own.out.find("own in 1 passes"), std::string::npos) << own.out;
  const ProcessResult missing = with("cascade_text=@" + file("none.einsums"));
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.err.find("none.einsums: cannot be read"), std::string::npos) << missing.err;
  const ProcessResult unknown = with("causl=true");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.err.find("did you mean \"causal\""), std::string::npos) << unknown.err;
}

}  // namespace
}  // namespace cosearch::testing_support
