#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <variant>

#include "experiments/store/query.hpp"
#include "experiments/store/store_impl.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

constexpr std::array kFidelities{"cost", "proxy", "one_shot", "epochs", "full"};    // by FidelityKind
constexpr std::array kTrialStates{"complete", "screened", "infeasible", "failed"};  // by TrialState

// Doubles as they lie in memory; every machine that we support is little-endian.
static_assert(std::endian::native == std::endian::little);

Genome genome_from(const SQLite::Column& column) {
  const auto bytes = static_cast<std::size_t>(column.getBytes());
  if (bytes % sizeof(double) != 0) {
    throw DamagedStore("a genome has " + std::to_string(bytes) + " bytes");
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

template <class Parameters>
void bind_values(SQLite::Statement& statement, int& index, const Parameters& values) {
  for (const auto& value : values) {
    std::visit([&](const auto& plain) { statement.bind(++index, plain); }, value);
  }
}

}  // namespace

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
  impl_->add_columns(row.metrics);
  impl_->write([&] {
    SQLite::Statement& trial = impl_->statement(
        "UPDATE trial SET state = ?, violation = ?, violated = ?, violated_by = ?, duration_s = ?" +
        for_each_metric(impl_->metrics, ", \"{}\" = ?") + " WHERE campaign = ? AND id = ? AND state = 'pending'");
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
        "UPDATE trial_detail SET reason = ?, network_hash = ?, hardware_hash = ?, routing = ? WHERE campaign = ? AND "
        "id = ?");
    detail.bind(1, row.reason);
    detail.bind(2, row.network_hash);
    detail.bind(3, row.hardware_hash);
    detail.bind(4, routing_text(row.routing));
    detail.bind(5, campaign);
    detail.bind(6, row.id);
    detail.exec();
  });
}

void Store::add_metrics(std::int64_t campaign, TrialId id, const Metrics& metrics) {
  check_metrics(metrics);
  impl_->add_columns(metrics);
  impl_->write([&] {
    for (const auto& [name, value] : metrics) {
      SQLite::Statement& trial = impl_->statement(
          fmt::format("UPDATE trial SET \"{}\" = ? WHERE campaign = ? AND id = ? AND state != 'pending'", name));
      trial.bind(1, value);
      trial.bind(2, campaign);
      trial.bind(3, id);
      if (trial.exec() != 1) {
        throw StoreError(4, fmt::format("there is no finished trial {}", id));
      }
    }
  });
}

std::string Store::Impl::trial_select() const {
  return "SELECT t.id, batch, fidelity, epochs, state, violation, violated, violated_by, duration_s, genome, genes, "
         "reason, network_hash, hardware_hash, " +
         std::string(routing_column()) + for_each_metric(metrics, ", t.\"{}\"") +
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
  trial.routing = routing_from(row.getColumn(14).getString());
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const SQLite::Column value = row.getColumn(15 + static_cast<int>(i));
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
  for (const std::string& metric : metrics_of(filter)) {
    if (!std::binary_search(metrics.begin(), metrics.end(), metric)) {
      missing += fmt::format(", NULL AS \"{}\"", metric);
    }
  }
  std::string source = missing.empty() ? "trial" : fmt::format("(SELECT *{} FROM trial)", missing);
  if (names_gene(filter)) {
    source += " JOIN (SELECT campaign, id, genes FROM trial_detail) USING (campaign, id)";
  }
  return source;
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
    bind_values(ids, index, sql.condition_values);
    bind_values(ids, index, sql.tail_values);
    std::vector<TrialRow> result;
    while (ids.executeStep()) {
      std::optional<TrialRow> row = impl_->trial(campaign, ids.getColumn(0).getInt64());
      if (!row) {
        throw DamagedStore("a trial has no details");
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
    bind_values(number, index, sql.condition_values);
    number.bind(++index, filter.limit.value_or(-1));
    number.bind(++index, filter.offset);
    number.executeStep();
    return static_cast<std::int64_t>(number.getColumn(0).getInt64());
  });
}

}  // namespace cosearch
