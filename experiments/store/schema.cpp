#include "experiments/store/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "experiments/store/store.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch {
namespace {

int pragma(SQLite::Database& database, const char* name) {
  return database.execAndGet(fmt::format("PRAGMA {}", name)).getInt();
}

std::vector<std::string> texts(SQLite::Database& database, const std::string& sql) {
  std::vector<std::string> result;
  SQLite::Statement statement(database, sql);
  while (statement.executeStep()) {
    result.push_back(statement.getColumn(0).getString());
  }
  return result;
}

std::vector<std::string> columns(SQLite::Database& database, const std::string& table) {
  return texts(database, fmt::format("SELECT name FROM pragma_table_info('{}') ORDER BY name", table));
}

/// NULL means unknown; infinities are refused, and NaN would become NULL, which the store checks before binding.
std::string metric_column(std::string_view name) {
  return fmt::format("\"{0}\" REAL CHECK (\"{0}\" BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308)", name);
}

/// Filters and sorts read `trial` only: everything long is in `trial_detail`, so that a scan of a million trials stays
/// small. Both are clustered by campaign and id. Metrics need no further indices: a filter with a sort over a million
/// trials takes a fifth of a second (tests/bench/store_bench.cpp), and every index would make every write dearer.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE campaign (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'stopped')),
  config TEXT NOT NULL CHECK (json_valid(config)),
  config_hash TEXT NOT NULL,
  created_utc TEXT NOT NULL,
  evaluations INTEGER NOT NULL CHECK (evaluations >= 0)
) STRICT;
CREATE TABLE trial (
  campaign INTEGER NOT NULL REFERENCES campaign (id) ON DELETE CASCADE,
  id INTEGER NOT NULL CHECK (id >= 0),
  batch INTEGER NOT NULL CHECK (batch >= 0),
  fidelity TEXT NOT NULL CHECK (fidelity IN ('cost', 'proxy', 'one_shot', 'epochs', 'full')),
  epochs INTEGER NOT NULL CHECK (epochs >= 0),
  state TEXT NOT NULL CHECK (state IN ('pending', 'complete', 'screened', 'infeasible', 'failed')),
  violation REAL NOT NULL CHECK (violation >= 0),
  violated TEXT NOT NULL,
  violated_by REAL NOT NULL CHECK (violated_by >= 0),
  duration_s REAL NOT NULL CHECK (duration_s >= 0),
  PRIMARY KEY (campaign, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE trial_detail (
  campaign INTEGER NOT NULL,
  id INTEGER NOT NULL,
  genome BLOB NOT NULL,
  genes TEXT NOT NULL,
  reason TEXT NOT NULL,
  network_hash TEXT NOT NULL,
  hardware_hash TEXT NOT NULL,
  PRIMARY KEY (campaign, id),
  FOREIGN KEY (campaign, id) REFERENCES trial (campaign, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE final (
  campaign INTEGER NOT NULL,
  trial INTEGER NOT NULL,
  weights_file TEXT NOT NULL,
  PRIMARY KEY (campaign, trial),
  FOREIGN KEY (campaign, trial) REFERENCES trial (campaign, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE accuracy_cache (
  key TEXT PRIMARY KEY,
  failed INTEGER NOT NULL CHECK (failed IN (0, 1)),
  reason TEXT NOT NULL,
  metrics TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE cost_cache (
  key TEXT PRIMARY KEY,
  infeasible INTEGER NOT NULL CHECK (infeasible IN (0, 1)),
  reason TEXT NOT NULL,
  metrics TEXT NOT NULL,
  violations TEXT NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

/// Where tokens go in trained networks with mixtures of experts: a list of histograms for each network, as JSON; empty
/// where there are none.
constexpr const char* kVersion2 = R"sql(
ALTER TABLE trial_detail ADD COLUMN routing TEXT NOT NULL DEFAULT '';
ALTER TABLE final ADD COLUMN routing TEXT NOT NULL DEFAULT '';
ALTER TABLE accuracy_cache ADD COLUMN routing TEXT NOT NULL DEFAULT '';
)sql";

/// kMigrations[i] leads from version i to version i + 1.
constexpr std::array kMigrations{kVersion1, kVersion2};
static_assert(kMigrations.size() == kSchemaVersion);

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 5;
  const std::string text = fmt::format("{}", fmt::join(std::span(names).first(std::min(names.size(), kMost)), ", "));
  return names.size() > kMost ? text + ", ..." : text;
}

}  // namespace

FileKind identify(SQLite::Database& database, const std::string& path) {
  const int application = pragma(database, "application_id");
  const int version = pragma(database, "user_version");
  if (application == kApplicationId) {
    if (version > kSchemaVersion || version < 1) {
      throw StoreError(6,
                       fmt::format("{}: has schema version {}, this program knows 1 to {}; use the cosearch that wrote "
                                   "it or a newer one",
                                   path, version, kSchemaVersion));
    }
    return FileKind::ours;
  }
  const std::vector<std::string> tables =
      texts(database, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
  if (application != 0 || version != 0 || !tables.empty()) {
    throw StoreError(
        6, fmt::format("{}: is a database of another program (application id {:#x}, version {}, tables: {}); "
                       "name another file",
                       path, static_cast<unsigned>(application), version, tables.empty() ? "none" : listed(tables)));
  }
  return FileKind::empty;
}

bool has_routing(SQLite::Database& database) { return pragma(database, "user_version") >= 2; }

void migrate(SQLite::Database& database) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  const int found = pragma(database, "user_version");
  for (int version = found; version < kSchemaVersion; ++version) {
    database.exec(kMigrations.at(static_cast<std::size_t>(version)));
  }
  std::vector<std::string> registered;
  for (const MetricInfo& metric : metric_registry()) {
    registered.emplace_back(metric.name);
  }
  add_metric_columns(database, registered);
  if (found < kSchemaVersion) {
    database.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
    database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  }
  transaction.commit();
}

std::vector<std::string> metric_columns(SQLite::Database& database) {
  std::vector<std::string> known = columns(database, "trial");
  std::erase_if(known, [](const std::string& name) { return !find_metric(name); });
  return known;
}

void add_metric_columns(SQLite::Database& database, const std::vector<std::string>& metrics) {
  for (const char* table : {"trial", "final"}) {
    const std::vector<std::string> present = columns(database, table);
    for (const std::string& metric : metrics) {
      if (!std::binary_search(present.begin(), present.end(), metric)) {
        database.exec(fmt::format("ALTER TABLE {} ADD COLUMN {}", table, metric_column(metric)));
      }
    }
  }
}

}  // namespace cosearch
