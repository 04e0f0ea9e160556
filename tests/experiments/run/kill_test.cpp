// Runs the command line itself, kills it, and compares what it left behind.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "experiments/store/store.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/rng.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using namespace testing_support;  // NOLINT(google-build-using-namespace)
using Seconds = std::chrono::duration<double>;

/// Starts the program; standard output and error go to `log`.
pid_t start(const std::vector<std::string>& arguments, const std::string& log) {
  std::vector<char*> words;
  std::vector<std::string> copies{COSEARCH_BINARY};
  copies.insert(copies.end(), arguments.begin(), arguments.end());
  for (std::string& word : copies) {
    words.push_back(word.data());
  }
  words.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execv(words[0], words.data());
    _exit(127);
  }
  return child;
}

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

json long_config() {
  json config = train_config();
  config["accuracy"]["epochs"] = 6;
  config["dataset"]["train"] = 768;
  config["dataset"]["classes"] = 60;  // hard enough that large networks pay
  config["budget"] = {{"evaluations", 48}, {"trainings", 30}};
  config["final"]["epochs"] = 12;
  return config;
}

/// Two supernets, most of the time goes into their training.
json long_one_shot_config() {
  json config = long_config();
  config.erase("screen");
  config["accuracy"] = {{"kind", "one_shot"},          {"epochs", 20},       {"batch", 32}, {"learning_rate", 0.05},
                        {"supernets", {"stem.width"}}, {"random_subnets", 1}};
  config["space"]["genes"]["stem.width"] = {8, 16};
  config["budget"] = {{"evaluations", 48}};
  config["final"] = {{"top", 2}, {"epochs", 2}, {"initialise", "supernet"}};
  return config;
}

/// The same with ten or so that are trained when the search meets them.
json long_lazy_config() {
  json config = long_one_shot_config();
  config["accuracy"].update(
      {{"epochs", 4}, {"lazy", true}, {"supernets", {"stem.width", "stages.0.depth", "stages.2.depth"}}});
  return config;
}

/// Two networks with data sets of their own.
json long_two_network_config() {
  json config = two_network_config();
  for (json& network : config.at("networks")) {
    network["dataset"]["train"] = 768;
    network["dataset"]["classes"] = 60;
    network["accuracy"]["epochs"] = 6;
    network["final"]["epochs"] = 12;
  }
  return config;
}

/// A campaign that lasts some seconds, run by the program into a database of its own.
class ProgramRun {
 public:
  explicit ProgramRun(const json& config = long_config()) { std::ofstream(config_) << config.dump(2); }

  /// Begins the campaign or goes on with it, whichever the database asks for.
  pid_t start_process(const std::string& threads = "2") {
    bool begun = false;
    try {
      begun = !Store::open_reader(database_).campaigns().empty();
    } catch (const StoreError&) {
      begun = false;
    }
    return begun ? start({"resume", "--db", database_, "--threads", threads}, log_)
                 : start({"run", config_, "--db", database_, "--threads", threads}, log_);
  }
  void finish(const std::string& threads = "2") {
    int status = 0;
    ASSERT_GT(waitpid(start_process(threads), &status, 0), 0);
    ASSERT_TRUE(WIFEXITED(status)) << content(log_);
    ASSERT_EQ(WEXITSTATUS(status), 0) << content(log_);
  }
  /// False when the process ended before.
  bool kill_after(Seconds delay) {
    const pid_t child = start_process();
    std::this_thread::sleep_for(delay);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
  }

  /// Trials, finals, and the front as the program prints it.
  [[nodiscard]] json result() const {
    const Store store = Store::open_reader(database_);
    const CampaignRow campaign = store.campaign("");
    json finals = json::array();
    for (const FinalRow& row : store.finals(campaign.id)) {
      finals.push_back({{"trial", row.trial}, {"metrics", row.metrics}, {"weights", content(row.weights_file).size()}});
    }
    int status = 0;
    waitpid(start({"pareto", "--db", database_, "--format", "json", "--quiet"}, log_), &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    return {{"state", static_cast<int>(campaign.state)},
            {"trials", results_of(store.trials(campaign.id))},
            {"finals", finals},
            {"front", json::parse(content(log_))}};
  }
  /// Names and hashes of the supernets' files.
  [[nodiscard]] std::map<std::string, std::string> supernets() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(Store::open_reader(database_).files_directory())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("supernet-") && !name.ends_with(".tmp")) {  // a write that was killed leaves one
        files.emplace(entry.path().filename().string(), hex(Hasher().add(content(entry.path().string())).value()));
      }
    }
    return files;
  }

 private:
  TemporaryFolder folder_;
  std::string config_ = folder_.file("campaign.json");
  std::string database_ = folder_.file("runs.db");
  std::string log_ = folder_.file("log");
};

