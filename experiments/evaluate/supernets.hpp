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

/// The supernets of a one-shot campaign, one for each combination of values of the chosen genes.
class Supernets {
 public:
  /// All references outlive it.
  Supernets(const Campaign& campaign, const JointSpace& space, const TaskData& data);

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

  /// What scores a candidate, and how its supernet is known. Only after `prepare`.
  [[nodiscard]] SubnetScorer& scorer(const Genome& joint) const { return *find(joint).scorer; }
  [[nodiscard]] std::uint64_t fingerprint(const Genome& joint) const { return find(joint).fingerprint; }

 private:
  struct Supernet {
    SupernetSpace space;
    std::uint64_t fingerprint = 0;
    std::unique_ptr<SubnetScorer> scorer;
  };
  [[nodiscard]] const Supernet& find(const Genome& joint) const;
  /// The one before `index` whose genes agree most, the first of several; null for the first.
  [[nodiscard]] const Supernet* origin_of(std::size_t index) const;
  [[nodiscard]] bool prepare_one(std::size_t index, const std::string& directory, const Events& events,
                                 const std::stop_token& stop);
  [[nodiscard]] bool train_one(const Supernet& supernet, const std::string& stem, WeightStore& store,
                               const Events& events, const std::stop_token& stop) const;

  const Campaign& campaign_;
  const JointSpace& space_;
  const TaskData& data_;
  SupernetOptions options_;
  std::vector<Supernet> supernets_;
};

}  // namespace cosearch
