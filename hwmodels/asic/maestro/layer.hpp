#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// The data-centric cost model of MAESTRO (Kwon et al., MICRO 2019; github.com/maestro-project/maestro at 4eb08d1),
/// stated anew from its equations so that work based on it can be compared like with like.
namespace cosearch::maestro {

/// Dimensions of layers. Convolutions: N batch, G groups, K output channels, C input channels, R x S kernel, Y x X
/// input rows and columns. Matrix products O[M, N] = sum over K of A[M, K] * W[K, N] use M, N and K.
enum class Dimension : std::uint8_t { n, g, k, c, r, s, y, x, m };
inline constexpr std::size_t kDimensions = 9;
inline constexpr std::string_view kDimensionLetters = "NGKCRSYXM";

[[nodiscard]] constexpr std::size_t index_of(Dimension dimension) noexcept {
  return static_cast<std::size_t>(dimension);
}
[[nodiscard]] constexpr char letter_of(Dimension dimension) noexcept { return kDimensionLetters[index_of(dimension)]; }

/// One bit per dimension.
using DimensionSet = std::uint16_t;
[[nodiscard]] constexpr DimensionSet set_of(std::string_view letters) noexcept {
  DimensionSet set = 0;
  for (const char letter : letters) {
    set = static_cast<DimensionSet>(set | (1U << kDimensionLetters.find(letter)));
  }
  return set;
}
[[nodiscard]] constexpr bool contains(DimensionSet set, Dimension dimension) noexcept {
  return ((set >> index_of(dimension)) & 1U) != 0;
}

enum class LayerKind : std::uint8_t { convolution, depthwise, grouped, gemm };

/// Dimensions that index each tensor.
struct Couplings {
  DimensionSet input = 0;
  DimensionSet weight = 0;
  DimensionSet output = 0;

  [[nodiscard]] constexpr DimensionSet all() const noexcept {
    return static_cast<DimensionSet>(input | weight | output);
  }
};
[[nodiscard]] constexpr Couplings couplings_of(LayerKind kind) noexcept {
  switch (kind) {
    case LayerKind::depthwise:
      return {set_of("NCYX"), set_of("CRS"), set_of("NCYX")};
    case LayerKind::grouped:
      return {set_of("NGCYX"), set_of("GKCRS"), set_of("NGKYX")};
    case LayerKind::gemm:
      return {set_of("MK"), set_of("KN"), set_of("MN")};
    case LayerKind::convolution:
      break;
  }
  return {set_of("NCYX"), set_of("KCRS"), set_of("NKYX")};
}

/// Y and X are extents of the input; there is no padding: pad the extents. Extents of dimensions that the kind does not
/// have are ignored. In grouped convolutions K and C are those of one group.
struct Layer {
  LayerKind kind = LayerKind::convolution;
  std::array<std::int64_t, kDimensions> extents = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  std::int64_t stride_y = 1;
  std::int64_t stride_x = 1;

  [[nodiscard]] std::int64_t operator[](Dimension dimension) const noexcept { return extents[index_of(dimension)]; }
};

struct Kernel {
  std::int64_t rows = 1;
  std::int64_t columns = 1;
};
/// Rows and columns of an image, or a stride in both directions.
struct Plane {
  std::int64_t rows = 1;
  std::int64_t columns = 1;
};

[[nodiscard]] constexpr Layer convolution(std::int64_t outputs, std::int64_t inputs, Kernel kernel, Plane input,
                                          Plane stride = {}) noexcept {
  return {LayerKind::convolution,
          {1, 1, outputs, inputs, kernel.rows, kernel.columns, input.rows, input.columns, 1},
          stride.rows,
          stride.columns};
}
[[nodiscard]] constexpr Layer depthwise(std::int64_t channels, Kernel kernel, Plane input, Plane stride = {}) noexcept {
  return {LayerKind::depthwise,
          {1, 1, 1, channels, kernel.rows, kernel.columns, input.rows, input.columns, 1},
          stride.rows,
          stride.columns};
}
/// O[rows, columns] = A[rows, reduction] * W[reduction, columns].
[[nodiscard]] constexpr Layer gemm(std::int64_t rows, std::int64_t columns, std::int64_t reduction) noexcept {
  return {LayerKind::gemm, {columns, 1, reduction, 1, 1, 1, 1, 1, rows}, 1, 1};
}

}  // namespace cosearch::maestro
