#include "experiments/store/store.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "experiments/store/filesystem.hpp"
#include "experiments/store/query.hpp"
#include "experiments/store/schema.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/metrics.hpp"
#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// A folder of its own for every test.
class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* const info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / ("cosearch_store_" + std::to_string(getpid()) + info->name());
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "runs.db").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  std::string path_;
};

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void execute(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
  ASSERT_EQ(sqlite3_close(database), SQLITE_OK);
}

/// The error that `open` throws; fails the test when there is none.
template <class Open>
StoreError store_error(const Open& open) {
  try {
    static_cast<void>(open());
  } catch (const StoreError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {0, ""};
}

TrialRow pending(TrialId id, std::int64_t batch = 0) {
  TrialRow row;
  row.id = id;
  row.batch = batch;
  row.genome = {{1.0, 0.1 + static_cast<double>(id), -3.5}};
  row.genes = {{"depth", id % 7}, {"hw.board", id % 2 == 0 ? "f746" : "h743"}};
  row.fidelity = {FidelityKind::epochs, 3};
  return row;
}

void expect_equal(const TrialRow& a, const TrialRow& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.batch, b.batch);
  EXPECT_EQ(a.genome, b.genome);
  EXPECT_EQ(a.genes, b.genes);
  EXPECT_EQ(a.fidelity, b.fidelity);
  EXPECT_EQ(a.pending, b.pending);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.metrics, b.metrics);
  EXPECT_EQ(a.violation, b.violation);
  EXPECT_EQ(a.violated, b.violated);
  EXPECT_EQ(a.violated_by, b.violated_by);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.network_hash, b.network_hash);
  EXPECT_EQ(a.hardware_hash, b.hardware_hash);
  EXPECT_EQ(a.duration_s, b.duration_s);
}

std::int64_t new_campaign(Store& store, const std::string& name = "first") {
  return store.create_campaign(name, {{"seed", 1}}, "00ff", 100).id;
}

/// Random trials in all states, some metrics missing, values with many ties.
std::vector<TrialRow> random_trials(std::size_t count) {
  std::vector<TrialRow> rows;
  for (std::size_t i = 0; i < count; ++i) {
    RngStream rng(7, Purpose::test, i);
    TrialRow row = pending(static_cast<TrialId>(i), static_cast<std::int64_t>(i / 10));
    row.pending = rng.below(10) == 0;
    if (!row.pending) {
      row.state = static_cast<TrialState>(rng.below(4));
      for (const char* name : {"latency_ms", "accuracy", "energy_uj"}) {
        if (rng.below(4) != 0) {
          row.metrics[name] = static_cast<double>(rng.below(20)) / 10.0;
        }
      }
      if (row.state == TrialState::infeasible) {
        row.violated = rng.below(2) == 0 ? "sram_bytes" : "flash_bytes";
        row.violation = rng.below(5) == 0 ? std::numeric_limits<double>::infinity() : rng.uniform();
        row.violated_by = row.violation;
      }
    }
    rows.push_back(row);
  }
  return rows;
}

void store_all(Store& store, std::int64_t campaign, const std::vector<TrialRow>& rows) {
  std::vector<TrialRow> proposed = rows;
  for (TrialRow& row : proposed) {
    row.pending = true;
  }
  store.insert_pending(campaign, proposed);
  for (const TrialRow& row : rows) {
    if (!row.pending) {
      store.finish(campaign, row);
    }
  }
}

TEST_F(StoreTest, EveryFieldOfATrialComesBackAsItWasStored) {
  TrialRow row = pending(0, 4);
  row.network_hash = "0123456789abcdef";
  {
    Store store = Store::open_writer(path_);
    const std::int64_t campaign = new_campaign(store);
    store.insert_pending(campaign, {row, pending(1, 4)});
    expect_equal(store.trial(campaign, 0).value(), row);
    row.pending = false;
    row.state = TrialState::infeasible;
    double value = 1.0 / 3.0;
    for (const MetricInfo& metric : metric_registry()) {
      row.metrics[std::string(metric.name)] = value;
      value *= -1.7e11;  // signs and magnitudes of all kinds survive
    }
    row.violation = std::numeric_limits<double>::infinity();
    row.violated = "sram_bytes";
    row.violated_by = 0.25;
    row.reason = "needs \"more\"; DROP TABLE trial; -- 'x'";
    row.hardware_hash = "fedcba9876543210";
    row.duration_s = 1.5;
    store.finish(campaign, row);
  }
  const Store store = Store::open_reader(path_);
  const std::vector<TrialRow> rows = store.trials(store.campaign("").id);
  ASSERT_EQ(rows.size(), 2U);
  expect_equal(rows[0], row);
  expect_equal(rows[1], pending(1, 4));
  EXPECT_FALSE(store.trial(store.campaign("").id, 2).has_value());
}

