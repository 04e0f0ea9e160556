#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/patch_tiling.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

constexpr std::int64_t kFewestBlocks = 3;  // with fewer, ways to place experts are the same
constexpr std::int64_t kMostBlocks = 6;

struct Options {
  double balance = 0.0;
  double noise = 0.0;
};

std::string block_name(std::int64_t block) { return "blocks." + std::to_string(block); }

/// Whether a block of `depth` has experts.
bool has_experts(const std::string& moe, std::int64_t block, std::int64_t depth) {
  if (moe == "every_second") {
    return block % 2 == 1;
  }
  return moe == "all" || (moe == "last_half" && block >= (depth + 1) / 2);
}

class MoeVitSpace final : public SearchSpace {
 public:
  MoeVitSpace(TaskShape task, std::vector<PatchTiling> tilings, const Options& options)
      : task_(std::move(task)), tilings_(std::move(tilings)), options_(options), params_(declare(tilings_, tasks())) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    VisionTransformer net = transformer_on(tiling_of(tilings_, params_.integer(genome, "patch")), task_);
    net.embed_dim = params_.integer(genome, "embed_dim");
    net.hidden_multiple = 1;
    if (task_.dense || !task_.tasks.empty()) {
      net.tasks = task_.heads();
    }
    net.blocks.clear();
    const std::int64_t depth = params_.integer(genome, "depth");
    const std::string moe = params_.text(genome, "moe");
    for (std::int64_t i = 0; i < depth; ++i) {
      TransformerBlock block{.heads = params_.integer(genome, block_name(i) + ".heads")};
      if (has_experts(moe, i, depth)) {
        block.experts = experts(genome, net.embed_dim);
      } else {
        block.mlp_ratio = params_.real(genome, "mlp_ratio");
      }
      net.blocks.push_back(block);
    }
    return build("moe_vit", net);
  }

  /// Blocks with and without experts, and the two kinds of routers, have weights of different names: a family for each
  /// combination.
  [[nodiscard]] std::vector<Genome> corners() const override {
    const std::size_t moe = params_.find("moe").value();
    const std::optional<std::size_t> routing = params_.find("routing");
    std::vector<Genome> genomes;
    for (const bool last : {false, true}) {
      Genome genome{std::vector<double>(params_.size(), 0.0)};
      for (std::size_t i = 0; last && i < params_.size(); ++i) {  // also what this placement leaves inactive
        genome.genes[i] = static_cast<double>(params_.cardinality(i).value() - 1);
      }
      genome.genes[params_.find("patch").value()] = last ? 0.0 : static_cast<double>(tilings_.size()) - 1.0;
      for (std::int64_t placement = 0; placement < params_.cardinality(moe).value(); ++placement) {
        genome.genes[moe] = static_cast<double>(placement);
        const std::int64_t routings = routing && placement > 0 ? params_.cardinality(*routing).value() : 1;
        for (std::int64_t i = 0; i < routings; ++i) {
          if (routing) {
            genome.genes[*routing] = static_cast<double>(i);
          }
          genomes.push_back(params_.canonical(genome));
        }
      }
    }
    return genomes;
  }

 private:
  [[nodiscard]] std::int64_t tasks() const { return std::max<std::int64_t>(1, std::ssize(task_.tasks)); }

  [[nodiscard]] graph::MoeFfn experts(const Genome& genome, std::int64_t embed_dim) const {
    graph::MoeFfn op;
    op.experts = params_.integer(genome, "experts");
    op.top_k = params_.integer(genome, "top_k");
    op.hidden = static_cast<std::int64_t>(params_.real(genome, "expert_ratio") * static_cast<double>(embed_dim));
    op.tasks = tasks();
    op.balance = options_.balance;
    op.noise = options_.noise;
    if (tasks() > 1 && params_.text(genome, "routing") == "conditioned") {
      op.routing = graph::MoeRouting::conditioned;
    }
    return op;
  }

  static ParamSet declare(const std::vector<PatchTiling>& tilings, std::int64_t tasks) {
    const std::vector<std::string> placements{"none", "every_second", "last_half", "all"};
    const auto placed = static_cast<std::int64_t>(placements.size());
    const Condition with_experts{"moe", genes_from(1, placed)};
    std::vector<Param> params{{"patch", patch_choices(tilings), {}},
                              {"embed_dim", choices({16, 32, 48, 64, 96}), {}},
                              {"depth", IntegerRange{kFewestBlocks, kMostBlocks, 1}, {}},
                              {"moe", Choices{{placements.begin(), placements.end()}}, {}},
                              {"experts", choices({4, 8, 16}), with_experts},
                              {"top_k", choices({1, 2, 4}), with_experts},
                              {"expert_ratio", Choices{{0.25, 0.5, 1.0, 2.0}}, with_experts},
                              {"mlp_ratio", Choices{{1.0, 2.0, 3.0, 4.0}}, {"moe", genes_from(0, placed - 1)}}};
    if (tasks > 1) {
      params.push_back({"routing", Choices{{"per_task", "conditioned"}}, with_experts});
    }
    for (std::int64_t i = 0; i < kMostBlocks; ++i) {
      const std::int64_t first = std::max<std::int64_t>(0, i - kFewestBlocks + 1);
      const Condition deep{"depth", genes_from(first, kMostBlocks - kFewestBlocks + 1)};
      params.push_back({block_name(i) + ".heads", IntegerRange{1, 4, 1}, i < kFewestBlocks ? Condition{} : deep});
    }
    return ParamSet(std::move(params));
  }

  TaskShape task_;
  std::vector<PatchTiling> tilings_;
  Options options_;
  ParamSet params_;
};

}  // namespace

std::unique_ptr<SearchSpace> make_moe_vit(const nlohmann::json& options, const TaskShape& task) {
  const JsonReader reader = JsonReader::of_options(options);
  reader.only({"balance", "noise"});
  require_images(task);
  std::vector<PatchTiling> tilings = patch_tilings(task.sample);
  const std::vector<TaskHead> heads = task.heads();
  if (std::any_of(heads.begin(), heads.end(), [](const TaskHead& head) { return head.dense; })) {
    std::erase_if(tilings, [&](const PatchTiling& t) {
      return t.padding > 0 || t.height != task.sample[0] || t.width != task.sample[1];
    });
  }
  if (tilings.empty()) {
    throw ConfigError("/name", "no patch size cuts the task's images into 9 to 64 patches");
  }
  const Options values{reader.number("balance", graph::MoeFfn{}.balance, kNonNegative),
                       reader.number("noise", graph::MoeFfn{}.noise, kUnitInterval)};
  return std::make_unique<MoeVitSpace>(task, std::move(tilings), values);
}

}  // namespace cosearch::catalog
