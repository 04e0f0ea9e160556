#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "experiments/config/campaign.hpp"
#include "experiments/store/store.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::testing_support {
namespace {

using nlohmann::json;

/// One trained campaign, made once by the binary itself.
class CommandsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_bytes(file("tiny.json"), "// a comment\n" + train_config().dump(2));
    made_ = new ProcessResult(run_cosearch({"run", file("tiny.json"), "--db", database(), "--threads", "2"}));
    ASSERT_EQ(made_->exit_code, 0) << made_->err;
  }
  static void TearDownTestSuite() {
    delete made_;
    delete folder_;
    folder_ = nullptr;
  }

  static std::string file(const std::string& name) { return folder_->file(name); }
  static std::string database() { return file("tiny.db"); }

  /// Runs a command on the database; it must succeed without a word on standard error.
  static std::string output(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--db", database()});
    ProcessResult result = run_cosearch(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return result.out;
  }
  static json document(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--format", "json"});
    json parsed = json::parse(output(std::move(arguments)));
    EXPECT_EQ(parsed.at("schema_version"), 1);
    return parsed;
  }
  static std::vector<TrialRow> trials() {
    const Store store = Store::open_reader(database());
    return store.trials(store.campaign("").id);
  }

  static TemporaryFolder* folder_;
  static ProcessResult* made_;
};

TemporaryFolder* CommandsTest::folder_ = nullptr;
ProcessResult* CommandsTest::made_ = nullptr;

TEST_F(CommandsTest, RunPrintsTheTestAccuracyOfEachFinalNetwork) {
  const Store store = Store::open_reader(database());
  const std::vector<FinalRow> finals = store.finals(store.campaign("").id);
  ASSERT_FALSE(finals.empty());
  for (const FinalRow& trained : finals) {
    char expected[64];
    std::snprintf(expected, sizeof expected, "trial %lld: test accuracy %.3f\n", static_cast<long long>(trained.trial),
                  trained.metrics.at("test_accuracy"));
    EXPECT_NE(made_->out.find(expected), std::string::npos) << made_->out;
    EXPECT_NE(output({"show", "--finals"}).find(expected), std::string::npos);
  }
}

TEST_F(CommandsTest, QueryGivesTheSameTrialsInEveryFormat) {
  const std::vector<std::string> query{
      "query", "--columns", "all", "--sort", "-latency_ms", "--where", "state != \"infeasible\""};
  const auto with = [&](const char* format) {
    std::vector<std::string> arguments = query;
    arguments.insert(arguments.end(), {"--format", format});
    return output(arguments);
  };
  const json rows = json::parse(with("json")).at("trials");
  const std::vector<TrialRow> all = trials();
  const auto expected =
      std::count_if(all.begin(), all.end(), [](const TrialRow& row) { return row.state != TrialState::infeasible; });
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(expected));
  ASSERT_FALSE(rows.empty());
  const std::vector<std::string> each_line = lines(with("jsonl"));
  ASSERT_EQ(each_line.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json row = json::parse(each_line[i]);
    EXPECT_EQ(row.at("schema_version"), 1);
    row.erase("schema_version");
    EXPECT_EQ(row, rows[i]);
    if (i > 0) {
      EXPECT_LE(rows[i].at("latency_ms"), rows[i - 1].at("latency_ms"));
    }
  }
  const std::vector<std::string> csv = lines(with("csv"));
  ASSERT_EQ(csv.size(), rows.size() + 1);
  const auto commas = std::count(csv[0].begin(), csv[0].end(), ',');
  EXPECT_EQ(static_cast<std::size_t>(commas) + 1, rows[0].size());
  EXPECT_EQ(lines(with("table")).size(), rows.size() + 1);
}