TEST_F(StoreTest, MeasurementsAreAddedToFinishedTrials) {
  Store store = Store::open_writer(path_);
  const std::int64_t campaign = new_campaign(store);
  TrialRow row = pending(0);
  store_all(store, campaign, {pending(1)});
  row.pending = false;
  row.metrics = {{"latency_ms", 2.5}};
  store_all(store, campaign, {row});
  store.add_metrics(campaign, 0, {{"measured_instructions", 1e7}, {"measured_arena_bytes", 4096}});
  store.add_metrics(campaign, 0, {{"measured_instructions", 2e7}});
  row.metrics["measured_instructions"] = 2e7;
  row.metrics["measured_arena_bytes"] = 4096;
  expect_equal(store.trial(campaign, 0).value(), row);
  for (const TrialId unknown : {TrialId{1}, TrialId{7}}) {  // pending; none
    const auto add = [&] {
      store.add_metrics(campaign, unknown, {{"measured_instructions", 1.0}});
      return 0;
    };
    EXPECT_EQ(store_error(add).exit_code(), 4);
  }
}

TEST_F(StoreTest, CampaignsComeBackAndAreFoundByName) {
  {
    Store store = Store::open_writer(path_);
    EXPECT_EQ(store_error([&] { return store.campaign("x"); }).exit_code(), 4);
    const CampaignRow row = store.create_campaign("first", {{"a", {1, 2.5, "x"}}}, "ab", 10);
    EXPECT_EQ(row.state, CampaignState::running);
    EXPECT_EQ(row.created_utc.size(), std::string("2026-01-01T00:00:00Z").size());
    static_cast<void>(store.create_campaign("second", json::object(), "cd", 20));
    EXPECT_THROW(static_cast<void>(store.create_campaign("first", json::object(), "ef", 5)), ConfigError);
    store.set_state(row.id, CampaignState::stopped);
    store.set_evaluations(row.id, 30);
  }
  const Store store = Store::open_reader(path_);
  const CampaignRow first = store.campaign("first");
  EXPECT_EQ(first.config, json({{"a", {1, 2.5, "x"}}}));
  EXPECT_EQ(first.config_hash, "ab");
  EXPECT_EQ(first.state, CampaignState::stopped);
  EXPECT_EQ(first.evaluations, 30);
  EXPECT_EQ(store.campaign(first.id).name, "first");
  EXPECT_EQ(store.campaign("").name, "second");
  EXPECT_EQ(store.campaigns().size(), 2U);
  const StoreError error = store_error([&] { return store.campaign("frist"); });
  EXPECT_EQ(error.exit_code(), 4);
  EXPECT_THAT(error.what(), HasSubstr("did you mean \"first\"?"));
  EXPECT_EQ(store_error([&] { return store.campaign(std::int64_t{9}); }).exit_code(), 4);
}

