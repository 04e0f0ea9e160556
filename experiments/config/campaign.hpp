#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "hwmodels/model.hpp"
#include "search/algorithm.hpp"
#include "spaces/base/metrics.hpp"
#include "spaces/space/search_space.hpp"
#include "trainer/multitask/train_tasks.hpp"
#include "trainer/quantize/quantized_training.hpp"
#include "trainer/supernet/scorer.hpp"
#include "trainer/supernet/supernet.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {

struct Objective {
  std::string metric;
  Direction direction = Direction::minimize;
};

/// min <= metric <= max; at least one of the two.
struct Constraint {
  std::string metric;
  std::optional<double> min, max;
};

enum class AccuracyKind { none, train, one_shot };

/// How a supernet is trained and gives accuracies, beside the recipe.
struct OneShot {
  std::int64_t random_subnets = SupernetOptions{}.random_subnets;
  double distillation = SupernetOptions{}.distillation;
  std::int64_t calibration_samples = SubnetScorer::Options{}.calibration_samples;
  std::vector<std::string> supernets;  ///< network genes: one supernet for each combination of their values
  bool lazy = false;  ///< each is trained when the first candidate needs it, rather than all before the search
};

/// Which feasible candidates of a batch are worth training.
struct Screen {
  std::string predictor;     ///< empty: train all within the budget
  nlohmann::json options;    ///< of the predictor
  double share = 0.25;       ///< of a batch's new feasible networks that are trained (rounded up)
  std::int64_t warmup = 16;  ///< trainings before the predictor is used
};

/// The front's best, trained longer and tested once.
struct Final {
  std::int64_t top = 0;        ///< 0: no final stage
  bool from_supernet = false;  ///< begins with the weights that the candidate was scored with
};

/// One of the tasks that a network learns at once.
struct CampaignTask {
  std::string name;  ///< see is_network_name
  nlohmann::json dataset;
  TaskShape shape;
  double weight = 1.0;             ///< of its loss
  std::optional<double> baseline;  ///< of delta_m, in the task's metric; without: found by `task_baseline`
  std::vector<float> class_weights;
  kernels::RegressionLoss loss = kernels::RegressionLoss::squared;
};

/// One of the networks that a campaign searches beside one hardware: what it learns, what it may look like, how its
/// accuracy is found.
struct CampaignNetwork {
  std::string place;                ///< JSON pointer of its part of the config: `/networks/0`, empty for the root
  std::string name;                 ///< see is_network_name; empty where it is the only one
  double weight = 1.0;              ///< of its accuracy in the candidate's; they sum to 1
  nlohmann::json dataset;           ///< {} where it is only costed, for samples as `task` says
  std::vector<CampaignTask> tasks;  ///< empty: one, `dataset`
  TaskSampling task_sampling = TaskSampling::all;
  nlohmann::json task_baseline;  ///< network genes of a design that learns each task alone, for delta_m
  TaskShape task;
  std::string space_name;
  nlohmann::json space_options;
  nlohmann::json space_genes;                        ///< fixed or restricted genes
  TrainOptions train;                                ///< of candidates, or of supernets
  std::optional<quantize::QuantizeRecipe> quantize;  ///< accuracies are those of integers
  OneShot one_shot;
  TrainOptions final_train;
  std::optional<quantize::QuantizeRecipe> final_quantize;
};

/// A campaign as its config says, checked. `resolved` is the config with every default written out: it is what is
/// stored, hashed and read again by `resume`.
struct Campaign {
  std::string name;
  std::uint64_t seed = 0;
  std::vector<CampaignNetwork> networks;  ///< one or more
  std::vector<nlohmann::json> initial;
  std::string target_name;
  nlohmann::json target_options;
  nlohmann::json target_genes;
  std::vector<Objective> objectives;
  std::vector<Constraint> constraints;
  AccuracyKind accuracy = AccuracyKind::none;  ///< of all networks
  Screen screen;
  Final final_stage;
  std::string algorithm;
  nlohmann::json algorithm_options;
  std::int64_t evaluations = 0;  ///< budget: candidates costed
  std::int64_t trainings = 0;    ///< budget: networks trained; 0 = no limit of its own
  std::int64_t batch = 1;        ///< of the job
  graph::DataTypes types;
  nlohmann::json resolved;
};

/// Checks everything that can be checked without running: keys, types, ranges, names, that objectives are metrics
/// which the target or the trainer reports, that constraints can be met by some value.
/// Reads no data set: `load_campaign_data` finds missing and broken files. `data_directory` as in make_target.
/// @throws ConfigError with JSON pointers.
[[nodiscard]] Campaign campaign_from_json(const nlohmann::json& config, const std::string& data_directory = {});

