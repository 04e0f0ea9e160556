#pragma once

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// `reproduce fusemax`, below the command `reproduce`.
void add_reproduce_fusemax(const Command& reproduce, CommandLine& line);

}  // namespace cosearch::cli
