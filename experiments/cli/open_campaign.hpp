#pragma once

#include <string>
#include <vector>

#include "experiments/cli/command_line.hpp"
#include "experiments/config/campaign.hpp"
#include "experiments/store/query.hpp"
#include "experiments/store/store.hpp"

namespace cosearch::cli {

/// A stored campaign, open for reading, with the space that its genes belong to.
class OpenCampaign {
 public:
  /// @throws ConfigError, StoreError.
  explicit OpenCampaign(const GlobalOptions& options);

  Store store;
  CampaignRow row;
  Campaign campaign;
  JointSpace space;

  [[nodiscard]] std::vector<std::string> gene_names() const;
  /// Metric columns worth showing first: the objectives, then what the constraints limit.
  [[nodiscard]] std::vector<Field> main_metrics() const;
  /// @throws ConfigError (place `place`) when one of the metrics is that of a network which the campaign does not have.
  void check_networks(const TrialFilter& filter, const std::vector<Field>& fields, const std::string& place) const;
};

/// Reads the config of a stored campaign; its budget is the store's, which `resume --add-evals` raises.
[[nodiscard]] Campaign stored_campaign(const CampaignRow& row, const std::string& data_directory);

/// All of the Pareto front, or the trials with these ids. @throws NoFeasible; StoreError 4 for an id without a trial.
[[nodiscard]] std::vector<TrialRow> chosen_trials(const OpenCampaign& open, bool pareto,
                                                  const std::vector<TrialId>& ids);

/// The fields of trials as records named `trials`; missing values are null.
[[nodiscard]] Records trial_records(const std::vector<TrialRow>& rows, const std::vector<Field>& fields);

/// Adds the hardware genes behind the other columns: for a table one column `board=f746 clock_mhz=108`, because most of
/// a family's knobs are inactive; otherwise a column each.
void add_hardware(Records& records, Format format, const std::vector<TrialRow>& rows,
                  const std::vector<std::string>& gene_names);

}  // namespace cosearch::cli
