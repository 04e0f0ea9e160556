#include "hwmodels/asic/maestro/nest.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace cosearch::maestro {
namespace {

constexpr std::int64_t kLargestExtent = std::int64_t{1} << 40;
/// Leaves room for the sum over three tensors and for double buffering.
constexpr std::int64_t kLargestCount = std::int64_t{1} << 59;

/// Only rows and columns of the input slide along a kernel.
std::optional<Dimension> kernel_of(const Layer& layer, Dimension dimension) {
  if (layer.kind == LayerKind::gemm) {
    return std::nullopt;
  }
  switch (dimension) {
    case Dimension::y:
      return Dimension::r;
    case Dimension::x:
      return Dimension::s;
    default:
      return std::nullopt;
  }
}

std::int64_t stride_of(const Layer& layer, Dimension dimension) {
  return dimension == Dimension::y ? layer.stride_y : layer.stride_x;
}

std::optional<std::string> check_layer(const Layer& layer) {
  const DimensionSet all = couplings_of(layer.kind).all();
  for (std::size_t i = 0; i < kDimensions; ++i) {
    const auto dimension = static_cast<Dimension>(i);
    if (contains(all, dimension) && (layer[dimension] < 1 || layer[dimension] > kLargestExtent)) {
      return fmt::format("the layer's {} is {}; expected 1 to {}", letter_of(dimension), layer[dimension],
                         kLargestExtent);
    }
  }
  if (layer.kind == LayerKind::gemm) {
    return std::nullopt;
  }
  for (const Dimension dimension : {Dimension::y, Dimension::x}) {
    const std::int64_t kernel = layer[*kernel_of(layer, dimension)];
    if (layer[dimension] < kernel) {
      return fmt::format("the layer's {} is {}, less than the kernel's {}", letter_of(dimension), layer[dimension],
                         kernel);
    }
    if (stride_of(layer, dimension) < 1 || stride_of(layer, dimension) > kLargestExtent) {
      return fmt::format("the stride along {} is {}", letter_of(dimension), stride_of(layer, dimension));
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> value_of(const Size& size, const Layer& layer) {
  std::int64_t value = size.constant;
  for (std::size_t i = 0; i < kDimensions; ++i) {
    std::int64_t term = 0;
    if (__builtin_mul_overflow(std::int64_t{size.coefficients[i]}, layer.extents[i], &term) ||
        __builtin_add_overflow(value, term, &value)) {
      return std::nullopt;
    }
  }
  return value >= 1 && value <= kLargestExtent ? std::optional(value) : std::nullopt;
}

/// Puts a directive in front (as MAESTRO does, so several come out in reverse order) or at the end.
bool insert(NestLevel& level, bool in_front, NestDirective directive) {
  if (level.count == kMaxDirectives) {
    return false;
  }
  if (in_front) {
    std::copy_backward(level.directives.begin(), level.directives.begin() + level.count,
                       level.directives.begin() + level.count + 1);
  }
  level.directives[in_front ? 0 : level.count] = directive;
  ++level.count;
  return true;
}

/// With a stride, a tile of at least a kernel is cut to the rows that its outputs read; it advances by whole outputs.
void apply_stride(const Layer& layer, Dimension dimension, bool below_clusters, Tile& tile) {
  const std::int64_t stride = stride_of(layer, dimension);
  const std::int64_t kernel = layer[*kernel_of(layer, dimension)];
  if (stride == 1 || tile.size < kernel) {
    return;
  }
  const std::int64_t outputs = (tile.size + stride - kernel) / stride;
  tile.size = outputs * std::min(stride, kernel) + std::max(kernel - stride, std::int64_t{0});
  tile.offset = outputs * (below_clusters && kernel < stride ? kernel : stride);
}

/// The last directive of each dimension steps as its tile says.
void settle_directives(NestLevel& level) {
  std::array<std::optional<std::uint8_t>, kDimensions> last;
  for (std::size_t i = level.count; i-- > 0;) {
    NestDirective& directive = level.directives[i];
    if (!last[directive.dimension]) {
      last[directive.dimension] = static_cast<std::uint8_t>(i);
      directive.size = level.tiles[directive.dimension].size;
      directive.offset = level.tiles[directive.dimension].offset;
    }
    directive.last = *last[directive.dimension];
  }
}

/// The tables of MAESTRO: static extents, also where an iteration is given less.
void fill_tables(const Layer& layer, NestLevel& level) {
  for (Tile& tile : level.tiles) {
    const std::int64_t steps = std::max((tile.extent - tile.size) / tile.offset, std::int64_t{0});
    const bool has_edge = steps * tile.offset + tile.size < tile.extent || tile.size > tile.extent;
    const std::int64_t rest = tile.extent - (steps + 1) * tile.offset;
    const std::int64_t edge = rest < 0 ? tile.extent : rest;
    const bool moves = tile.spatial || tile.extent > tile.size;
    tile.held.full = tile.size;
    tile.held.fresh = moves ? std::min(tile.size, tile.offset) : 0;
    tile.held.edge = has_edge ? edge : tile.size;
    tile.held.edge_fresh = std::max(tile.offset - (tile.size - edge), std::int64_t{0});
    tile.produced = tile.held;
  }
  for (const Dimension dimension : {Dimension::y, Dimension::x}) {
    if (const std::optional<Dimension> kernel = kernel_of(layer, dimension)) {
      Tile& tile = level.tiles[index_of(dimension)];
      const Tile& window = level.tiles[index_of(*kernel)];
      tile.produced.full = tile.held.full - window.held.full + 1;
      tile.produced.fresh = std::min(tile.offset, tile.size);
      tile.produced.edge = std::max(tile.held.edge - window.held.edge + 1, std::int64_t{0});
      tile.produced.edge_fresh = std::min(tile.offset, tile.produced.edge);
    }
  }
}

class Resolver {
 public:
  Resolver(const Layer& layer, const Mapping& mapping, Nest& nest) : layer_(layer), mapping_(mapping), nest_(nest) {}

  std::optional<std::string> run(std::int64_t pes) {
    if (mapping_.levels.size() > kMaxLevels) {
      return fmt::format("the mapping has {} levels; at most {} are analysed", mapping_.levels.size(), kMaxLevels);
    }
    nest_.count = mapping_.levels.size();
    if (std::optional<std::string> refusal = count_units(pes)) {
      return refusal;
    }
    for (std::size_t i = 0; i < nest_.count; ++i) {
      if (std::optional<std::string> refusal = fill_level(i)) {
        return refusal;
      }
      settle_directives(nest_.levels[i]);
      fill_tables(layer_, nest_.levels[i]);
      for (const Tile& tile : nest_.levels[i].tiles) {
        if (i == 0 && tile.produced.full < 1) {
          return "a tile of level 0 is smaller than the kernel's";
        }
      }
      if (!fits(nest_.levels[i])) {
        return fmt::format("the counts of level {} exceed 63 bits", i);
      }
    }
    return std::nullopt;
  }

 private:
  std::optional<std::string> count_units(std::int64_t pes) {
    std::int64_t product = 1;
    for (std::size_t i = 0; i + 1 < nest_.count; ++i) {
      const std::optional<std::int64_t> units = value_of(mapping_.clusters[i], layer_);
      if (!units) {
        return fmt::format("Cluster {} is not of 1 to {} units", i + 1, kLargestExtent);
      }
      nest_.levels[i + 1].units = *units;
      if (__builtin_mul_overflow(product, *units, &product) || product > pes) {
        return fmt::format("clusters need more than the {} processing elements", pes);
      }
    }
    nest_.levels[0].units = pes / product;
    return std::nullopt;
  }

  std::optional<std::string> fill_level(std::size_t depth) {
    NestLevel& level = nest_.levels[depth];
    const NestLevel* const parent = depth > 0 ? &nest_.levels[depth - 1] : nullptr;
    level.count = 0;
    for (std::size_t i = 0; i < kDimensions; ++i) {
      level.tiles[i] = Tile{};
      level.tiles[i].extent =
          parent != nullptr ? std::min(parent->tiles[i].size, parent->tiles[i].extent) : layer_.extents[i];
    }
    const auto spatial = std::ranges::count_if(mapping_.levels[depth], &Directive::spatial);
    if (spatial < 1 || spatial > 2) {
      return fmt::format("level {} has {} spatial maps; expected 1 or 2", depth, spatial);
    }
    DimensionSet mapped = 0;
    for (const Directive& directive : mapping_.levels[depth]) {
      if (std::optional<std::string> refusal = add(directive, level)) {
        return refusal;
      }
      mapped = static_cast<DimensionSet>(mapped | (1U << index_of(directive.dimension)));
    }
    for (const Directive& directive : mapping_.levels[depth]) {
      if (directive.of_output) {
        level.tiles[index_of(directive.dimension)].size +=
            window_size(*kernel_of(layer_, directive.dimension), level, mapped, parent) - 1;
      }
    }
    if (!complete(mapped, parent, level)) {
      return fmt::format("level {} has more than {} directives", depth, kMaxDirectives);
    }
    for (const Dimension dimension : {Dimension::y, Dimension::x}) {
      if (kernel_of(layer_, dimension)) {
        apply_stride(layer_, dimension, depth > 0, level.tiles[index_of(dimension)]);
      }
    }
    return std::nullopt;
  }

  std::optional<std::string> add(const Directive& directive, NestLevel& level) const {
    const Dimension dimension = directive.dimension;
    if (!contains(couplings_of(layer_.kind).all(), dimension)) {
      return fmt::format("the mapping names {}, which this kind of layer does not have", letter_of(dimension));
    }
    const std::optional<std::int64_t> size = value_of(directive.size, layer_);
    const std::optional<std::int64_t> offset = value_of(directive.offset, layer_);
    if (!size || !offset) {
      return fmt::format("size and offset of the mapping's {} are not within 1 and {}", letter_of(dimension),
                         kLargestExtent);
    }
    Tile& tile = level.tiles[index_of(dimension)];
    tile.size = *size;
    tile.offset = *offset;
    tile.spatial = directive.spatial;
    const auto index = static_cast<std::uint8_t>(index_of(dimension));
    const NestDirective added{
        .spatial = directive.spatial, .dimension = index, .size = tile.size, .offset = tile.offset};
    return insert(level, false, added) ? std::nullopt : std::optional<std::string>("too many directives");
  }

  std::int64_t window_size(Dimension kernel, const NestLevel& level, DimensionSet mapped,
                           const NestLevel* parent) const {
    if (contains(mapped, kernel)) {
      return level.tiles[index_of(kernel)].size;
    }
    return parent != nullptr ? parent->tiles[index_of(kernel)].size : layer_[kernel];
  }

  /// Dimensions of the parent that the level does not map come in front, with the parent's tile; others are whole.
  bool complete(DimensionSet mapped, const NestLevel* parent, NestLevel& level) const {
    bool fits = true;
    for (std::size_t i = 0; parent != nullptr && i < parent->count; ++i) {
      const std::uint8_t dimension = parent->directives[i].dimension;
      if (!contains(mapped, static_cast<Dimension>(dimension))) {
        mapped = static_cast<DimensionSet>(mapped | (1U << dimension));
        level.tiles[dimension].size = parent->tiles[dimension].size;
        level.tiles[dimension].offset = parent->tiles[dimension].offset;
        fits = fits && insert(level, true, {.dimension = dimension});
      }
    }
    for (std::uint8_t i = 0; i < kDimensions; ++i) {
      const auto dimension = static_cast<Dimension>(i);
      if (contains(couplings_of(layer_.kind).all(), dimension) && !contains(mapped, dimension)) {
        level.tiles[i].size = level.tiles[i].extent;
        level.tiles[i].offset = level.tiles[i].extent;
        fits = fits && insert(level, false, {.dimension = i});
      }
    }
    return fits;
  }

  /// Every count of a case is below the product over directives of what a tile holds and how often it moves.
  static bool fits(const NestLevel& level) {
    std::int64_t bound = level.units;
    for (std::size_t i = 0; i < level.count; ++i) {
      const NestDirective& directive = level.directives[i];
      const Tile& tile = level.tiles[directive.dimension];
      const std::int64_t iterations = 2 + std::max((tile.extent - directive.size) / directive.offset, std::int64_t{0});
      if (__builtin_mul_overflow(bound, tile.held.full, &bound) || __builtin_mul_overflow(bound, iterations, &bound) ||
          bound > kLargestCount) {
        return false;
      }
    }
    return true;
  }

  const Layer& layer_;
  const Mapping& mapping_;
  Nest& nest_;
};

}  // namespace

std::optional<std::string> resolve(const Layer& layer, const Mapping& mapping, std::int64_t pes, Nest& nest) {
  if (std::optional<std::string> refusal = check_layer(layer)) {
    return refusal;
  }
  return Resolver(layer, mapping, nest).run(pes);
}

}  // namespace cosearch::maestro
