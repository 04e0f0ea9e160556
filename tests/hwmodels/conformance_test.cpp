#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/job_graph.hpp"
#include "hwmodels/model.hpp"
#include "spaces/base/metrics.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/oracle/random_network.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using testing::config_error_of;

constexpr std::size_t kGenomes = 24;

std::vector<graph::NetworkGraph> networks() {
  return {testing::reference_network("ds_cnn"),
          testing::reference_network("resnet8"),
          testing::reference_network("mcunet-in0"),
          testing::small_vit(28, 7, 48, 3, 2),
          oracle::small_u_net(),
          oracle::small_text_network(),
          oracle::small_mixture()};
}

/// Peak multiply-accumulates per second of a design, from its knobs alone.
double peak_of(const std::string& target, const nlohmann::json& genes) {
  if (target == "cortex_m") {
    const std::string board = genes.at("board");
    return (board == "ra8d1" ? 8e6 : 2e6) * genes.at(board + ".clock_mhz").get<double>();
  }
  if (target == "maestro") {
    return 1e9 * genes.at("pes").get<double>();
  }
  if (target == "asic_heterogeneous") {
    double pes = 0.0;
    for (const char* unit : {"aic1.pes", "aic2.pes"}) {
      pes += genes.contains(unit) ? genes.at(unit).get<double>() : 0.0;
    }
    return 1e9 * pes;
  }
  if (genes.size() == 1) {  // a preset, whose only knob is its dataflow
    const asic::Arch arch = asic::load_arch(target == "eyeriss" ? "eyeriss_168" : target, "");
    return arch.frequency_hz * static_cast<double>(arch.macs.size() + arch.vector_lanes);
  }
  const double frequency = 1e6 * genes.at("frequency_mhz").get<double>();
  if (target == "roofline") {
    return frequency * genes.at("cores").get<double>() * genes.at("lanes").get<double>();
  }
  if (target == "moe_fpga") {  // at most one product of a DSP in a cycle, beside attention
    return frequency *
           (genes.at("dsps").get<double>() + genes.at("attention").get<double>() * genes.at("lanes").get<double>());
  }
  if (genes.contains("lanes")) {  // beside an array
    return frequency *
           (genes.at("rows").get<double>() * genes.at("columns").get<double>() + genes.at("lanes").get<double>());
  }
  // The vector unit has one lane per column beside the array.
  return frequency * (genes.at("rows").get<double>() + 1.0) * genes.at("columns").get<double>();
}

class Targets : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { target_ = make_target(GetParam(), options(), ""); }
  /// Targets with a mapper are given little time for it.
  [[nodiscard]] static nlohmann::json options() {
    return has_mapper() ? nlohmann::json{{"mapper_evaluations", 100}} : nlohmann::json::object();
  }
  [[nodiscard]] static bool has_mapper() {
    return GetParam() != "cortex_m" && GetParam() != "maestro" && GetParam() != "roofline" && !side_by_side() &&
           GetParam() != "moe_fpga" && !for_attention();
  }
  /// An array beside lanes, without a mapper.
  [[nodiscard]] static bool for_attention() {
    return GetParam() == "attention" || GetParam() == "attention_unfused" || GetParam() == "flat" ||
           GetParam() == "fusemax";
  }
  /// Cascades that multiply and accumulate more, or less, than scores and results of softmax attention.
  [[nodiscard]] bool own_products(const Genome& genome) const {
    const std::string cascade = for_attention() ? target_->params().text(genome, "cascade") : "";
    return cascade == "attention_linear" || cascade == "attention_two_pass";
  }
  /// Layers and jobs overlap in time.
  [[nodiscard]] static bool side_by_side() { return GetParam() == "asic_heterogeneous"; }
  std::unique_ptr<Target> target_;

  [[nodiscard]] std::vector<Genome> genomes() const {
    std::vector<Genome> list;
    for (std::size_t i = 0; i < kGenomes; ++i) {
      RngStream rng(11, Purpose::test, i);
      list.push_back(target_->params().sample(rng));
    }
    return list;
  }
  [[nodiscard]] Expected<Cost, Infeasible> cost(const Genome& genome, const Job& job) const {
    const auto model = target_->build(genome);
    if (!model) {
      return Unexpected{model.error()};
    }
    return (*model)->evaluate(std::span(&job, 1));
  }
};

