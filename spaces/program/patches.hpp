#pragma once

#include "spaces/program/program.hpp"

namespace cosearch::program {

/// Patch-based inference (J. Lin et al., "MCUNetV2: memory-efficient patch-based inference for tiny deep learning",
/// 2021): the first calls of a layer-by-layer program on images run once per patch of the tensor behind them, of which
/// there are `options.patches` squared, in rows. Each patch has calls and buffers of its own (`<name>.patch<p>`) that
/// hold the part of their image that the patch needs; parts overlap where kernels do, and only at the image's border
/// there are zeros around them. The tensor behind the patches is whole, as is the input where `options.streamed_input`
/// does not make it one `read_input` call per patch. Geometries and constants are those of the whole call.
///
/// Patches end where a single tensor is alive, and there where the planned arena is smallest; of equal ones where least
/// is computed twice. Without an end that saves memory the program comes back as it is.
[[nodiscard]] Program in_patches(const Program& program, const LoweringOptions& options);

/// The same with patches up to call `end`, behind which nothing but its output is alive. Tests compare ends.
[[nodiscard]] Program in_patches_until(const Program& program, const LoweringOptions& options, std::size_t end);

/// Calls behind which patches may end, in order.
[[nodiscard]] std::vector<std::size_t> patch_ends(const Program& program, std::int64_t patches);

}  // namespace cosearch::program
