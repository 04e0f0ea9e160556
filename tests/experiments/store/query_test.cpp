#include "experiments/store/query.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <memory>

#include "spaces/base/config_error.hpp"
#include "spaces/base/metrics.hpp"
#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

const std::vector<std::string> kGenes{"family", "hw.board", "hw.l4r5.clock_mhz", "odd name", "cnn.width"};

std::string error_of(const std::string& where) {
  try {
    static_cast<void>(parse_where(where, kGenes));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TrialRow row_with(TrialId id, Metrics metrics, json genes) {
  TrialRow row;
  row.id = id;
  row.pending = false;
  row.metrics = std::move(metrics);
  row.genes = std::move(genes);
  return row;
}

bool matches(const std::string& where, const TrialRow& row) {
  return evaluate(parse_where(where, kGenes), row).value_or(false);
}

TEST(Query, AndBindsTighterThanOrAndNotTighterThanBoth) {
  const FilterExpression expression = parse_where("id = 1 or id = 2 and not id = 3", kGenes);
  ASSERT_EQ(expression.kind, FilterExpression::Kind::disjunction);
  ASSERT_EQ(expression.operands.size(), 2U);
  const FilterExpression& right = expression.operands[1];
  ASSERT_EQ(right.kind, FilterExpression::Kind::conjunction);
  EXPECT_EQ(right.operands[1].kind, FilterExpression::Kind::negation);
  EXPECT_EQ(parse_where("(id = 1 or id = 2) and id = 3", kGenes).kind, FilterExpression::Kind::conjunction);
}

TEST(Query, ComparatorsNumbersAndTextsAreRead) {
  const TrialRow row = row_with(7, {{"latency_ms", 9.5}, {"accuracy", 0.91}}, {{"hw.board", "f746"}, {"odd name", 3}});
  EXPECT_TRUE(matches("latency_ms < 10 and accuracy > 0.9", row));
  EXPECT_TRUE(matches("latency_ms <= 95e-1 AND latency_ms >= +9.5 And latency_ms == 9.5", row));
  EXPECT_TRUE(matches("latency_ms != -1 and latency_ms>.5", row));
  EXPECT_TRUE(matches("hw.board = \"f746\" and hw.board != 'h743'", row));
  EXPECT_TRUE(matches("gene(\"odd name\") = 3 and gene( 'hw.board' ) = 'f746'", row));
  EXPECT_TRUE(matches("state = \"complete\" and id = 7 and batch = 0", row));
  EXPECT_FALSE(matches("not latency_ms < 10", row));
}

TEST(Query, MissingValuesNeverMatchNegatedOrNot) {
  const TrialRow row = row_with(0, {{"latency_ms", 5}}, {{"family", "cnn"}});
  for (const char* comparison : {"accuracy > 0", "accuracy != 0", "cnn.width = 8", "family > 0", "family = 3",
                                 "latency_ms < 10 and accuracy > 0.5"}) {
    EXPECT_FALSE(matches(comparison, row)) << comparison;
    EXPECT_FALSE(matches("not (" + std::string(comparison) + ")", row)) << comparison;
  }
  EXPECT_TRUE(matches("accuracy > 0.5 or latency_ms < 10", row));
  EXPECT_TRUE(matches("not (accuracy > 0.5 and latency_ms > 10)", row));
}

TEST(Query, ErrorsNameTheColumnWhatWasReadAndWhatIsAllowed) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases{
      {"", {"--where: column 1:", "the end", "a field name"}},
      {"latencyms < 10", {"column 1:", "\"latencyms\" is not known", "did you mean \"latency_ms\""}},
      {"latency_ms 10", {"column 12:", "read \"10\"", "= == != < <= > >="}},
      {"latency_ms <", {"column 13:", "the end", "a number"}},
      {"latency_ms < 10 accuracy > 1", {"column 17:", "read \"accuracy\"", "\"and\", \"or\""}},
      {"(latency_ms < 10", {"column 17:", "\")\""}},
      {"latency_ms < 10)", {"column 16:", "read \")\""}},
      {"latency_ms < ten", {"column 14:", "read \"ten\"", "a number"}},
      {"latency_ms < \"10\"", {"column 14:", "a number"}},
      {"latency_ms < 1e999", {"column 14:", "1e999"}},
      {"latency_ms < 10ms", {"column 14:", "10ms"}},
      {"state = complete", {"column 9:", "a text in quotes"}},
      {"state = \"done\"", {"column 9:", "\"done\" is not known", "complete, failed, infeasible, pending, screened"}},
      {"state < \"complete\"", {"column 9:", "= and != only"}},
      {"hw.board = \"f746", {"column 12:", "no closing \""}},
      {"gene(\"hw.bord\") = 1", {"column 6:", "did you mean \"hw.board\""}},
      {"gene(hw.board) = 1", {"column 6:", "a gene name in quotes"}},
      {"id = 1; drop table trial", {"column 7:", "read \";\""}},
      {"and id = 1", {"column 1:", "read \"and\""}},
      {"not", {"column 4:", "the end"}},
  };
  for (const auto& [where, parts] : cases) {
    const std::string message = error_of(where);
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << where << "\n  gave: " << message << "\n  not: " << part;
    }
  }
}

