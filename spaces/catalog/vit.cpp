#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"
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

/// One linear layer, or two of a lower rank, after the node added last.
void add_linear(Builder& builder, const std::string& name, const Linear& dense, double rank_ratio) {
  if (rank_ratio >= 1.0) {
    builder.then(name, dense);
    return;
  }
  const std::int64_t narrow = std::min(builder.shape(builder.last()).back(), product(dense.out_factors));
  const std::int64_t rank =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(rank_ratio * static_cast<double>(narrow)));
  // No bias between the factors: it would only add to the second one's.
  builder.then(name + ".a", Linear{{rank}, dense.in_factors, false});
  builder.then(name + ".b", Linear{dense.out_factors, {}, dense.bias});
}

void add_block(Builder& builder, const std::string& name, const VisionTransformer& net) {
  const int input = builder.last();
  builder.then(name + ".norm1", graph::LayerNorm{});
  add_linear(builder, name + ".attn.qkv", Linear{{3, net.heads, net.head_dim}, {}, true}, net.rank_ratio);
  builder.then(name + ".attn.heads", graph::MultiHeadAttention{net.heads});
  add_linear(builder, name + ".attn.proj", Linear{{net.embed_dim}, {net.heads, net.head_dim}, true}, net.rank_ratio);
  const int attended = builder.add(name + ".add1", graph::Add{}, {builder.last(), input});
  builder.then(name + ".norm2", graph::LayerNorm{});
  const auto hidden =
      std::max<std::int64_t>(8, 8 * std::llround(net.mlp_ratio * static_cast<double>(net.embed_dim) / 8.0));
  add_linear(builder, name + ".mlp.fc1", Linear{{hidden}, {}, true}, net.rank_ratio);
  builder.then(name + ".mlp.act", graph::Activation{graph::ActivationKind::gelu});
  add_linear(builder, name + ".mlp.fc2", Linear{{net.embed_dim}, {}, true}, net.rank_ratio);
  builder.add(name + ".add2", graph::Add{}, {builder.last(), attended});
}

/// How an image is cut into patches.
struct Tiling {
  std::int64_t patch = 1;
  std::int64_t padding = 0;
  std::int64_t height = 1, width = 1;  ///< of the input, which the trainer resizes to
};

/// Padding by less than a patch in all that makes both sides whole numbers of patches.
std::optional<std::int64_t> exact_padding(std::int64_t height, std::int64_t width, std::int64_t patch) {
  for (std::int64_t padding = 0; 2 * padding < patch; ++padding) {
    if ((height + 2 * padding) % patch == 0 && (width + 2 * padding) % patch == 0) {
      return padding;
    }
  }
  return std::nullopt;
}

Tiling tiling(const graph::Shape& sample, std::int64_t patch) {
  if (const std::optional<std::int64_t> padding = exact_padding(sample[0], sample[1], patch)) {
    return {patch, *padding, sample[0], sample[1]};
  }
  const auto nearest = [patch](std::int64_t side) { return std::max(patch, (2 * side + patch) / (2 * patch) * patch); };
  return {patch, 0, nearest(sample[0]), nearest(sample[1])};
}

/// One tiling for each grid of 9 to 64 tokens that some patch size gives: one that needs no resizing if there is any,
/// then the one with the least padding, then the smallest patch. Sorted by patch: many tokens come first.
std::vector<Tiling> tilings(const graph::Shape& sample) {
  constexpr std::int64_t kFewestTokens = 9;
  constexpr std::int64_t kMostTokens = 64;
  const auto grid = [](const Tiling& t) {
    return std::pair((t.height + 2 * t.padding) / t.patch, (t.width + 2 * t.padding) / t.patch);
  };
  const auto waste = [&](const Tiling& t) {
    return std::pair(t.height != sample[0] || t.width != sample[1], t.padding);
  };
  std::vector<Tiling> found;
  for (std::int64_t patch = 2; patch <= std::max(sample[0], sample[1]); ++patch) {
    const Tiling next = tiling(sample, patch);
    const std::int64_t tokens = grid(next).first * grid(next).second;
    if (tokens < kFewestTokens || tokens > kMostTokens) {
      continue;
    }
    const auto twin = std::find_if(found.begin(), found.end(), [&](const Tiling& t) { return grid(t) == grid(next); });
    if (twin == found.end()) {
      found.push_back(next);
    } else if (waste(next) < waste(*twin)) {
      *twin = next;
    }
  }
  std::sort(found.begin(), found.end(), [](const Tiling& a, const Tiling& b) { return a.patch < b.patch; });
  return found;
}

class VitSpace final : public SearchSpace {
 public:
  explicit VitSpace(TaskShape task)
      : task_(std::move(task)), tilings_(tilings(task_.sample)), params_(declare(tilings_)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    const std::int64_t patch = params_.integer(genome, "patch");
    const auto cut = std::find_if(tilings_.begin(), tilings_.end(), [&](const Tiling& t) { return t.patch == patch; });
    COSEARCH_CHECK(cut != tilings_.end(), "unknown patch size");
    VisionTransformer net;
    net.input = {cut->height, cut->width, task_.sample[2]};
    net.classes = task_.classes;
    net.patch = patch;
    net.padding = cut->padding;
    net.embed_dim = params_.integer(genome, "embed_dim");
    net.depth = params_.integer(genome, "depth");
    net.heads = params_.integer(genome, "heads");
    net.mlp_ratio = params_.real(genome, "mlp_ratio");
    net.rank_ratio = params_.real(genome, "low_rank");
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
  static ParamSet declare(const std::vector<Tiling>& tilings) {
    Choices patches;
    for (const Tiling& t : tilings) {
      patches.values.emplace_back(t.patch);
    }
    return ParamSet({{"patch", patches, {}},
                     {"embed_dim", choices({16, 32, 48, 64, 80}), {}},
                     {"depth", IntegerRange{1, 5, 1}, {}},
                     {"heads", IntegerRange{1, 4, 1}, {}},
                     {"mlp_ratio", Choices{{1.0, 1.5, 2.0, 3.0}}, {}},
                     {"low_rank", Choices{{0.25, 0.5, 1.0}}, {}}});
  }

  TaskShape task_;
  std::vector<Tiling> tilings_;
  ParamSet params_;
};

}  // namespace

graph::NetworkGraph build(const std::string& name, const VisionTransformer& net) {
  Builder builder(name, net.input);
  builder.then("patch_embed", graph::PatchEmbed{net.patch, net.embed_dim, net.padding});
  builder.then("position_embed", graph::PositionEmbed{(net.input[0] + 2 * net.padding) / net.patch,
                                                      (net.input[1] + 2 * net.padding) / net.patch});
  for (std::int64_t i = 0; i < net.depth; ++i) {
    add_block(builder, "blocks." + std::to_string(i), net);
  }
  builder.then("norm", graph::LayerNorm{});
  pooled_classifier(builder, "head", net.classes);
  return std::move(builder).finish();
}

std::unique_ptr<SearchSpace> make_vit(const nlohmann::json& options, const TaskShape& task) {
  require_no_options(options);
  require_images(task);
  if (tilings(task.sample).empty()) {
    throw ConfigError("/name", "no patch size cuts the task's images into 9 to 64 patches");
  }
  return std::make_unique<VitSpace>(task);
}

}  // namespace cosearch::catalog