TEST_F(StoreTest, CachesGiveBackWhatWasPut) {
  Store store = Store::open_writer(path_);
  EXPECT_FALSE(store.cached_accuracy("k").has_value());
  const Store::CachedAccuracy accuracy{false, "", {{"accuracy", 0.1}, {"train_loss", 1e-300}}};
  const Store::CachedAccuracy routed{false, "", {{"accuracy", 0.2}}, {{"moe.tokens_1", {0.1, 1e-300, 3.0}}}};
  const Store::CachedAccuracy failed{true, "loss became NaN at step 3", {}};
  store.put_accuracy("k", accuracy);
  store.put_accuracy("f", failed);
  store.put_accuracy("r", routed);
  EXPECT_EQ(store.cached_accuracy("k"), accuracy);
  EXPECT_EQ(store.cached_accuracy("f"), failed);
  EXPECT_EQ(store.cached_accuracy("r"), routed);
  EXPECT_FALSE(store.cached_cost("k").has_value());
  store.put_cost("k", {{{"latency_ms", 2.5}}, {}, false, ""});
  store.put_costs({{"i", {{}, {{"sram_bytes", 3.0, 2.0}, {"flash_bytes", 5.0, 4.0}}, true, "too large"}}});
  EXPECT_EQ(store.cached_cost("k")->metrics, (Metrics{{"latency_ms", 2.5}}));
  EXPECT_FALSE(store.cached_cost("k")->infeasible);
  const Store::CachedCost infeasible = store.cached_cost("i").value();
  EXPECT_TRUE(infeasible.infeasible);
  EXPECT_EQ(infeasible.reason, "too large");
  ASSERT_EQ(infeasible.violations.size(), 2U);
  EXPECT_EQ(infeasible.violations[1].name, "flash_bytes");
  EXPECT_EQ(infeasible.violations[1].required, 5.0);
  EXPECT_EQ(infeasible.violations[1].limit, 4.0);
}

TEST_F(StoreTest, RoutingOfTrainedNetworksIsKeptToTheBit) {
  const Routing routing{{{"moe.tokens", {0.1, 1.0 / 3.0, 12.0}}}, {}};
  {
    Store store = Store::open_writer(path_);
    const std::int64_t campaign = new_campaign(store);
    std::vector<TrialRow> rows = random_trials(2);
    rows[1].routing = routing;
    store_all(store, campaign, rows);
    store.put_final(campaign, {1, {{"accuracy", 0.9}}, "one.st", routing});
    store.put_final(campaign, {0, {{"accuracy", 0.9}}, "zero.st"});
  }
  const Store store = Store::open_reader(path_);
  const std::int64_t campaign = store.campaign("").id;
  EXPECT_TRUE(store.trials(campaign)[0].routing.empty());
  EXPECT_EQ(store.trials(campaign)[1].routing, routing);
  EXPECT_TRUE(store.finals(campaign)[0].routing.empty());
  EXPECT_EQ(store.finals(campaign)[1].routing, routing);
}

TEST_F(StoreTest, FilesOfTheFirstVersionAreReadAndBroughtUpToDate) {
  const std::vector<TrialRow> rows = random_trials(3);
  {
    Store store = Store::open_writer(path_);
    const std::int64_t campaign = new_campaign(store);
    store_all(store, campaign, rows);
    store.put_final(campaign, {1, {{"accuracy", 0.9}}, "one.st"});
    store.put_accuracy("k", {false, "", {{"accuracy", 0.1}}});
  }
  execute(path_,
          "ALTER TABLE trial_detail DROP COLUMN routing; ALTER TABLE final DROP COLUMN routing; "
          "ALTER TABLE accuracy_cache DROP COLUMN routing; PRAGMA user_version = 1");
  const auto check = [&](const Store& store) {
    const std::int64_t campaign = store.campaign("").id;
    ASSERT_EQ(store.trials(campaign).size(), rows.size());
    EXPECT_EQ(store.trials(campaign)[2].metrics, rows[2].metrics);
    EXPECT_TRUE(store.trials(campaign)[2].routing.empty());
    EXPECT_EQ(store.finals(campaign).at(0).metrics.at("accuracy"), 0.9);
    EXPECT_EQ(store.cached_accuracy("k")->metrics.at("accuracy"), 0.1);
  };
  check(Store::open_reader(path_));  // leaves the file as it is
  check(Store::open_reader(path_));
  check(Store::open_writer(path_));
  Store store = Store::open_writer(path_);
  store.put_accuracy("r", {false, "", {{"accuracy", 0.1}}, {{"moe.tokens", {1.0}}}});
  EXPECT_EQ(store.cached_accuracy("r")->routing.size(), 1U);
}

