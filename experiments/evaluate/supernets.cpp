#include "experiments/evaluate/supernets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "experiments/store/store.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "trainer/supernet/gene_combinations.hpp"
#include "trainer/supernet/inherit.hpp"

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
    supernets_.push_back({std::move(part), 0, nullptr});
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
  return {network.train, network.one_shot.random_subnets, network.one_shot.distillation};
}

bool Supernets::prepare(const std::string& directory, const Events& events, const std::stop_token& stop) {
  create_directory(directory);
  for (std::size_t i = 0; i < supernets_.size(); ++i) {
    if (!prepare_one(i, directory, events, stop)) {
      return false;
    }
  }
  return true;
}

bool Supernets::prepare_one(std::size_t index, const std::string& directory, const Events& events,
                            const std::stop_token& stop) {
  Supernet& supernet = supernets_[index];
  const SubnetSpace& subnets = supernet.space.subnets;
  const CampaignNetwork& network = campaign_.networks[supernet.space.network];
  const TaskData& data = *data_[supernet.space.network].data;
  const Supernet* origin = origin_of(index);
  supernet.fingerprint = supernet_fingerprint(subnets, data, options(supernet), campaign_.seed,
                                              origin == nullptr ? 0 : origin->fingerprint);
  const std::string stem = (std::filesystem::path(directory) / ("supernet-" + hex(supernet.fingerprint))).string();
  const std::string path = stem + ".safetensors";
  WeightStore store = make_supernet(subnets, campaign_.seed);
  if (std::optional<WeightStore> known = read_supernet(path, store)) {
    store = std::move(*known);
    events.note(fmt::format("{}: taken from {}", label(supernet), path));
  } else {
    if (origin != nullptr) {
      inherit(origin->scorer->store(), store);
    }
    if (!train_one(supernet, stem, store, events, stop)) {
      return false;
    }
  }
  std::error_code ignored;  // a run that was killed between the two steps leaves both files
  std::filesystem::remove(stem + kCheckpoint, ignored);
  supernet.scorer =
      std::make_unique<SubnetScorer>(std::move(store), data,
                                     SubnetScorer::Options{network.one_shot.calibration_samples,
                                                           network.train.evaluate_samples, network.train.precision});
  return true;
}

bool Supernets::train_one(const Supernet& supernet, const std::string& stem, WeightStore& store, const Events& events,
                          const std::stop_token& stop) const {
  const SubnetSpace& subnets = supernet.space.subnets;
  const auto report = [&](const TrainProgress& progress) { events.training(label(supernet), progress); };
  const auto result = train_supernet(subnets, *data_[supernet.space.network].data, options(supernet), campaign_.seed,
                                     store, report, stop, {stem + kCheckpoint});
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

const Supernets::Supernet* Supernets::origin_of(std::size_t index) const {
  const nlohmann::json wanted = nlohmann::json::parse(supernets_[index].space.key);
  const Supernet* best = nullptr;
  std::ptrdiff_t most = -1;
  for (std::size_t i = 0; i < index; ++i) {
    if (supernets_[i].space.network != supernets_[index].space.network) {
      continue;
    }
    const nlohmann::json key = nlohmann::json::parse(supernets_[i].space.key);
    const auto items = key.items();
    const std::ptrdiff_t equal = std::count_if(items.begin(), items.end(), [&](const auto& item) {
      return wanted.contains(item.key()) && wanted.at(item.key()) == item.value();
    });
    if (equal > most) {
      most = equal;
      best = &supernets_[i];
    }
  }
  return best;
}

const Supernets::Supernet& Supernets::find(std::size_t network, const Genome& joint) const {
  const std::string key =
      combination_key(space_.space(network).params(), campaign_.networks[network].one_shot.supernets,
                      space_.network_part(joint, network));
  const auto found = std::find_if(supernets_.begin(), supernets_.end(), [&](const Supernet& supernet) {
    return supernet.space.network == network && supernet.space.key == key;
  });
  COSEARCH_CHECK(found != supernets_.end() && found->scorer != nullptr, "every genome belongs to a prepared supernet");
  return *found;
}

}  // namespace cosearch
