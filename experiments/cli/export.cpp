#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <system_error>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/open_campaign.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/evaluate/evaluator.hpp"
#include "experiments/export/registry.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::ordered_json;

struct ExportOptions {
  std::vector<TrialId> ids;
  bool pareto = false;
  std::string to;
  std::string format = "json";
};

int export_designs(CommandLine& line, const ExportOptions& options) {
  const ExportFormat& format = export_format(options.format);
  if (options.pareto == !options.ids.empty()) {
    throw ConfigError("export", "needs either --pareto or --id N");
  }
  OpenCampaign open(line.options);
  const std::vector<TrialRow> rows = chosen_trials(open, options.pareto, options.ids);
  std::error_code error;
  std::filesystem::create_directories(options.to, error);
  if (error) {
    throw ConfigError("--to", fmt::format("\"{}\" cannot be made: {}; expected a directory that can be written",
                                          options.to, error.message()));
  }
  const Evaluator evaluator(open.campaign, open.space, {}, open.store);
  const std::vector<FinalRow> finals = open.store.finals(open.row.id);
  std::optional<CampaignData> read;
  const auto campaign_data = [&] {
    if (!read) {
      read = load_campaign_data(open.campaign);
    }
    return *read;
  };
  ordered_json index = versioned();
  index["campaign"] = open.row.name;
  index["config"] = open.campaign.resolved;
  ordered_json& designs = index["designs"] = ordered_json::array();
  for (const TrialRow& row : rows) {
    Design design = make_design(open.campaign, open.space, evaluator, row, finals);
    design.data = campaign_data;
    design.data_directory = line.options.data_directory;
    const std::vector<std::string> files = format.write(design, options.to);
    designs.push_back({{"trial", row.id},
                       {"files", files},
                       {"metrics", row.metrics},
                       {"final_metrics", design.final_metrics ? ordered_json(*design.final_metrics) : nullptr}});
    for (const std::string& file : files) {
      line.out.write(options.to + "/" + file + "\n");
    }
  }
  write_file_atomically(options.to + "/index.json", index.dump(1) + "\n");
  line.out.write(options.to + "/index.json\n");
  return 0;
}

}  // namespace

void add_export_command(const Command& program, CommandLine& line) {
  const Command command = program.command("export", "write networks, weights, hardware and costs; prints the files");
  const auto options = std::make_shared<ExportOptions>();
  command.flag("--pareto", options->pareto, "all of the Pareto front");
  command.option("--id", options->ids, "these trials").in(std::int64_t{0}, std::int64_t{1} << 53);
  command.option("--to", options->to, "directory; made where it does not exist").required();
  command.option("-f,--format", options->format, "form of the designs: json (default), c or c_fp32");
  command.runs(line, [&line, options] { return export_designs(line, *options); });
}

}  // namespace cosearch::cli
