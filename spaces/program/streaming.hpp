#pragma once

#include "spaces/program/program.hpp"

/// Rewritings of layer-by-layer programs that keep fewer tensors whole; internal to spaces/program, see Streaming.
namespace cosearch::program {

/// Puts neighbouring calls that work row by row into a row block wherever a tensor between them is then one row.
void stream_rows(Program& program);

/// Queries, keys and values head by head, from the rows that they are projected from; with `recompute` from the rows
/// before the norms and low-rank factors that lead to these.
void stream_heads(Program& program, bool recompute);

/// The first patch embedding asks for its patches. Nothing changes where the input goes elsewhere.
void stream_input(Program& program);

/// A scratch buffer `<call>.constants` for each call with constants, each of which begins on a word.
void copy_weights(Program& program);

/// Drops buffers that no call, input or output names.
void drop_unused_buffers(Program& program);

}  // namespace cosearch::program
