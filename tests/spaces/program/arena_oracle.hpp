#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "spaces/program/arena.hpp"

/// What plans of arenas are judged by.
namespace cosearch::testing {

/// [call][buffer]: which buffers are needed during each call, by the definition: from the call that first names a
/// buffer to the last one, whole row blocks together except for buffers of one row, inputs from the start, outputs to
/// the end, persistent ones always.
[[nodiscard]] std::vector<std::vector<bool>> needed_buffers(const program::Program& program);

/// The buffer in whose place this one lies: itself where it is no alias.
[[nodiscard]] int root_of(const program::Program& program, int buffer);

/// Fails the running test where two live buffers overlap, one lies outside of the arena or one is not aligned.
void expect_valid_plan(const program::Program& program, const program::ArenaPlan& plan);

/// A chain of calls with random extra readers, scratch, in-place outputs, row blocks and rows in them. Buffers have 1
/// to `largest` bytes.
[[nodiscard]] program::Program random_program(std::uint64_t seed, std::size_t calls, std::int64_t largest);

/// The smallest arena of all plans, by branch and bound: buffers in the order of their offsets, each on top of those
/// before it that it meets. In seconds up to some 14 buffers that are no aliases.
[[nodiscard]] std::int64_t smallest_arena_bytes(const program::Program& program);

}  // namespace cosearch::testing
