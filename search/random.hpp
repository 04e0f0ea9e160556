#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "search/algorithm.hpp"

namespace cosearch {

/// The initial designs, then uniform samples of the space, none twice, until it is exhausted. Never waits for results.
/// No options. @throws ConfigError.
[[nodiscard]] std::unique_ptr<SearchAlgorithm> make_random(const nlohmann::json& options,
                                                           const AlgorithmContext& context);

}  // namespace cosearch
