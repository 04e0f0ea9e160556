#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "predictors/predictor.hpp"

/// The makers that the registry's table lists, each defined in its predictor's file.
namespace cosearch {

/// {"k": 5}: number of neighbours.
[[nodiscard]] std::unique_ptr<Predictor> make_knn(const nlohmann::json& options);
/// {"lambda": x}: the penalty, 1e-9 to 1e9; chosen by leave-one-out errors when absent.
[[nodiscard]] std::unique_ptr<Predictor> make_ridge(const nlohmann::json& options);

}  // namespace cosearch
