#include "hwmodels/attention/target.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "spaces/catalog/networks.hpp"
#include "spaces/space/genome.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using ::testing::AllOf;
using testing::config_error_of;
using ::testing::HasSubstr;

const nlohmann::json kGenes{{"elements", "fusemax"},
                            {"cascade", "attention_one_pass"},
                            {"fusion", "tiles"},
                            {"softmax_on", "array"},
                            {"binding", "interleaved"},
                            {"rows", 32},
                            {"columns", 32},
                            {"lanes", 32},
                            {"buffer_kib", 64},
                            {"dram_gib_s", 50},
                            {"frequency_mhz", 800}};

/// Attention of rectified scores with a head of 16 features, written by a user.
constexpr const char* kOwnCascade =
    "workload mine\n"
    "input q activation fp16 [8,16]\n"
    "input k activation fp16 [8,16]\n"
    "input v activation fp16 [8,16]\n"
    "tensor s activation fp16 [8,8]\n"
    "tensor r activation fp16 [8,8]\n"
    "output o activation fp16 [8,16]\n"
    "einsum s m<8 p<8 e<16 : s[m,p] += mul(q[p,e], k[m,e])\n"
    "einsum r m<8 p<8 : r[m,p] = relu(s[m,p])\n"
    "einsum o m<8 p<8 f<16 : o[p,f] += mul(r[m,p], v[m,f])\n";

Job job_of(graph::NetworkGraph network, ir::ElementType type = ir::ElementType::fp16) {
  Job job{std::move(network)};
  job.types.activation = job.types.weight = type;
  return job;
}

Job small_job() { return job_of(testing::small_vit(28, 7, 48, 3, 2)); }

Expected<Cost, Infeasible> evaluate(const std::string& target_name, const Job& job,
                                    const nlohmann::json& options = nlohmann::json::object(),
                                    const nlohmann::json& genes = nlohmann::json::object()) {
  const std::unique_ptr<Target> target = make_target(target_name, options, "");
  auto model = target->build(target->params().from_json(genes));
  if (!model) {  // before any network is looked at
    return Unexpected{std::move(model).error()};
  }
  return (*model)->evaluate(std::span(&job, 1));
}

nlohmann::json genes_with(const nlohmann::json& changes) {
  nlohmann::json genes = kGenes;
  genes.update(changes);
  return genes;
}

double latency(const Expected<Cost, Infeasible>& cost) {
  EXPECT_TRUE(cost.has_value()) << (cost ? "" : cost.error().reason);
  return cost ? cost->metrics.at("latency_ms") : 0.0;
}

TEST(AttentionTargets, EveryLayerOfATransformerHasAPositiveCost) {
  for (const Job& job : {small_job(), job_of(make_network("bert_base"))}) {
    for (const char* name : {"attention", "attention_unfused", "flat", "fusemax"}) {
      const auto cost = evaluate(name, job, {}, std::string(name) == "attention" ? kGenes : nlohmann::json::object());
      ASSERT_TRUE(cost.has_value()) << name << ": " << cost.error().reason;
      bool attention = false;
      for (const LayerCost& layer : cost->layers) {
        attention = attention || layer.kind == "multi_head_attention";
        EXPECT_GT(layer.cycles, 0.0) << name << " " << layer.name;
        EXPECT_GT(layer.latency_ms, 0.0) << name << " " << layer.name;
        EXPECT_GT(layer.energy_uj, 0.0) << name << " " << layer.name;
        EXPECT_LE(layer.utilization, 1.0) << name << " " << layer.name;
        EXPECT_FALSE(layer.bound.empty()) << name << " " << layer.name;
      }
      EXPECT_TRUE(attention) << name;
      EXPECT_GT(cost->metrics.at("area_mm2"), 0.0) << name;
    }
  }
}

TEST(AttentionTargets, FuseMaxIsFasterThanFlatAndBothThanUnfused) {
  const Job job = job_of(make_network("bert_base"));
  const auto attending = [&](const char* name) {
    const auto cost = evaluate(name, job);
    double cycles = 0.0;
    for (const LayerCost& layer : cost->layers) {
      cycles += layer.kind == "multi_head_attention" ? layer.cycles : 0.0;
    }
    return cycles;
  };
  EXPECT_LT(attending("fusemax"), attending("flat"));
  EXPECT_LT(attending("flat"), attending("attention_unfused"));
}

TEST(AttentionTargets, ExplainsItsAttentionLayers) {
  const Job job = small_job();
  const std::unique_ptr<Target> target = make_target("fusemax", nlohmann::json::object(), "");
  const auto model = target->build(target->params().from_json(nlohmann::json::object()));
  const auto cost = (*model)->evaluate(std::span(&job, 1));
  const std::vector<std::string> texts = (*model)->explain(std::span(&job, 1));
  ASSERT_EQ(texts.size(), cost->layers.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (cost->layers[i].kind == "multi_head_attention") {
      EXPECT_THAT(texts[i], AllOf(HasSubstr("attention_one_pass in 1 passes"), HasSubstr("slots: qk lm | rd rnv av")));
    }
  }
}

