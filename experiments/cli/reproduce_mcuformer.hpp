#pragma once

#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// `reproduce mcuformer`, below the command `reproduce`.
void add_reproduce_mcuformer(CLI::App& reproduce, CommandLine& line);

}  // namespace cosearch::cli
