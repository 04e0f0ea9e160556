#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "spaces/program/program.hpp"

/// What the instructions of our own engine's kernels are counted on (tests/bench/instruction_profile.cpp), and fitted
/// to.
namespace cosearch::testing {

/// A network and the calls of its program that are measured: from `first_call` on, `calls` of them. A call is measured
/// as the difference between the program up to it and the program up to the one before it.
struct InstructionCase {
  std::string name;  ///< `<kernel kind> <shape>`, or that of a held-out network
  graph::NetworkGraph network;
  program::LoweringOptions options;
  bool held_out = false;  ///< all calls of a network that no coefficient is fitted to
  std::size_t first_call = 0;
  std::size_t calls = 0;  ///< 0: all
};

/// Several for each kernel kind, then the held-out networks.
[[nodiscard]] const std::vector<InstructionCase>& instruction_cases();

[[nodiscard]] program::Program program_of(const InstructionCase& measured);
/// The calls of the case in its program.
[[nodiscard]] std::span<const program::KernelCall> measured_calls(const InstructionCase& measured,
                                                                  const program::Program& program);

}  // namespace cosearch::testing
