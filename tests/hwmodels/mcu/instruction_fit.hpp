#pragma once

#include <map>
#include <string>
#include <vector>

/// The instructions of our own engine's kernels as coefficients of what they have to do.
namespace cosearch::testing {

/// Instructions of each case of instruction_cases() on one core.
using CaseInstructions = std::map<std::string, double>;

struct CaseError {
  std::string name;
  double measured = 0.0, predicted = 0.0;
  /// (predicted - measured) / measured; of a case that is fitted to, by a fit without it.
  [[nodiscard]] double relative() const { return predicted / measured - 1.0; }
};

struct InstructionFit {
  std::map<std::string, double> coefficients;  ///< by feature, see mcu::features; those that are 0 are left out
  std::vector<CaseError> left_out;             ///< the cases that are fitted to
  std::vector<CaseError> held_out;             ///< networks
};

/// Kind by kind: non-negative, smallest sum of squared relative errors. A case that is not in the table aborts.
[[nodiscard]] InstructionFit fit_instructions(const CaseInstructions& measured);

}  // namespace cosearch::testing