void expect_well_formed(const Cost& cost, const std::vector<std::string>& names, bool side_by_side) {
  ASSERT_EQ(cost.metrics.size(), names.size());
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) {
    ASSERT_TRUE(cost.metrics.count(name)) << name;
    EXPECT_TRUE(find_metric(name).has_value()) << name << " is not in the metric registry";
    EXPECT_TRUE(std::isfinite(cost.metrics.at(name)) && cost.metrics.at(name) >= 0.0) << name;
  }
  double latency = 0.0;
  double energy = 0.0;
  double macs = 0.0;
  for (const LayerCost& layer : cost.layers) {
    latency += layer.latency_ms;
    energy += layer.energy_uj;
    macs += static_cast<double>(layer.macs);
    EXPECT_GE(layer.utilization, 0.0);
    EXPECT_LE(layer.utilization, 1.0) << layer.name;
    EXPECT_GT(layer.bound == "fused" ? layer.energy_uj : layer.latency_ms, 0.0)
        << layer.name << " (" << layer.kind << ") is free";
    EXPECT_FALSE(layer.bound.empty() || layer.kind.empty()) << layer.name;
  }
  if (side_by_side) {  // the clock of a schedule counts whole cycles
    EXPECT_LE(cost.metrics.at("latency_ms"), latency + 1e-6 * static_cast<double>(cost.layers.size()));
    latency = cost.metrics.at("latency_ms");
  }
  EXPECT_NEAR(latency, cost.metrics.at("latency_ms"), 1e-9 * latency);
  EXPECT_DOUBLE_EQ(macs, cost.metrics.at("macs"));
  EXPECT_LE(cost.metrics.at("utilization"), 1.0);
  if (cost.metrics.count("energy_uj")) {
    EXPECT_NEAR(energy, cost.metrics.at("energy_uj"), 1e-9 * energy);
    EXPECT_NEAR(cost.metrics.at("power_mw"), energy / latency, 1e-6 * energy / latency);  // uJ / ms = mW
    EXPECT_NEAR(cost.metrics.at("edp_nj_s"), energy * latency, 1e-9 * energy * latency);
  }
  if (cost.metrics.count("dram_gbps")) {  // no peak is below the mean; bytes in a ms are 1e-6 GB/s
    EXPECT_GE(cost.metrics.at("dram_gbps"), 1e-6 * cost.metrics.at("traffic_bytes") / latency * (1.0 - 1e-9));
  }
  EXPECT_FALSE(cost.bound.empty());
}

TEST_P(Targets, CostsAreWellFormedAndNotBelowTheRoofline) {
  std::size_t feasible = 0;
  for (const graph::NetworkGraph& network : networks()) {
    const Job job{network};
    const double macs = static_cast<double>(graph::total_counts(network).macs);
    const double params = static_cast<double>(graph::total_counts(network).parameters);
    for (const Genome& genome : genomes()) {
      const auto result = cost(genome, job);
      if (!result) {
        EXPECT_FALSE(result.error().reason.empty());
        for (const Violation& violation : result.error().violations) {
          EXPECT_GT(violation.amount(), 0.0);
        }
        continue;
      }
      ++feasible;
      expect_well_formed(*result, target_->metric_names(), side_by_side());
      if (!own_products(genome)) {
        EXPECT_DOUBLE_EQ(result->metrics.at("macs"), macs) << network.name;
      }
      EXPECT_DOUBLE_EQ(result->metrics.at("params"), params);
      const double bound_ms = 1e3 * macs / peak_of(GetParam(), target_->params().to_json(genome));
      EXPECT_GE(result->metrics.at("latency_ms"), bound_ms * (1.0 - 1e-12)) << network.name;
    }
  }
  EXPECT_GT(feasible, kGenomes) << "most candidates should fit";
}

