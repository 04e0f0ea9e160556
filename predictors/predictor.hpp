#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace cosearch {

struct Prediction {
  double mean = 0.0;
  double std_dev = 0.0;
};

using Row = std::vector<double>;

/// Learns from a table of finite numbers. Deterministic: equal tables give equal predictions. A table of one row
/// predicts its target everywhere, with the target's magnitude as std_dev.
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// rows[i] are the features of targets[i]; all rows have one length; at least one row.
  virtual void fit(std::span<const Row> rows, std::span<const double> targets) = 0;
  /// After fit. std_dev >= 0 tells how unsure the mean is.
  [[nodiscard]] virtual Prediction predict(const Row& row) const = 0;
};

struct PredictorEntry {
  std::string_view name;
  std::string_view summary;
  /// `options` is an object or null (all defaults). @throws ConfigError, place: JSON pointer relative to `options`.
  std::unique_ptr<Predictor> (*make)(const nlohmann::json& options);
};
/// Sorted by name.
[[nodiscard]] std::span<const PredictorEntry> predictor_registry();
/// @throws ConfigError (place "/predictor") for an unknown name; for bad options as `PredictorEntry::make`.
[[nodiscard]] std::unique_ptr<Predictor> make_predictor(const std::string& name, const nlohmann::json& options);

}  // namespace cosearch
