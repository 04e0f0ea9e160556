#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/evaluate/evaluator.hpp"
#include "hwmodels/model.hpp"
#include "spaces/graph/graph.hpp"

namespace cosearch {

/// Hardware by its target's name, options and genes (without the prefix `hw.`).
struct Hardware {
  std::string target;
  nlohmann::json options = nlohmann::json::object();
  nlohmann::json genes = nlohmann::json::object();
};

/// What networks run as: the job of a campaign or of `estimate`.
struct JobSettings {
  std::int64_t batch = 1;
  std::string types = "int8";
};

/// A chosen candidate with all that leaves the store with it.
struct Design {
  TrialId trial = 0;
  nlohmann::json genes;                       ///< joint, readable
  std::vector<graph::NetworkGraph> networks;  ///< one or more
  Hardware hardware;
  JobSettings job;
  Metrics metrics;  ///< as stored
  Routing routing;  ///< by which the cost is: of the weights where there are some
  Cost cost;        ///< priced again, with layers
  std::optional<Metrics> final_metrics;
  std::string weights_path;                ///< safetensors of the final training (see run_final_stage); empty: none
  std::vector<std::string> network_names;  ///< of the campaign; a single network has none
  std::vector<std::vector<std::string>> task_names;  ///< of each network that learns several
  /// The campaign's data, read when a form asks for it; whoever exports to such a form sets it. @throws ConfigError.
  std::function<CampaignData()> data;
  std::string data_directory;  ///< of hardware data, as for make_target
  nlohmann::json provenance;
};

/// @throws StoreError 4 when `row` is pending or infeasible (it has no cost), with its reason.
/// `finals`: of the campaign.
[[nodiscard]] Design make_design(const Campaign& campaign, const JointSpace& space, const Evaluator& evaluator,
                                 const TrialRow& row, const std::vector<FinalRow>& finals);

/// One network is `network`, several are the list `networks`. `weights_file`: name beside the JSON file, empty when
/// there are none.
/// `routing`, where there is some, is a list of histograms for each network.
[[nodiscard]] nlohmann::ordered_json to_json(const Design& design, const std::string& weights_file);

/// {"metrics", "layers", "memory", "bound", "notes"}.
[[nodiscard]] nlohmann::ordered_json to_json(const Cost& cost);

/// What `estimate` takes from a file: an exported design, or a network alone (then without hardware and job).
struct DesignFile {
  std::vector<graph::NetworkGraph> networks;
  std::optional<Hardware> hardware = std::nullopt;
  std::optional<JobSettings> job = std::nullopt;
  Routing routing = {};  ///< empty: tokens are spread evenly
};
/// @throws ConfigError with a JSON pointer.
[[nodiscard]] DesignFile design_from_json(const nlohmann::json& json);
/// By a name of the catalogue, or from a file: whatever has a slash or ends in `.json`, relative to `folder` (empty:
/// the working directory): a design, a network, or a network description of MCUNet, which gets the file's name and,
/// where it is given, the resolution. @throws ConfigError, also for a resolution of another network (place
/// `--resolution`).
[[nodiscard]] DesignFile load_design(const std::string& network, std::optional<std::int64_t> resolution = std::nullopt,
                                     const std::string& folder = {});

}  // namespace cosearch