TEST(AttentionTargets, MistakesInOptionsAreNamed) {
  const auto error = [](const nlohmann::json& options) {
    return config_error_of([&] { (void)make_target("attention", options, ""); });
  };
  EXPECT_THAT(error({{"energy_table", "tsmc"}}), HasSubstr("/target/energy_table: \"tsmc\" is not known"));
  EXPECT_THAT(error({{"dram", "ddr9"}}), HasSubstr("/target/dram: \"ddr9\" is not known"));
  EXPECT_THAT(error({{"decode_keys", -1}}), HasSubstr("/target/decode_keys"));
  EXPECT_THAT(error({{"bandwidth", 1}}), HasSubstr("bandwidth"));
  EXPECT_THAT(error({{"cascade_text", "workload w\ninput q activation fp16 [8\n"}}),
              AllOf(HasSubstr("/target/cascade_text"), HasSubstr("line 2")));
  EXPECT_THAT(error({{"cascade_text",
                      "workload w\ninput x activation fp16 [8]\noutput y activation fp16 [8]\n"
                      "einsum y p<8 : y[p] = relu(x[p])\n"}}),
              AllOf(HasSubstr("/target/cascade_text"), HasSubstr("names no rank of the streamed dimension `m`")));
}

TEST(AttentionTargets, SlotsThatCannotBeAreInfeasibleByReason) {
  const auto with_slots = [](const char* slots) {
    return evaluate("attention", small_job(), {{"slots", slots}}, genes_with({{"binding", "own"}}));
  };
  const auto unknown = with_slots("qk softmax");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().reason, HasSubstr("\"softmax\", which is none of attention_one_pass's einsums"));
  EXPECT_THAT(with_slots("qk lm").error().reason, HasSubstr("times, allowed: once"));
  EXPECT_EQ(latency(with_slots("qk lm | rd rnv av ; | rm ; sln sld | prm spd ; slnv | spnv")),
            latency(evaluate("attention", small_job(), {}, genes_with({{"binding", "fusemax_interleaved"}}))));
}

TEST(AttentionTargets, CascadesOfTheUserRun) {
  nlohmann::json genes = genes_with({{"cascade", "own"}, {"softmax_on", "array"}});
  const auto cost = evaluate("attention", small_job(), {{"cascade_text", kOwnCascade}}, genes);
  ASSERT_TRUE(cost.has_value()) << cost.error().reason;
  const auto softmax = evaluate("attention", small_job(), {}, kGenes);
  for (std::size_t i = 0; i < cost->layers.size(); ++i) {
    if (cost->layers[i].kind == "multi_head_attention") {
      EXPECT_LT(cost->layers[i].cycles, softmax->layers[i].cycles);  // no softmax
      EXPECT_EQ(cost->layers[i].macs, softmax->layers[i].macs);
    } else {
      EXPECT_EQ(cost->layers[i].cycles, softmax->layers[i].cycles);
    }
  }
}

TEST(AttentionTargets, TypesWiderThanAWordAreRefused) {
  const auto cost = evaluate("fusemax", job_of(testing::small_vit(28, 7, 48, 3, 2), ir::ElementType::fp32));
  ASSERT_FALSE(cost.has_value());
  EXPECT_THAT(cost.error().reason, HasSubstr("the job's activations are wider"));
  EXPECT_TRUE(evaluate("fusemax", job_of(testing::small_vit(28, 7, 48, 3, 2), ir::ElementType::int8)).has_value());
}

TEST(AttentionTargets, CascadesOfSeveralPassesAreInfeasibleAsTiles) {
  const auto cost = evaluate("attention", small_job(), {}, genes_with({{"cascade", "attention_three_pass"}}));
  ASSERT_FALSE(cost.has_value());
  EXPECT_THAT(cost.error().reason, HasSubstr("takes 3 passes"));
  const std::unique_ptr<Target> target = make_target("attention", {}, "");
  EXPECT_FALSE(target->build(target->params().from_json(genes_with({{"cascade", "attention_three_pass"}}))).has_value())
      << "passes prune designs before a network is lowered";
}

TEST(AttentionTargets, OptionsChangeWhatTheySay) {
  const Job job = job_of(make_network("bert_base"));
  const auto base = evaluate("attention", job, {}, kGenes);
  const auto complete = evaluate("attention", job, {{"complete_energy", true}}, kGenes);
  EXPECT_GT(complete->metrics.at("energy_uj"), base->metrics.at("energy_uj"));
  EXPECT_EQ(latency(complete), latency(base));
  const auto horowitz = evaluate("attention", job, {{"energy_table", "horowitz_45nm"}}, kGenes);
  EXPECT_LT(horowitz->metrics.at("energy_uj"), base->metrics.at("energy_uj"));
  const auto lpddr4 = evaluate("attention", job, {{"dram", "lpddr4"}}, kGenes);
  EXPECT_GT(lpddr4->metrics.at("energy_uj"), base->metrics.at("energy_uj"));
  EXPECT_LT(latency(evaluate("attention", job, {{"causal", true}}, kGenes)), latency(base));
  EXPECT_GT(latency(evaluate("attention", job, {{"decode_keys", 4096}}, kGenes)), latency(base));
}

TEST(AttentionTargets, FingerprintsFollowTheOptions) {
  const auto fingerprint = [](const char* name, const nlohmann::json& options) {
    return make_target(name, options, "")->fingerprint();
  };
  EXPECT_EQ(fingerprint("fusemax", {}), fingerprint("fusemax", nlohmann::json::object()));
  EXPECT_NE(fingerprint("fusemax", nlohmann::json::object()), fingerprint("flat", nlohmann::json::object()));
  EXPECT_NE(fingerprint("fusemax", {{"causal", true}}), fingerprint("fusemax", nlohmann::json::object()));
}

}  // namespace
}  // namespace cosearch