TEST_P(Targets, EqualJobsGiveEqualCostsOnAnyThread) {
  const Job job{testing::reference_network("ds_cnn")};
  for (const Genome& genome : genomes()) {
    std::vector<std::string> answers(3);
    const auto describe = [&](std::size_t slot) {
      const auto result = cost(genome, job);
      std::string text = result ? result->bound : result.error().reason;
      if (result) {
        for (const auto& [name, value] : result->metrics) {
          text += " " + name + "=" + std::to_string(value);
        }
        for (const LayerCost& layer : result->layers) {
          text += " " + layer.name + ":" + std::to_string(layer.cycles);
        }
      }
      answers[slot] = text;
    };
    describe(0);
    std::thread other([&] { describe(1); });
    describe(2);
    other.join();
    EXPECT_EQ(answers[0], answers[1]);
    EXPECT_EQ(answers[0], answers[2]);
  }
}

// Boards have no bandwidth knob; their clocks are listed from the highest down. A mapper looks
// for the best mapping at each bandwidth anew and may miss it: a few per cent are its search's, not the model's.
TEST_P(Targets, MoreBandwidthOrAFasterClockIsNeverSlower) {
  // A scheduler's heuristic is as little exact.
  const double tolerance = has_mapper() || side_by_side() ? 0.05 : 1e-12;
  if (has_mapper()) {
    target_ = make_target(GetParam(), {{"mapper_evaluations", 2000}, {"objective", "latency"}}, "");
  }
  if (target_->params().size() == 1) {
    return;  // presets have neither
  }
  if (side_by_side()) {
    target_ = make_target(GetParam(), {{"bandwidth_budget", 1000}}, "");
  }
  const std::optional<std::size_t> external = target_->params().find(for_attention() ? "dram_gib_s" : "bandwidth_gb_s");
  const std::optional<std::size_t> of_network =
      target_->params().find(side_by_side() ? "aic1.bandwidth" : "noc_bandwidth");
  const std::optional<std::size_t> of_bus = target_->params().find("bits_per_cycle");
  const std::optional<std::size_t> bandwidth = external ? external : (of_bus ? of_bus : of_network);
  for (const graph::NetworkGraph& network : networks()) {
    for (std::size_t i = 0; i < 6; ++i) {
      Genome genome = genomes()[i];
      const std::size_t knob =
          bandwidth ? *bandwidth : *target_->params().find(target_->params().text(genome, "board") + ".clock_mhz");
      const std::int64_t values = *target_->params().cardinality(knob);
      double previous = INFINITY;
      for (std::int64_t value = 0; value < values; ++value) {
        genome.genes[knob] = static_cast<double>(bandwidth ? value : values - 1 - value);
        const auto result = cost(genome, Job{network});
        if (result) {
          EXPECT_LE(result->metrics.at("latency_ms"), previous * (1.0 + tolerance));
          previous = result->metrics.at("latency_ms");
        }
      }
    }
  }
}

TEST_P(Targets, TrainingAndLargerBatchesCostMoreOrAreRefusedWithAReason) {
  const Genome genome = target_->params().canonical(Genome{std::vector<double>(target_->params().size(), 0.0)});
  Job job{testing::reference_network("ds_cnn")};
  const auto base = cost(genome, job);
  ASSERT_TRUE(base.has_value()) << base.error().reason;
  job.batch = 4;
  const auto batch = cost(genome, job);
  if (batch) {
    EXPECT_DOUBLE_EQ(batch->metrics.at("macs"), 4.0 * base->metrics.at("macs"));
    EXPECT_GT(batch->metrics.at("latency_ms"), base->metrics.at("latency_ms"));
  } else {
    EXPECT_FALSE(batch.error().reason.empty());
  }
  job.batch = 1;
  job.phase = graph::Phase::training;
  const auto training = cost(genome, job);
  if (training) {
    EXPECT_GT(training->metrics.at("latency_ms"), base->metrics.at("latency_ms"));
    EXPECT_GT(training->metrics.at("macs"), 2.0 * base->metrics.at("macs"));
  } else {
    EXPECT_FALSE(training.error().reason.empty());
  }
}