TEST_F(StoreTest, WeightsOfFinalsAreFoundBesideTheDatabaseWhereverItIsMoved) {
  {
    Store store = Store::open_writer(path_);
    const std::int64_t campaign = new_campaign(store);
    store_all(store, campaign, random_trials(3));
    store.put_final(campaign, {2, {{"accuracy", 0.9}, {"test_accuracy", 0.89}}, store.files_directory() + "/two.st"});
    store.put_final(campaign, {1, {{"accuracy", 0.8}}, store.files_directory() + "/one.st"});
    store.put_final(campaign, {1, {{"accuracy", 0.85}}, store.files_directory() + "/one.st"});
  }
  const std::string moved = (folder_ / "moved.db").string();
  std::filesystem::rename(path_, moved);
  const Store store = Store::open_reader(moved);
  const std::vector<FinalRow> finals = store.finals(store.campaign("").id);
  ASSERT_EQ(finals.size(), 2U);
  EXPECT_EQ(finals[0].trial, 1);
  EXPECT_EQ(finals[0].metrics, (Metrics{{"accuracy", 0.85}}));
  EXPECT_EQ(finals[1].metrics, (Metrics{{"accuracy", 0.9}, {"test_accuracy", 0.89}}));
  EXPECT_EQ(finals[1].weights_file, moved + ".files/two.st");
}

TEST_F(StoreTest, MetricsOfSeveralNetworksGetColumnsWithTheirFirstValues) {
  Store store = Store::open_writer(path_);
  const std::int64_t campaign = new_campaign(store);
  std::vector<TrialRow> rows{pending(0), pending(1), pending(2)};
  store.insert_pending(campaign, rows);
  TrialFilter filter;
  filter.where = parse_where("not accuracy_digits < 0.4", {});
  filter.sort = parse_sort("-accuracy_digits", {});
  EXPECT_TRUE(store.query(campaign, filter).empty()) << "no value, no column, no match";
  for (TrialRow& row : rows) {
    row.pending = false;
    row.metrics = {{"accuracy", 0.5}, {"accuracy_digits", 0.3 + 0.1 * static_cast<double>(row.id)}};
    store.finish(campaign, row);
  }
  store.put_final(campaign, {1, {{"test_accuracy", 0.6}, {"test_accuracy_digits", 0.7}}, "weights"});
  EXPECT_EQ(store.finals(campaign).front().metrics, (Metrics{{"test_accuracy", 0.6}, {"test_accuracy_digits", 0.7}}));
  const Store reader = Store::open_reader(path_);
  for (const Store* view : {static_cast<const Store*>(&store), &reader}) {
    EXPECT_EQ(view->trials(campaign).at(1).metrics, rows[1].metrics);
    const std::vector<TrialRow> found = view->query(campaign, filter);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].id, 2);
    EXPECT_EQ(found[1].id, 1);
  }
}

TEST_F(StoreTest, QueriesAgreeWithTheFilterAppliedInMemory) {
  Store store = Store::open_writer(path_);
  static_cast<void>(new_campaign(store, "other"));
  const std::int64_t campaign = new_campaign(store);
  const std::vector<TrialRow> rows = random_trials(600);
  store_all(store, campaign, rows);
  const std::vector<std::string> genes{"depth", "hw.board"};
  const char* const conditions[] = {"",
                                    "latency_ms < 1 and accuracy > 0.5",
                                    "not (latency_ms <= 1 or energy_uj = 0.3)",
                                    "state = 'infeasible' and violated != \"sram_bytes\"",
                                    "hw.board = 'f746' and depth >= 3",
                                    "id > 100 and batch <= 30 or violation > 0.5",
                                    "accuracy != 0.7",
                                    "latency_ms > 100"};
  const char* const sorts[] = {"", "latency_ms", "-latency_ms,accuracy", "state,-violation", "hw.board,-energy_uj"};
  for (const char* condition : conditions) {
    for (const char* sort : sorts) {
      for (const std::int64_t limit : {-1, 0, 7}) {
        TrialFilter filter;
        if (*condition != '\0') {
          filter.where = parse_where(condition, genes);
        }
        if (*sort != '\0') {
          filter.sort = parse_sort(sort, genes);
        }
        if (limit >= 0) {
          filter.limit = limit;
          filter.offset = 3;
        }
        const std::vector<TrialRow> expected = filtered(filter, rows);
        const std::vector<TrialRow> found = store.query(campaign, filter);
        ASSERT_EQ(found.size(), expected.size()) << condition << " | " << sort;
        for (std::size_t i = 0; i < found.size(); ++i) {
          ASSERT_EQ(found[i].id, expected[i].id) << condition << " | " << sort << " at " << i;
          ASSERT_EQ(found[i].metrics, expected[i].metrics);
        }
        EXPECT_EQ(store.count(campaign, filter), static_cast<std::int64_t>(expected.size())) << condition;
      }
    }
  }
}

