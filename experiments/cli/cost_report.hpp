#pragma once

#include "experiments/cli/output.hpp"
#include "hwmodels/model.hpp"

namespace cosearch::cli {

/// A cost for people: the layers with what bounds each, memory over time with bars, totals, the bound of the whole,
/// notes. Columns that are zero throughout are left out.
void print_cost(Output& out, const Cost& cost);

/// The layers as records, for csv.
[[nodiscard]] Records layer_records(const Cost& cost);

/// Metrics with names, one a line.
void print_metrics(Output& out, const Metrics& metrics);

/// The reason and, where numbers tell, each broken capacity with what is needed and what there is.
void print_infeasible(Output& out, const Infeasible& infeasible);
[[nodiscard]] nlohmann::ordered_json to_json(const Infeasible& infeasible);

}  // namespace cosearch::cli
