#include "predictors/registry.hpp"

#include <array>

#include "spaces/base/config_error.hpp"

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
  std::vector<std::string> known;
  for (const PredictorEntry& entry : kPredictors) {
    if (entry.name == name) {
      return entry.make(options);
    }
    known.emplace_back(entry.name);
  }
  throw ConfigError("/predictor", unknown_name(name, known));
}

}  // namespace cosearch