TEST_F(StoreTest, ReaderSeesEveryCommittedTrialWhileTheWriterGoesOn) {
  Store writer = Store::open_writer(path_);
  const std::int64_t campaign = new_campaign(writer);
  const Store reader = Store::open_reader(path_);
  for (TrialId id = 0; id < 20; ++id) {
    TrialRow row = pending(id);
    writer.insert_pending(campaign, {row});
    row.pending = false;
    row.metrics["latency_ms"] = static_cast<double>(id);
    writer.finish(campaign, row);
    ASSERT_EQ(reader.trials(campaign).size(), static_cast<std::size_t>(id) + 1);
    ASSERT_EQ(Store::open_reader(path_).trial(campaign, id)->metrics, row.metrics);
  }
}

TEST_F(StoreTest, SecondWriterIsRefusedAndToldWhoWrites) {
  {
    const Store writer = Store::open_writer(path_);
    const StoreError error = store_error([&] { return Store::open_writer(path_); });
    EXPECT_EQ(error.exit_code(), 5);
    EXPECT_THAT(error.what(), HasSubstr("process " + std::to_string(getpid())));
    std::filesystem::create_symlink(path_, folder_ / "alias.db");
    EXPECT_EQ(store_error([&] { return Store::open_writer((folder_ / "alias.db").string()); }).exit_code(), 5);
  }
  EXPECT_FALSE(std::filesystem::exists(path_ + ".lock"));
  EXPECT_NO_THROW(static_cast<void>(Store::open_writer(path_)));
}

TEST_F(StoreTest, KilledWriterLosesNothingThatItReportedAndBlocksNobody) {
  int reports[2];
  ASSERT_EQ(pipe(reports), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    close(reports[0]);
    Store store = Store::open_writer(path_);
    const std::int64_t campaign = new_campaign(store);
    for (TrialId id = 0;; ++id) {
      TrialRow row = pending(id);
      store.insert_pending(campaign, {row});
      row.pending = false;
      row.metrics["macs"] = static_cast<double>(id);
      store.finish(campaign, row);
      if (write(reports[1], &id, sizeof id) != static_cast<ssize_t>(sizeof id)) {
        _exit(1);
      }
    }
  }
  close(reports[1]);
  TrialId reported = -1;
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(read(reports[0], &reported, sizeof reported), static_cast<ssize_t>(sizeof reported));
  }
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  TrialId later = 0;
  while (read(reports[0], &later, sizeof later) == static_cast<ssize_t>(sizeof later)) {
    reported = later;
  }
  close(reports[0]);
  const Store store = Store::open_writer(path_);
  const std::vector<TrialRow> rows = store.trials(store.campaign("").id);
  ASSERT_GT(rows.size(), static_cast<std::size_t>(reported));
  for (TrialId id = 0; id <= reported; ++id) {
    ASSERT_EQ(rows[static_cast<std::size_t>(id)].metrics.at("macs"), static_cast<double>(id));
  }
}

TEST_F(StoreTest, ReadOnlyFolderCanBeRead) {
  {
    Store store = Store::open_writer(path_);
    store_all(store, new_campaign(store), random_trials(10));
  }
  ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
  ASSERT_EQ(chmod(folder_.c_str(), 0555), 0);
  // Root may write anywhere, so root becomes somebody else for a moment.
  const uid_t user = geteuid();
  if (user == 0) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  std::size_t rows = 0;
  std::string error;
  try {
    const Store store = Store::open_reader(path_);
    rows = store.trials(store.campaign("").id).size();
  } catch (const StoreError& thrown) {
    error = thrown.what();
  }
  const StoreError refused = store_error([&] { return Store::open_writer(path_); });
  ASSERT_EQ(seteuid(user), 0);
  ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
  EXPECT_EQ(rows, 10U) << error;
  EXPECT_EQ(refused.exit_code(), 5);
}

