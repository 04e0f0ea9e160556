#include "experiments/cli/open_campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "experiments/cli/front.hpp"
#include "experiments/config/tasks.hpp"
#include "experiments/run/runner.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch::cli {
namespace {

constexpr std::string_view kHardwarePrefix = "hw.";

/// `board=f746 clock_mhz=108` from the genes `hw.board` and `hw.f746.clock_mhz`, in the order of the parameters.
std::string hardware_text(const TrialRow& row, const std::vector<std::string>& gene_names) {
  std::string text;
  for (const std::string& name : gene_names) {
    const auto gene = row.genes.find(name);
    if (gene == row.genes.end() || !name.starts_with(kHardwarePrefix)) {
      continue;
    }
    const std::string value = gene->is_string() ? gene->get<std::string>() : gene->dump();
    text += (text.empty() ? "" : " ") + name.substr(name.find_last_of('.') + 1) + "=" + value;
  }
  return text;
}

}  // namespace

OpenCampaign::OpenCampaign(const GlobalOptions& options)
    : store(Store::open_reader(options.needed_database())),
      row(store.campaign(options.campaign)),
      campaign(stored_campaign(row, options.data_directory)),
      space(campaign, options.data_directory) {}

std::vector<std::string> OpenCampaign::gene_names() const {
  std::vector<std::string> names;
  for (const Param& param : space.params().params()) {
    names.push_back(param.name);
  }
  return names;
}

std::vector<Field> OpenCampaign::main_metrics() const {
  std::vector<Field> fields;
  const auto add = [&fields](const std::string& metric) {
    const Field field{FieldKind::metric, metric};
    if (std::find(fields.begin(), fields.end(), field) == fields.end()) {
      fields.push_back(field);
    }
  };
  for (const Objective& objective : campaign.objectives) {
    add(objective.metric);
  }
  for (const Constraint& constraint : campaign.constraints) {
    add(constraint.metric);
  }
  return fields;
}

void OpenCampaign::check_networks(const TrialFilter& filter, const std::vector<Field>& fields,
                                  const std::string& place) const {
  std::set<std::string> named = metrics_of(filter);
  for (const Field& field : fields) {
    if (field.kind == FieldKind::metric) {
      named.insert(field.name);
    }
  }
  for (const std::string& metric : named) {
    const std::string whole(find_metric(metric)->name);
    std::vector<std::string> known{whole};
    for (const CampaignNetwork& network : campaign.networks) {
      if (!network.name.empty()) {
        known.push_back(network_metric(whole, network.name));
      }
      for (const std::string& own : training_metrics(campaign, network)) {  // of its tasks too
        std::string name = network_metric(own, network.name);
        if (find_metric(name)->name == whole && std::find(known.begin(), known.end(), name) == known.end()) {
          known.push_back(std::move(name));
        }
      }
    }
    if (std::find(known.begin(), known.end(), metric) == known.end()) {
      throw ConfigError(place, unknown_name(metric, known));
    }
  }
}

Campaign stored_campaign(const CampaignRow& row, const std::string& data_directory) {
  try {
    Campaign campaign = campaign_from_json(row.config, data_directory);
    campaign.evaluations = row.evaluations;
    return campaign;
  } catch (const ConfigError& error) {
    throw error.file().empty() ? error.in_file("campaign \"" + row.name + "\"") : error;
  }
}

std::vector<TrialRow> chosen_trials(const OpenCampaign& open, bool pareto, const std::vector<TrialId>& ids) {
  if (pareto) {
    Front front = front_of(open.store.trials(open.row.id), open.campaign.objectives);
    if (front.rows.empty()) {
      throw NoFeasible(explain_infeasibility(open.store, open.row.id));
    }
    return std::move(front.rows);
  }
  std::vector<TrialRow> rows;
  for (const TrialId id : ids) {
    std::optional<TrialRow> row = open.store.trial(open.row.id, id);
    if (!row) {
      throw StoreError(4, fmt::format("campaign \"{}\" has no trial {}", open.row.name, id));
    }
    rows.push_back(*std::move(row));
  }
  return rows;
}

Records trial_records(const std::vector<TrialRow>& rows, const std::vector<Field>& fields) {
  Records records;
  records.kind = "trials";
  for (const Field& field : fields) {
    records.columns.push_back(field.name);
  }
  records.rows.reserve(rows.size());
  for (const TrialRow& row : rows) {
    std::vector<nlohmann::json>& cells = records.rows.emplace_back();
    cells.reserve(fields.size());
    for (const Field& field : fields) {
      const FieldValue value = field_value(row, field);
      if (const auto* const text = std::get_if<std::string>(&value)) {
        cells.emplace_back(*text);
      } else if (const auto* const number = std::get_if<double>(&value)) {
        cells.push_back(json_number(*number));
      } else {
        cells.emplace_back(nullptr);
      }
    }
  }
  return records;
}

void add_hardware(Records& records, Format format, const std::vector<TrialRow>& rows,
                  const std::vector<std::string>& gene_names) {
  if (format == Format::table) {
    records.columns.emplace_back("hardware");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      records.rows[i].emplace_back(hardware_text(rows[i], gene_names));
    }
    return;
  }
  std::vector<Field> genes;
  for (const std::string& name : gene_names) {
    if (name.starts_with(kHardwarePrefix)) {
      genes.push_back({FieldKind::gene, name});
      records.columns.push_back(name);
    }
  }
  const Records values = trial_records(rows, genes);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    records.rows[i].insert(records.rows[i].end(), values.rows[i].begin(), values.rows[i].end());
  }
}

}  // namespace cosearch::cli
