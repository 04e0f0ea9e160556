#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/config/campaign.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {

/// Reads `accuracy` of the kind one_shot: the supernet's recipe and how it is used. @throws ConfigError.
void read_one_shot(const JsonReader& accuracy, CampaignNetwork& network);
/// The keys of a section that holds a recipe beside its own.
[[nodiscard]] std::vector<std::string> with_recipe_keys(std::vector<std::string> keys);
/// The keys of `accuracy` beside the recipe, defaults included.
[[nodiscard]] nlohmann::json to_json(const OneShot& one_shot);

/// The networks of one supernet.
struct SupernetSpace {
  std::size_t network = 0;  ///< of the campaign
  std::string key;          ///< see combination_key
  SubnetSpace subnets;
};
/// The networks of one combination, see combination_key. `space` outlives it. @throws ConfigError: see
/// make_subnet_space.
[[nodiscard]] SupernetSpace supernet_space(const Campaign& campaign, const JointSpace& space, std::size_t network,
                                           const std::string& key);
/// Of each of the campaign's networks one for each combination of values of its `accuracy.supernets`; of one with lazy
/// supernets none. `space` outlives them. @throws ConfigError: see gene_combinations and make_subnet_space; of lazy
/// ones the names and the combination of the genes' first values are checked.
[[nodiscard]] std::vector<SupernetSpace> supernet_spaces(const Campaign& campaign, const JointSpace& space);

}  // namespace cosearch