TEST_F(StoreTest, MissingFilesAndFoldersAreNamed) {
  EXPECT_EQ(store_error([&] { return Store::open_reader(path_); }).exit_code(), 4);
  EXPECT_FALSE(std::filesystem::exists(path_));
  const std::string nowhere = (folder_ / "no" / "runs.db").string();
  const StoreError error = store_error([&] { return Store::open_writer(nowhere); });
  EXPECT_EQ(error.exit_code(), 5);
  EXPECT_THAT(error.what(), HasSubstr((folder_ / "no").string()));
  EXPECT_EQ(store_error([&] { return Store::open_writer(folder_.string()); }).exit_code(), 5);
  EXPECT_EQ(store_error([&] { return Store::open_reader(folder_.string()); }).exit_code(), 5);
  EXPECT_EQ(store_error([&] { return Store::open_writer(""); }).exit_code(), 5);
  EXPECT_EQ(store_error([&] { return Store::open_reader(""); }).exit_code(), 4);
}

TEST_F(StoreTest, ForeignNewerAndUnreadableFilesAreRefusedAndLeftAsTheyWere) {
  struct Case {
    const char* name;
    std::function<void()> make;
    const char* said;
  };
  const auto our_file = [&] { static_cast<void>(Store::open_writer(path_)); };
  const std::vector<Case> cases{
      {"another program's tables", [&] { execute(path_, "CREATE TABLE studies (x); CREATE TABLE trials (y)"); },
       "tables: studies, trials"},
      {"another program's id", [&] { execute(path_, "PRAGMA application_id = 77; CREATE TABLE t (x)"); }, "0x4d"},
      {"newer schema",
       [&] {
         our_file();
         execute(path_, "PRAGMA user_version = 99");
       },
       "schema version 99, this program knows 1 to 2"},
      {"no database", [&] { std::ofstream(path_) << std::string(5000, 'x'); }, "not an SQLite database"},
      {"truncated",
       [&] {
         our_file();
         std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
       },
       "damaged or truncated"},
      {"tables gone",
       [&] {
         our_file();
         execute(path_, "DROP TABLE final; DROP TABLE trial_detail; DROP TABLE trial; DROP TABLE campaign");
       },
       "schema"},
  };
  for (const Case& bad : cases) {
    SCOPED_TRACE(bad.name);
    for (const char* ending : {"", "-wal", "-shm"}) {
      std::filesystem::remove(path_ + ending);
    }
    bad.make();
    const std::string before = bytes_of(path_);
    for (const bool writing : {true, false}) {
      const StoreError error = store_error([&] {
        Store store = writing ? Store::open_writer(path_) : Store::open_reader(path_);
        return store.campaigns();
      });
      EXPECT_EQ(error.exit_code(), 6);
      EXPECT_THAT(error.what(), HasSubstr(bad.said));
    }
    EXPECT_EQ(bytes_of(path_), before);
    EXPECT_FALSE(std::filesystem::exists(path_ + ".lock"));
  }
}

TEST_F(StoreTest, DamagedContentIsReportedInOneLine) {
  std::int64_t campaign = 0;
  {
    Store store = Store::open_writer(path_);
    campaign = new_campaign(store);
    store_all(store, campaign, random_trials(300));
  }
  execute(path_, "UPDATE trial_detail SET genes = '{\"depth\": ' WHERE id = 5");
  EXPECT_EQ(store_error([&] { return Store::open_reader(path_).trials(campaign); }).exit_code(), 6);
  execute(path_, "UPDATE trial_detail SET genes = '{}', genome = x'0011' WHERE id = 5");
  EXPECT_EQ(store_error([&] { return Store::open_reader(path_).trials(campaign); }).exit_code(), 6);
  {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(40960);
    file << std::string(40960, '\xff');
  }
  EXPECT_EQ(store_error([&] { return Store::open_reader(path_).trials(campaign); }).exit_code(), 6);
}

