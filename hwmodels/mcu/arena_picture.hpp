#pragma once

#include <string>

#include "spaces/program/arena.hpp"
#include "spaces/program/program.hpp"

namespace cosearch::mcu {

/// An SVG picture of the arena over time: calls from left to right, bytes upwards, a rectangle for each buffer from the
/// call that needs it first to the one that needs it last, at its planned offset. Buffers in one place have one colour;
/// those in use during the call with most live bytes are bordered, and dashed lines mark this call, the arena's size
/// and, where it is less, the most that is alive. Names stand where they fit, all else is told by tooltips.
[[nodiscard]] std::string arena_picture(const program::Program& program, const program::ArenaPlan& plan);

}  // namespace cosearch::mcu
