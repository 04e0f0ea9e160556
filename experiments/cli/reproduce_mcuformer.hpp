#pragma once

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// `reproduce mcuformer`, below the command `reproduce`.
void add_reproduce_mcuformer(const Command& reproduce, CommandLine& line);

}  // namespace cosearch::cli