TEST_P(Targets, JobsRunOneAfterTheOther) {
  const Genome genome = target_->params().canonical(Genome{std::vector<double>(target_->params().size(), 0.0)});
  const std::vector<Job> jobs{{testing::reference_network("ds_cnn")}, {testing::small_vit(28, 7, 48, 3, 1)}};
  const auto model = target_->build(genome);
  ASSERT_TRUE(model.has_value());
  const auto both = (*model)->evaluate(jobs);
  const auto first = cost(genome, jobs[0]);
  const auto second = cost(genome, jobs[1]);
  ASSERT_TRUE(both && first && second);
  if (side_by_side()) {
    EXPECT_LE(both->metrics.at("latency_ms"),
              first->metrics.at("latency_ms") + second->metrics.at("latency_ms") + 1e-9);
    EXPECT_GE(both->metrics.at("latency_ms"),
              std::max(first->metrics.at("latency_ms"), second->metrics.at("latency_ms")) * 0.97);
    return;
  }
  for (const char* name : {"latency_ms", "macs", "params"}) {
    EXPECT_NEAR(both->metrics.at(name), first->metrics.at(name) + second->metrics.at(name),
                1e-9 * both->metrics.at(name))
        << name;
  }
  std::vector<std::string> names;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    for (const LayerCost& layer : (i == 0 ? first : second)->layers) {
      names.push_back(std::get<graph::NetworkGraph>(jobs[i].model).name + "/" + layer.name);
    }
  }
  ASSERT_EQ(both->layers.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(both->layers[i].name, names[i]);
  }
}

TEST_P(Targets, LayersTellWhichTaskTheyRunFor) {
  const std::vector<Job> jobs = task_jobs({oracle::two_tasks()});
  for (const Genome& genome : genomes()) {
    const auto model = target_->build(genome);
    const auto result = model ? (*model)->evaluate(jobs) : Unexpected{model.error()};
    if (!result) {
      continue;
    }
    std::vector<std::string> names;
    for (const LayerCost& layer : result->layers) {
      names.push_back(layer.name);
    }
    EXPECT_THAT(names,
                ::testing::IsSupersetOf({"two_tasks@0/moe", "two_tasks@0/a", "two_tasks@1/moe", "two_tasks@1/b"}));
  }
}

TEST_P(Targets, WrongOptionsAreConfigErrors) {
  EXPECT_THAT(config_error_of([&] {
                (void)make_target(GetParam(), {{"colour", "blue"}}, "");
              }),
              ::testing::HasSubstr("/target/colour: \"colour\" is not known"));
  EXPECT_THAT(config_error_of([&] { (void)make_target(GetParam(), nlohmann::json::array(), ""); }),
              ::testing::HasSubstr("/target: expected an object, read []"));
}

TEST_P(Targets, FingerprintIsStableAndNamesTheTarget) {
  EXPECT_EQ(target_->fingerprint(), make_target(GetParam(), options(), "")->fingerprint());
  EXPECT_EQ(target_->fingerprint().find(GetParam()), 0U);
}

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const TargetEntry& entry : target_registry()) {
    list.emplace_back(entry.name);
  }
  return list;
}
INSTANTIATE_TEST_SUITE_P(Registry, Targets, ::testing::ValuesIn(names()),
                         [](const auto& target) { return target.param; });

TEST(TargetRegistry, IsSortedAndUnknownNamesAreConfigErrors) {
  const std::vector<std::string> list = names();
  EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
  EXPECT_THAT(
      config_error_of([] { (void)make_target("cortexm", nlohmann::json::object(), ""); }),
      ::testing::HasSubstr("/target/name: \"cortexm\" is not known; known: asic, asic_heterogeneous, attention, "
                           "attention_unfused, cortex_m, eyeriss, flat, fusemax, maestro, moe_fpga, nvdla, roofline, "
                           "shidiannao, simba, tpu; did you mean \"cortex_m\"?"));
}

}  // namespace
}  // namespace cosearch
