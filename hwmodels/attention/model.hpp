#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/attention/designs.hpp"
#include "hwmodels/attention/product.hpp"
#include "hwmodels/einsum_model.hpp"
#include "hwmodels/layers.hpp"

namespace cosearch::attention {

/// What the target's options say of every job.
struct JobOptions {
  DesignOptions design;
  bool causal = false;
  std::int64_t decode_keys = 0;         ///< > 0: the network's tokens attend to this many keys, their own included
  std::optional<ir::Workload> cascade;  ///< the user's, with its sizes, in place of the library's
};

/// Data that all models of a target share.
struct Shared {
  AttentionData data;
  PublishedDesigns published;
  JobOptions options;
};

/// Networks on the two arrays: attention by its cascade, other products on the 2-D array, all else on the lanes.
class AttentionModel final : public Model {
 public:
  AttentionModel(DesignGenes genes, std::shared_ptr<const Shared> shared)
      : genes_(std::move(genes)), shared_(std::move(shared)) {}

  /// Infeasible: operands wider than a word, what Design::make and Design::evaluate refuse.
  [[nodiscard]] Expected<Cost, Infeasible> evaluate(std::span<const Job> jobs) const override;
  [[nodiscard]] std::vector<std::string> explain(std::span<const Job> jobs) const override;

 private:
  struct Totals;
  [[nodiscard]] Expected<Design, Infeasible> design(std::int64_t head_dim) const;
  [[nodiscard]] Expected<AttentionCost, Infeasible> attention(const Design& design, const Shape& shape,
                                                              std::int64_t head_dim) const;
  [[nodiscard]] std::optional<Infeasible> add(const LoweredJob& job, const EinsumRun& run, Totals& totals) const;
  [[nodiscard]] std::string explain_attention(const Design& design, const Shape& shape, std::int64_t head_dim) const;
  [[nodiscard]] std::vector<std::string> notes() const;

  DesignGenes genes_;
  std::shared_ptr<const Shared> shared_;
};

}  // namespace cosearch::attention
