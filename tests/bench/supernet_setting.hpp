#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/config/campaign.hpp"
#include "trainer/multitask/train_tasks.hpp"
#include "trainer/supernet/scorer.hpp"
#include "trainer/supernet/supernet.hpp"

namespace cosearch {

/// Of the command line.
struct Arguments {
  std::string space = "mobile_cnn";
  std::string data = R"({"name": "fashion_mnist"})";
  std::string prefix = "supernet_quality";
  std::string alone_from;
  std::string campaign;
  std::uint64_t subnets = 24;
  std::uint64_t seeds = 1;
  std::uint64_t first_seed = 1;
  std::uint64_t alone_repeats = 1;
  std::int64_t alone_samples = 10000;
  std::int64_t samples = 10000;
  std::int64_t evaluate_samples = 0;
  double epochs = 12;
  double alone_epochs = 6;
  std::int64_t random_subnets = 2;
  double distillation = 0.5;
  std::int64_t calibration_samples = 256;
  std::string optimizer = "adamw";
  double learning_rate = 0.01;
  double alone_learning_rate = 0.004;
  std::int64_t batch = 64;
  int threads = 0;
};

/// What is trained, together and alone.
class SupernetSetting {
 public:
  /// Of a campaign's first network, and of several supernets the first, where the arguments name one. @throws
  /// ConfigError as its readers do; std::runtime_error: it has no supernet, or lazy ones.
  explicit SupernetSetting(const Arguments& arguments);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const SubnetSpace& space() const noexcept { return subnets_; }
  [[nodiscard]] const std::vector<LearningTask>& tasks() const noexcept { return tasks_; }
  [[nodiscard]] const SupernetOptions& together() const noexcept { return together_; }
  [[nodiscard]] const SubnetScorer::Options& score() const noexcept { return score_; }
  /// Of a network with weights of its own, on the search split; 0 where its training diverges.
  [[nodiscard]] double accuracy_alone(const graph::NetworkGraph& network, std::uint64_t seed) const;

 private:
  void take_campaign(const std::string& path);

  std::string name_;  ///< of the space
  std::unique_ptr<SearchSpace> catalogue_;
  std::optional<JointSpace> joint_;
  SubnetSpace subnets_;  ///< draws from one of the two
  std::vector<LearningTask> tasks_;
  SupernetOptions together_;
  SubnetScorer::Options score_;
  TrainOptions alone_;
};

/// 1 - the mean error of the tasks; of one task its accuracy.
[[nodiscard]] double mean_accuracy(const std::vector<TaskScore>& scores);

}  // namespace cosearch
