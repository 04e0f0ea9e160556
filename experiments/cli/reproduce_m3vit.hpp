#pragma once

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// `reproduce m3vit`, below the command `reproduce`.
void add_reproduce_m3vit(const Command& reproduce, CommandLine& line);

}  // namespace cosearch::cli
