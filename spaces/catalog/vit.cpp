#include <algorithm>
#include <cmath>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/patch_tiling.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

using graph::Builder;
using graph::Linear;

std::int64_t product(const std::vector<std::int64_t>& factors) {
  std::int64_t result = 1;
  for (const std::int64_t factor : factors) {
    result *= factor;
  }
  return result;
}

/// One linear layer, or its factors, after the node added last.
void add_linear(Builder& builder, const std::string& name, const Linear& dense, const LowRank& low_rank) {
  COSEARCH_CHECK(low_rank.factors >= 1 && low_rank.factors <= 3, "a linear layer is one, two or three factors");
  if (low_rank.factors == 1) {
    builder.then(name, dense);
    return;
  }
  const std::int64_t width =
      low_rank.width > 0 ? low_rank.width : std::min(builder.shape(builder.last()).back(), product(dense.out_factors));
  const std::int64_t rank =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(low_rank.ratio * static_cast<double>(width)));
  // No bias between the factors: it would only add to the last one's.
  const Linear in{{rank}, dense.in_factors, false, dense.weight_bits};
  const Linear out{dense.out_factors, {}, dense.bias, dense.weight_bits};
  if (low_rank.factors == 2) {
    builder.then(name + ".a", in);
    builder.then(name + ".b", out);
    return;
  }
  builder.then(name + ".in", in);
  builder.then(name + ".core", Linear{{rank}, {}, false, dense.weight_bits});
  builder.then(name + ".out", out);
}

void add_block(Builder& builder, const std::string& name, const VisionTransformer& net, const TransformerBlock& block) {
  const int input = builder.last();
  const auto linear = [&](std::vector<std::int64_t> out_factors, std::vector<std::int64_t> in_factors = {}) {
    return Linear{std::move(out_factors), std::move(in_factors), true, block.weight_bits};
  };
  builder.then(name + ".norm1", graph::LayerNorm{});
  add_linear(builder, name + ".attn.qkv", linear({3, block.heads, net.head_dim}), net.qkv);
  builder.then(name + ".attn.heads", graph::MultiHeadAttention{block.heads});
  add_linear(builder, name + ".attn.proj", linear({net.embed_dim}, {block.heads, net.head_dim}), net.proj);
  const int attended = builder.add(name + ".add1", graph::Add{}, {builder.last(), input});
  builder.then(name + ".norm2", graph::LayerNorm{});
  const auto multiple = static_cast<double>(net.hidden_multiple);
  const std::int64_t hidden =
      net.hidden_multiple *
      std::max<std::int64_t>(1, std::llround(block.mlp_ratio * static_cast<double>(net.embed_dim) / multiple));
  add_linear(builder, name + ".mlp.fc1", linear({hidden}), net.mlp);
  builder.then(name + ".mlp.act", graph::Activation{graph::ActivationKind::gelu});
  add_linear(builder, name + ".mlp.fc2", linear({net.embed_dim}), net.mlp);
  builder.add(name + ".add2", graph::Add{}, {builder.last(), attended});
}

class VitSpace final : public SearchSpace {
 public:
  explicit VitSpace(TaskShape task)
      : task_(std::move(task)), tilings_(patch_tilings(task_.sample)), params_(declare(tilings_)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    VisionTransformer net = transformer_on(tiling_of(tilings_, params_.integer(genome, "patch")), task_);
    net.embed_dim = params_.integer(genome, "embed_dim");
    net.blocks.assign(static_cast<std::size_t>(params_.integer(genome, "depth")),
                      {params_.integer(genome, "heads"), params_.real(genome, "mlp_ratio")});
    const double ratio = params_.real(genome, "low_rank");
    net.qkv = net.proj = net.mlp = LowRank{ratio < 1.0 ? 2 : 1, ratio};
    return build("vit", net);
  }

  /// Dense and low-rank networks have weights of different names: two families.
  [[nodiscard]] std::vector<Genome> corners() const override {
    const double patches = static_cast<double>(tilings_.size());
    std::vector<Genome> genomes;
    for (const bool last : {false, true}) {
      for (const bool dense : {false, true}) {
        Genome genome = extreme(params_, last);
        genome.genes[params_.find("patch").value()] = last ? 0.0 : patches - 1.0;
        const std::size_t low_rank = params_.find("low_rank").value();
        const double dense_gene = static_cast<double>(params_.cardinality(low_rank).value() - 1);
        genome.genes[low_rank] = dense ? dense_gene : (last ? dense_gene - 1.0 : 0.0);
        genomes.push_back(std::move(genome));
      }
    }
    return genomes;
  }

 private:
  static ParamSet declare(const std::vector<PatchTiling>& tilings) {
    return ParamSet({{"patch", patch_choices(tilings), {}},
                     {"embed_dim", choices({16, 32, 48, 64, 80}), {}},
                     {"depth", IntegerRange{1, 5, 1}, {}},
                     {"heads", IntegerRange{1, 4, 1}, {}},
                     {"mlp_ratio", Choices{{1.0, 1.5, 2.0, 3.0}}, {}},
                     {"low_rank", Choices{{0.25, 0.5, 1.0}}, {}}});
  }

  TaskShape task_;
  std::vector<PatchTiling> tilings_;
  ParamSet params_;
};

}  // namespace

graph::NetworkGraph build(const std::string& name, const VisionTransformer& net) {
  Builder builder(name, net.input);
  builder.then("patch_embed", graph::PatchEmbed{net.patch, net.embed_dim, net.padding});
  builder.then("position_embed", graph::PositionEmbed{(net.input[0] + 2 * net.padding) / net.patch,
                                                      (net.input[1] + 2 * net.padding) / net.patch});
  for (std::size_t i = 0; i < net.blocks.size(); ++i) {
    add_block(builder, "blocks." + std::to_string(i), net, net.blocks[i]);
  }
  builder.then("norm", graph::LayerNorm{});
  pooled_classifier(builder, "head", net.classes);
  return std::move(builder).finish();
}

std::unique_ptr<SearchSpace> make_vit(const nlohmann::json& options, const TaskShape& task) {
  require_no_options(options);
  require_images(task);
  if (patch_tilings(task.sample).empty()) {
    throw ConfigError("/name", "no patch size cuts the task's images into 9 to 64 patches");
  }
  return std::make_unique<VitSpace>(task);
}

}  // namespace cosearch::catalog