TEST(Query, DeepAndLongExpressionsAreRefused) {
  EXPECT_NE(error_of(std::string(1000, '(')).find("nested deeper"), std::string::npos);
  std::string many = "id = 1";
  for (int i = 0; i < 300; ++i) {
    many += " or id = 1";
  }
  EXPECT_NE(error_of(many).find("more than"), std::string::npos);
}

TEST(Query, SortKeysAndColumnsAreReadAndChecked) {
  const std::vector<SortKey> keys = parse_sort("latency_ms, -accuracy,hw.board", kGenes);
  ASSERT_EQ(keys.size(), 3U);
  EXPECT_FALSE(keys[0].descending);
  EXPECT_TRUE(keys[1].descending);
  EXPECT_EQ(keys[1].field, (Field{FieldKind::metric, "accuracy"}));
  EXPECT_EQ(keys[2].field, (Field{FieldKind::gene, "hw.board"}));
  EXPECT_THROW(static_cast<void>(parse_sort("latency_ms,,id", kGenes)), ConfigError);
  EXPECT_THROW(static_cast<void>(parse_sort("", kGenes)), ConfigError);
  EXPECT_THROW(static_cast<void>(parse_sort("--id", kGenes)), ConfigError);
  EXPECT_THROW(static_cast<void>(parse_fields("-id", kGenes, "--columns")), ConfigError);
}

TEST(Query, NoTextOfTheUserIsInTheSql) {
  TrialFilter filter;
  filter.where =
      parse_where("hw.board = \"x' or 1=1 --\" and not (gene(\"odd name\") = 12345 or state != 'failed')", kGenes);
  filter.sort = parse_sort("hw.board,-latency_ms", kGenes);
  filter.limit = 98765;
  const SqlFilter sql = to_sql(filter);
  for (const char* text : {"board", "odd", "1=1", "12345", "failed", "98765"}) {
    EXPECT_EQ((sql.condition + sql.tail).find(text), std::string::npos) << text;
  }
  const auto marks = [](const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '?'));
  };
  EXPECT_EQ(marks(sql.condition), sql.condition_values.size());
  EXPECT_EQ(marks(sql.tail), sql.tail_values.size());
}

// --- the SQL against the evaluator in memory, for random rows and random expressions -----------------------------

using Database = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;

void execute(sqlite3* database, const std::string& sql) {
  char* message = nullptr;
  ASSERT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message << "\n" << sql;
}

Database database_with(const std::vector<TrialRow>& rows) {
  sqlite3* raw = nullptr;
  EXPECT_EQ(sqlite3_open(":memory:", &raw), SQLITE_OK);
  Database database(raw, &sqlite3_close);
  std::string columns;
  for (const MetricInfo& metric : metric_registry()) {
    columns += ", " + std::string(metric.name) + " REAL";
  }
  execute(raw,
          "CREATE TABLE trial (id INTEGER PRIMARY KEY, batch INTEGER, state TEXT, violation REAL, violated TEXT, "
          "genes TEXT" +
              columns + ") STRICT");
  for (const TrialRow& row : rows) {
    std::string names;
    std::string values;
    for (const auto& [name, value] : row.metrics) {
      names += ", " + name;
      values += ", " + json(value).dump();
    }
    execute(raw, "INSERT INTO trial (id, batch, state, violation, violated, genes" + names + ") VALUES (" +
                     std::to_string(row.id) + ", " + std::to_string(row.batch) + ", '" + std::string(state_text(row)) +
                     "', " + json(row.violation).dump() + ", '" + row.violated + "', '" + row.genes.dump() + "'" +
                     values + ")");
  }
  return database;
}

