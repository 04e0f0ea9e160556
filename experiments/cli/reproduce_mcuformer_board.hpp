#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// What `reproduce mcuformer --train` trains with; nothing: as mcuformer::contestants() has it.
struct BoardArguments {
  std::optional<double> epochs;
  std::optional<std::int64_t> train_samples;
  std::optional<std::int64_t> evaluate_samples;
  double fine_tune_epochs = 1.0;
  std::string folder = "results/mcuformer";  ///< for the C projects
};

/// The section of `--train` on Fashion-MNIST: prints its table where the format is `table`, returns its rows. The exit
/// code of a signal that came ends up in `exit_code`.
[[nodiscard]] nlohmann::ordered_json board_section(CommandLine& line, const BoardArguments& arguments, int& exit_code);

}  // namespace cosearch::cli
