#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/catalog/networks.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::testing_support {
namespace {

using nlohmann::json;

// The four MLPerf Tiny models on an STM32L4R5 (v1.0 closed division, microTVM with CMSIS-NN), as a user writes them.
constexpr const char* kPublished =
    "# MLPerf Tiny\n"
    "measured_ms, network, clock_mhz\r\n"
    "389.56, resnet8, 120\r\n"
    "\n"
    "99.81,ds_cnn,120\n"
    "301.205,mobilenet_v1_025,120\n"
    "8.605,deep_autoencoder,120\n";

class CalibrateTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }

  [[nodiscard]] std::vector<std::string> arguments(const std::string& text,
                                                   const std::vector<std::string>& more = {}) const {
    write_bytes(file("measured.csv"), text);
    std::vector<std::string> all{"calibrate", "--csv", file("measured.csv"), "--board", "l4r5", "--engine", "cmsis_nn"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  void expect_refused(const std::string& text, const std::string& says,
                      const std::vector<std::string>& more = {}) const {
    const ProcessResult result = run_cosearch(arguments(text, more));
    EXPECT_EQ(result.exit_code, 2) << text;
    EXPECT_EQ(lines(result.err).size(), 1U) << result.err;
    EXPECT_NE(result.err.find(says), std::string::npos) << "gave: " << result.err << "not: " << says;
    EXPECT_EQ(result.out, "");
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(CalibrateTest, WritesWhatDataDirTakes) {
  // The built-in networks differ from the published models in nothing that counts.
  const ProcessResult made = run_cosearch(arguments(
      kPublished, {"--terms", "mac+output", "--out", file("data"), "--source", "a bench", "--format", "json"}));
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const json shown = json::parse(made.out);
  EXPECT_EQ(shown.at("schema_version"), 1);
  EXPECT_EQ(shown.at("coefficients")[0].at("unit"), "cycles per MAC");
  EXPECT_EQ(shown.at("coefficients")[1].at("unit"), "cycles per output");
  ASSERT_EQ(shown.at("networks").size(), 4U);
  for (const json& network : shown.at("networks")) {
    const ProcessResult estimated =
        run_cosearch({"estimate", "--network", network.at("network"), "--target", "cortex_m", "--set", "board=l4r5",
                      "--set", "engine=cmsis_nn", "--data-dir", file("data"), "--format", "json"});
    ASSERT_EQ(estimated.exit_code, 0) << estimated.err;
    const double fitted = network.at("fitted_ms");
    EXPECT_NEAR(json::parse(estimated.out).at("metrics").at("latency_ms").get<double>(), fitted, 1e-12 * fitted);
    EXPECT_NEAR(fitted / network.at("measured_ms").get<double>() - 1.0, network.at("error").get<double>(), 1e-12);
  }
  const json written = json::parse(read_bytes(file("data/mcu_coefficients.json")));
  EXPECT_EQ(written.at("models").size(), load_data("mcu_coefficients", "").at("models").size());
  const json& model = *std::find_if(written.at("models").begin(), written.at("models").end(), [](const json& each) {
    return each.at("board") == "l4r5" && each.at("engine") == "cmsis_nn";
  });
  EXPECT_EQ(model.at("source"), "a bench");
  EXPECT_EQ(model.at("rows").size(), 4U);
  // Calibrating again from there, in place, changes nothing.
  const std::string before = read_bytes(file("data/mcu_coefficients.json"));
  const ProcessResult again =
      run_cosearch(arguments(kPublished, {"--terms", "mac+output", "--source", "a bench", "--data-dir", file("data"),
                                          "--out", file("data/mcu_coefficients.json")}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_bytes(file("data/mcu_coefficients.json")), before);
}

TEST_F(CalibrateTest, TellsErrorsBesideAMacsOnlyModel) {
  const std::string text = run_cosearch(arguments(kPublished)).out;
  for (const char* part : {"cmsis_nn on l4r5 at 120 MHz, 4 networks", "cycles per MAC", "macs only, left out",
                           "Kendall's tau", "Spearman", "also of the choice", "note: terms chosen among 8 sets"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  const std::vector<std::string> rows = lines(run_cosearch(arguments(kPublished, {"--format", "csv"})).out);
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_TRUE(rows[0].starts_with("network,measured_ms,fitted_ms,error,left_out_ms,left_out_error")) << rows[0];
  EXPECT_TRUE(rows[1].starts_with("resnet8,389.56,")) << rows[1];
  const json shown = json::parse(run_cosearch(arguments(kPublished, {"--format", "jsonl"})).out);
  EXPECT_EQ(shown.at("quality").size(), 5U);
  EXPECT_EQ(shown.at("trials").size(), 8U);
}

TEST_F(CalibrateTest, TakesNetworksFromFilesBesideTheTable) {
  std::filesystem::create_directory(file("nets"));
  const std::string head = "network,measured_ms\nds_cnn,100\n";
  write_bytes(file("nets/own.json"), graph::to_json(make_network("resnet8")).dump());
  const auto fitted = [&](const std::string& network) {
    const ProcessResult made = run_cosearch(arguments(head + network + ",400\n", {"--format", "json"}));
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return json::parse(made.out).at("networks")[1].at("fitted_ms");
  };
  EXPECT_EQ(fitted("nets/own.json"), fitted("resnet8"));
  write_bytes(file("nets/two.json"), R"({"name": "two", "input": [8, 8, 1]})");
  expect_refused("network,measured_ms\nnets/two.json,3\n", "measured.csv: line 2: " + file("nets/two.json"));
  expect_refused("network,measured_ms\nnets/three.json,3\n", "three.json: cannot be read");
}

TEST_F(CalibrateTest, PoolsThePublishedLatencies) {
  const ProcessResult made = run_cosearch({"calibrate", "--pooled", "--out", file("data"), "--format", "json"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const json shown = json::parse(made.out);
  EXPECT_EQ(shown.at("schema_version"), 1);
  ASSERT_EQ(shown.at("quality").size(), 3U);
  EXPECT_LT(shown.at("quality")[0].at("median_error"), shown.at("quality")[1].at("median_error"));
  EXPECT_EQ(shown.at("quality")[0].at("rows"), shown.at("quality")[1].at("rows"));
  EXPECT_EQ(shown.at("networks").size(), 15U);
  // What was written estimates as what is built in.
  const auto latency = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"estimate",   "--network", "ds_cnn",       "--target", "cortex_m", "--set",
                                       "board=u575", "--set",     "engine=bosch", "--format", "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return json::parse(run_cosearch(arguments).out).at("metrics").at("latency_ms").get<double>();
  };
  EXPECT_NEAR(latency({"--data-dir", file("data")}), latency({}), 1e-4 * latency({}));

  const std::string text = run_cosearch({"calibrate", "--pooled"}).out;
  for (const char* part :
       {"pooled: cycles = ", "macs only, network left out", "mcunet-in3", "118 rows of 15 networks"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(run_cosearch({"calibrate", "--pooled", "--board", "l4r5"}).exit_code, 2);
  const ProcessResult nothing = run_cosearch({"calibrate", "--board", "l4r5"});
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_NE(nothing.err.find("--csv: is missing; expected --csv, --board and --engine"), std::string::npos)
      << nothing.err;
}

TEST_F(CalibrateTest, RefusesBadTablesWithTheirLine) {
  const std::string head = "network,measured_ms\n";
  const std::string good = head + "resnet8,400\nds_cnn,100\n";
  expect_refused("", "measured.csv: line 1: no header");
  expect_refused("# nothing\n", "measured.csv: line 1: no header");
  expect_refused("network,ms\n", "line 1: column \"ms\" is not known");
  expect_refused("network\n", "line 1: the column \"measured_ms\" is missing");
  expect_refused("network,network,measured_ms\n", "line 1: the column \"network\" is there twice");
  expect_refused(head + "resnet8,fast\n",
                 "measured.csv: line 2: measured_ms: expected a positive number, read \"fast\"");
  expect_refused(head + "resnet8,4 ms\n", "line 2: measured_ms");
  expect_refused(head + "resnet8,inf\n", "line 2: measured_ms");
  expect_refused(head + "# zero\nresnet8,0\n", "line 3: measured_ms: expected a positive number, read \"0\"");
  expect_refused(head + "resnet8,-4\n", "line 2: measured_ms: expected a positive number, read \"-4\"");
  expect_refused(head + "resnet8\n", "line 2: 1 cells; expected 2");
  expect_refused(head + "resnet9,4\n", "line 2: network \"resnet9\" is not known");
  expect_refused(good + "resnet8,410\n", "line 4: \"resnet8\" stands in line 2 already");
  expect_refused("network,measured_ms,clock_mhz\nresnet8,400,120\nds_cnn,100,80\n", "line 3: clock_mhz: read 80");
  expect_refused("network,measured_ms,clock_mhz\nresnet8,400,x\n", "line 2: clock_mhz: expected a positive number");
}

TEST_F(CalibrateTest, RefusesFitsThatCannotBeJudged) {
  const std::string head = "network,measured_ms\n";
  const std::string good = head + "resnet8,400\nds_cnn,100\n";
  expect_refused(head, "measured.csv: ends with 0 networks; expected at least 2");
  expect_refused(head + "resnet8,400\n", "line 2: ends with 1 network; expected at least 2");
  expect_refused(good, "line 3: ends with 2 networks for 2 terms; expected at least 3", {"--terms", "mac+output"});
  expect_refused(good, "line 2: runs conv2d, on which fully_connected.macs says nothing",
                 {"--terms", "fully_connected.macs"});
  expect_refused(head + "resnet8,0.001\nds_cnn,100\n", "line 2: measured_ms: read 0.001; expected more than");
  expect_refused(head + "deep_autoencoder,9\nresnet8,400\nds_cnn,100\n", "the networks do not determine the coeff",
                 {"--terms", "dense_mac+depthwise_mac"});
  expect_refused(good, "--terms: \"macs\" is not known", {"--terms", "macs"});
  expect_refused(good, "--out: read x.json; expected a folder or a file mcu_coefficients.json", {"--out", "x.json"});
  expect_refused(good, "--clock-mhz", {"--clock-mhz", "-1"});
  const auto with = [&](const char* board, const char* engine) {
    return run_cosearch({"calibrate", "--csv", file("measured.csv"), "--board", board, "--engine", engine});
  };
  EXPECT_NE(with("l4r6", "cmsis_nn").err.find("--board: \"l4r6\" is not known"), std::string::npos);
  EXPECT_NE(with("l4r5", "cmsis").err.find("--engine: \"cmsis\" is not known"), std::string::npos);
  EXPECT_EQ(with("l4r5", "cmsis").exit_code, 2);
  EXPECT_EQ(run_cosearch({"calibrate", "--csv", file("none.csv"), "--board", "l4r5", "--engine", "cmsis_nn"}).exit_code,
            2);
}

}  // namespace
}  // namespace cosearch::testing_support
