#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/attention/binding.hpp"
#include "hwmodels/attention/design.hpp"

namespace cosearch::testing {

/// What runs: plain values of a design, none of its arithmetic.
struct ScheduleProgram {
  const attention::Profile& profile;
  const attention::Binding& binding;
  std::vector<bool> on_array;
  attention::Arch arch;
  attention::Shape shape;
  std::int64_t chunk_rows = 1;  ///< a multiple of the columns, or all rows
};

struct ScheduleCounts {
  std::int64_t cycles = 0;
  std::int64_t array_cycles = 0;  ///< in which the array works
  std::int64_t lane_cycles = 0;
  std::int64_t drain_cycles = 0;
  std::int64_t longest_round = 0;      ///< cycles of the slots for one tile, rows' works in their gaps included
  std::int64_t useful_operations = 0;  ///< cycles of elements of the array that compute a point of the shape
  std::int64_t dram_words = 0;
  std::int64_t row_state_words = 0;     ///< most that were live at once, of rows while their tiles run
  std::int64_t buffer_words = 0;        ///< the same with tiles between the arrays and tiles of streamed elements
  std::vector<std::string> violations;  ///< operands that were not there in time
};

/// Executes cascades of one pass tile by tile and cycle by cycle. Rules:
///   order     heads; in them chunks of rows; in them tiles of streamed elements; in them tiles of rows
///   arrays    each cycle of the 2-D array is of one operation of at most rows x columns elements, a cycle of the lanes
///             of at most `lanes`; both walk whole tiles, also where the shape ends within one
///   slots     repeat for each tile; both arrays have finished their works when a slot ends, then what drains drains
///   rows      works of whole rows wait until the row's last tile; they fill cycles of their slot in which their array
///             would idle, and those that are left run after the last tile, slot by slot
///   no pairs  a cascade without works of pairs repeats its slots, and counts its lags, by heads
///   operands  of a work are complete when it starts, tile by tile; an earlier step's of the same rows
///   state     words of a row live from the first to the last work of its tiles, fetched when first used; a tile that
///             goes from one array to the other lives until its last reader is done; a tile of streamed elements until
///             the next one is fetched, and each chunk fetches its own
[[nodiscard]] ScheduleCounts run_schedule(const ScheduleProgram& program);

}  // namespace cosearch::testing
