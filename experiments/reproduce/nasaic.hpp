#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/run/runner.hpp"
#include "experiments/store/store.hpp"

/// NASAIC (Yang et al., DAC 2020) re-enacted: networks for two tasks and a design of two sub-accelerators under a
/// latency, an energy and an area spec, by three ways on the same budget.
namespace cosearch::nasaic {

/// Upper limits. Cycles, nJ and um^2 of MAESTRO's constants of 2020. Those of the paper are remembered, not read.
struct Specs {
  double cycles = 0.0;
  double energy_nj = 0.0;
  double area_um2 = 0.0;
};

/// What NASAIC gains over networks first and hardware then, as the paper says it.
struct PaperGains {
  std::string source;  ///< for people
  double latency_percent = 0.0;
  double energy_factor = 1.0;
  double area_factor = 1.0;
  double accuracy_points = 0.0;  ///< lost, mean of both tasks
};

/// Two tasks with their specs. The paper's data sets are not to be had: Fashion-MNIST and generated images stand for
/// them.
struct Workload {
  std::string name;      ///< w1, w2, w3
  std::string tasks;     ///< for people
  nlohmann::json first;  ///< networks of a campaign: name, dataset, space, accuracy
  nlohmann::json second;
  Specs paper;
  std::optional<PaperGains> gains;
  std::string note;  ///< what else is remembered of the paper, for people
};
[[nodiscard]] const std::vector<Workload>& workloads();

struct Options {
  std::int64_t evaluations = 220;  ///< designs costed by each way
  double spec_scale = 0.45;  ///< of the latency and energy: the largest of our smaller networks exceed it by as much
  std::int64_t train_samples = 6000;
  std::int64_t epochs = 2;
};

enum class Way { nas_then_asic, asic_then_nas, joint_reinforce, joint_nsga2 };
[[nodiscard]] std::string to_string(Way way);

/// The design that one way ends with: the most accurate one within the specs, or the least violating one.
struct Outcome {
  Way way = Way::nas_then_asic;
  std::uint64_t seed = 0;
  bool met = false;
  double cycles = 0.0;
  double energy_nj = 0.0;
  double area_um2 = 0.0;
  /// Mean of both tasks by the supernets' weights: classification and intersection over union; 0 where nothing within
  /// the specs was trained.
  double accuracy = 0.0;
  std::string hardware;      ///< <dataflow, elements, bandwidth> of each sub-accelerator
  std::int64_t trained = 0;  ///< candidates whose accuracy was looked at
};

/// Runs one way; its campaigns are stored under `<workload>_<way>_s<seed>...` and taken from there when they are there
/// already. @throws ConfigError: the store has a campaign of that name with other settings.
[[nodiscard]] Outcome run(const Workload& workload, Way way, std::uint64_t seed, const Options& options, Store& store,
                          const RunOptions& run_options, const std::stop_token& stop);

}  // namespace cosearch::nasaic
