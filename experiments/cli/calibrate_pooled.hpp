#pragma once

#include <string>

#include "experiments/calibrate/pooling.hpp"
#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// What `calibrate --pooled` tells. `path`: what was written; empty: nothing.
void print_pooling(CommandLine& line, const calibrate::Pooling& pooling, const std::string& path);

}  // namespace cosearch::cli
