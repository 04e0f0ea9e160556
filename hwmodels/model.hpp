#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/space/search_space.hpp"

/// The seam between networks and hardware: a Target is a family of hardware with knobs, a Model one member of it.
namespace cosearch {

/// Numbers by metric name; names carry units (see metrics.hpp) and are sorted, so printing is deterministic.
using Metrics = std::map<std::string, double>;

/// Facts that only a trained model can tell (routing histograms, node counts), by name; the second pricing uses it.
struct Evidence {
  std::map<std::string, std::vector<double>> histograms;
  bool operator==(const Evidence&) const = default;
};

/// What the hardware is asked to run. Pure data.
struct Job {
  TaskModel model;
  graph::Phase phase = graph::Phase::inference;
  std::int64_t batch = 1;
  graph::DataTypes types = {};
  std::vector<int> tasks = {};  ///< tasks evaluated together; empty: all outputs of the model
  std::optional<Evidence> evidence = std::nullopt;
};
[[nodiscard]] std::uint64_t hash(const Job& job);

/// Cost of one layer (graph node or kernel call), for reports. `bound` is what limits it: `compute`, `dram_bandwidth`,
/// `sram_bandwidth`, `overhead`...; `utilization` is useful work / peak work in its time, in [0, 1].
struct LayerCost {
  std::string name;
  std::string kind;
  std::int64_t macs = 0;
  double cycles = 0.0;
  double latency_ms = 0.0;
  double energy_uj = 0.0;
  double traffic_bytes = 0.0;  ///< to and from the slowest memory that the layer uses
  double utilization = 0.0;
  std::string bound;
  std::map<std::string, double> parts;  ///< further figures by name with unit, e.g. `im2col_bytes`, `dram_pj`
};

/// Memory in use while one layer runs.
struct MemoryStep {
  std::string name;
  std::int64_t live_bytes = 0;
  std::vector<std::pair<std::string, std::int64_t>> buffers;  ///< live buffers and their sizes
};

/// A cost that explains itself. `metrics` holds at least latency_ms, energy_uj, macs, params where the model knows
/// them.
struct Cost {
  Metrics metrics;
  std::vector<LayerCost> layers;
  std::vector<MemoryStep> memory;
  std::string bound;               ///< what limits the whole, in one sentence
  std::vector<std::string> notes;  ///< assumptions worth knowing: calibration error, clock, what was folded
};

/// One piece of hardware. Pure: any thread, equal jobs give equal costs.
class Model {
 public:
  virtual ~Model() = default;
  /// All jobs run on this hardware, one after the other where the model says nothing else; capacities are checked.
  [[nodiscard]] virtual Expected<Cost, Infeasible> evaluate(std::span<const Job> jobs) const = 0;
  /// How each of the cost's layers runs, as text, in their order; empty where the figures say all. For feasible jobs.
  [[nodiscard]] virtual std::vector<std::string> explain(std::span<const Job> /*jobs*/) const { return {}; }
  /// A picture (SVG) of how they run; empty where a model has none of its own. For feasible jobs.
  [[nodiscard]] virtual std::string picture(std::span<const Job> /*jobs*/) const { return {}; }
};

/// A family of hardware and the knobs that a search may turn.
class Target {
 public:
  virtual ~Target() = default;
  [[nodiscard]] virtual const ParamSet& params() const noexcept = 0;
  [[nodiscard]] virtual Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const = 0;
  /// Metrics that its models report, sorted: what objectives and constraints may name.
  [[nodiscard]] virtual std::vector<std::string> metric_names() const = 0;
  /// Version of everything that can change a number: equations, embedded data, options. Keys the cost cache.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
};

struct TargetEntry {
  std::string_view name;
  std::string_view summary;
  /// `options`: the target's part of the config without `name` and `genes`.
  /// `data_directory` overrides the embedded hwmodels/data/*.json where it holds a file of that name; may be empty.
  /// @throws ConfigError.
  std::unique_ptr<Target> (*make)(const nlohmann::json& options, const std::string& data_directory);
};
/// Sorted by name.
[[nodiscard]] std::span<const TargetEntry> target_registry();
/// @throws ConfigError (place "/target/name") for an unknown name.
[[nodiscard]] std::unique_ptr<Target> make_target(const std::string& name, const nlohmann::json& options,
                                                  const std::string& data_directory);

}  // namespace cosearch
