#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/fpga/design.hpp"
#include "hwmodels/fpga/moe.hpp"
#include "hwmodels/model.hpp"

namespace cosearch::fpga {

/// A node of a network on the engines.
struct TimedLayer {
  std::string name;
  std::string kind;
  std::string task;  ///< `task <n>` where what runs depends on it
  std::int64_t macs = 0;
  LayerTime time;
  std::optional<MoeTime> moe;
};

/// Networks on one design, node after node: an inference takes the sum of its layers. Networks that route by task run
/// once for each task of the job, one after the other; switching costs nothing but the gate's weights, which are part
/// of the layer anyway.
class MoeFpgaModel final : public Model {
 public:
  MoeFpgaModel(Genes genes, Part part, std::shared_ptr<const FpgaData> data);

  [[nodiscard]] Expected<Cost, Infeasible> evaluate(std::span<const Job> jobs) const override;
  [[nodiscard]] std::vector<std::string> explain(std::span<const Job> jobs) const override;
  /// The tokens of the experts of the first mixture and the timeline of its double buffer.
  [[nodiscard]] std::string picture(std::span<const Job> jobs) const override;

 private:
  [[nodiscard]] Expected<std::vector<TimedLayer>, Infeasible> layers(const Job& job) const;
  [[nodiscard]] std::optional<Infeasible> obstacle(const Job& job) const;
  [[nodiscard]] LayerCost layer_cost(const TimedLayer& layer, double peak_macs) const;
  [[nodiscard]] std::vector<std::string> notes(const Resources& resources, bool has_experts) const;

  Genes genes_;
  Part part_;
  std::shared_ptr<const FpgaData> data_;
};

}  // namespace cosearch::fpga
