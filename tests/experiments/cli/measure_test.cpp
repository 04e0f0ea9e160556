#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "experiments/measure/child_process.hpp"
#include "experiments/measure/emulator.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing_support::lines;
using testing_support::ProcessResult;
using testing_support::read_bytes;
using testing_support::run_cosearch;
using testing_support::TemporaryFolder;
using testing_support::write_bytes;

const EmulatedMachine& machine(const std::string& name) {
  for (const EmulatedMachine& known : emulated_machines()) {
    if (known.name == name) {
      return known;
    }
  }
  ADD_FAILURE() << name;
  return emulated_machines().front();
}

bool can_emulate() {
  return missing_packages(machine("cortex-m4")).empty() && missing_packages(machine("cortex-m7")).empty();
}

/// A network of microcontrollers, two of whose front are trained in the end, with integers.
std::string campaign() {
  return R"({
    "name": "mcu",
    "seed": 3,
    "dataset": {"name": "synthetic", "height": 12, "width": 12, "classes": 4, "train": 128, "search": 64, "test": 64},
    "space": {"name": "hybrid"},
    "target": {"name": "cortex_m", "genes": {"board": ["l4r5", "f746"]}},
    "objectives": ["error", "latency_ms"],
    "accuracy": {"epochs": 0.5, "batch": 16},
    "search": {"algorithm": "random"},
    "budget": {"evaluations": 6},
    "final": {"top": 1, "epochs": 1, "quantize": {"samples": 32, "fine_tune_epochs": 0.5}}
  })";
}

/// Experts that two tasks share. `final_stage` trains them, and may quantise.
std::string campaign_of_two_tasks(const std::string& final_stage) {
  return R"({
    "name": "tasks",
    "tasks": [
      {"name": "kind", "dataset": {"name": "shapes", "size": 16, "train": 64, "search": 32, "test": 16}},
      {"name": "depth", "baseline": 0.5,
       "dataset": {"name": "shapes", "task": "depth", "size": 16, "train": 64, "search": 32, "test": 16}}
    ],
    "space": {"name": "moe_vit", "genes": {"patch": 4, "embed_dim": 16, "depth": 3, "moe": "all", "experts": 4}},
    "target": {"name": "cortex_m", "genes": {"board": "l4r5", "engine": "cosearch"}},
    "objectives": ["error", "latency_ms"],
    "accuracy": {"epochs": 0.5, "batch": 16},
    "search": {"algorithm": "random"},
    "budget": {"evaluations": 3},
    "final": )" +
         final_stage + "}";
}

class Measure : public ::testing::Test {
 protected:
  void run_campaign(const std::string& config) {
    write_bytes(folder_.file("mcu.json"), config);
    const ProcessResult run = run_cosearch({"run", folder_.file("mcu.json"), "--db", database_, "--quiet"});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const ProcessResult finals = run_cosearch({"show", "--db", database_, "--finals", "--format", "jsonl"});
    ASSERT_EQ(finals.exit_code, 0) << finals.err;
    trained_ = std::to_string(json::parse(lines(finals.out).at(0)).at("id").get<int>());
  }

