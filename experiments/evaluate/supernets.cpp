#include "experiments/evaluate/supernets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "experiments/store/store.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/space/domain.hpp"
#include "trainer/supernet/gene_combinations.hpp"
#include "trainer/supernet/inherit.hpp"
#include "trainer/supernet/supernet.hpp"
#include "trainer/train/accuracy.hpp"

namespace cosearch {
namespace {

constexpr const char* kCheckpoint = ".checkpoint";

std::string content_hash(const WeightStore& store) {
  Hasher hasher;
  for (const auto& [name, weight] : store.weights()) {
    hasher.add(name).add_bytes(std::as_bytes(std::span(weight.values)));
  }
  return hex(hasher.value());
}

/// The weights that an earlier run left; nothing where there is no such file or it is damaged.
std::optional<WeightStore> read_supernet(const std::string& path, const WeightStore& shapes) {
  if (!std::filesystem::exists(path)) {
    return std::nullopt;
  }
  std::vector<graph::WeightSpec> specs;
  for (const auto& [name, weight] : shapes.weights()) {
    specs.push_back(weight.spec);
  }
  try {
    std::map<std::string, std::string> metadata;
    WeightStore store = load_safetensors(path, specs, &metadata);
    const auto hash = metadata.find("content");
    if (hash != metadata.end() && hash->second == content_hash(store)) {
      return store;
    }
  } catch (const ConfigError&) {
    return std::nullopt;  // trained again, which repairs it
  }
  return std::nullopt;
}

/// What the final stage would refuse is refused before anything is trained.
void check_learnable(const SupernetSpace& space, const NetworkData& set) {
  if (set.tasks.empty()) {
    check_classes(*set.data);
    return;
  }
  for (const graph::NetworkGraph& corner : space.subnets.corners) {
    check_tasks(corner, set.tasks);
  }
}

void create_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw StoreError(5, fmt::format("{}: cannot be created: {}", directory, error.message()));
  }
}

}  // namespace

Supernets::Supernets(const Campaign& campaign, const JointSpace& space, CampaignData data)
    : campaign_(campaign), space_(space), data_(std::move(data)) {
  for (SupernetSpace& part : supernet_spaces(campaign, space)) {
    add(std::move(part));
  }
}

void Supernets::add(SupernetSpace space) {
  check_learnable(space, data_[space.network]);
  Supernet fresh{.space = std::move(space), .genes = {}};
  fresh.genes = places(fresh.space);
  fresh.origin = origin_of(fresh);
  fresh.fingerprint =
      supernet_fingerprint(fresh.space.subnets, data_[fresh.space.network].learning_tasks(), options(fresh),
                           campaign_.seed, fresh.origin ? supernets_[*fresh.origin].fingerprint : 0);
  supernets_.push_back(std::move(fresh));
}

void Supernets::expect(const Genome& joint) {
  for (std::size_t network = 0; network < campaign_.networks.size(); ++network) {
    if (!campaign_.networks[network].one_shot.lazy) {
      continue;
    }
    const std::string key = key_of(network, joint);
    if (!known(network, key)) {
      add(supernet_space(campaign_, space_, network, key));
    }
  }
}

std::string Supernets::label(const Supernet& supernet) const {
  std::string text = "supernet";
  for (const std::string& part : {campaign_.networks[supernet.space.network].name, supernet.space.subnets.name}) {
    text += part.empty() ? "" : " " + part;
  }
  return text;
}

SupernetOptions Supernets::options(const Supernet& supernet) const {
  const CampaignNetwork& network = campaign_.networks[supernet.space.network];
  return {network.train, network.one_shot.random_subnets, network.one_shot.distillation, network.task_sampling};
}

bool Supernets::prepare(const std::string& directory, const Events& events, const std::stop_token& stop) {
  create_directory(directory);
  directory_ = directory;
  for (std::size_t i = 0; i < supernets_.size(); ++i) {
    if (!prepare_one(i, events, stop)) {
      return false;
    }
  }
  return true;
}

bool Supernets::train(std::size_t network, const Genome& joint, const Events& events, const std::stop_token& stop) {
  return prepare_one(find(network, joint), events, stop);
}

