#include "experiments/store/store.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <bit>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>

#include "experiments/store/filesystem.hpp"
#include "experiments/store/query.hpp"
#include "experiments/store/schema.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

constexpr int kBusyTimeoutMs = 10'000;

constexpr std::array kCampaignStates{"running", "finished", "stopped"};             // by CampaignState
constexpr std::array kFidelities{"cost", "proxy", "one_shot", "epochs", "full"};    // by FidelityKind
constexpr std::array kTrialStates{"complete", "screened", "infeasible", "failed"};  // by TrialState

/// A text of the file that is none of the allowed ones, or JSON that does not parse.
class Damaged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class Enum, std::size_t N>
Enum enum_from(const std::array<const char*, N>& names, const std::string& text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (text == names[i]) {
      return static_cast<Enum>(i);
    }
  }
  throw Damaged("unknown value \"" + text + "\"");
}

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

// Doubles as they lie in memory; every machine that we support is little-endian.
static_assert(std::endian::native == std::endian::little);

Genome genome_from(const SQLite::Column& column) {
  const auto bytes = static_cast<std::size_t>(column.getBytes());
  if (bytes % sizeof(double) != 0) {
    throw Damaged("a genome has " + std::to_string(bytes) + " bytes");
  }
  const auto* const first = static_cast<const std::byte*>(column.getBlob());
  Genome genome;
  genome.genes.resize(bytes / sizeof(double));
  std::copy_n(first, bytes, std::as_writable_bytes(std::span(genome.genes)).data());
  return genome;
}

void bind_genome(SQLite::Statement& statement, int index, const Genome& genome) {
  statement.bind(index, static_cast<const void*>(genome.genes.data()),
                 static_cast<int>(genome.genes.size() * sizeof(double)));
}