  /// Exports the trained trial and runs its projects on this machine; returns the names of their folders.
  std::set<std::string> export_and_run(const std::string& format) {
    const std::string to = folder_.file(format);
    const ProcessResult exported =
        run_cosearch({"export", "--db", database_, "--id", trained_, "--format", format, "--to", to});
    EXPECT_EQ(exported.exit_code, 0) << exported.err;
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(to)) {
      if (!entry.is_directory()) {
        continue;
      }
      names.insert(entry.path().filename().string());
      const ChildResult result =
          run_child({"make", "run", "OPTIMIZE=-O1 -Werror"}, entry.path().string(), std::chrono::seconds(120));
      EXPECT_EQ(result.exit_code, 0) << result.output;
      EXPECT_THAT(result.output, HasSubstr("passed 4\n"));
    }
    return names;
  }

  /// `measure` with these arguments: its rows, all of which are as planned and as the interpreter says.
  static std::vector<json> measured_rows(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "measure");
    arguments.insert(arguments.end(), {"--format", "jsonl"});
    const ProcessResult measured = run_cosearch(arguments);
    EXPECT_EQ(measured.exit_code, 0) << measured.err;
    std::vector<json> rows;
    for (const std::string& line : lines(measured.out)) {
      rows.push_back(json::parse(line));
      EXPECT_EQ(rows.back().at("arena_bytes"), rows.back().at("planned_arena_bytes"));
      EXPECT_EQ(rows.back().at("passed"), rows.back().at("vectors"));
    }
    return rows;
  }

  TemporaryFolder folder_;
  std::string database_ = folder_.file("runs.db");
  std::string trained_;  ///< the trial with weights
};

// What the final stage has measured is what leaves: the exported integers build without warnings and give, on images of
// the campaign's test split, what the interpreter gives.
TEST_F(Measure, ExportsTrainedDesignsAsCProjectsThatRun) {
  run_campaign(campaign());
  EXPECT_EQ(export_and_run("c").size(), 1U);
  EXPECT_EQ(export_and_run("c_fp32").size(), 1U);
}

// Each task's network is exported and run by itself, as a frame runs them one after the other.
TEST_F(Measure, TasksOfOneNetworkAreProjectsOfTheirOwn) {
  run_campaign(campaign_of_two_tasks(R"({"top": 1, "epochs": 1})"));  // the export observes ranges
  const std::string trial = fmt::format("trial_{:06}", std::stoi(trained_));
  EXPECT_EQ(export_and_run("c"), (std::set<std::string>{trial + "_depth", trial + "_kind"}));
  EXPECT_EQ(export_and_run("c_fp32"), (std::set<std::string>{trial + "_depth", trial + "_kind"}));
  const std::string other = trained_ == "0" ? "1" : "0";
  const ProcessResult refused =
      run_cosearch({"export", "--db", database_, "--id", other, "--format", "c", "--to", folder_.file("other")});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.err, HasSubstr("it has no weights"));
  if (!can_emulate()) {
    GTEST_SKIP() << "needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm";
  }
  for (const std::string& id : {trained_, other}) {
    const std::vector<json> rows = measured_rows({"--db", database_, "--id", id});
    ASSERT_EQ(rows.size(), 2U);
    const std::string stem = fmt::format("trial_{:06}", std::stoi(id));
    EXPECT_EQ(rows[0].at("network"), stem + "_kind");
    EXPECT_EQ(rows[1].at("network"), stem + "_depth");
    const ProcessResult query =
        run_cosearch({"query", "--db", database_, "--where", "id = " + id, "--columns",
                      "measured_instructions,measured_arena_bytes,sram_bytes", "--format", "jsonl"});
    ASSERT_EQ(query.exit_code, 0) << query.err;
    const json stored = json::parse(lines(query.out).at(0));
    EXPECT_EQ(stored.at("measured_instructions"),
              rows[0].at("instructions").get<std::int64_t>() + rows[1].at("instructions").get<std::int64_t>());
    EXPECT_EQ(stored.at("measured_arena_bytes"), stored.at("sram_bytes"));
  }
}

TEST_F(Measure, QuantisedTasksAreExportedWithTheirOwnIntegers) {
  run_campaign(
      campaign_of_two_tasks(R"({"top": 1, "epochs": 1, "quantize": {"samples": 32, "fine_tune_epochs": 0.5}})"));
  EXPECT_EQ(export_and_run("c").size(), 2U);
}

