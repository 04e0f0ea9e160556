#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

inline constexpr int kMaxDims = 16;       ///< loops of an einsum that can be mapped
inline constexpr int kMaxTensors = 4;     ///< its tensor operands and its output
inline constexpr int kMaxNestLoops = 24;  ///< loops of one level of a nest

inline constexpr int kMaxSteps = 64;  ///< loops of a nest with more than one step

/// Temporal loops run one step after the other, spatial ones on neighbouring instances of what lies inside.
enum class LoopKind : std::uint8_t { temporal, spatial_x, spatial_y };

/// Covers `extent` values of the einsum's loop `dim` in steps of what the next inner loop over `dim` covers (1 if there
/// is none). Where the steps do not divide the extent, the last one is shorter and is executed exactly.
struct NestLoop {
  int dim = 0;
  LoopKind kind = LoopKind::temporal;
  std::int64_t extent = 1;
  bool operator==(const NestLoop&) const = default;
};

/// The loops that move data from a level inwards, outermost first, temporal before spatial ones, and the tensors that
/// the level keeps. What is kept is the tile that one run of these loops touches.
struct LevelNest {
  /// Fails an own check above kMaxNestLoops.
  void add(int dim, LoopKind kind, std::int64_t extent);
  [[nodiscard]] std::span<const NestLoop> loops() const noexcept { return {storage.data(), size}; }
  [[nodiscard]] bool keeps(int tensor) const noexcept { return ((kept >> static_cast<unsigned>(tensor)) & 1U) != 0; }
  void keep(int tensor, bool value) noexcept;
  bool operator==(const LevelNest& other) const;

  std::array<NestLoop, kMaxNestLoops> storage{};
  std::size_t size = 0;
  std::uint32_t kept = 0;  ///< bit by tensor: operands in order, then the output
};

/// How one einsum runs on an architecture: a loop nest cut into the architecture's levels, innermost level first.
struct LoopNest {
  std::array<LevelNest, kMaxLevels> levels{};
  bool operator==(const LoopNest&) const = default;
};

/// A tensor of an einsum as the counting sees it.
struct EinsumTensor {
  const ir::Access* access = nullptr;
  std::string name;
  Role role = Role::input;
};

/// The tensor operands of a multiply-accumulate einsum in their order, then its output. Operands of kind weight, or the
/// last one where there is none, have the role weight. Refers to the einsum. Otherwise why it cannot be mapped: not mul
/// and sum, more than kMaxTensors tensors or kMaxDims loops, a loop in several axes of one access, more than two loops
/// in an axis, an output axis that is not one loop.
[[nodiscard]] Expected<std::vector<EinsumTensor>, std::string> find_einsum_tensors(const ir::Workload& workload,
                                                                                   const ir::Einsum& einsum);
/// The same. @throws ConfigError naming the einsum and the reason.
[[nodiscard]] std::vector<EinsumTensor> einsum_tensors(const ir::Workload& workload, const ir::Einsum& einsum);

/// What makes a nest ill-formed for an einsum of `extents` (values per loop) on `arch`, in one sentence: loops that do
/// not cover what lies inside of them or not the whole einsum, spatial before temporal loops, a loop over both x and y
/// of one level whose inner part does not divide, more than kMaxSteps loops with several steps, a tensor that the
/// outermost level does not keep.
[[nodiscard]] std::optional<std::string> structure_error(const LoopNest& nest, const ir::Einsum& einsum,
                                                         const Arch& arch, int tensors);

/// The readable form, the outermost level first; `covering` where the last step is shorter:
///   DRAM [ x w y ]
///     for q in [0:7)
///   GlobalBuffer [ x y ]
///     for k in [0:4) covering 50
///       for p in [0:8) (spatial x)
/// A name that is no plain word of the IR's text form stands in double quotes, a backslash before quotes and
/// backslashes. `#` starts a comment. print and parse are inverse for well-formed nests.
[[nodiscard]] std::string to_text(const LoopNest& nest, const ir::Workload& workload, const ir::Einsum& einsum,
                                  const Arch& arch);
/// @throws ConfigError with the line number, what was read and what is allowed.
[[nodiscard]] LoopNest parse_nest(const std::string& text, const ir::Workload& workload, const ir::Einsum& einsum,
                                  const Arch& arch);

}  // namespace cosearch::asic
