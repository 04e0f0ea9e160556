#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/attention/units.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::attention {

/// How often an einsum of a cascade runs, by the ranks that it names. Ranks whose names differ in digits only are of
/// one dimension: `m` (or m1 and m0) is streamed, `p` are the rows; all others are inner ranks, which one element
/// walks.
enum class Extent {
  tile,      ///< every pair of a row and a streamed element
  step,      ///< every row, once for each tile of streamed elements
  row,       ///< every row
  key,       ///< every streamed element, whatever the row
  key_step,  ///< once for each tile of streamed elements
  head,      ///< once
};
inline constexpr std::size_t kExtents = 6;

/// One einsum of a cascade. Einsums that only copy literals are resets of registers: they are not in the list.
struct Work {
  std::string name;
  Extent extent = Extent::head;
  std::vector<std::int64_t> inner;  ///< extents of the inner ranks
  UnitCounts operation;             ///< of one iteration
  bool product = false;             ///< multiplies and accumulates two or more tensors
  bool reduces_tile = false;        ///< folds the streamed elements of a tile into one
  int pass = 1;                     ///< over the streamed dimension
  std::vector<int> reads;           ///< tensors, each once
  int writes = 0;

  [[nodiscard]] std::int64_t inner_points() const noexcept;
};

struct TensorUse {
  std::string name;
  Extent extent = Extent::head;
  std::int64_t inner_words = 1;  ///< for one point of its extent
  bool input = false;            ///< comes from DRAM
  bool output = false;           ///< goes to DRAM
  bool carried = false;          ///< state of the iteration: read in a step after the one that wrote it
  bool whole_fiber = false;      ///< all of its streamed elements are live at once, see ir passes
  int producer = -1;             ///< work; -1 for inputs
  std::vector<int> consumers;    ///< works
};

/// Work `before` comes before work `after`, `distance` steps later (0: in the same step).
struct Dependence {
  int before = 0;
  int after = 0;
  int distance = 0;
};

/// What a cost depends on of a cascade: neither the number of rows nor that of streamed elements.
struct Profile {
  std::string name;
  std::vector<Work> works;
  std::vector<TensorUse> tensors;
  std::vector<Dependence> dependences;
  int passes = 1;  ///< over the streamed dimension

  [[nodiscard]] int find_work(std::string_view work) const noexcept;  ///< -1 where there is none
};

/// The reason where a cascade has no streamed dimension `m`, or an einsum that no element can compute.
[[nodiscard]] Expected<Profile, std::string> make_profile(const ir::Workload& cascade);

}  // namespace cosearch::attention