bool Supernets::prepare_one(std::size_t index, const Events& events, const std::stop_token& stop) {
  Supernet& supernet = supernets_[index];
  if (supernet.scorer != nullptr) {
    return true;
  }
  const CampaignNetwork& network = campaign_.networks[supernet.space.network];
  const std::string stem = (std::filesystem::path(directory_) / ("supernet-" + hex(supernet.fingerprint))).string();
  const std::string path = stem + ".safetensors";
  WeightStore store = make_supernet(supernet.space.subnets, campaign_.seed);
  if (std::optional<WeightStore> known = read_supernet(path, store)) {
    store = std::move(*known);
    events.note(fmt::format("{}: taken from {}", label(supernet), path));
  } else {
    if (supernet.origin) {
      if (!prepare_one(*supernet.origin, events, stop)) {
        return false;
      }
      inherit(supernets_[*supernet.origin].scorer->store(), store);
    }
    if (!train_one(supernet, stem, store, events, stop)) {
      return false;
    }
  }
  std::error_code ignored;  // a run that was killed between the two steps leaves both files
  std::filesystem::remove(stem + kCheckpoint, ignored);
  supernet.scorer =
      std::make_unique<SubnetScorer>(std::move(store), data_[supernet.space.network].learning_tasks(),
                                     SubnetScorer::Options{network.one_shot.calibration_samples,
                                                           network.train.evaluate_samples, network.train.precision});
  return true;
}

bool Supernets::train_one(const Supernet& supernet, const std::string& stem, WeightStore& store, const Events& events,
                          const std::stop_token& stop) const {
  const SubnetSpace& subnets = supernet.space.subnets;
  const auto report = [&](const TrainProgress& progress) { events.training(label(supernet), progress); };
  const auto result = train_supernet(subnets, data_[supernet.space.network].learning_tasks(), options(supernet),
                                     campaign_.seed, store, report, stop, {stem + kCheckpoint});
  if (!result) {
    throw std::runtime_error(fmt::format("{}: {}; a lower {}/accuracy/learning_rate may help", label(supernet),
                                         result.error().reason, campaign_.networks[supernet.space.network].place));
  }
  if (result->stopped) {
    return false;
  }
  try {
    save_safetensors(store, {{"supernet", subnets.name}, {"content", content_hash(store)}}, stem + ".safetensors");
  } catch (const std::runtime_error& error) {
    throw StoreError(5, error.what());
  }
  events.note(fmt::format("{}: trained, loss {:.4f}", label(supernet), result->train_loss));
  return true;
}

std::vector<std::optional<double>> Supernets::places(const SupernetSpace& space) const {
  const ParamSet& params = space_.space(space.network).params();
  const nlohmann::json values = nlohmann::json::parse(space.key);
  std::vector<std::optional<double>> places;
  for (const std::string& name : campaign_.networks[space.network].one_shot.supernets) {
    if (!values.contains(name)) {
      places.emplace_back();
      continue;
    }
    const Domain& domain = params.params()[params.find(name).value()].domain;
    const double gene = domain::gene(domain, domain::value_from_json(values.at(name)).value()).value();
    places.emplace_back(gene / static_cast<double>(std::max<std::int64_t>(domain::cardinality(domain).value() - 1, 1)));
  }
  return places;
}

std::optional<std::size_t> Supernets::origin_of(const Supernet& fresh) const {
  std::optional<std::size_t> best;
  std::pair<std::size_t, double> least;  // genes that differ, and by how much
  for (std::size_t i = 0; i < supernets_.size(); ++i) {
    if (supernets_[i].space.network != fresh.space.network) {
      continue;
    }
    std::pair<std::size_t, double> apart{0, 0.0};
    for (std::size_t k = 0; k < fresh.genes.size(); ++k) {
      const std::optional<double>& other = supernets_[i].genes[k];
      if (other != fresh.genes[k]) {
        ++apart.first;
        apart.second += other && fresh.genes[k] ? std::abs(*other - *fresh.genes[k]) : 1.0;
      }
    }
    if (!best || apart < least) {
      best = i;
      least = apart;
    }
  }
  return best;
}

std::string Supernets::key_of(std::size_t network, const Genome& joint) const {
  return combination_key(space_.space(network).params(), campaign_.networks[network].one_shot.supernets,
                         space_.network_part(joint, network));
}

std::optional<std::size_t> Supernets::known(std::size_t network, const std::string& key) const {
  const auto found = std::find_if(supernets_.begin(), supernets_.end(), [&](const Supernet& supernet) {
    return supernet.space.network == network && supernet.space.key == key;
  });
  return found == supernets_.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - supernets_.begin()));
}

std::size_t Supernets::find(std::size_t network, const Genome& joint) const {
  const std::optional<std::size_t> index = known(network, key_of(network, joint));
  COSEARCH_CHECK(index.has_value(), "every genome that is scored belongs to a supernet that was expected");
  return *index;
}

SubnetScorer& Supernets::scorer(std::size_t network, const Genome& joint) const {
  const Supernet& supernet = supernets_[find(network, joint)];
  COSEARCH_CHECK(supernet.scorer != nullptr, "a supernet is prepared before it scores");
  return *supernet.scorer;
}

}  // namespace cosearch
