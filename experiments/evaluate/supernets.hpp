#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "experiments/config/one_shot.hpp"
#include "trainer/supernet/scorer.hpp"

namespace cosearch {

/// The supernets of a one-shot campaign: of each network one for each combination of values of the chosen genes.
///
/// One of a network's supernets begins with random weights, each other one with those of the supernet before it whose
/// genes agree most; of several the one whose other genes are nearest (places in their domains), then the first. See
/// `inherit`. "Before" is the order of the combinations' values; where a network's supernets are lazy, that in which
/// trials were feasible by cost, which `expect` tells. Both are functions of the campaign and its trials alone, so a
/// supernet's weights do not depend on which others an earlier process, or none, has trained.
class Supernets {
 public:
  /// All references outlive it. @throws ConfigError: what is to be learned does not fit, see check_classes and
  /// check_tasks.
  Supernets(const Campaign& campaign, const JointSpace& space, CampaignData data);

  struct Events {
    std::function<void(const std::string& line)> note;
    std::function<void(const std::string& name, const TrainProgress&)> training;
  };
  /// Reads each supernet that is not lazy from `directory`, where any campaign with the same space, data, recipe and
  /// seed has left it, or trains it and leaves it there: `supernet-<fingerprint>.safetensors`, and while it is trained
  /// a checkpoint, from which it goes on after an interruption to the same bits. False: stopped before the end.
  /// @throws StoreError 5: the directory cannot be written; std::runtime_error: the training diverged.
  [[nodiscard]] bool prepare(const std::string& directory, const Events& events, const std::stop_token& stop);

  /// A candidate's lazy supernets will be wanted after those of all candidates before it. Told again it changes
  /// nothing.
  void expect(const Genome& joint);
  /// The same as `prepare`, which has told the directory, for one of an expected candidate's networks, and for the
  /// supernets that its weights come from. Not while others read.
  [[nodiscard]] bool train(std::size_t network, const Genome& joint, const Events& events, const std::stop_token& stop);

  /// What scores one of a candidate's networks. Only after `prepare` or `train`.
  [[nodiscard]] SubnetScorer& scorer(std::size_t network, const Genome& joint) const;
  /// How its supernet is known, trained or not.
  [[nodiscard]] std::uint64_t fingerprint(std::size_t network, const Genome& joint) const {
    return supernets_[find(network, joint)].fingerprint;
  }

 private:
  struct Supernet {
    SupernetSpace space;
    std::vector<std::optional<double>> genes;  ///< the chosen ones in [0, 1]; nothing: inactive
    std::optional<std::size_t> origin = {};    ///< whose weights it begins with
    std::uint64_t fingerprint = 0;
    std::unique_ptr<SubnetScorer> scorer = nullptr;
  };
  void add(SupernetSpace space);
  [[nodiscard]] std::string key_of(std::size_t network, const Genome& joint) const;
  [[nodiscard]] std::optional<std::size_t> known(std::size_t network, const std::string& key) const;
  [[nodiscard]] std::size_t find(std::size_t network, const Genome& joint) const;
  [[nodiscard]] std::vector<std::optional<double>> places(const SupernetSpace& space) const;
  /// What it is called in messages.
  [[nodiscard]] std::string label(const Supernet& supernet) const;
  [[nodiscard]] SupernetOptions options(const Supernet& supernet) const;
  /// Of those that are there the one that a new one begins with; nothing for a network's first.
  [[nodiscard]] std::optional<std::size_t> origin_of(const Supernet& fresh) const;
  [[nodiscard]] bool prepare_one(std::size_t index, const Events& events, const std::stop_token& stop);
  [[nodiscard]] bool train_one(const Supernet& supernet, const std::string& stem, WeightStore& store,
                               const Events& events, const std::stop_token& stop) const;

  const Campaign& campaign_;
  const JointSpace& space_;
  CampaignData data_;
  std::string directory_;
  std::vector<Supernet> supernets_;
};

}  // namespace cosearch