void check_metrics(const Metrics& metrics) {
  for (const auto& [name, value] : metrics) {
    COSEARCH_CHECK(find_metric(name).has_value(), ("a stored metric is in the registry: " + name).c_str());
    COSEARCH_CHECK(std::isfinite(value), ("a stored metric is finite: " + name).c_str());
  }
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

bool names_gene(const FilterExpression& expression) {
  return (expression.kind == FilterExpression::Kind::comparison &&
          expression.comparison.field.kind == FieldKind::gene) ||
         std::any_of(expression.operands.begin(), expression.operands.end(), names_gene);
}

bool names_gene(const TrialFilter& filter) {
  return (filter.where && names_gene(*filter.where)) ||
         std::any_of(filter.sort.begin(), filter.sort.end(),
                     [](const SortKey& key) { return key.field.kind == FieldKind::gene; });
}

std::string quoted_columns(const std::vector<std::string>& metrics, std::string_view format) {
  std::string text;
  for (const std::string& name : metrics) {
    text += fmt::format(fmt::runtime(format), name);
  }
  return text;
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

struct Store::Impl {
  Impl(std::string given_path, std::optional<WriterLock> writer_lock, SQLite::Database opened)
      : path(std::move(given_path)),
        lock(std::move(writer_lock)),
        database(std::move(opened)),
        metrics(metric_columns(database)) {}

  std::string path;
  std::optional<WriterLock> lock;  ///< given back after the database is closed
  SQLite::Database database;
  std::vector<std::string> metrics;
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
    } catch (const Damaged& error) {
      throw StoreError(6, fmt::format("{}: is damaged: {}", path, error.what()));
    } catch (const json::exception& error) {
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

  CampaignRow read_campaign(SQLite::Statement& row);
  std::vector<CampaignRow> campaigns(const std::string& where, const std::optional<std::int64_t>& id);
  [[nodiscard]] std::string trial_select() const;
  TrialRow read_trial(SQLite::Statement& row) const;
  std::optional<TrialRow> trial(std::int64_t campaign, TrialId id);
  [[nodiscard]] std::string filter_source(const TrialFilter& filter) const;
  void put_cost(const std::string& key, const CachedCost& value);
  template <class Parameters>
  static void bind_values(SQLite::Statement& statement, int& index, const Parameters& values);
};

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

CampaignRow Store::Impl::read_campaign(SQLite::Statement& row) {
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

// --- trials ----------------------------------------------------------------------------------------------------

void Store::insert_pending(std::int64_t campaign, const std::vector<TrialRow>& rows) {
  impl_->write([&] {
    for (const TrialRow& row : rows) {
      COSEARCH_CHECK(row.pending, "only pending rows are inserted");
      SQLite::Statement& trial = impl_->statement(
          "INSERT INTO trial (campaign, id, batch, fidelity, epochs, state, violation, violated, violated_by, "
          "duration_s) "
          "VALUES (?, ?, ?, ?, ?, 'pending', 0, '', 0, 0)");
      trial.bind(1, campaign);
      trial.bind(2, row.id);
      trial.bind(3, row.batch);
      trial.bind(4, kFidelities.at(static_cast<std::size_t>(row.fidelity.kind)));
      trial.bind(5, row.fidelity.epochs);
      trial.exec();
      SQLite::Statement& detail = impl_->statement(
          "INSERT INTO trial_detail (campaign, id, genome, genes, reason, network_hash, hardware_hash) "
          "VALUES (?, ?, ?, ?, '', ?, ?)");
      detail.bind(1, campaign);
      detail.bind(2, row.id);
      bind_genome(detail, 3, row.genome);
      detail.bind(4, row.genes.dump());
      detail.bind(5, row.network_hash);
      detail.bind(6, row.hardware_hash);
      detail.exec();
    }
  });
}

void Store::finish(std::int64_t campaign, const TrialRow& row) {
  COSEARCH_CHECK(!row.pending, "a finished row is not pending");
  COSEARCH_CHECK(!std::isnan(row.violation) && !std::isnan(row.violated_by) && std::isfinite(row.duration_s),
                 "a violation is a number");
  check_metrics(row.metrics);
  impl_->write([&] {
    SQLite::Statement& trial = impl_->statement(
        "UPDATE trial SET state = ?, violation = ?, violated = ?, violated_by = ?, duration_s = ?" +
        quoted_columns(impl_->metrics, ", \"{}\" = ?") + " WHERE campaign = ? AND id = ? AND state = 'pending'");
    int index = 0;
    trial.bind(++index, kTrialStates.at(static_cast<std::size_t>(row.state)));
    trial.bind(++index, row.violation);
    trial.bind(++index, row.violated);
    trial.bind(++index, row.violated_by);
    trial.bind(++index, row.duration_s);
    for (const std::string& name : impl_->metrics) {
      const auto found = row.metrics.find(name);
      ++index;
      if (found != row.metrics.end()) {
        trial.bind(index, found->second);
      }
    }
    trial.bind(++index, campaign);
    trial.bind(++index, row.id);
    COSEARCH_CHECK(trial.exec() == 1, "a trial is finished once, after it was proposed");
    SQLite::Statement& detail = impl_->statement(
        "UPDATE trial_detail SET reason = ?, network_hash = ?, hardware_hash = ? WHERE campaign = ? AND id = ?");
    detail.bind(1, row.reason);
    detail.bind(2, row.network_hash);
    detail.bind(3, row.hardware_hash);
    detail.bind(4, campaign);
    detail.bind(5, row.id);
    detail.exec();
  });
}

std::string Store::Impl::trial_select() const {
  return "SELECT t.id, batch, fidelity, epochs, state, violation, violated, violated_by, duration_s, genome, genes, "
         "reason, network_hash, hardware_hash" +
         quoted_columns(metrics, ", t.\"{}\"") +
         " FROM trial t JOIN trial_detail d ON d.campaign = t.campaign AND d.id = t.id WHERE t.campaign = ?";
}

TrialRow Store::Impl::read_trial(SQLite::Statement& row) const {
  TrialRow trial;
  trial.id = row.getColumn(0).getInt64();
  trial.batch = row.getColumn(1).getInt64();
  trial.fidelity = {enum_from<FidelityKind>(kFidelities, row.getColumn(2).getString()), row.getColumn(3).getInt()};
  const std::string state = row.getColumn(4).getString();
  trial.pending = state == "pending";
  trial.state = trial.pending ? TrialState::complete : enum_from<TrialState>(kTrialStates, state);
  trial.violation = row.getColumn(5).getDouble();
  trial.violated = row.getColumn(6).getString();
  trial.violated_by = row.getColumn(7).getDouble();
  trial.duration_s = row.getColumn(8).getDouble();
  trial.genome = genome_from(row.getColumn(9));
  trial.genes = json::parse(row.getColumn(10).getString());
  trial.reason = row.getColumn(11).getString();
  trial.network_hash = row.getColumn(12).getString();
  trial.hardware_hash = row.getColumn(13).getString();
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const SQLite::Column value = row.getColumn(14 + static_cast<int>(i));
    if (!value.isNull()) {
      trial.metrics.emplace_hint(trial.metrics.end(), metrics[i], value.getDouble());
    }
  }
  return trial;
}

std::vector<TrialRow> Store::trials(std::int64_t campaign) const {
  return impl_->guarded([&] {
    SQLite::Statement& rows = impl_->statement(impl_->trial_select() + " ORDER BY t.id");
    rows.bind(1, campaign);
    std::vector<TrialRow> result;
    while (rows.executeStep()) {
      result.push_back(impl_->read_trial(rows));
    }
    rows.tryReset();
    return result;
  });
}

std::optional<TrialRow> Store::Impl::trial(std::int64_t campaign, TrialId id) {
  SQLite::Statement& row = statement(trial_select() + " AND t.id = ?");
  row.bind(1, campaign);
  row.bind(2, id);
  std::optional<TrialRow> result;
  if (row.executeStep()) {
    result = read_trial(row);
  }
  row.tryReset();
  return result;
}

std::optional<TrialRow> Store::trial(std::int64_t campaign, TrialId id) const {
  return impl_->guarded([&] { return impl_->trial(campaign, id); });
}

std::string Store::Impl::filter_source(const TrialFilter& filter) const {
  // A file written before a metric existed has no column for it; its trials simply do not have it.
  std::string missing;
  for (const MetricInfo& metric : metric_registry()) {
    if (!std::binary_search(metrics.begin(), metrics.end(), metric.name)) {
      missing += fmt::format(", NULL AS \"{}\"", metric.name);
    }
  }
  std::string source = missing.empty() ? "trial" : fmt::format("(SELECT *{} FROM trial)", missing);
  if (names_gene(filter)) {
    source += " JOIN (SELECT campaign, id, genes FROM trial_detail) USING (campaign, id)";
  }
  return source;
}

template <class Parameters>
void Store::Impl::bind_values(SQLite::Statement& statement, int& index, const Parameters& values) {
  for (const auto& value : values) {
    std::visit([&](const auto& plain) { statement.bind(++index, plain); }, value);
  }
}

std::vector<TrialRow> Store::query(std::int64_t campaign, const TrialFilter& filter) const {
  const SqlFilter sql = to_sql(filter);
  return impl_->guarded([&] {
    // Ids first, over the short rows only; the chosen ones are then read whole. One transaction: one moment in time.
    SQLite::Transaction transaction(impl_->database);
    SQLite::Statement ids(impl_->database, fmt::format("SELECT id FROM {} WHERE campaign = ? AND {} {}",
                                                       impl_->filter_source(filter), sql.condition, sql.tail));
    int index = 0;
    ids.bind(++index, campaign);
    Impl::bind_values(ids, index, sql.condition_values);
    Impl::bind_values(ids, index, sql.tail_values);
    std::vector<TrialRow> result;
    while (ids.executeStep()) {
      std::optional<TrialRow> row = impl_->trial(campaign, ids.getColumn(0).getInt64());
      if (!row) {
        throw Damaged("a trial has no details");
      }
      result.push_back(std::move(*row));
    }
    return result;
  });
}

std::int64_t Store::count(std::int64_t campaign, const TrialFilter& filter) const {
  const SqlFilter sql = to_sql(filter);
  return impl_->guarded([&] {
    // Order does not change a count, so the sort keys are dropped; limit and offset do.
    SQLite::Statement number(
        impl_->database,
        fmt::format("SELECT count(*) FROM (SELECT 1 FROM {} WHERE campaign = ? AND {} LIMIT ? OFFSET ?)",
                    impl_->filter_source(filter), sql.condition));
    int index = 0;
    number.bind(++index, campaign);
    Impl::bind_values(number, index, sql.condition_values);
    number.bind(++index, filter.limit.value_or(-1));
    number.bind(++index, filter.offset);
    number.executeStep();
    return static_cast<std::int64_t>(number.getColumn(0).getInt64());
  });
}

// --- final trainings -------------------------------------------------------------------------------------------

void Store::put_final(std::int64_t campaign, const FinalRow& row) {
  check_metrics(row.metrics);
  impl_->write([&] {
    SQLite::Statement& insert = impl_->statement("INSERT OR REPLACE INTO final (campaign, trial, weights_file" +
                                                 quoted_columns(impl_->metrics, ", \"{}\"") + ") VALUES (?, ?, ?" +
                                                 quoted_columns(impl_->metrics, ", ?") + ")");
    int index = 0;
    insert.bind(++index, campaign);
    insert.bind(++index, row.trial);
    insert.bind(++index, std::filesystem::path(row.weights_file).filename().string());
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
        impl_->statement("SELECT trial, weights_file" + quoted_columns(impl_->metrics, ", \"{}\"") +
                         " FROM final WHERE campaign = ? ORDER BY trial");
    rows.bind(1, campaign);
    std::vector<FinalRow> result;
    while (rows.executeStep()) {
      FinalRow row;
      row.trial = rows.getColumn(0).getInt64();
      row.weights_file = (std::filesystem::path(files_directory()) / rows.getColumn(1).getString()).string();
      for (std::size_t i = 0; i < impl_->metrics.size(); ++i) {
        const SQLite::Column value = rows.getColumn(2 + static_cast<int>(i));
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
    SQLite::Statement& row = impl_->statement("SELECT failed, reason, metrics FROM accuracy_cache WHERE key = ?");
    row.bind(1, key);
    std::optional<CachedAccuracy> result;
    if (row.executeStep()) {
      result = CachedAccuracy{row.getColumn(0).getInt() != 0, row.getColumn(1).getString(),
                              json::parse(row.getColumn(2).getString()).get<Metrics>()};
    }
    row.tryReset();
    return result;
  });
}

void Store::put_accuracy(const std::string& key, const CachedAccuracy& value) {
  check_metrics(value.metrics);
  impl_->write([&] {
    SQLite::Statement& insert =
        impl_->statement("INSERT OR REPLACE INTO accuracy_cache (key, failed, reason, metrics) VALUES (?, ?, ?, ?)");
    insert.bind(1, key);
    insert.bind(2, value.failed ? 1 : 0);
    insert.bind(3, value.reason);
    insert.bind(4, json(value.metrics).dump());
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
