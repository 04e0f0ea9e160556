#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/store/filesystem.hpp"
#include "experiments/store/schema.hpp"
#include "experiments/store/store.hpp"
#include "spaces/base/check.hpp"

/// What the source files of the store share; nobody else includes it.
namespace cosearch {

/// The file holds a text that is none of the allowed ones, or bytes of a wrong size.
class DamagedStore : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The enumerator whose name `text` is. @throws DamagedStore.
template <class Enum, std::size_t N>
Enum enum_from(const std::array<const char*, N>& names, const std::string& text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (text == names[i]) {
      return static_cast<Enum>(i);
    }
  }
  throw DamagedStore("unknown value \"" + text + "\"");
}

/// Aborts on metrics that are not in the registry or not finite.
void check_metrics(const Metrics& metrics);

/// `format` with each name put in, one after the other.
[[nodiscard]] std::string for_each_metric(const std::vector<std::string>& metrics, std::string_view format);

/// As the columns `routing` hold it: JSON, or nothing where there is none.
[[nodiscard]] std::string routing_text(const Routing& routing);
[[nodiscard]] Routing routing_from(const std::string& text);

/// What SQLite says, as one line about the file at `path`.
[[nodiscard]] StoreError translated(const std::string& path, const SQLite::Exception& error);

struct Store::Impl {
  Impl(std::string given_path, std::optional<WriterLock> writer_lock, SQLite::Database opened)
      : path(std::move(given_path)),
        lock(std::move(writer_lock)),
        database(std::move(opened)),
        metrics(metric_columns(database)),
        knows_routing(has_routing(database)) {}

  std::string path;
  std::optional<WriterLock> lock;  ///< given back after the database is closed
  SQLite::Database database;
  std::vector<std::string> metrics;
  bool knows_routing;  ///< not in an older file that is only read
  std::map<std::string, SQLite::Statement> statements;
  std::mutex mutex;

  SQLite::Statement& statement(const std::string& sql) {
    auto found = statements.find(sql);
    if (found == statements.end()) {
      found = statements.emplace(sql, SQLite::Statement(database, sql)).first;
    }
    found->second.tryReset();
    found->second.clearBindings();
    return found->second;
  }

  /// Runs `work` alone and turns what SQLite or a damaged file throws into a StoreError.
  template <class Work>
  auto guarded(const Work& work) {
    const std::lock_guard guard(mutex);
    try {
      return work();
    } catch (const SQLite::Exception& error) {
      throw translated(path, error);
    } catch (const DamagedStore& error) {
      throw StoreError(6, fmt::format("{}: is damaged: {}", path, error.what()));
    } catch (const nlohmann::json::exception& error) {
      throw StoreError(6, fmt::format("{}: is damaged: {}", path, error.what()));
    }
  }
  template <class Work>
  void write(const Work& work) {
    COSEARCH_CHECK(lock.has_value(), "only a store opened for writing is written to");
    guarded([&] {
      SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
      work();
      transaction.commit();
    });
  }

  /// The column `routing` in a select.
  [[nodiscard]] const char* routing_column() const { return knows_routing ? "routing" : "'' AS routing"; }

  /// Makes columns for what has none yet.
  void add_columns(const Metrics& values);
  std::vector<CampaignRow> campaigns(const std::string& where, const std::optional<std::int64_t>& id);
  [[nodiscard]] std::string trial_select() const;
  TrialRow read_trial(SQLite::Statement& row) const;
  std::optional<TrialRow> trial(std::int64_t campaign, TrialId id);
  [[nodiscard]] std::string filter_source(const TrialFilter& filter) const;
  void put_cost(const std::string& key, const CachedCost& value);
};

}  // namespace cosearch
