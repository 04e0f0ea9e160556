#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/config/campaign.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {

/// Reads a campaign's networks, `initial` and the kind of accuracy: from the root, or from `networks` where the config
/// has that list. Recipes of the final stage are left to `read_final`. @throws ConfigError.
void read_networks(const JsonReader& root, Campaign& campaign);

/// Reads `final` and the networks' recipes in it: of one network beside `top`, of `networks` in each one's own `final`.
void read_final(const JsonReader& root, Campaign& campaign);

/// JSON pointer of the list of initial designs.
[[nodiscard]] std::string initial_place(const Campaign& campaign);

/// What `read_networks` and `read_final` have read, with every default: keys of a resolved config. One network stands
/// in the root, however it was given.
[[nodiscard]] nlohmann::json resolved_networks(const Campaign& campaign);

}  // namespace cosearch
