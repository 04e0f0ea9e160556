#pragma once

#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// `reproduce fusemax`, below the command `reproduce`.
void add_reproduce_fusemax(CLI::App& reproduce, CommandLine& line);

}  // namespace cosearch::cli
