#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/patch_tiling.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

/// From here on the published values make sense: patches of 32 pixels still give 25 tokens.
constexpr std::int64_t kPublishedSide = 160;

/// What the genes choose from.
struct Values {
  std::vector<PatchTiling> tilings;
  std::vector<std::int64_t> embed_dims;  ///< ascending
  std::vector<std::int64_t> depths;      ///< ascending
  Choices heads;
  Choices mlp_ratios;
  Choices rank_ratios;
  std::int64_t head_dim = 0;
  bool mixed_bits = false;  ///< a gene of each block
};

/// MCUFormer-T: the patches and widths of the authors' first and later code together.
Values published_values(const graph::Shape& sample) {
  Values values;
  for (const std::int64_t patch : {16, 18, 20, 22, 24, 26, 28, 32}) {
    values.tilings.push_back(patch_tiling(sample, patch));
  }
  values.embed_dims = {168, 192, 216, 240};
  values.depths = {12, 13, 14};
  values.heads = choices({3, 4});
  values.mlp_ratios = Choices{{3.5, 4.0}};
  values.rank_ratios = hundredths(40, 95, 5);
  values.head_dim = 64;
  return values;
}

/// Steps of the rank ratio are such that each gives another rank at the smallest width.
Values small_values(const graph::Shape& sample) {
  Values values;
  values.tilings = patch_tilings(sample);
  values.embed_dims = {32, 48, 64, 80};
  values.depths = {2, 3, 4, 5};
  values.heads = choices({1, 2, 3, 4});
  values.mlp_ratios = Choices{{1.0, 1.5, 2.0, 3.0}};
  values.rank_ratios = hundredths(30, 90, 10);
  values.head_dim = 16;
  return values;
}

std::string block_name(std::int64_t block) { return "blocks." + std::to_string(block); }

class McuVitSpace final : public SearchSpace {
 public:
  McuVitSpace(TaskShape task, const Values& values, std::int64_t head_dim, bool rank_of_largest)
      : task_(std::move(task)),
        tilings_(values.tilings),
        head_dim_(head_dim),
        mixed_bits_(values.mixed_bits),
        rank_width_(rank_of_largest ? values.embed_dims.back() : 0),
        params_(declare(values)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    VisionTransformer net = transformer_on(tiling_of(tilings_, params_.integer(genome, "patch")), task_);
    net.embed_dim = params_.integer(genome, "embed_dim");
    net.head_dim = head_dim_;
    net.hidden_multiple = 1;
    net.blocks.clear();
    const std::int64_t depth = params_.integer(genome, "depth");
    for (std::int64_t i = 0; i < depth; ++i) {
      TransformerBlock block{params_.integer(genome, block_name(i) + ".heads"),
                             params_.real(genome, block_name(i) + ".mlp_ratio")};
      if (mixed_bits_) {
        block.weight_bits = params_.integer(genome, block_name(i) + ".weight_bits");
      }
      net.blocks.push_back(block);
    }
    const auto factors = static_cast<int>(params_.integer(genome, "factors"));
    net.qkv = {factors, params_.real(genome, "rank_attn"), rank_width_ > 0 ? rank_width_ : net.embed_dim};
    net.proj = factors == 3 ? net.qkv : LowRank{};
    net.mlp = {factors, params_.real(genome, "rank_mlp"), net.embed_dim};
    return build("mcu_vit", net);
  }

  /// Networks of two and of three factors have weights of different names: two families.
  [[nodiscard]] std::vector<Genome> corners() const override {
    const std::size_t patch = params_.find("patch").value();
    const std::size_t factors = params_.find("factors").value();
    std::vector<Genome> genomes;
    for (const bool last : {false, true}) {
      for (const double family : {0.0, 1.0}) {
        Genome genome = extreme(params_, last);
        genome.genes[patch] = last ? 0.0 : static_cast<double>(tilings_.size()) - 1.0;
        genome.genes[factors] = family;
        genomes.push_back(std::move(genome));
      }
    }
    return genomes;
  }

 private:
  static ParamSet declare(const Values& values) {
    std::vector<Param> params{{"patch", patch_choices(values.tilings), {}},
                              {"embed_dim", choices(values.embed_dims), {}},
                              {"depth", choices(values.depths), {}}};
    const auto depths = static_cast<std::int64_t>(values.depths.size());
    for (std::int64_t i = 0; i < values.depths.back(); ++i) {
      const auto deeper = std::upper_bound(values.depths.begin(), values.depths.end(), i);
      const std::int64_t first = deeper - values.depths.begin();
      const Condition in_network = first == 0 ? Condition{} : Condition{"depth", genes_from(first, depths)};
      params.push_back({block_name(i) + ".heads", values.heads, in_network});
      params.push_back({block_name(i) + ".mlp_ratio", values.mlp_ratios, in_network});
      if (values.mixed_bits) {
        params.push_back(weight_bits_gene(block_name(i), in_network));
      }
    }
    params.push_back({"rank_attn", values.rank_ratios, {}});
    params.push_back({"rank_mlp", values.rank_ratios, {}});
    params.push_back({"factors", choices({2, 3}), {}});
    return ParamSet(std::move(params));
  }

  TaskShape task_;
  std::vector<PatchTiling> tilings_;
  std::int64_t head_dim_;
  bool mixed_bits_;
  std::int64_t rank_width_;  ///< of the attention; 0: each network's own
  ParamSet params_;
};

}  // namespace

std::unique_ptr<SearchSpace> make_mcu_vit(const nlohmann::json& options, const TaskShape& task) {
  constexpr std::int64_t kMostHeadDim = 256;
  const JsonReader reader = JsonReader::of_options(options);
  reader.only({"head_dim", "rank_of", "weight_bits"});
  require_images(task);
  const bool published = std::min(task.sample[0], task.sample[1]) >= kPublishedSide;
  Values values = published ? published_values(task.sample) : small_values(task.sample);
  if (values.tilings.empty()) {
    throw ConfigError("/name", "no patch size cuts the task's images into 9 to 64 patches");
  }
  values.mixed_bits = mixed_weight_bits(reader);
  const std::int64_t head_dim = reader.integer("head_dim", values.head_dim, 1, kMostHeadDim);
  const bool rank_of_largest = reader.name_of("rank_of", "own", {"largest", "own"}) == "largest";
  return std::make_unique<McuVitSpace>(task, values, head_dim, rank_of_largest);
}

}  // namespace cosearch::catalog
