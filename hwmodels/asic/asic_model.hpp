#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/asic/accelerator.hpp"
#include "hwmodels/asic/array_arch.hpp"
#include "hwmodels/asic/dataflow.hpp"
#include "hwmodels/asic/target_options.hpp"
#include "hwmodels/einsum_model.hpp"

namespace cosearch::asic {

/// The architecture for operands of a type.
using ArchForType = std::function<Arch(ir::ElementType)>;

/// One accelerator under a dataflow (nothing: what its levels allow), whose products are mapped by the mapper.
class AsicModel final : public EinsumModel {
 public:
  AsicModel(ArchForType arch, std::optional<Dataflow> dataflow, std::shared_ptr<const TargetOptions> options)
      : arch_(std::move(arch)), dataflow_(std::move(dataflow)), options_(std::move(options)) {}

  [[nodiscard]] Expected<Cost, Infeasible> evaluate_lowered(std::span<const LoweredJob> jobs) const override;
  [[nodiscard]] Expected<LayerCosts, Infeasible> layer_costs(const LoweredJob& job) const override;
  [[nodiscard]] std::vector<std::string> explain(std::span<const Job> jobs) const override;

 private:
  [[nodiscard]] Expected<Accelerator, Infeasible> accelerator(const Job& job) const;
  [[nodiscard]] std::vector<std::string> notes(const Job& job) const;

  ArchForType arch_;
  std::optional<Dataflow> dataflow_;
  std::shared_ptr<const TargetOptions> options_;
};

}  // namespace cosearch::asic
