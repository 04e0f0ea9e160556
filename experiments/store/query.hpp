#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "experiments/store/store.hpp"

/// Filters over trials: parsed from the user's text into a tree of known fields and plain values. No text of the user
/// reaches SQLite: `to_sql` prints whitelisted column names and `?` only.
namespace cosearch {

/// What a filter, a sort key or a printed column may name.
enum class FieldKind {
  id,         ///< number
  batch,      ///< number
  state,      ///< text: pending, complete, screened, infeasible, failed
  violation,  ///< number
  violated,   ///< text: name of the worst broken constraint
  metric,     ///< number, missing where it was not measured
  gene,       ///< number or text, missing where it is inactive
};

struct Field {
  FieldKind kind = FieldKind::id;
  std::string name;  ///< as the user writes it: `latency_ms`, `hw.board`
  bool operator==(const Field&) const = default;
};

enum class Comparator { equal, not_equal, less, less_equal, greater, greater_equal };

/// A field against a constant. A missing value, and a text where a number is asked for or the reverse, make the
/// comparison neither true nor false: it never matches, negated or not.
struct FieldComparison {
  Field field;
  Comparator comparator = Comparator::equal;
  std::variant<double, std::string> value;
  bool operator==(const FieldComparison&) const = default;
};

/// A tree of comparisons. `operands`: none of a comparison, one of a negation, two or more of the others.
struct FilterExpression {
  enum class Kind { comparison, negation, conjunction, disjunction };
  Kind kind = Kind::comparison;
  FieldComparison comparison;
  std::vector<FilterExpression> operands;
  bool operator==(const FilterExpression&) const = default;
};

struct SortKey {
  Field field;
  bool descending = false;
  bool operator==(const SortKey&) const = default;
};

/// Which trials, in which order. Missing values come last in either direction; ties are in id order.
struct TrialFilter {
  std::optional<FilterExpression> where;
  std::vector<SortKey> sort;
  std::optional<std::int64_t> limit;
  std::int64_t offset = 0;
};

/// Parses `latency_ms < 10 and (accuracy > 0.9 or not state = "complete") and hw.board != "f746"`.
/// Comparators = == != < <= > >=; `and`, `or`, `not` in any case; numbers with exponents; texts in single or double
/// quotes, compared with = and != only; `gene("...")` for gene names that are no identifiers.
/// @throws ConfigError (place `--where`) with the column, what was read and what is allowed.
[[nodiscard]] FilterExpression parse_where(std::string_view text, const std::vector<std::string>& gene_names);
/// Parses `latency_ms,-accuracy`; a minus sorts downwards. @throws ConfigError (place `--sort`).
[[nodiscard]] std::vector<SortKey> parse_sort(std::string_view text, const std::vector<std::string>& gene_names);
/// Parses `id,latency_ms,hw.board`. @throws ConfigError (place `place`).
[[nodiscard]] std::vector<Field> parse_fields(std::string_view text, const std::vector<std::string>& gene_names,
                                              const std::string& place);

/// The metrics that its condition and its sort keys name.
[[nodiscard]] std::set<std::string> metrics_of(const TrialFilter& filter);

/// Three-valued: nothing where a missing value decides.
[[nodiscard]] std::optional<bool> evaluate(const FilterExpression& expression, const TrialRow& row);
/// The filter applied in memory: where, sort, offset and limit, on rows in id order.
[[nodiscard]] std::vector<TrialRow> filtered(const TrialFilter& filter, std::vector<TrialRow> rows);

using FieldValue = std::variant<std::monostate, double, std::string>;
/// The row's value of a field; monostate where it is missing.
[[nodiscard]] FieldValue field_value(const TrialRow& row, const Field& field);
/// `pending`, `complete`, `screened`, `infeasible`, `failed`: the text of the `state` column.
[[nodiscard]] std::string_view state_text(const TrialRow& row) noexcept;

/// SQL over a table with the columns id, batch, state (text as `state_text`), violation, violated (text), genes (JSON
/// text) and one REAL column per metric that the filter names, NULL where missing.
struct SqlFilter {
  using Value = std::variant<std::int64_t, double, std::string>;
  std::string condition;  ///< goes after WHERE or AND; in parentheses; never empty
  std::vector<Value> condition_values;
  std::string tail;  ///< ORDER BY ... LIMIT ? OFFSET ?
  std::vector<Value> tail_values;
};
[[nodiscard]] SqlFilter to_sql(const TrialFilter& filter);

}  // namespace cosearch
