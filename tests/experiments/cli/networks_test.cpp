// The commands on a campaign with several networks.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "experiments/store/store.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::testing_support {
namespace {

using nlohmann::json;

class NetworksCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_bytes(folder_.file("two.json"), two_network_config().dump(2));
    const ProcessResult made = run_cosearch({"run", folder_.file("two.json"), "--db", database(), "--threads", "2"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  [[nodiscard]] std::string database() const { return folder_.file("two.db"); }
  [[nodiscard]] json document(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--db", database(), "--format", "json"});
    const ProcessResult result = run_cosearch(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out);
  }
  TemporaryFolder folder_;
};

TEST(SeveralNetworksOfTasks, FiguresOfTheNetworksAddUpToTheMetrics) {
  json config = task_config();
  json network;
  for (const char* key : {"tasks", "task_baseline", "space", "accuracy"}) {
    network[key] = config.at(key);
    config.erase(key);
  }
  config.erase("final");
  network["accuracy"]["epochs"] = 1;
  network["name"] = "one";
  config["networks"] = {network, network};
  config["networks"][1]["name"] = "two";
  config["objectives"] = {"latency_ms", "params"};
  config["budget"] = {{"evaluations", 4}};
  const TemporaryFolder folder;
  write_bytes(folder.file("tasks.json"), config.dump());
  const std::string database = folder.file("tasks.db");
  const ProcessResult made = run_cosearch({"run", folder.file("tasks.json"), "--db", database});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  for (const std::string id : {"0", "1", "2", "3"}) {
    const ProcessResult result = run_cosearch({"show", id, "--db", database, "--format", "json"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const json shown = json::parse(result.out);
    for (const char* metric : {"macs", "params"}) {
      double sum = 0.0;
      for (const json& row : shown.at("networks")) {
        sum += row.at(metric).get<double>();
      }
      EXPECT_EQ(sum, shown.at("metrics").at(metric).get<double>()) << metric;
      EXPECT_EQ(sum, shown.at("cost").at("metrics").at(metric).get<double>()) << metric;
    }
  }
}

TEST_F(NetworksCommandsTest, NameTheNetworksAndTheirMetrics) {
  const json best = document({"query", "--sort", "error_digits", "--where", "error_digits >= 0 and error_shapes < 2",
                              "--columns", "id,error,error_digits,error_shapes,digits.stem.width"})
                        .at("trials");
  ASSERT_GE(best.size(), 2U);
  EXPECT_LE(best[0].at("error_digits"), best[1].at("error_digits"));
  const json front = document({"pareto", "--objectives", "error_digits,error_shapes"}).at("trials");
  ASSERT_FALSE(front.empty());
  EXPECT_EQ(front[0].at("error_digits"), best[0].at("error_digits"));
  const std::string id = best[0].at("id").dump();
  const json shown = document({"show", id});
  ASSERT_EQ(shown.at("networks").size(), 2U);
  EXPECT_EQ(shown.at("networks")[1].at("network"), "shapes");
  EXPECT_EQ(shown.at("networks")[1].at("accuracy"), shown.at("metrics").at("accuracy_shapes"));
  EXPECT_EQ(shown.at("networks")[0].at("macs").get<double>() + shown.at("networks")[1].at("macs").get<double>(),
            shown.at("metrics").at("macs").get<double>());
  EXPECT_EQ(shown.at("cost").at("layers")[0].at("name").get<std::string>().rfind("digits/", 0), 0U);
  const std::string text = run_cosearch({"show", id, "--db", database()}).out;
  EXPECT_NE(text.find("\nshapes "), std::string::npos) << text;
  EXPECT_NE(run_cosearch({"show", "--finals", "--db", database()}).out.find("test accuracy"), std::string::npos);
  const ProcessResult wrong = run_cosearch({"pareto", "--objectives", "error_digit", "--db", database()});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_NE(wrong.err.find("did you mean \"error_digits\""), std::string::npos) << wrong.err;
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--where", "not error_digit < 1"}, {"--sort", "-error_digit"}, {"--columns", "id,error_digit"}}) {
    const ProcessResult unknown = run_cosearch({"query", arguments[0], arguments[1], "--db", database()});
    EXPECT_EQ(unknown.exit_code, 2) << arguments[0];
    EXPECT_NE(unknown.err.find("\"error_digit\" is not known"), std::string::npos) << unknown.err;
  }
}

TEST_F(NetworksCommandsTest, ExportedDesignIsEstimatedToWhatTheCampaignStored) {
  const Store store = Store::open_reader(database());
  const FinalRow trained = store.finals(store.campaign("").id).front();
  const std::string id = std::to_string(trained.trial);
  const ProcessResult exported = run_cosearch({"export", "--id", id, "--to", folder_.file("out"), "--db", database()});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const std::string path = lines(exported.out).front();
  const json design = json::parse(read_bytes(path));
  ASSERT_EQ(design.at("networks").size(), 2U);
  EXPECT_EQ(design.at("networks")[0].at("name"), "digits");
  EXPECT_EQ(read_bytes(folder_.file("out") + "/" + design.at("weights").at("file").get<std::string>()),
            read_bytes(trained.weights_file));
  const json estimated = document({"estimate", "--network", path});
  EXPECT_EQ(estimated.at("networks"), (json{"digits", "shapes"}));
  const TrialRow row = store.trial(store.campaign("").id, trained.trial).value();
  for (const auto& [metric, value] : estimated.at("metrics").items()) {
    EXPECT_EQ(value.get<double>(), row.metrics.at(metric)) << metric;
  }
  const ProcessResult text = run_cosearch({"estimate", "--network", path});
  EXPECT_EQ(text.out.rfind("digits and shapes on roofline", 0), 0U) << text.out;
}

}  // namespace
}  // namespace cosearch::testing_support
