#include <memory>
#include <optional>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/open_campaign.hpp"

namespace cosearch::cli {
namespace {

struct QueryOptions {
  std::string where;
  std::string sort;
  std::string columns;
  std::optional<std::int64_t> limit;
  std::int64_t offset = 0;
  bool count = false;
};

std::vector<Field> all_fields(const OpenCampaign& open) {
  std::vector<Field> fields{{FieldKind::id, "id"},
                            {FieldKind::batch, "batch"},
                            {FieldKind::state, "state"},
                            {FieldKind::violation, "violation"},
                            {FieldKind::violated, "violated"}};
  for (const std::string& metric : reported_metrics(open.campaign, open.space.target())) {
    fields.push_back({FieldKind::metric, metric});
  }
  for (const std::string& gene : open.gene_names()) {
    fields.push_back({FieldKind::gene, gene});
  }
  return fields;
}

std::vector<Field> default_fields(const OpenCampaign& open) {
  std::vector<Field> fields{{FieldKind::id, "id"}, {FieldKind::state, "state"}};
  const std::vector<Field> metrics = open.main_metrics();
  fields.insert(fields.end(), metrics.begin(), metrics.end());
  fields.push_back({FieldKind::violated, "violated"});
  return fields;
}

int query(CommandLine& line, const QueryOptions& options) {
  const OpenCampaign open(line.options);
  const std::vector<std::string> genes = open.gene_names();
  TrialFilter filter;
  if (!options.where.empty()) {
    filter.where = parse_where(options.where, genes);
  }
  if (!options.sort.empty()) {
    filter.sort = parse_sort(options.sort, genes);
  }
  filter.limit = options.limit;
  filter.offset = options.offset;
  std::vector<Field> fields = default_fields(open);
  if (options.columns == "all") {
    fields = all_fields(open);
  } else if (!options.columns.empty()) {
    fields = parse_fields(options.columns, genes, "--columns");
  }
  open.check_networks(filter, fields, "query");
  if (options.count) {
    print(line.out, line.options.format, Records{"counts", {"count"}, {{open.store.count(open.row.id, filter)}}});
    return 0;
  }
  const std::vector<TrialRow> rows = open.store.query(open.row.id, filter);
  Records records = trial_records(rows, fields);
  if (options.columns.empty()) {
    add_hardware(records, line.options.format, rows, genes);
  }
  print(line.out, line.options.format, records);
  return 0;
}

}  // namespace

void add_query_command(const Command& program, CommandLine& line) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;
  const Command command = program.command("query", "filter and sort the trials of a campaign");
  const auto options = std::make_shared<QueryOptions>();
  command.option("--where", options->where,
                 "e.g. 'latency_ms < 10 and (accuracy > 0.9 or not state = \"complete\") and hw.board = \"f746\"'");
  command.option("--sort", options->sort, "e.g. latency_ms,-accuracy; a minus sorts downwards");
  command.option("--limit", options->limit, "at most so many trials").in(std::int64_t{0}, kMost);
  command.option("--offset", options->offset, "leave out the first ones").in(std::int64_t{0}, kMost);
  command.option("--columns", options->columns, "fields to print, e.g. id,accuracy,hw.board; or all");
  command.flag("--count", options->count, "print how many trials match, whatever the limit");
  command.runs(line, [&line, options] { return query(line, *options); });
}

}  // namespace cosearch::cli
