#include "experiments/store/store.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "experiments/store/store_impl.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

constexpr int kBusyTimeoutMs = 10'000;

constexpr std::array kCampaignStates{"running", "finished", "stopped"};  // by CampaignState

CampaignRow read_campaign(SQLite::Statement& row) {
  CampaignRow campaign;
  campaign.id = row.getColumn(0).getInt64();
  campaign.name = row.getColumn(1).getString();
  campaign.state = enum_from<CampaignState>(kCampaignStates, row.getColumn(2).getString());
  campaign.config = json::parse(row.getColumn(3).getString());
  campaign.config_hash = row.getColumn(4).getString();
  campaign.created_utc = row.getColumn(5).getString();
  campaign.evaluations = row.getColumn(6).getInt64();
  return campaign;
}

json violations_to_json(const std::vector<Violation>& violations) {
  json list = json::array();
  for (const Violation& violation : violations) {
    COSEARCH_CHECK(std::isfinite(violation.required) && std::isfinite(violation.limit), violation.name.c_str());
    list.push_back({{"name", violation.name}, {"required", violation.required}, {"limit", violation.limit}});
  }
  return list;
}

std::vector<Violation> violations_from_json(const json& list) {
  std::vector<Violation> violations;
  for (const json& item : list) {
    violations.push_back({item.at("name"), item.at("required"), item.at("limit")});
  }
  return violations;
}

std::string read_only_uri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    if (c == '?' || c == '#' || c == '%') {
      uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

SQLite::Database open_database(const std::string& name, int flags) {
  return SQLite::Database(name, flags, kBusyTimeoutMs);
}

}  // namespace

StoreError translated(const std::string& path, const SQLite::Exception& error) {
  switch (error.getErrorCode()) {
    case SQLITE_NOTADB:
      return {6, fmt::format("{}: is not an SQLite database; name another file", path)};
    case SQLITE_CORRUPT:
      return {6,
              fmt::format("{}: is damaged or truncated ({}); restore a copy or name another file", path, error.what())};
    case SQLITE_ERROR:
      return {
          6, fmt::format("{}: has an unexpected schema ({}); restore a copy or name another file", path, error.what())};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {5, fmt::format("{}: is locked by another process ({})", path, error.what())};
    default:
      return {5, fmt::format("{}: cannot be used: {}", path, error.what())};
  }
}

void check_metrics(const Metrics& metrics) {
  for (const auto& [name, value] : metrics) {
    COSEARCH_CHECK(find_metric(name).has_value(), ("a stored metric is in the registry: " + name).c_str());
    COSEARCH_CHECK(std::isfinite(value), ("a stored metric is finite: " + name).c_str());
  }
}

std::string routing_text(const Routing& routing) { return routing.empty() ? "" : json(routing).dump(); }

Routing routing_from(const std::string& text) { return text.empty() ? Routing{} : json::parse(text).get<Routing>(); }

std::string for_each_metric(const std::vector<std::string>& metrics, std::string_view format) {
  std::string text;
  for (const std::string& name : metrics) {
    text += fmt::format(fmt::runtime(format), name);
  }
  return text;
}

void Store::Impl::add_columns(const Metrics& values) {
  std::vector<std::string> missing;
  guarded([&] {
    for (const auto& [name, value] : values) {
      if (!std::binary_search(metrics.begin(), metrics.end(), name)) {
        missing.push_back(name);
      }
    }
  });
  if (!missing.empty()) {
    write([&] { add_metric_columns(database, missing); });
    guarded([&] { metrics = metric_columns(database); });
  }
}

