#include "experiments/cli/reproduce_m3vit.hpp"
#include "experiments/cli/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "experiments/cli/table.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/reproduce/m3vit.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::ordered_json;

constexpr double kPictureSkew = 0.5;

/// Everything that is printed.
struct Results {
  std::vector<m3vit::Figure> table4;
  double dsp_share = 0.0;
  std::optional<Infeasible> published;
  std::vector<m3vit::Step> ablation;
  std::vector<m3vit::Skewed> skewed;
  m3vit::BreakEven break_even;
  m3vit::Switch task_switch;
  m3vit::Fastest fastest;
};

double percent_off(double ours, double published) { return 100.0 * (ours / published - 1.0); }

void print_table4(Output& out, const Results& results) {
  out.write("== M3ViT, table 4 (ZCU104): its equations, from its dense memory and its latency with reordering\n");
  Table table({"what", "unit", "ours", "published", "off by [%]"});
  for (const m3vit::Figure& figure : results.table4) {
    const int digits = figure.unit == "x" ? 2 : 3;
    table.add_row({figure.name, figure.unit, fmt::format("{:.{}f}", figure.ours, digits),
                   fmt::format("{:.{}f}", figure.published, digits),
                   fmt::format("{:.3f}", percent_off(figure.ours, figure.published))});
  }
  out.write(table.text());
  out.write(fmt::format("strict check of the published design: {}\n",
                        results.published ? results.published->reason : "it fits"));
  out.write(fmt::format(
      "the published latency with reordering needs {:.0f} % of all products that the part's DSPs can do meanwhile\n",
      100.0 * results.dsp_share));
  out.write(fmt::format("the fastest of {} designs ({} fit) under our model: {:.1f} ms, {}\n", results.fastest.designs,
                        results.fastest.feasible, results.fastest.latency_ms, results.fastest.design));
}

void print_ablation(Output& out, const Results& results) {
  out.write(
      "\n== Edge-MoE, ablation (ZCU102, 129 tokens, 2 of 16 experts): measured, and ours from mechanisms, nothing "
      "fitted\n");
  Table table({"step", "measured [ms]", "ours [ms]", "off by [%]", "step, measured", "step, ours", "attention [%]",
               "linear [%]"});
  const m3vit::Step* before = nullptr;
  for (const m3vit::Step& step : results.ablation) {
    const auto factor = [&](double m3vit::Step::*latency) {
      return before == nullptr ? std::string("-") : fmt::format("{:.2f}x", before->*latency / (step.*latency));
    };
    table.add_row({step.name, fmt::format("{:.1f}", step.published_ms), fmt::format("{:.1f}", step.ours_ms),
                   fmt::format("{:.0f}", percent_off(step.ours_ms, step.published_ms)),
                   factor(&m3vit::Step::published_ms), factor(&m3vit::Step::ours_ms),
                   fmt::format("{:.0f}", 100.0 * step.attention_share),
                   fmt::format("{:.0f}", 100.0 * step.linear_share)});
    before = &step;
  }
  out.write(table.text());
}

void print_queues(Output& out, const Results& results) {
  out.write(fmt::format(
      "\n== queues: {:.1f} tokens at an expert hide the next one's weights; there are {:.1f} on the average\n",
      results.break_even.tokens, results.break_even.mean_tokens));
  out.write("experts chosen in proportion to 1 / (number + 1)^skew (synthetic), features on the chip\n");
  Table table({"skew", "longest queue", "latency [ms]", "slower by [%]"});
  for (const m3vit::Skewed& row : results.skewed) {
    table.add_row({fmt::format("{:.2f}", row.skew), fmt::format("{:.0f}", row.largest_queue),
                   fmt::format("{:.3f}", row.latency_ms),
                   fmt::format("{:.2f}", percent_off(row.latency_ms, results.skewed.front().latency_ms))});
  }
  out.write(table.text());
  const m3vit::Switch& tasks = results.task_switch;
  out.write(fmt::format("two tasks: {:.3f} and {:.3f} ms alone, {:.3f} ms in turn: switching takes {:.3g} ms\n",
                        tasks.first_ms, tasks.second_ms, tasks.both_ms,
                        tasks.both_ms - tasks.first_ms - tasks.second_ms));
}

ordered_json to_json(const Results& results) {
  ordered_json document = versioned();
  for (const m3vit::Figure& figure : results.table4) {
    document["table4"].push_back(
        {{"name", figure.name}, {"unit", figure.unit}, {"ours", figure.ours}, {"published", figure.published}});
  }
  document["published_dsp_share"] = results.dsp_share;
  document["published_design"] = results.published ? results.published->reason : "it fits";
  for (const m3vit::Step& step : results.ablation) {
    document["ablation"].push_back({{"step", step.name},
                                    {"latency_ms", step.ours_ms},
                                    {"published_ms", step.published_ms},
                                    {"attention_share", step.attention_share},
                                    {"linear_share", step.linear_share}});
  }
  for (const m3vit::Skewed& row : results.skewed) {
    document["skewed"].push_back(
        {{"skew", row.skew}, {"longest_queue", row.largest_queue}, {"latency_ms", row.latency_ms}});
  }
  document["break_even_tokens"] = results.break_even.tokens;
  document["mean_tokens"] = results.break_even.mean_tokens;
  document["task_switch"] = {{"first_ms", results.task_switch.first_ms},
                             {"second_ms", results.task_switch.second_ms},
                             {"both_ms", results.task_switch.both_ms}};
  document["fastest_on_zcu104"] = {{"latency_ms", results.fastest.latency_ms},
                                   {"design", results.fastest.design},
                                   {"designs", results.fastest.designs},
                                   {"feasible", results.fastest.feasible}};
  return document;
}

int reproduce(CommandLine& line, const std::string& pictures) {
  const std::string& directory = line.options.data_directory;
  const Results results{m3vit::table4(directory),           m3vit::published_dsp_share(directory),
                        m3vit::published_design(directory), m3vit::ablation(directory),
                        m3vit::skewed(directory),           m3vit::break_even(),
                        m3vit::task_switch(directory),      m3vit::fastest_on_zcu104(directory)};
  const std::filesystem::path folder(pictures);
  std::filesystem::create_directories(folder);
  write_file_atomically((folder / "experts_even.svg").string(), m3vit::skewed_picture(0.0, directory));
  write_file_atomically((folder / "experts_skewed.svg").string(), m3vit::skewed_picture(kPictureSkew, directory));
  if (line.options.format != Format::table) {
    print(line.out, line.options.format, to_json(results));
    return 0;
  }
  print_table4(line.out, results);
  print_ablation(line.out, results);
  print_queues(line.out, results);
  line.out.write(fmt::format("\npictures: {0}/experts_even.svg, {0}/experts_skewed.svg\n", pictures));
  return 0;
}

}  // namespace

void add_reproduce_m3vit(const Command& program, CommandLine& line) {
  const Command command =
      program.command("m3vit", "mixtures of experts that stream into an FPGA: M3ViT's table 4 and Edge-MoE's ablation");
  const auto pictures = std::make_shared<std::string>("results/m3vit");
  command.option("--pictures", *pictures, "folder for the pictures");
  command.runs(line, [&line, pictures] { return reproduce(line, *pictures); });
}

}  // namespace cosearch::cli
