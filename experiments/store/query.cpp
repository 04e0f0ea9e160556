#include "experiments/store/query.hpp"

#include <algorithm>
#include <iterator>

namespace cosearch {
namespace {

template <class T>
bool compare(const T& value, Comparator comparator, const T& constant) {
  switch (comparator) {
    case Comparator::equal:
      return value == constant;
    case Comparator::not_equal:
      return value != constant;
    case Comparator::less:
      return value < constant;
    case Comparator::less_equal:
      return value <= constant;
    case Comparator::greater:
      return value > constant;
    case Comparator::greater_equal:
      return value >= constant;
  }
  return false;
}

/// <0, 0, >0; missing values last, then numbers, then texts, as SQLite orders them.
int compare_values(const FieldValue& a, const FieldValue& b, bool descending) {
  const bool a_missing = a.index() == 0;
  const bool b_missing = b.index() == 0;
  if (a_missing || b_missing) {
    return static_cast<int>(a_missing) - static_cast<int>(b_missing);
  }
  const int order = a < b ? -1 : (b < a ? 1 : 0);
  return descending ? -order : order;
}

void add_metrics(const FilterExpression& expression, std::set<std::string>& names) {
  const Field& field = expression.comparison.field;
  if (expression.kind == FilterExpression::Kind::comparison && field.kind == FieldKind::metric) {
    names.insert(field.name);
  }
  for (const FilterExpression& operand : expression.operands) {
    add_metrics(operand, names);
  }
}

}  // namespace

std::set<std::string> metrics_of(const TrialFilter& filter) {
  std::set<std::string> names;
  if (filter.where) {
    add_metrics(*filter.where, names);
  }
  for (const SortKey& key : filter.sort) {
    if (key.field.kind == FieldKind::metric) {
      names.insert(key.field.name);
    }
  }
  return names;
}

std::string_view state_text(const TrialRow& row) noexcept {
  if (row.pending) {
    return "pending";
  }
  switch (row.state) {
    case TrialState::complete:
      return "complete";
    case TrialState::screened:
      return "screened";
    case TrialState::infeasible:
      return "infeasible";
    case TrialState::failed:
      return "failed";
  }
  return "pending";
}

FieldValue field_value(const TrialRow& row, const Field& field) {
  switch (field.kind) {
    case FieldKind::id:
      return static_cast<double>(row.id);
    case FieldKind::batch:
      return static_cast<double>(row.batch);
    case FieldKind::state:
      return std::string(state_text(row));
    case FieldKind::violation:
      return row.violation;
    case FieldKind::violated:
      return row.violated;
    case FieldKind::metric: {
      const auto found = row.metrics.find(field.name);
      return found == row.metrics.end() ? FieldValue{} : FieldValue{found->second};
    }
    case FieldKind::gene: {
      const auto found = row.genes.find(field.name);
      if (found == row.genes.end()) {
        return {};
      }
      if (found->is_string()) {
        return found->get<std::string>();
      }
      return found->is_number() ? FieldValue{found->get<double>()} : FieldValue{};
    }
  }
  return {};
}

std::optional<bool> evaluate(const FilterExpression& expression, const TrialRow& row) {
  if (expression.kind == FilterExpression::Kind::comparison) {
    const FieldComparison& comparison = expression.comparison;
    const FieldValue value = field_value(row, comparison.field);
    if (const auto* const text = std::get_if<std::string>(&comparison.value)) {
      const auto* const have = std::get_if<std::string>(&value);
      return have != nullptr ? std::optional(compare(*have, comparison.comparator, *text)) : std::nullopt;
    }
    const auto* const have = std::get_if<double>(&value);
    return have != nullptr ? std::optional(compare(*have, comparison.comparator, std::get<double>(comparison.value)))
                           : std::nullopt;
  }
  if (expression.kind == FilterExpression::Kind::negation) {
    const std::optional<bool> inner = evaluate(expression.operands.front(), row);
    return inner ? std::optional(!*inner) : std::nullopt;
  }
  // One operand with this value decides alone; otherwise a missing one leaves the whole open.
  const bool deciding = expression.kind == FilterExpression::Kind::disjunction;
  std::optional<bool> result = !deciding;
  for (const FilterExpression& operand : expression.operands) {
    const std::optional<bool> value = evaluate(operand, row);
    if (value == deciding) {
      return deciding;
    }
    if (!value) {
      result = std::nullopt;
    }
  }
  return result;
}

std::vector<TrialRow> filtered(const TrialFilter& filter, std::vector<TrialRow> rows) {
  if (filter.where) {
    std::erase_if(rows, [&](const TrialRow& row) { return !evaluate(*filter.where, row).value_or(false); });
  }
  std::stable_sort(rows.begin(), rows.end(), [&](const TrialRow& a, const TrialRow& b) {
    for (const SortKey& key : filter.sort) {
      const int order = compare_values(field_value(a, key.field), field_value(b, key.field), key.descending);
      if (order != 0) {
        return order < 0;
      }
    }
    return a.id < b.id;
  });
  const auto size = static_cast<std::int64_t>(rows.size());
  const std::int64_t first = std::min(filter.offset, size);
  const std::int64_t last = first + std::min(filter.limit.value_or(size), size - first);
  return {std::make_move_iterator(rows.begin() + first), std::make_move_iterator(rows.begin() + last)};
}

}  // namespace cosearch
