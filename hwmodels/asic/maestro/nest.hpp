#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "hwmodels/asic/maestro/layer.hpp"
#include "hwmodels/asic/maestro/mapping.hpp"

/// A mapping resolved for one layer and array: numbers instead of symbols, every level complete.
namespace cosearch::maestro {

inline constexpr std::size_t kMaxDirectives = 16;
inline constexpr std::size_t kMaxLevels = 5;

/// Elements of one dimension that one unit holds.
struct Extents {
  std::int64_t full = 1;   ///< all of the tile
  std::int64_t fresh = 1;  ///< those that a step or a neighbour adds
  std::int64_t edge = 1;   ///< all of the last tile
  std::int64_t edge_fresh = 1;
};

/// Tile of one dimension at one level. `extent` is the largest extent that the level is given. Where several directives
/// of a level name the same dimension, the last one decides; the others move by themselves but change nothing that is
/// held.
struct Tile {
  bool spatial = false;
  std::int64_t extent = 1;
  std::int64_t size = 1;
  std::int64_t offset = 1;
  Extents held;
  Extents produced;  ///< of an output: for rows and columns what the input tile gives with the kernel's tile
};

struct NestDirective {
  bool spatial = false;  ///< tensors with this dimension differ between the units
  std::uint8_t dimension = 0;
  std::uint8_t last = 0;    ///< the level's last directive of this dimension, usually this one
  std::int64_t size = 1;    ///< of its own steps
  std::int64_t offset = 1;  ///< of its own steps
};

struct NestLevel {
  std::size_t count = 0;
  std::array<NestDirective, kMaxDirectives> directives = {};
  std::array<Tile, kDimensions> tiles = {};
  std::int64_t units = 1;
};

struct Nest {
  std::size_t count = 0;
  std::array<NestLevel, kMaxLevels> levels = {};
};

/// Fills `nest`; a reason when that is impossible (see `analyse`). The products of tiles, units and iterations of each
/// level then fit into 63 bits.
[[nodiscard]] std::optional<std::string> resolve(const Layer& layer, const Mapping& mapping, std::int64_t pes,
                                                 Nest& nest);

}  // namespace cosearch::maestro
