#include "experiments/export/c/project.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "experiments/measure/child_process.hpp"
#include "tests/experiments/export/exported_network.hpp"
#include "tests/experiments/tiny_campaign.hpp"
#include "tests/oracle/random_network.hpp"

namespace cosearch::c_export {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::export_random;
using testing_support::export_random_float;
using testing_support::ExportedNetwork;
using testing_support::memory_variants;
using testing_support::small_network_of;
using testing_support::TemporaryFolder;
using testing_support::write_below;

constexpr std::chrono::seconds kTimeout{300};

ChildResult make(const std::string& folder, const std::vector<std::string>& arguments) {
  std::vector<std::string> words{"make", "--silent", "--no-print-directory", "OPTIMIZE=-O1 -Werror"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return run_child(words, folder, kTimeout);
}

/// The second of three tasks, whose router reads the task's embedding beside the tokens.
graph::NetworkGraph routed_network() {
  graph::Builder builder("routed", {16, 16, 3});
  const int tokens = builder.then("embed", graph::PatchEmbed{4, 18});
  builder.then("norm", graph::LayerNorm{});
  builder.then("moe", graph::MoeFfn{.experts = 5,
                                    .top_k = 2,
                                    .hidden = 11,
                                    .tasks = 3,
                                    .task = 1,
                                    .routing = graph::MoeRouting::conditioned,
                                    .embedding = 6});
  builder.add("add", graph::Add{}, {tokens, builder.last()});
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("head", graph::Linear{{4}});
  return std::move(builder).finish();
}

/// CNN, depthwise CNN, transformer, low-rank transformer, U-Net, token network, two with mixtures of experts.
std::vector<graph::NetworkGraph> all_kinds_of_networks() {
  return {small_network_of("resnet8", 1), small_network_of("ds_cnn", 2),
          small_network_of("vit", 3),     small_network_of("mcu_vit", 4),
          small_network_of("unet", 5),    oracle::small_text_network(),
          small_network_of("moe_vit", 6), routed_network()};
}

/// 32, and 1,000 where `tests/run.sh --all` asks for long tests.
int inputs_of_first_variant() { return std::getenv("COSEARCH_LONG_TESTS") != nullptr ? 1'000 : 32; }

TEST(CProject, OnTheHostItsOutputsAreTheInterpretersInEveryBit) {
  const TemporaryFolder folder;
  std::vector<std::unique_ptr<ExportedNetwork>> networks;
  std::vector<std::string> folders;
  const std::vector<program::LoweringOptions> variants = memory_variants();
  for (const graph::NetworkGraph& graph : all_kinds_of_networks()) {
    for (std::size_t variant = 0; variant < variants.size(); ++variant) {
      networks.push_back(export_random(graph, 7, variants[variant], variant == 0 ? inputs_of_first_variant() : 3));
      folders.push_back(
          write_below(networks.back()->project, folder.file(""), graph.name + "_" + std::to_string(variant)));
    }
  }
  for (std::size_t i = 0; i < folders.size(); ++i) {
    const ChildResult result = make(folders[i], {"run", "KERNELS_BUILD=" + folder.file("kernels")});
    ASSERT_EQ(result.exit_code, 0) << folders[i] << "\n" << result.output;
    const std::size_t vectors = networks[i]->project.test_vectors.size();
    EXPECT_THAT(result.output, HasSubstr("passed " + std::to_string(vectors) + "\n"));
    EXPECT_THAT(result.output, HasSubstr("arena_bytes " + std::to_string(networks[i]->project.plan.bytes) + "\n"))
        << folders[i];
  }
}

TEST(CProject, InFloatingPointItsOutputsAreTheTrainersToOneTenThousandth) {
  const TemporaryFolder folder;
  std::vector<program::LoweringOptions> variants = memory_variants();
  for (const graph::NetworkGraph& graph : all_kinds_of_networks()) {
    for (std::size_t variant = 0; variant < variants.size(); variant += 3) {
      const auto network = export_random_float(graph, 5, variants[variant]);
      const std::string name = graph.name + "_" + std::to_string(variant);
      const ChildResult result = make(write_below(network->project, folder.file(""), name),
                                      {"run", "KERNELS_BUILD=" + folder.file("kernels")});
      ASSERT_EQ(result.exit_code, 0) << name << "\n" << result.output;
      EXPECT_THAT(result.output, HasSubstr("passed 1\n"));
      EXPECT_THAT(result.output, HasSubstr("arena_bytes " + std::to_string(network->project.plan.bytes) + "\n"))
          << name;
    }
  }
}

TEST(CProject, AnOutputThatDiffersIsFound) {
  const TemporaryFolder folder;
  const auto network = export_random(small_network_of("ds_cnn", 2), 3, program::cosearch_options());
  network->project.test_vectors[1].output[2] ^= 1;
  const ChildResult result = make(write_below(network->project, folder.file(""), "wrong"), {"run"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("mismatch vector 1 output 0 index 2\n"));
  EXPECT_THAT(result.output, HasSubstr("passed 1\n"));
}

TEST(CProject, ABudgetThatIsTooSmallDoesNotCompileAndSaysWhatIsMissing) {
  const TemporaryFolder folder;
  const auto network = export_random(small_network_of("ds_cnn", 2), 3, program::cosearch_options());
  Project& project = network->project;
  project.budget = {project.plan.bytes, project.program.constant_bytes()};
  EXPECT_EQ(make(write_below(project, folder.file(""), "fits"), {}).exit_code, 0);
  project.budget = {project.plan.bytes - 1, project.program.constant_bytes() - 1};
  const std::string too_small = write_below(project, folder.file(""), "too_small");
  const ChildResult result = make(too_small, {});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("SRAM budget exceeded: the arena takes " + std::to_string(project.plan.bytes) +
                                       " bytes, most of them during "));
  EXPECT_THAT(result.output, HasSubstr("flash budget exceeded: weights and other constants take " +
                                       std::to_string(project.program.constant_bytes()) + " bytes"));
  // A budget of the command line counts instead.
  EXPECT_EQ(make(too_small, {"SRAM_BUDGET=1000000", "FLASH_BUDGET=1000000"}).exit_code, 0);
}

TEST(CProject, HoldsTheKernelsThatItCallsOnly) {
  const auto network = export_random(small_network_of("ds_cnn", 2), 3, program::cosearch_options());
  std::vector<std::string> names;
  for (const File& file : project_files(network->project)) {
    names.push_back(file.name);
  }
  EXPECT_EQ(names.front(), "README.txt");
  EXPECT_THAT(names, ::testing::Contains("cs_depthwise.c"));
  EXPECT_THAT(names, Not(::testing::Contains("cs_attention.c")));
  EXPECT_THAT(names, Not(::testing::Contains("cs_kernels_f32.h")));
}

TEST(CProject, MixturesOfExpertsStreamRowByRow) {
  program::LoweringOptions options = program::cosearch_options();
  options.streaming = program::Streaming::heads;
  const graph::NetworkGraph network = small_network_of("moe_vit", 6);
  const auto exported = export_random(network, 3, options);
  const auto is_mixture = [](const program::KernelCall& call) { return call.kind == program::KernelKind::mixture; };
  const std::vector<program::KernelCall>& calls = exported->project.program.calls;
  EXPECT_TRUE(std::any_of(calls.begin(), calls.end(),
                          [&](const auto& call) { return is_mixture(call) && call.row_block >= 0; }));
  std::string model;
  for (const File& file : project_files(exported->project)) {
    model += file.name == "model.c" ? file.text : "";
  }
  EXPECT_THAT(model, HasSubstr("    cs_moe(&layer"));
}

}  // namespace
}  // namespace cosearch::c_export