TEST_F(StoreTest, ColumnsOfNewMetricsAreAddedToOlderFilesAndReadAsMissingUntilThen) {
  std::int64_t campaign = 0;
  const std::vector<TrialRow> rows = random_trials(30);
  {
    Store store = Store::open_writer(path_);
    campaign = new_campaign(store);
    store_all(store, campaign, rows);
  }
  execute(path_, "ALTER TABLE trial DROP COLUMN utilization; ALTER TABLE final DROP COLUMN utilization");
  TrialFilter filter;
  filter.where = parse_where("not utilization > 0.5", {});
  filter.sort = parse_sort("utilization", {});
  {
    const Store reader = Store::open_reader(path_);
    EXPECT_EQ(reader.trials(campaign).size(), 30U);
    EXPECT_TRUE(reader.query(campaign, filter).empty());
    EXPECT_EQ(reader.count(campaign, filter), 0);
    filter.where = parse_where("depth >= 0", {"depth"});
    EXPECT_EQ(reader.query(campaign, filter).size(), 30U);
  }
  Store store = Store::open_writer(path_);
  EXPECT_EQ(store.query(campaign, filter).size(), 30U);
  TrialRow row = pending(30);
  store.insert_pending(campaign, {row});
  row.pending = false;
  row.metrics["utilization"] = 0.75;
  store.finish(campaign, row);
  EXPECT_EQ(store.trial(campaign, 30)->metrics, row.metrics);
  expect_equal(store.trial(campaign, 3).value(), rows[3]);
}

TEST_F(StoreTest, SqliteItselfRefusesWhatOurChecksForbid) {
  {
    Store store = Store::open_writer(path_);
    store_all(store, new_campaign(store), random_trials(2));
  }
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "PRAGMA foreign_keys = ON", nullptr, nullptr, nullptr), SQLITE_OK);
  for (const char* sql : {"UPDATE trial SET latency_ms = 9e999", "UPDATE trial SET latency_ms = 'fast'",
                          "UPDATE trial SET violation = NULL", "UPDATE trial SET state = 'done'",
                          "UPDATE trial SET campaign = 99", "UPDATE trial_detail SET id = 50 WHERE id = 1",
                          "INSERT INTO campaign VALUES (5, 'x', 'running', '{', '', '', 1)"}) {
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_CONSTRAINT) << sql;
  }
  ASSERT_EQ(sqlite3_close(database), SQLITE_OK);
}

TEST_F(StoreTest, DeletingACampaignTakesItsTrialsAlong) {
  std::int64_t campaign = 0;
  {
    Store store = Store::open_writer(path_);
    campaign = new_campaign(store);
    store_all(store, campaign, random_trials(5));
    store.put_final(campaign, {0, {}, "x"});
  }
  execute(path_, "PRAGMA foreign_keys = ON; DELETE FROM campaign");
  const Store store = Store::open_reader(path_);
  EXPECT_TRUE(store.trials(campaign).empty());
  EXPECT_TRUE(store.finals(campaign).empty());
}

using StoreDeathTest = StoreTest;

TEST_F(StoreDeathTest, NumbersThatAreNoneAndUnknownMetricsAreOurDefects) {
  testing::FLAGS_gtest_death_test_style = "fast";
  Store store = Store::open_writer(path_);
  const std::int64_t campaign = new_campaign(store);
  store.insert_pending(campaign, {pending(0)});
  TrialRow row = pending(0);
  row.pending = false;
  row.metrics["latency_ms"] = std::nan("");
  EXPECT_DEATH(store.finish(campaign, row), "finite: latency_ms");
  row.metrics = {{"latency_ms", std::numeric_limits<double>::infinity()}};
  EXPECT_DEATH(store.finish(campaign, row), "finite: latency_ms");
  row.metrics = {{"latency_s", 1.0}};
  EXPECT_DEATH(store.finish(campaign, row), "registry: latency_s");
  row.metrics.clear();
  row.violation = std::nan("");
  EXPECT_DEATH(store.finish(campaign, row), "violation");
  row.violation = 0.0;
  store.finish(campaign, row);
  EXPECT_DEATH(store.finish(campaign, row), "finished once");
  EXPECT_DEATH(Store::open_reader(path_).set_state(campaign, CampaignState::finished), "opened for writing");
}

TEST(Filesystem, NetworkFilesystemsAreKnownByTheirMagicNumbers) {
  EXPECT_EQ(network_filesystem(0x6969), "NFS");
  EXPECT_EQ(network_filesystem(0xFF534D42), "CIFS");
  EXPECT_EQ(network_filesystem(static_cast<long>(static_cast<int>(0xFF534D42))), "CIFS");  // sign-extended
  EXPECT_EQ(network_filesystem(0x65735546), "FUSE");
  EXPECT_EQ(network_filesystem(0xEF53), std::nullopt);      // ext4
  EXPECT_EQ(network_filesystem(0x01021994), std::nullopt);  // tmpfs
}

}  // namespace
}  // namespace cosearch
