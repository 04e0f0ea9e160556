#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "experiments/config/one_shot.hpp"
#include "trainer/supernet/scorer.hpp"

namespace cosearch {

/// The supernets of a one-shot campaign: of each network one for each combination of values of the chosen genes.
class Supernets {
 public:
  /// All references outlive it.
  Supernets(const Campaign& campaign, const JointSpace& space, CampaignData data);

  struct Events {
    std::function<void(const std::string& line)> note;
    std::function<void(const std::string& name, const TrainProgress&)> training;
  };
  /// Reads each supernet from `directory`, where any campaign with the same space, data, recipe and seed has left it,
  /// or trains it and leaves it there: `supernet-<fingerprint>.safetensors`, and while it is trained a checkpoint, from
  /// which it goes on after an interruption to the same bits. The first begins with random weights, each other one with
  /// those of the supernet before it whose genes agree most (see `inherit`). False: stopped before the end.
  /// @throws StoreError 5: the directory cannot be written; std::runtime_error: the training diverged.
  [[nodiscard]] bool prepare(const std::string& directory, const Events& events, const std::stop_token& stop);

  /// What scores one of a candidate's networks, and how its supernet is known. Only after `prepare`.
  [[nodiscard]] SubnetScorer& scorer(std::size_t network, const Genome& joint) const {
    return *find(network, joint).scorer;
  }
  [[nodiscard]] std::uint64_t fingerprint(std::size_t network, const Genome& joint) const {
    return find(network, joint).fingerprint;
  }

 private:
  struct Supernet {
    SupernetSpace space;
    std::uint64_t fingerprint = 0;
    std::unique_ptr<SubnetScorer> scorer;
  };
  [[nodiscard]] const Supernet& find(std::size_t network, const Genome& joint) const;
  /// What it is called in messages.
  [[nodiscard]] std::string label(const Supernet& supernet) const;
  [[nodiscard]] SupernetOptions options(const Supernet& supernet) const;
  /// The one of the same network before `index` whose genes agree most, the first of several; null for the first.
  [[nodiscard]] const Supernet* origin_of(std::size_t index) const;
  [[nodiscard]] bool prepare_one(std::size_t index, const std::string& directory, const Events& events,
                                 const std::stop_token& stop);
  [[nodiscard]] bool train_one(const Supernet& supernet, const std::string& stem, WeightStore& store,
                               const Events& events, const std::stop_token& stop) const;

  const Campaign& campaign_;
  const JointSpace& space_;
  CampaignData data_;
  std::vector<Supernet> supernets_;
};

}  // namespace cosearch