TEST_F(CommandsTest, QueryAgreesWithTheStore) {
  std::set<TrialId> expected;
  for (const TrialRow& row : trials()) {
    const auto latency = row.metrics.find("latency_ms");
    if (latency != row.metrics.end() && latency->second < 2.0 && row.genes.at("hw.board") != "l4r5") {
      expected.insert(row.id);
    }
  }
  ASSERT_FALSE(expected.empty());
  const std::string where = "latency_ms < 2 and hw.board != 'l4r5'";
  std::set<TrialId> found;
  const json matching = document({"query", "--where", where}).at("trials");
  for (const json& row : matching) {
    found.insert(row.at("id").get<TrialId>());
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(document({"query", "--where", where, "--count"}).at("counts")[0].at("count"), expected.size());
  const json page = document({"query", "--where", where, "--limit", "1", "--offset", "1"}).at("trials");
  ASSERT_EQ(page.size(), std::min<std::size_t>(1, expected.size() - 1));
}

TEST_F(CommandsTest, ParetoHoldsMeasuredTrialsThatNoOtherDominates) {
  std::map<TrialId, std::pair<double, double>> measured;
  for (const TrialRow& row : trials()) {
    if (!row.pending && row.state == TrialState::complete) {
      measured[row.id] = {row.metrics.at("error"), row.metrics.at("latency_ms")};
    }
  }
  std::set<std::pair<double, double>> expected;
  for (const auto& [id, point] : measured) {
    const bool beaten = std::any_of(measured.begin(), measured.end(), [&point = point](const auto& other) {
      return other.second != point && other.second.first <= point.first && other.second.second <= point.second;
    });
    if (!beaten) {
      expected.insert(point);
    }
  }
  std::set<std::pair<double, double>> found;
  const json front = document({"pareto"}).at("trials");
  for (const json& row : front) {
    EXPECT_TRUE(measured.contains(row.at("id").get<TrialId>()));
    found.insert({row.at("error").get<double>(), row.at("latency_ms").get<double>()});
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(found.size(), front.size());
  EXPECT_EQ(document({"pareto", "--knee"}).at("trials").size(), 1U);
  EXPECT_EQ(document({"pareto", "--top-k", "1"}).at("trials").size(), 1U);
  EXPECT_EQ(document({"pareto", "--objectives", "latency_ms"}).at("trials").size(), 1U);
}

TEST_F(CommandsTest, StatusAndListCountTheTrials) {
  const json status = document({"status"}).at("campaigns")[0];
  EXPECT_EQ(status.at("name"), "tiny");
  EXPECT_EQ(status.at("state"), "finished");
  EXPECT_EQ(status.at("evaluated"), trials().size());
  EXPECT_EQ(status.at("complete").get<int>() + status.at("screened").get<int>() + status.at("infeasible").get<int>() +
                status.at("failed").get<int>(),
            status.at("evaluated").get<int>());
  const json list = document({"list"}).at("campaigns");
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].at("evaluated"), status.at("evaluated"));
  EXPECT_TRUE(output({"list", "--format", "csv"}).starts_with("name,state,"));
}

TEST_F(CommandsTest, ShowExplainsATrialByLayers) {
  const json front = document({"pareto"}).at("trials");
  const std::string id = std::to_string(front[0].at("id").get<TrialId>());
  const json shown = document({"show", id});
  EXPECT_EQ(shown.at("id"), front[0].at("id"));
  double latency = 0.0;
  for (const json& layer : shown.at("cost").at("layers")) {
    latency += layer.at("latency_ms").get<double>();
  }
  EXPECT_NEAR(latency, shown.at("metrics").at("latency_ms").get<double>(), 1e-9 + 1e-6 * latency);
  const std::string text = output({"show", id});
  EXPECT_NE(text.find("latency [ms]"), std::string::npos);
  EXPECT_NE(text.find("hw.board"), std::string::npos);
}

TEST_F(CommandsTest, EstimateReadsBackAnExportWithEqualTotals) {
  const std::string to = file("front");
  const std::vector<std::string> files = lines(output({"export", "--pareto", "--to", to}));
  const json index = json::parse(read_bytes(to + "/index.json"));
  const json front = document({"pareto"}).at("trials");
  ASSERT_EQ(index.at("designs").size(), front.size());
  EXPECT_EQ(index.at("config"), campaign_from_json(train_config()).resolved);
  std::size_t listed = 1;
  std::size_t with_weights = 0;
  for (const json& entry : index.at("designs")) {
    listed += entry.at("files").size();
    const std::string path = to + "/" + entry.at("files")[0].get<std::string>();
    const json design = json::parse(read_bytes(path));
    const json estimated = json::parse(run_cosearch({"estimate", "--network", path, "--format", "json"}).out);
    EXPECT_EQ(estimated.at("metrics"), design.at("cost").at("metrics"));
    EXPECT_EQ(estimated.at("layers"), design.at("cost").at("layers"));
    for (const auto& [name, value] : estimated.at("metrics").items()) {
      EXPECT_EQ(design.at("metrics").at(name), value) << name;
    }
    EXPECT_EQ(design.at("provenance").at("campaign"), "tiny");
    if (design.at("weights").at("file").is_string()) {
      ++with_weights;
      const std::string weights = read_bytes(to + "/" + design.at("weights").at("file").get<std::string>());
      ASSERT_GT(weights.size(), 8U);
      EXPECT_EQ(weights[8], '{');
    } else {
      EXPECT_TRUE(design.at("weights").contains("note"));
    }
  }
  EXPECT_EQ(files.size(), listed);
  EXPECT_GT(with_weights, 0U);
}

