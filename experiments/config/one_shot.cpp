#include "experiments/config/one_shot.hpp"

#include <utility>

#include "experiments/config/section.hpp"
#include "trainer/supernet/gene_combinations.hpp"

namespace cosearch {

using nlohmann::json;

void read_one_shot(const JsonReader& accuracy, CampaignNetwork& network) {
  constexpr std::int64_t kMostSubnets = 64;
  constexpr std::int64_t kLeastCalibration = 16;  // a batch norm's variance of fewer says little
  constexpr std::int64_t kMostCalibration = 65536;
  OneShot& one_shot = network.one_shot;
  std::vector<std::string> own;
  const json defaults = to_json(one_shot);
  for (const auto& [key, value] : defaults.items()) {
    own.push_back(key);
  }
  accuracy.only(with_recipe_keys(own));
  one_shot.random_subnets = accuracy.integer("random_subnets", one_shot.random_subnets, 0, kMostSubnets);
  one_shot.distillation = accuracy.number("distillation", one_shot.distillation, kUnitInterval);
  one_shot.calibration_samples =
      accuracy.integer("calibration_samples", one_shot.calibration_samples, kLeastCalibration, kMostCalibration);
  one_shot.lazy = accuracy.boolean("lazy", one_shot.lazy);
  if (const auto genes = accuracy.find("supernets")) {
    for (const JsonReader& gene : genes->items("a list of network genes")) {
      one_shot.supernets.push_back(gene.text());
    }
  }
  network.train =
      in_section(network.place + "/accuracy", [&] { return train_options_from_json(accuracy.without(own)); });
}

std::vector<std::string> with_recipe_keys(std::vector<std::string> keys) {
  const json recipe = to_json(TrainOptions{});
  for (const auto& [key, value] : recipe.items()) {
    keys.push_back(key);
  }
  return keys;
}

json to_json(const OneShot& one_shot) {
  return {{"kind", "one_shot"},
          {"random_subnets", one_shot.random_subnets},
          {"distillation", one_shot.distillation},
          {"calibration_samples", one_shot.calibration_samples},
          {"supernets", one_shot.supernets},
          {"lazy", one_shot.lazy}};
}

SupernetSpace supernet_space(const Campaign& campaign, const JointSpace& space, std::size_t network,
                             const std::string& key) {
  return in_section(campaign.networks[network].place + "/space", [&] {
    SupernetSpace part{
        network, key,
        make_subnet_space(space.space(network), space.network_params(network).restricted(json::parse(key)))};
    if (!campaign.networks[network].one_shot.supernets.empty()) {
      part.subnets.name = key;
    }
    return part;
  });
}

std::vector<SupernetSpace> supernet_spaces(const Campaign& campaign, const JointSpace& space) {
  std::vector<SupernetSpace> spaces;
  for (std::size_t i = 0; i < campaign.networks.size(); ++i) {
    const OneShot& one_shot = campaign.networks[i].one_shot;
    const std::string place = campaign.networks[i].place + "/accuracy/supernets";
    const ParamSet& genes = space.network_params(i);
    if (one_shot.lazy) {
      in_section(place, [&] { check_gene_names(genes, one_shot.supernets); });
      const Genome first{std::vector<double>(genes.size(), 0.0)};
      static_cast<void>(supernet_space(campaign, space, i, combination_key(genes, one_shot.supernets, first)));
      continue;
    }
    for (const GeneCombination& combination :
         in_section(place, [&] { return gene_combinations(genes, one_shot.supernets); })) {
      spaces.push_back(supernet_space(campaign, space, i, combination.key));
    }
  }
  return spaces;
}

}  // namespace cosearch
