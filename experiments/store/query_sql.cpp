// Filters as SQL.
#include <fmt/format.h>

#include "experiments/store/query.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch {
namespace {

std::string_view sql_comparator(Comparator comparator) {
  switch (comparator) {
    case Comparator::equal:
      return "=";
    case Comparator::not_equal:
      return "<>";
    case Comparator::less:
      return "<";
    case Comparator::less_equal:
      return "<=";
    case Comparator::greater:
      return ">";
    case Comparator::greater_equal:
      return ">=";
  }
  return "=";
}

/// The column of a field that has one of its own. Never a text that no table knows: `find_metric` knows the registry's
/// names and those with the name of a network behind them, which is made of letters, digits and _.
std::string_view column_name(const Field& field) {
  switch (field.kind) {
    case FieldKind::id:
      return "id";
    case FieldKind::batch:
      return "batch";
    case FieldKind::state:
      return "state";
    case FieldKind::violation:
      return "violation";
    case FieldKind::violated:
      return "violated";
    case FieldKind::metric:
      COSEARCH_CHECK(find_metric(field.name).has_value(), "a metric of a parsed filter is known");
      return field.name;
    case FieldKind::gene:
      break;
  }
  COSEARCH_CHECK(false, "every field but a gene has a column");
}

std::string json_path(const Field& gene) { return "$.\"" + gene.name + "\""; }

class SqlPrinter {
 public:
  explicit SqlPrinter(std::vector<SqlFilter::Value>& values) : values_(values) {}

  std::string print(const FilterExpression& expression) {
    switch (expression.kind) {
      case FilterExpression::Kind::comparison:
        return comparison(expression.comparison);
      case FilterExpression::Kind::negation:
        return "(NOT " + print(expression.operands.front()) + ")";
      case FilterExpression::Kind::conjunction:
        return join(expression.operands, " AND ");
      case FilterExpression::Kind::disjunction:
        return join(expression.operands, " OR ");
    }
    return {};
  }

 private:
  std::string join(const std::vector<FilterExpression>& operands, std::string_view between) {
    std::string text = "(";
    for (std::size_t i = 0; i < operands.size(); ++i) {
      text += i == 0 ? "" : between;
      text += print(operands[i]);
    }
    return text + ")";
  }

  std::string comparison(const FieldComparison& comparison) {
    const bool is_text = std::holds_alternative<std::string>(comparison.value);
    std::string left;
    if (comparison.field.kind == FieldKind::gene) {
      // The other type counts as missing; SQLite would say that every text is greater than every number.
      values_.emplace_back(json_path(comparison.field));
      values_.emplace_back(json_path(comparison.field));
      left = fmt::format("(CASE WHEN json_type(genes, ?) IN ({}) THEN json_extract(genes, ?) END)",
                         is_text ? "'text'" : "'integer', 'real'");
    } else {
      left = column_name(comparison.field);
    }
    if (is_text) {
      values_.emplace_back(std::get<std::string>(comparison.value));
    } else {
      values_.emplace_back(std::get<double>(comparison.value));
    }
    return fmt::format("({} {} ?)", left, sql_comparator(comparison.comparator));
  }

  std::vector<SqlFilter::Value>& values_;
};

}  // namespace

SqlFilter to_sql(const TrialFilter& filter) {
  SqlFilter sql;
  sql.condition = filter.where ? SqlPrinter(sql.condition_values).print(*filter.where) : "(TRUE)";
  sql.tail = "ORDER BY ";
  for (const SortKey& key : filter.sort) {
    if (key.field.kind == FieldKind::gene) {
      sql.tail += "json_extract(genes, ?)";
      sql.tail_values.emplace_back(json_path(key.field));
    } else {
      sql.tail += column_name(key.field);
    }
    // NULL is SQLite's smallest value, so it already comes last downwards.
    sql.tail += key.descending ? " DESC, " : " ASC NULLS LAST, ";
  }
  sql.tail += "id ASC LIMIT ? OFFSET ?";
  sql.tail_values.emplace_back(filter.limit.value_or(-1));  // SQLite: a negative limit is none
  sql.tail_values.emplace_back(filter.offset);
  return sql;
}

}  // namespace cosearch
