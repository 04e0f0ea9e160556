#include "predictors/registry.hpp"

#include <array>

#include "spaces/base/registry.hpp"

namespace cosearch {
namespace {

// Sorted by name.
constexpr std::array kPredictors{
    PredictorEntry{"knn", "k nearest neighbours, weighted by inverse distance", &make_knn},
    PredictorEntry{"ridge", "linear regression with a penalty chosen by leave-one-out errors", &make_ridge},
};

}  // namespace

std::span<const PredictorEntry> predictor_registry() { return kPredictors; }

std::unique_ptr<Predictor> make_predictor(const std::string& name, const nlohmann::json& options) {
  return entry_named(kPredictors, name, "/predictor").make(options);
}

}  // namespace cosearch
