#pragma once

#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// `reproduce m3vit`, below the command `reproduce`.
void add_reproduce_m3vit(CLI::App& reproduce, CommandLine& line);

}  // namespace cosearch::cli