// --- opening ---------------------------------------------------------------------------------------------------

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Store Store::open_writer(const std::string& path) {
  if (path.empty() || std::filesystem::is_directory(path)) {
    throw StoreError(5, fmt::format("\"{}\": is {}; name a file", path, path.empty() ? "no name" : "a folder"));
  }
  // One lock for all names of a file.
  const std::filesystem::path real = std::filesystem::weakly_canonical(path);
  check_folder_for_writing(real);
  WriterLock lock(real);
  try {
    SQLite::Database database = open_database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    static_cast<void>(identify(database, path));  // before anything is changed
    const std::string mode = database.execAndGet("PRAGMA journal_mode = WAL").getString();
    if (mode != "wal") {
      throw StoreError(5, fmt::format("{}: its filesystem allows no write-ahead log; put it on a local disk", path));
    }
    database.exec("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
    migrate(database);
    return Store(std::make_unique<Impl>(path, std::move(lock), std::move(database)));
  } catch (const SQLite::Exception& error) {
    throw translated(path, error);
  }
}

Store Store::open_reader(const std::string& path) {
  std::error_code ignored;
  if (path.empty() || !std::filesystem::exists(path, ignored)) {
    throw StoreError(4, fmt::format("{}: there is no such database", path));
  }
  const auto open = [&](const std::string& name, int flags) {
    SQLite::Database database = open_database(name, flags);
    if (identify(database, path) == FileKind::empty) {
      throw StoreError(6, fmt::format("{}: is empty, it holds no campaign", path));
    }
    return std::make_unique<Impl>(path, std::nullopt, std::move(database));
  };
  try {
    return Store(open(path, SQLite::OPEN_READONLY));
  } catch (const SQLite::Exception& error) {
    // Readers share memory in a file beside the database. Where that cannot be created (a read-only folder) nobody can
    // be writing either, and without a log the file alone is the whole truth.
    const bool no_shared_memory = error.getErrorCode() == SQLITE_CANTOPEN || error.getErrorCode() == SQLITE_READONLY;
    const std::string log = path + "-wal";
    if (!no_shared_memory || (std::filesystem::exists(log, ignored) && std::filesystem::file_size(log, ignored) > 0)) {
      throw translated(path, error);
    }
  }
  try {
    return Store(open(read_only_uri(path), SQLite::OPEN_READONLY | SQLite::OPEN_URI));
  } catch (const SQLite::Exception& error) {
    throw translated(path, error);
  }
}

std::string Store::files_directory() const {
  return std::filesystem::weakly_canonical(impl_->path).string() + ".files";  // one folder for all names of a file
}

// --- campaigns -------------------------------------------------------------------------------------------------

std::vector<CampaignRow> Store::Impl::campaigns(const std::string& where, const std::optional<std::int64_t>& id) {
  SQLite::Statement& rows = statement(
      "SELECT id, name, state, config, config_hash, created_utc, evaluations FROM campaign " + where + " ORDER BY id");
  if (id) {
    rows.bind(1, *id);
  }
  std::vector<CampaignRow> result;
  while (rows.executeStep()) {
    result.push_back(read_campaign(rows));
  }
  rows.tryReset();  // ends the read transaction
  return result;
}

CampaignRow Store::create_campaign(const std::string& name, const json& config, const std::string& config_hash,
                                   std::int64_t evaluations) {
  if (name.empty()) {
    throw ConfigError("/name", "is empty; a campaign needs a name");
  }
  for (const CampaignRow& other : campaigns()) {
    if (other.name == name) {
      throw ConfigError("/name", fmt::format("a campaign \"{}\" is in {} already; resume it or choose another name",
                                             name, impl_->path));
    }
  }
  std::int64_t id = 0;
  impl_->write([&] {
    SQLite::Statement& insert = impl_->statement(
        "INSERT INTO campaign (name, state, config, config_hash, created_utc, evaluations) "
        "VALUES (?, 'running', ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?)");
    insert.bind(1, name);
    insert.bind(2, config.dump());
    insert.bind(3, config_hash);
    insert.bind(4, evaluations);
    insert.exec();
    id = impl_->database.getLastInsertRowid();
  });
  return campaign(id);
}

std::vector<CampaignRow> Store::campaigns() const {
  return impl_->guarded([&] { return impl_->campaigns("", std::nullopt); });
}

CampaignRow Store::campaign(const std::string& name) const {
  const std::vector<CampaignRow> all = campaigns();
  if (all.empty()) {
    throw StoreError(4, fmt::format("{}: holds no campaign", impl_->path));
  }
  if (name.empty()) {
    return all.back();
  }
  std::vector<std::string> names;
  for (const CampaignRow& row : all) {
    if (row.name == name) {
      return row;
    }
    names.push_back(row.name);
  }
  throw StoreError(4, fmt::format("{}: campaign {}", impl_->path, unknown_name(name, names)));
}

CampaignRow Store::campaign(std::int64_t id) const {
  std::vector<CampaignRow> found = impl_->guarded([&] { return impl_->campaigns("WHERE id = ?", id); });
  if (found.empty()) {
    throw StoreError(4, fmt::format("{}: has no campaign number {}", impl_->path, id));
  }
  return found.front();
}

void Store::set_state(std::int64_t campaign, CampaignState state) {
  impl_->write([&] {
    SQLite::Statement& update = impl_->statement("UPDATE campaign SET state = ? WHERE id = ?");
    update.bind(1, kCampaignStates.at(static_cast<std::size_t>(state)));
    update.bind(2, campaign);
    COSEARCH_CHECK(update.exec() == 1, "the campaign is stored");
  });
}

void Store::set_evaluations(std::int64_t campaign, std::int64_t evaluations) {
  impl_->write([&] {
    SQLite::Statement& update = impl_->statement("UPDATE campaign SET evaluations = ? WHERE id = ?");
    update.bind(1, evaluations);
    update.bind(2, campaign);
    COSEARCH_CHECK(update.exec() == 1, "the campaign is stored");
  });
}

// --- final trainings -------------------------------------------------------------------------------------------

void Store::put_final(std::int64_t campaign, const FinalRow& row) {
  check_metrics(row.metrics);
  impl_->add_columns(row.metrics);
  impl_->write([&] {
    SQLite::Statement& insert =
        impl_->statement("INSERT OR REPLACE INTO final (campaign, trial, weights_file, routing" +
                         for_each_metric(impl_->metrics, ", \"{}\"") + ") VALUES (?, ?, ?, ?" +
                         for_each_metric(impl_->metrics, ", ?") + ")");
    int index = 0;
    insert.bind(++index, campaign);
    insert.bind(++index, row.trial);
    insert.bind(++index, std::filesystem::path(row.weights_file).filename().string());
    insert.bind(++index, routing_text(row.routing));
    for (const std::string& name : impl_->metrics) {
      const auto found = row.metrics.find(name);
      ++index;
      if (found != row.metrics.end()) {
        insert.bind(index, found->second);
      }
    }
    insert.exec();
  });
}

std::vector<FinalRow> Store::finals(std::int64_t campaign) const {
  return impl_->guarded([&] {
    SQLite::Statement& rows =
        impl_->statement(fmt::format("SELECT trial, weights_file, {}", impl_->routing_column()) +
                         for_each_metric(impl_->metrics, ", \"{}\"") + " FROM final WHERE campaign = ? ORDER BY trial");
    rows.bind(1, campaign);
    std::vector<FinalRow> result;
    while (rows.executeStep()) {
      FinalRow row;
      row.trial = rows.getColumn(0).getInt64();
      row.weights_file = (std::filesystem::path(files_directory()) / rows.getColumn(1).getString()).string();
      row.routing = routing_from(rows.getColumn(2).getString());
      for (std::size_t i = 0; i < impl_->metrics.size(); ++i) {
        const SQLite::Column value = rows.getColumn(3 + static_cast<int>(i));
        if (!value.isNull()) {
          row.metrics.emplace(impl_->metrics[i], value.getDouble());
        }
      }
      result.push_back(std::move(row));
    }
    rows.tryReset();
    return result;
  });
}

// --- caches ----------------------------------------------------------------------------------------------------

std::optional<Store::CachedAccuracy> Store::cached_accuracy(const std::string& key) const {
  return impl_->guarded([&] {
    SQLite::Statement& row = impl_->statement(
        fmt::format("SELECT failed, reason, metrics, {} FROM accuracy_cache WHERE key = ?", impl_->routing_column()));
    row.bind(1, key);
    std::optional<CachedAccuracy> result;
    if (row.executeStep()) {
      result = CachedAccuracy{row.getColumn(0).getInt() != 0, row.getColumn(1).getString(),
                              json::parse(row.getColumn(2).getString()).get<Metrics>()};
      if (Routing routing = routing_from(row.getColumn(3).getString()); !routing.empty()) {
        result->routing = std::move(routing.front());
      }
    }
    row.tryReset();
    return result;
  });
}

void Store::put_accuracy(const std::string& key, const CachedAccuracy& value) {
  check_metrics(value.metrics);
  impl_->write([&] {
    SQLite::Statement& insert = impl_->statement(
        "INSERT OR REPLACE INTO accuracy_cache (key, failed, reason, metrics, routing) "
        "VALUES (?, ?, ?, ?, ?)");
    insert.bind(1, key);
    insert.bind(2, value.failed ? 1 : 0);
    insert.bind(3, value.reason);
    insert.bind(4, json(value.metrics).dump());
    insert.bind(5, routing_text(value.routing.empty() ? Routing{} : Routing{value.routing}));
    insert.exec();
  });
}

std::optional<Store::CachedCost> Store::cached_cost(const std::string& key) const {
  return impl_->guarded([&] {
    SQLite::Statement& row =
        impl_->statement("SELECT infeasible, reason, metrics, violations FROM cost_cache WHERE key = ?");
    row.bind(1, key);
    std::optional<CachedCost> result;
    if (row.executeStep()) {
      result = CachedCost{json::parse(row.getColumn(2).getString()).get<Metrics>(),
                          violations_from_json(json::parse(row.getColumn(3).getString())),
                          row.getColumn(0).getInt() != 0, row.getColumn(1).getString()};
    }
    row.tryReset();
    return result;
  });
}

void Store::Impl::put_cost(const std::string& key, const CachedCost& value) {
  check_metrics(value.metrics);
  SQLite::Statement& insert = statement(
      "INSERT OR REPLACE INTO cost_cache (key, infeasible, reason, metrics, violations) VALUES (?, ?, ?, ?, ?)");
  insert.bind(1, key);
  insert.bind(2, value.infeasible ? 1 : 0);
  insert.bind(3, value.reason);
  insert.bind(4, json(value.metrics).dump());
  insert.bind(5, violations_to_json(value.violations).dump());
  insert.exec();
}

void Store::put_cost(const std::string& key, const CachedCost& value) { put_costs({{key, value}}); }

void Store::put_costs(const std::vector<std::pair<std::string, CachedCost>>& values) {
  impl_->write([&] {
    for (const auto& [key, value] : values) {
      impl_->put_cost(key, value);
    }
  });
}

}  // namespace cosearch
