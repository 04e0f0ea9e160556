#pragma once

#include "experiments/export/design.hpp"

namespace cosearch {

/// `trial_000017.json` (see `to_json(Design)`; `estimate --network` reads it) and, where the design was trained in
/// the final stage, `trial_000017.safetensors`.
[[nodiscard]] std::vector<std::string> write_json(const Design& design, const std::string& directory);

}  // namespace cosearch
