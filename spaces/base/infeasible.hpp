#pragma once

#include <string>
#include <vector>

namespace cosearch {

/// One capacity or rule that a candidate breaks: `name` carries the unit (`sram_bytes`), `required` what the candidate
/// needs and `limit` what there is.
struct Violation {
  std::string name;
  double required = 0.0;
  double limit = 0.0;

  /// Relative distance |required - limit| / |limit| (divisor 1 when the limit is 0). What constrained domination
  /// adds up; works for upper and lower limits alike.
  [[nodiscard]] double amount() const noexcept;
};

/// The candidate is bad: it does not fit, or its training diverged. A value, stored with its reason.
struct Infeasible {
  std::vector<Violation> violations;  ///< empty when no number tells how far off the candidate is
  std::string reason;                 ///< one sentence, e.g. "needs 412,160 bytes of SRAM, STM32F746 has 327,680"
};

}  // namespace cosearch