TEST_F(CommandsTest, EstimateTakesOtherHardwareThanTheFileHas) {
  const std::string to = file("one");
  const std::string id = std::to_string(document({"pareto"}).at("trials")[0].at("id").get<TrialId>());
  const std::string path = to + "/" + lines(output({"export", "--id", id, "--to", to}))[0].substr(to.size() + 1);
  const auto latency = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"estimate", "--network", path, "--format", "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return json::parse(run_cosearch(arguments).out).at("metrics").at("latency_ms").get<double>();
  };
  EXPECT_LT(latency({"--set", "board=h743"}), latency({"--set", "board=f411"}));
  EXPECT_NEAR(latency({"--set", "board=l4r5", "--set", "clock_mhz=24"}),
              5.0 * latency({"--set", "clock_mhz=120", "--set", "board=l4r5"}), 1e-6);
}

TEST_F(CommandsTest, EstimatePrintsLayersMemoryAndTotals) {
  const ProcessResult result =
      run_cosearch({"estimate", "--network", "resnet8", "--target", "cortex_m", "--set", "board=l4r5"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* part : {"resnet8 on cortex_m", "board=l4r5", "cycles", "bound", "memory while", "####", "sram_bytes",
                           "latency_ms", "12501"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
}

TEST_F(CommandsTest, EstimateKnowsTheExportedKernels) {
  for (const char* network : {"resnet8", "vit_tiny_28"}) {
    const ProcessResult result = run_cosearch(
        {"estimate", "--network", network, "--target", "cortex_m", "--set", "board=f746", "--set", "engine=cosearch"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    for (const char* part : {"engine=cosearch", "latency_ms", "instructions counted on an emulated cortex_m4"}) {
      EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
    }
  }
}

TEST_F(CommandsTest, EstimateExplainsMappingsAndDrawsEnergies) {
  const std::string picture = file("energy.svg");
  const ProcessResult result =
      run_cosearch({"estimate", "--network", "resnet8", "--target", "eyeriss", "--explain", "--picture", picture});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* part :
       {"== stem", "mac_pj", "GlobalBuffer [", "(spatial x)", "lower bound", "on the vector lanes"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
  std::ifstream svg(picture);
  const std::string drawn((std::istreambuf_iterator<char>(svg)), std::istreambuf_iterator<char>());
  EXPECT_NE(drawn.find("<title>stem: DRAM"), std::string::npos);
  const json shown = json::parse(
      run_cosearch({"estimate", "--network", "resnet8", "--target", "eyeriss", "--explain", "--format", "json"}).out);
  EXPECT_NE(shown.at("layers")[0].at("explanation").get<std::string>().find("DRAM ["), std::string::npos);
}

TEST_F(CommandsTest, EstimateDrawsTheArenaOfAMicrocontroller) {
  const std::string picture = file("arena.svg");
  const ProcessResult result = run_cosearch(
      {"estimate", "--network", "resnet8", "--target", "cortex_m", "--set", "board=l4r5", "--picture", picture});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::ifstream svg(picture);
  const std::string drawn((std::istreambuf_iterator<char>(svg)), std::istreambuf_iterator<char>());
  EXPECT_NE(drawn.find("<title>stem.act: 16,384 bytes at "), std::string::npos);
}

TEST_F(CommandsTest, EstimateOfWhatDoesNotFitSaysWhyAndEndsWithThree) {
  const std::vector<std::string> arguments{"estimate", "--network", "mobilenet_v2_035_144", "--target", "cortex_m",
                                           "--set",    "board=f411"};
  const ProcessResult text = run_cosearch(arguments);
  EXPECT_EQ(text.exit_code, 3);
  EXPECT_TRUE(text.out.find("infeasible: ") != std::string::npos) << text.out;
  std::vector<std::string> as_json = arguments;
  as_json.insert(as_json.end(), {"--format", "json"});
  const ProcessResult result = run_cosearch(as_json);
  EXPECT_EQ(result.exit_code, 3);
  const json shown = json::parse(result.out);
  EXPECT_EQ(shown.at("feasible"), false);
  ASSERT_FALSE(shown.at("violations").empty());
  EXPECT_GT(shown.at("violations")[0].at("required"), shown.at("violations")[0].at("limit"));
}

TEST_F(CommandsTest, ClosedPipeIsNoError) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"query", "--db", database(), "--format", "jsonl"},
        std::vector<std::string>{"networks", "list"}, std::vector<std::string>{"validate", "--schema"}}) {
    const ProcessResult result = run_cosearch_into_closed_pipe(arguments);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(CommandsTest, DatabaseMayComeFromTheEnvironment) {
  EXPECT_EQ(run_cosearch({"list"}, database()).out, output({"list"}));
  EXPECT_EQ(run_cosearch({"list", "--db", file("none.db")}, database()).exit_code, 4);
}

TEST_F(CommandsTest, ValidatePrintsTheResolvedConfigAndTheSchema) {
  const ProcessResult resolved = run_cosearch({"validate", file("tiny.json"), "--format", "json"});
  EXPECT_EQ(resolved.exit_code, 0) << resolved.err;
  EXPECT_EQ(json::parse(resolved.out), campaign_from_json(train_config()).resolved);
  EXPECT_EQ(json::parse(run_cosearch({"validate", "--schema"}).out), campaign_schema());
  const std::string table = run_cosearch({"validate", file("tiny.json")}).out;
  EXPECT_NE(table.find("minimize error"), std::string::npos);
  EXPECT_NE(table.find("synthetic: "), std::string::npos);
  EXPECT_NE(table.find(" test samples of 8 x 8 x 1"), std::string::npos);
}

TEST_F(CommandsTest, EveryCatalogueEntryIsListedAndDescribed) {
  for (const char* noun : {"spaces", "targets", "algorithms", "networks"}) {
    const json entries = json::parse(run_cosearch({noun, "list", "--format", "json"}).out).at(noun);
    ASSERT_FALSE(entries.empty());
    for (const json& entry : entries) {
      const ProcessResult described = run_cosearch({noun, "describe", entry.at("name").get<std::string>()});
      EXPECT_EQ(described.exit_code, 0) << described.err;
      EXPECT_NE(described.out.find(entry.at("summary").get<std::string>()), std::string::npos) << described.out;
    }
  }
}

TEST_F(CommandsTest, ResumeAddsEvaluations) {
  const std::string copy = file("longer.db");
  std::filesystem::copy_file(database(), copy);
  const std::size_t before = trials().size();
  const ProcessResult result = run_cosearch({"resume", "--db", copy, "--add-evals", "8", "--quiet"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Store store = Store::open_reader(copy);
  const std::vector<TrialRow> rows = store.trials(store.campaign("tiny").id);
  EXPECT_EQ(rows.size(), before + 8);
  const std::vector<TrialRow> first(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(before));
  EXPECT_EQ(results_of(first), results_of(trials()));
}

TEST_F(CommandsTest, SignalsStopCleanlyWithTheirExitCode) {
  json config = train_config();
  config["budget"] = {{"evaluations", 400}, {"trainings", 300}};
  config["accuracy"]["epochs"] = 20;
  write_bytes(file("long.json"), config.dump());
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string db = file("stopped" + std::to_string(signal) + ".db");
    Process process({"run", file("long.json"), "--db", db}, file("stopped.err"));
    // Until something is stored, at most ten seconds.
    for (int i = 0; i < 200; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (!run_cosearch({"query", "--db", db, "--where", "state = 'complete'", "--format", "jsonl"}).out.empty()) {
        break;
      }
    }
    process.send(signal);
    EXPECT_EQ(process.wait(), 128 + signal) << read_bytes(file("stopped.err"));
    const json status = json::parse(run_cosearch({"status", "--db", db, "--format", "json"}).out).at("campaigns")[0];
    EXPECT_EQ(status.at("state"), "stopped");
    EXPECT_GT(status.at("evaluated"), 0);
    EXPECT_LT(status.at("evaluated"), 400);
  }
}

TEST(SelfcheckCommand, PrintsOneSignatureForAnyNumberOfThreads) {
  const ProcessResult text = run_cosearch({"selfcheck"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  ASSERT_EQ(text.out.size(), std::string("signature 0123456789abcdef\n").size()) << text.out;
  const json runs = json::parse(run_cosearch({"selfcheck", "--format", "json"}).out).at("runs");
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].at("threads"), 1);
  EXPECT_EQ(runs[1].at("threads"), 2);
  EXPECT_EQ("signature " + runs[0].at("signature").get<std::string>() + "\n", text.out);
  EXPECT_EQ(runs[0].at("signature"), runs[1].at("signature"));
}

}  // namespace
}  // namespace cosearch::testing_support
