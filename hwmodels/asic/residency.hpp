#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

/// Which tensors stay in the buffer between einsums, and until when: outputs that somebody reads later and that fit,
/// in execution order. Tensors are held as a whole; what an iteration reads stays for all of its steps.
class Residency {
 public:
  /// An element takes `element_bits` of the buffer.
  Residency(const ir::Workload& workload, std::int64_t capacity_bytes, std::int64_t element_bits);

  /// Before einsum `index` writes `tensor`: keeps it if it is new, read later, not an output of the workload, and fits.
  void enter(std::size_t index, int tensor);
  /// Gives up a tensor that is held, if it is.
  void release(int tensor);
  /// After einsum `index`: frees what nobody reads any more.
  void leave(std::size_t index);

  [[nodiscard]] bool holds(int tensor) const { return resident_[static_cast<std::size_t>(tensor)]; }
  [[nodiscard]] std::int64_t used_bytes() const noexcept { return used_; }
  /// What is held: names and bytes.
  [[nodiscard]] std::vector<std::pair<std::string, std::int64_t>> buffers() const;

 private:
  [[nodiscard]] std::int64_t bytes_of(std::size_t tensor) const;

  const ir::Workload& workload_;
  std::int64_t capacity_;
  std::int64_t element_bits_;
  std::int64_t used_ = 0;
  std::vector<std::size_t> first_written_;
  std::vector<std::int64_t> last_read_;  ///< -1: never, or leaves the chip anyway
  std::vector<bool> resident_;
};

/// Element-wise einsums that work on what the einsum before them makes, element by element, and are its only reader:
/// the value never leaves the lanes. `fused_with_next(w)[i]`: the output of einsum i goes into einsum i + 1 that way.
[[nodiscard]] std::vector<bool> fused_with_next(const ir::Workload& workload);

}  // namespace cosearch::asic