/// What the command line may put in place of a config's values.
struct CampaignOverrides {
  std::optional<std::string> name;
  std::optional<std::uint64_t> seed;
  std::string data_directory;
};
/// Reads a file (JSON with // and /* */ comments). @throws ConfigError with file, line and column of a syntax error.
[[nodiscard]] Campaign load_campaign(const std::string& path, const CampaignOverrides& overrides = {});

/// What a network of a campaign learns from.
struct NetworkData {
  std::shared_ptr<const TaskData> data;  ///< null where there is none, or several tasks
  std::vector<LearningTask> tasks;
  std::vector<double> baselines;  ///< of the tasks, see prepare_baselines

  [[nodiscard]] bool empty() const noexcept { return data == nullptr && tasks.empty(); }
  /// The tasks, or the one that the data set is.
  [[nodiscard]] std::vector<LearningTask> learning_tasks() const {
    return tasks.empty() ? std::vector<LearningTask>{{.name = {}, .data = data}} : tasks;
  }
  /// Whose images it learns from; tasks share theirs. Null where there is nothing to learn.
  [[nodiscard]] const TaskData* images() const noexcept {
    return tasks.empty() ? data.get() : tasks.front().data.get();
  }
};
/// Of each network. Equal data sets are one object.
using CampaignData = std::vector<NetworkData>;
/// Reads them. @throws ConfigError: missing or broken files.
[[nodiscard]] CampaignData load_campaign_data(const Campaign& campaign);

/// Hash of `resolved`: names the config in the store and in exports.
[[nodiscard]] std::string config_hash(const Campaign& campaign);

/// Metrics that trials of this campaign can have and that its objectives and constraints may name, sorted. Accuracy,
/// error and loss of several networks are means by their weights; each network has its own as well, see network_metric.
[[nodiscard]] std::vector<std::string> reported_metrics(const Campaign& campaign, const Target& target);

/// The published JSON Schema (draft 2020-12) of the config; names come from the registries.
[[nodiscard]] nlohmann::json campaign_schema();

/// The network spaces and the target of a campaign joined: one parameter set, network genes first, hardware genes
/// prefixed `hw.`, all restricted as the config says. Where there are several networks, their genes are prefixed
/// too, by `<name>.`.
class JointSpace {
 public:
  /// @throws ConfigError. `data_directory` as in make_target.
  JointSpace(const Campaign& campaign, const std::string& data_directory);

  [[nodiscard]] const ParamSet& params() const noexcept { return params_; }
  [[nodiscard]] std::size_t networks() const noexcept { return networks_.size(); }
  [[nodiscard]] const SearchSpace& space(std::size_t network) const { return *networks_.at(network).space; }
  /// The network's parameters, restricted and without prefix.
  [[nodiscard]] const ParamSet& network_params(std::size_t network) const { return networks_.at(network).params; }
  [[nodiscard]] const Target& target() const noexcept { return *target_; }
  /// A network's part and the hardware's part of a joint genome, as genomes of their own unrestricted sets.
  [[nodiscard]] Genome network_part(const Genome& joint, std::size_t network) const;
  [[nodiscard]] Genome hardware_part(const Genome& joint) const;
  /// Which parameters describe hardware.
  [[nodiscard]] std::vector<bool> hardware_genes() const;
  /// The candidate's networks; where there are several, each bears its name in the campaign.
  [[nodiscard]] std::vector<graph::NetworkGraph> decode(const Genome& joint) const;
  /// The network of that index that these genes (without prefix) describe. @throws ConfigError as ParamSet::from_json.
  [[nodiscard]] graph::NetworkGraph decode_network(std::size_t network, const nlohmann::json& genes) const;
  /// The user's initial designs as joint genomes.
  [[nodiscard]] const std::vector<Genome>& initial() const noexcept { return initial_; }

 private:
  struct Network {
    std::string name;    ///< empty where it is the only one
    std::string prefix;  ///< of its genes
    std::unique_ptr<SearchSpace> space;
    ParamSet params;
  };
  std::vector<Network> networks_;
  std::unique_ptr<Target> target_;
  ParamSet params_;
  std::vector<Genome> initial_;
};

/// What the campaign's search algorithm is given; `space` outlives it. `fidelity`: of ordinary proposals.
[[nodiscard]] AlgorithmContext algorithm_context(const Campaign& campaign, const JointSpace& space,
                                                 const Fidelity& fidelity = {});

}  // namespace cosearch
