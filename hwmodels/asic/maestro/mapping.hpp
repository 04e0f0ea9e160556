#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/asic/maestro/layer.hpp"

namespace cosearch::maestro {

/// A size that may depend on the layer: constant + sum of coefficient * extent, e.g. 8 + S - 1.
struct Size {
  std::int64_t constant = 0;
  std::array<std::int8_t, kDimensions> coefficients = {};

  bool operator==(const Size&) const = default;
};

/// A tile of `size` of one dimension. Temporal: every unit holds the same tile, which advances by `offset` in each time
/// step. Spatial: unit i holds the tile at i * offset; all n advance together by n * offset.
struct Directive {
  bool spatial = false;
  Dimension dimension = Dimension::k;
  bool of_output = false;  ///< Y' or X': rows and columns of the output
  Size size;
  Size offset;

  bool operator==(const Directive&) const = default;
};

/// Data-centric directives, outermost first, in levels. `clusters[i]` units make one unit of level i; so there is one
/// less than levels.
struct Mapping {
  std::vector<std::vector<Directive>> levels;
  std::vector<Size> clusters;

  bool operator==(const Mapping&) const = default;
};

/// The form of MAESTRO's mapping files, a `Dataflow` block without its braces:
///   text      = {statement ";"}; white space separates, "//" starts a comment that ends with the line
///   statement = ("TemporalMap" | "SpatialMap") "(" size "," size ")" dimension | "Cluster" "(" size ["," "P"] ")"
///   dimension = "N" | "G" | "K" | "C" | "R" | "S" | "Y" | "X" | "M" | "Y'" | "X'"
///   size      = ["+" | "-"] term {("+" | "-") term},  term = integer | "Sz(" dimension ")" | dimension
/// @throws ConfigError with the line, what was read and what is allowed.
[[nodiscard]] Mapping parse_mapping(std::string_view text);
/// One statement per line; parse_mapping(to_text(m)) == m.
[[nodiscard]] std::string to_text(const Mapping& mapping);

/// A dataflow by name, as text for each kind of layer. Convolutions and matrix products of the same template exploit
/// the same parallelism.
struct Template {
  std::string_view name;
  std::string_view summary;
  std::string_view convolution;
  std::string_view depthwise;
  std::string_view gemm;
  bool searchable = true;  ///< false: some common layers have no cost with it

  [[nodiscard]] std::string_view text(LayerKind kind) const noexcept;
};
/// Sorted by name.
[[nodiscard]] std::span<const Template> templates();
/// @throws ConfigError (with `place`) for an unknown name.
[[nodiscard]] const Template& template_named(const std::string& name, const std::string& place);

}  // namespace cosearch::maestro