TEST(KilledProgram, ResumedAfterFiveKillsEqualsAnUninterruptedRun) {
  ProgramRun whole;
  const auto begin = std::chrono::steady_clock::now();
  whole.finish();
  const Seconds duration = std::chrono::steady_clock::now() - begin;
  ProgramRun killed;
  int kills = 0;
  for (std::uint64_t i = 0; i < 5; ++i) {
    RngStream rng(20, Purpose::test, i);
    kills += killed.kill_after(duration * (0.02 + 0.12 * rng.uniform())) ? 1 : 0;
  }
  EXPECT_GE(kills, 4) << "the moments are short against the " << duration.count() << " s of the whole run";
  killed.finish();
  const json expected = whole.result();
  ASSERT_EQ(expected.at("trials").size(), 48U);
  ASSERT_EQ(expected.at("finals").size(), 2U);
  EXPECT_EQ(killed.result(), expected);
}

TEST(KilledProgram, BetweenLazySupernetsResumesToTheSameBits) {
  ProgramRun whole(long_lazy_config());
  const auto begin = std::chrono::steady_clock::now();
  whole.finish();
  const Seconds duration = std::chrono::steady_clock::now() - begin;
  ProgramRun killed(long_lazy_config());
  int kills = 0;
  for (std::uint64_t i = 0; i < 3; ++i) {
    RngStream rng(23, Purpose::test, i);
    kills += killed.kill_after(duration * (0.05 + 0.2 * rng.uniform())) ? 1 : 0;
  }
  EXPECT_GE(kills, 2) << "the moments are short against the " << duration.count() << " s of the whole run";
  killed.finish("1");
  EXPECT_GT(whole.supernets().size(), 2U);
  EXPECT_EQ(killed.result(), whole.result());
  EXPECT_EQ(killed.supernets(), whole.supernets());
}

TEST(KilledProgram, InMidSupernetResumesToTheSameBits) {
  ProgramRun whole(long_one_shot_config());
  const auto begin = std::chrono::steady_clock::now();
  whole.finish();
  const Seconds duration = std::chrono::steady_clock::now() - begin;
  ProgramRun killed(long_one_shot_config());
  int kills = 0;
  for (std::uint64_t i = 0; i < 4; ++i) {
    RngStream rng(21, Purpose::test, i);
    kills += killed.kill_after(duration * (0.05 + 0.15 * rng.uniform())) ? 1 : 0;
  }
  EXPECT_GE(kills, 3) << "the moments are short against the " << duration.count() << " s of the whole run";
  killed.finish();
  const json expected = whole.result();
  ASSERT_EQ(expected.at("trials").size(), 48U);
  ASSERT_EQ(expected.at("finals").size(), 2U);
  EXPECT_EQ(killed.result(), expected);
  EXPECT_EQ(whole.supernets().size(), 2U);  // and no checkpoint
  EXPECT_EQ(killed.supernets(), whole.supernets());
}

TEST(KilledProgram, WithSeveralNetworksResumesToTheSameResult) {
  ProgramRun whole(long_two_network_config());
  const auto begin = std::chrono::steady_clock::now();
  whole.finish();
  const Seconds duration = std::chrono::steady_clock::now() - begin;
  ProgramRun killed(long_two_network_config());
  int kills = 0;
  for (std::uint64_t i = 0; i < 3; ++i) {
    RngStream rng(22, Purpose::test, i);
    kills += killed.kill_after(duration * (0.05 + 0.2 * rng.uniform())) ? 1 : 0;
  }
  EXPECT_GE(kills, 2) << "the moments are short against the " << duration.count() << " s of the whole run";
  killed.finish("1");
  const json expected = whole.result();
  ASSERT_EQ(expected.at("finals").size(), 2U);
  EXPECT_EQ(killed.result(), expected);
}

TEST(KilledProgram, OneThreadGivesWhatTwoGive) {
  ProgramRun one;
  ProgramRun two;
  one.finish("1");
  two.finish("2");
  EXPECT_EQ(one.result(), two.result());
}

}  // namespace
}  // namespace cosearch
