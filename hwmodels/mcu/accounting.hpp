#pragma once

#include <string>

#include "spaces/base/json_reader.hpp"

namespace cosearch::mcu {

/// What counts as the SRAM that a network needs.
enum class Accounting {
  ours,                ///< the static plan under the engine's buffer rules
  tinyengine,          ///< the static plan under TinyEngine's
  mcuformer,           ///< mcuformer_layers
  mcuformer_supernet,  ///< mcuformer_supernet_layer
};

/// The option `accounting`, by default "ours". @throws ConfigError.
[[nodiscard]] Accounting read_accounting(const JsonReader& options);
/// `mcuformer_supernet`
[[nodiscard]] std::string name_of(Accounting accounting);
/// One line that says what the figure is, so that nobody takes it for all that a board needs; empty for `ours`.
[[nodiscard]] std::string note_of(Accounting accounting);

}  // namespace cosearch::mcu