std::vector<TrialId> select(sqlite3* database, const TrialFilter& filter) {
  const SqlFilter sql = to_sql(filter);
  const std::string text = "SELECT id FROM trial WHERE " + sql.condition + " " + sql.tail;
  sqlite3_stmt* raw = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(database, text.c_str(), -1, &raw, nullptr), SQLITE_OK) << text;
  const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(raw, &sqlite3_finalize);
  int index = 0;
  for (const auto* values : {&sql.condition_values, &sql.tail_values}) {
    for (const SqlFilter::Value& value : *values) {
      ++index;
      if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        sqlite3_bind_int64(raw, index, *integer);
      } else if (const auto* real = std::get_if<double>(&value)) {
        sqlite3_bind_double(raw, index, *real);
      } else {
        sqlite3_bind_text(raw, index, std::get<std::string>(value).c_str(), -1, SQLITE_TRANSIENT);
      }
    }
  }
  std::vector<TrialId> ids;
  while (sqlite3_step(raw) == SQLITE_ROW) {
    ids.push_back(sqlite3_column_int64(raw, 0));
  }
  return ids;
}

TrialRow random_row(TrialId id, RngStream& rng) {
  TrialRow row;
  row.id = id;
  row.batch = id / 8;
  row.pending = rng.below(6) == 0;
  row.state = static_cast<TrialState>(rng.below(4));
  row.violation = static_cast<double>(rng.below(3));
  row.violated = rng.below(2) == 0 ? "" : "sram_bytes";
  for (const char* metric : {"latency_ms", "accuracy", "macs"}) {
    if (rng.below(3) != 0) {
      row.metrics[metric] = static_cast<double>(rng.below(5)) / 2.0;  // few values: many ties
    }
  }
  row.genes = json::object();
  if (rng.below(2) == 0) {
    row.genes["hw.board"] = rng.below(2) == 0 ? "f746" : "h743";
  }
  if (rng.below(2) == 0) {
    row.genes["cnn.width"] = rng.below(2) == 0 ? json(rng.below(4)) : json(0.5 * static_cast<double>(rng.below(4)));
  }
  if (rng.below(2) == 0) {
    row.genes["odd name"] = rng.below(2) == 0 ? json("text") : json(1);
  }
  return row;
}

std::string random_where(RngStream& rng, int depth) {
  const auto pick = [&rng](const std::vector<std::string>& from) { return from[rng.below(from.size())]; };
  if (depth > 0 && rng.below(3) != 0) {
    switch (rng.below(3)) {
      case 0:
        return "not (" + random_where(rng, depth - 1) + ")";
      case 1:
        return "(" + random_where(rng, depth - 1) + ") and (" + random_where(rng, depth - 1) + ")";
      default:
        return "(" + random_where(rng, depth - 1) + ") or (" + random_where(rng, depth - 1) + ")";
    }
  }
  if (rng.below(3) == 0) {
    return pick({"state", "violated", "hw.board", "gene('odd name')", "cnn.width"}) + pick({" = ", " != "}) +
           pick({"'complete'", "'pending'"});
  }
  return pick({"id", "batch", "violation", "latency_ms", "accuracy", "macs", "cnn.width", "gene('odd name')",
               "hw.board"}) +
         pick({" = ", " == ", " != ", " < ", " <= ", " > ", " >= "}) + pick({"0", "0.5", "1", "1.5", "2e0", "7"});
}

TEST(Query, SqlAgreesWithTheEvaluatorOnRandomExpressions) {
  RngStream rng(11, Purpose::test, 0);
  std::vector<TrialRow> rows;
  for (TrialId id = 0; id < 60; ++id) {
    rows.push_back(random_row(id, rng));
  }
  const Database database = database_with(rows);
  const std::vector<std::string> sorts{
      "", "latency_ms", "-latency_ms", "hw.board,-id", "-cnn.width,accuracy", "state,-violation,macs", "-batch", "odd"};
  std::size_t matched = 0;
  for (int round = 0; round < 600; ++round) {
    TrialFilter filter;
    const std::string where = random_where(rng, 3);
    filter.where = parse_where(where, kGenes);
    const std::string& sort = sorts[rng.below(sorts.size())];
    if (sort == "odd") {
      filter.sort = {{{FieldKind::gene, "odd name"}, rng.below(2) == 0}};
    } else if (!sort.empty()) {
      filter.sort = parse_sort(sort, kGenes);
    }
    if (rng.below(3) == 0) {
      filter.limit = static_cast<std::int64_t>(rng.below(10));
      filter.offset = static_cast<std::int64_t>(rng.below(10));
    }
    std::vector<TrialId> expected;
    for (const TrialRow& row : filtered(filter, rows)) {
      expected.push_back(row.id);
    }
    matched += expected.size();
    ASSERT_EQ(select(database.get(), filter), expected) << where << " sorted by " << sort;
  }
  EXPECT_GT(matched, 1000U);
}

}  // namespace
}  // namespace cosearch