TEST_F(Measure, TasksOfADesignsFileAreMeasuredOneByOne) {
  if (!can_emulate()) {
    GTEST_SKIP() << "needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm";
  }
  run_campaign(campaign_of_two_tasks(R"({"top": 1, "epochs": 1})"));
  const ProcessResult exported =
      run_cosearch({"export", "--db", database_, "--id", trained_, "--to", folder_.file("json")});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const std::vector<json> rows = measured_rows({"--network", lines(exported.out).at(0)});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_THAT(rows[0].at("network").get<std::string>(), EndsWith("_task0"));
  EXPECT_THAT(rows[1].at("network").get<std::string>(), EndsWith("_task1"));
}

TEST_F(Measure, FiguresComeBackIntoTheStore) {
  if (!can_emulate()) {
    GTEST_SKIP() << "needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm";
  }
  run_campaign(campaign());
  const json row = measured_rows({"--db", database_, "--id", trained_}).at(0);
  const ProcessResult query =
      run_cosearch({"query", "--db", database_, "--where", "measured_instructions > 0", "--columns",
                    "id,measured_instructions,measured_arena_bytes,measured_stack_bytes", "--format", "jsonl"});
  ASSERT_EQ(query.exit_code, 0) << query.err;
  ASSERT_EQ(lines(query.out).size(), 1U);
  const json stored = json::parse(lines(query.out).at(0));
  EXPECT_EQ(std::to_string(stored.at("id").get<int>()), trained_);
  EXPECT_EQ(stored.at("measured_instructions"), row.at("instructions"));
  EXPECT_EQ(stored.at("measured_arena_bytes"), row.at("arena_bytes"));
  EXPECT_EQ(stored.at("measured_stack_bytes"), row.at("stack_bytes"));
}

TEST_F(Measure, UntrainedNetworksHaveMemoryAndInstructionsToo) {
  if (!can_emulate()) {
    GTEST_SKIP() << "needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm";
  }
  const json row = measured_rows({"--network", "ds_cnn", "--board", "f411"}).at(0);
  EXPECT_EQ(row.at("machine"), "cortex-m4");
  EXPECT_EQ(row.at("passed"), 2);
  // In fp32 weights of 4 bits keep all of theirs, in the export and in what it is compared with.
  write_bytes(folder_.file("four_bits.json"), R"({
    "name": "four_bits", "input": [2, 6], "outputs": ["head"],
    "nodes": [{"name": "head", "op": "linear", "inputs": ["input"], "in_factors": [], "out_factors": [3], "bias": true,
               "weight_bits": 4}]})");
  EXPECT_EQ(measured_rows({"--network", folder_.file("four_bits.json"), "--board", "f411", "--fp32"}).size(), 1U);
}

TEST_F(Measure, SaysWhatIsWrongInOneLine) {
  const auto error_of = [](const std::vector<std::string>& arguments, int exit_code) {
    const ProcessResult result = run_cosearch(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(lines(result.err).size(), 1U) << result.err;
    return result.err;
  };
  EXPECT_THAT(error_of({"measure"}, 2), HasSubstr("--pareto, --id N and --network NAME"));
  EXPECT_THAT(error_of({"measure", "--network", "ds_cnn", "--board", "f999"}, 2), HasSubstr("known: "));
  EXPECT_THAT(error_of({"measure", "--network", "resnet50", "--board", "f411"}, 3),
              AllOf(HasSubstr("fullest at "), HasSubstr("STM32F411 has 131,072: "), HasSubstr(" too many")));
}

// A PATH without the tools: the message names what to install.
TEST_F(Measure, MissingToolsAreNamedWithTheirPackages) {
  const std::string path = std::getenv("PATH");
  ASSERT_EQ(setenv("PATH", folder_.file("").c_str(), 1), 0);
  const ProcessResult result = run_cosearch({"measure", "--network", "ds_cnn"});
  ASSERT_EQ(setenv("PATH", path.c_str(), 1), 0);
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("gcc-arm-none-eabi"), HasSubstr("qemu-system-arm")));
}

}  // namespace
}  // namespace cosearch
