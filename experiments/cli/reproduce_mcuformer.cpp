#include "experiments/cli/reproduce_mcuformer.hpp"
#include "experiments/cli/arguments.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "experiments/cli/reproduce_mcuformer_board.hpp"
#include "experiments/cli/table.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/reproduce/mcuformer.hpp"

namespace cosearch::cli {
namespace {

using mcuformer::Accounting;
using mcuformer::BoardLimits;
using mcuformer::BreakEven;
using mcuformer::FitRow;
using mcuformer::LowRankRow;
using mcuformer::TechniqueRow;
using nlohmann::ordered_json;

constexpr double kKibi = 1024.0;
constexpr std::int64_t kPicturePatch = 20;

struct McuformerArguments {
  std::string pictures = "results/mcuformer";
  bool train = false;
  BoardArguments board;
};

std::string kib(std::int64_t bytes) { return fmt::format("{:.1f}", static_cast<double>(bytes) / kKibi); }
std::string yes_or_no(bool value) { return value ? "yes" : "no"; }

void print_accounting(Output& out, const Accounting& sums) {
  out.write(
      "== how MCUFormer counts memory: networks that its authors' search logged, 240 x 240 pixels (100 of 500 rows)\n");
  Table table({"accounting", "against", "equal", "of"});
  const auto number = [](std::int64_t value) { return fmt::format("{}", value); };
  table.add_row({"later code, formula", "log, bytes", number(sums.formula_equal), number(sums.networks)});
  table.add_row({"later code, of our networks", "log, bytes", number(sums.network_equal), number(sums.networks)});
  table.add_row({"first code, of our networks", "formula", number(sums.supernet_equal), number(sums.networks)});
  out.write(table.text());
  out.write(
      fmt::format("first code: formula of the whole rank int(E R), rounded up; with the fraction E R, as that code "
                  "has it, up to {:.1f} bytes more. It was never logged.\n\n",
                  sums.supernet_largest_gap));
  Table legal({"in 320 KB by", "networks", "of"});
  for (const auto& [what, count] : {std::pair{"later code (log)", sums.search_legal},
                                    {"first code", sums.supernet_legal},
                                    {"our plan, weights read in flash", sums.arena_legal},
                                    {"our plan, weights copied to SRAM", sums.arena_copied_legal}}) {
    legal.add_row({what, number(count), number(sums.networks)});
  }
  out.write(legal.text());
  out.write(fmt::format(
      "flash: {:.1f} to {:.1f} M parameters as logged, int8 programs of {:.2f} to {:.2f} MB; within 2 MB (STM32H743): "
      "{} "
      "of {}. On the boards named,\nwith 1 and 2 MB, their weights need external flash, which neither published code "
      "counts.\n",
      static_cast<double>(sums.least_parameters) * 1e-6, static_cast<double>(sums.most_parameters) * 1e-6,
      static_cast<double>(sums.least_flash_bytes) * 1e-6, static_cast<double>(sums.most_flash_bytes) * 1e-6,
      sums.flash_legal, sums.networks));
}

std::string form_of(const LowRankRow& row) {
  return row.factors == 1 ? "dense" : fmt::format("{} factors", row.factors);
}

void print_low_rank(Output& out, const std::vector<LowRankRow>& rows, const std::vector<BreakEven>& layers) {
  out.write(
      "\n== what low rank does: twelve blocks of width 192, four heads, MLP ratio 4; attention's rank a share of "
      "256\n");
  Table table({"patch", "tokens", "layers", "R", "MMAC", "with class token", "of dense [%]", "M weights",
               "of dense [%]", "authors [KiB]", "ours [KiB]", "weights copied [KiB]", "flash [MB]"});
  const LowRankRow* dense = nullptr;
  for (const LowRankRow& row : rows) {
    dense = row.factors == 1 ? &row : dense;
    const auto share = [](std::int64_t of, std::int64_t all) {
      return fmt::format("{:.1f}", 100.0 * static_cast<double>(of) / static_cast<double>(all));
    };
    table.add_row({fmt::format("{}", row.patch), fmt::format("{}", row.tokens), form_of(row),
                   row.factors == 1 ? "-" : fmt::format("{}", row.rank_ratio),
                   fmt::format("{:.1f}", static_cast<double>(row.macs) * 1e-6),
                   fmt::format("{:.1f}", row.class_token_macs * 1e-6), share(row.macs, dense->macs),
                   fmt::format("{:.2f}", static_cast<double>(row.parameters) * 1e-6),
                   share(row.parameters, dense->parameters), kib(row.authors_bytes), kib(row.live_bytes),
                   kib(row.copied_bytes), fmt::format("{:.2f}", static_cast<double>(row.flash_bytes) * 1e-6)});
  }
  Table break_even({"layer", "inputs", "outputs", "two factors: fewer weights below rank", "three factors"});
  for (const BreakEven& layer : layers) {
    break_even.add_row({layer.layer, fmt::format("{}", layer.inputs), fmt::format("{}", layer.outputs),
                        fmt::format("{:.1f}", layer.two_factors), fmt::format("{:.1f}", layer.three_factors)});
  }
  out.write(table.text());
  out.write(
      "MMAC, weights: of the blocks' linear maps and attentions. authors: SRAM as their later code counts it. ours: "
      "the "
      "least that one of our schedules\nhas in use at once, weights read in flash, or copied to SRAM before "
      "each "
      "call (patch embedding and head too: they bound what R can save);\nflash: the whole int8 program.\n\n");
  out.write(break_even.text());
}

void print_techniques(Output& out, const std::vector<TechniqueRow>& rows, const std::vector<FitRow>& fits) {
  out.write(fmt::format(
      "\n== what each technique gives, by our planner: two-factor networks as above, R = {}; each step with those "
      "before it\n",
      mcuformer::kTechniqueRank));
  std::vector<std::string> headers{"patch",         "technique", "arena [B]",          "image to tokens",
                                   "attention [B]", "MLP [B]",   "weights copied [B]", "operations [%]"};
  for (const BoardLimits& board : mcuformer::kBoards) {
    headers.push_back(fmt::format("in {} KB", board.sram_bytes / 1024));
  }
  Table table(headers);
  std::int64_t all = 1;
  for (const TechniqueRow& row : rows) {
    all = row.technique == rows.front().technique ? row.operations : all;
    std::vector<std::string> cells{
        fmt::format("{}", row.patch),
        std::string(row.technique),
        fmt::format("{}", row.arena_bytes),
        fmt::format("{}", row.parts.embedding),
        fmt::format("{}", row.parts.attention),
        fmt::format("{}", row.parts.mlp),
        fmt::format("{}", row.copied_bytes),
        fmt::format("{:.1f}", 100.0 * static_cast<double>(row.operations) / static_cast<double>(all))};
    for (const BoardLimits& board : mcuformer::kBoards) {
      cells.push_back(row.copied_bytes <= board.sram_bytes  ? "yes"
                      : row.arena_bytes <= board.sram_bytes ? "weights in flash"
                                                            : "no");
    }
    table.add_row(cells);
  }
  Table chosen({"patch", "board", "weights", "fits", "arena [B]", "operations", "schedule of the fewest operations"});
  for (const FitRow& fit : fits) {
    chosen.add_row({fmt::format("{}", fit.patch), std::string(fit.board), fit.weights_in_sram ? "copied" : "in flash",
                    yes_or_no(fit.fits), fmt::format("{}", fit.arena_bytes), fmt::format("{}", fit.operations),
                    fit.schedule.empty() ? "layer by layer" : fit.schedule});
  }
  out.write(table.text() + "\n" + chosen.text());
  out.write(
      "image to tokens, attention, MLP: the most bytes in use there, weights in flash. Copied weights are whole "
      "factors, the "
      "patch embedding's and the\nhead's too, which MCUFormer's accounting leaves out. All rows give the same bits.\n");
}

void print_claim(Output& out) {
  out.write(
      "\n== the abstract: 73.62 % of ImageNet in 320 KB on an STM32F746\n"
      "reproduced: both accountings of memory, on the published log; networks of that size in 320 KB of SRAM, by our "
      "own "
      "plans, with weights in\nexternal flash. Not reproduced: the accuracy (ImageNet is not trained here, and the "
      "weights were never released), latencies (the engine\nwas not either), and the tables in the paper's body, which "
      "are not used. --train: accuracy on other data within 320 KB and 1 MB.\n");
}

ordered_json to_json(const Accounting& sums) {
  return {{"networks", sums.networks},
          {"later_formula_equal", sums.formula_equal},
          {"later_network_equal", sums.network_equal},
          {"first_equal", sums.supernet_equal},
          {"first_largest_gap_bytes", sums.supernet_largest_gap},
          {"legal_later", sums.search_legal},
          {"legal_first", sums.supernet_legal},
          {"legal_arena", sums.arena_legal},
          {"legal_arena_weights_copied", sums.arena_copied_legal},
          {"flash_2mb", sums.flash_legal},
          {"least_params", sums.least_parameters},
          {"most_params", sums.most_parameters},
          {"least_flash_bytes", sums.least_flash_bytes},
          {"most_flash_bytes", sums.most_flash_bytes}};
}

ordered_json to_json(const std::vector<LowRankRow>& rows) {
  ordered_json list = ordered_json::array();
  for (const LowRankRow& row : rows) {
    list.push_back({{"patch", row.patch},
                    {"tokens", row.tokens},
                    {"factors", row.factors},
                    {"rank_ratio", row.rank_ratio},
                    {"macs", row.macs},
                    {"macs_with_class_token", row.class_token_macs},
                    {"weights", row.parameters},
                    {"authors_sram_bytes", row.authors_bytes},
                    {"live_bytes", row.live_bytes},
                    {"live_weights_copied_bytes", row.copied_bytes},
                    {"flash_bytes", row.flash_bytes}});
  }
  return list;
}

ordered_json to_json(const std::vector<BreakEven>& layers) {
  ordered_json list = ordered_json::array();
  for (const BreakEven& layer : layers) {
    list.push_back({{"layer", layer.layer},
                    {"inputs", layer.inputs},
                    {"outputs", layer.outputs},
                    {"rank_two_factors", layer.two_factors},
                    {"rank_three_factors", layer.three_factors}});
  }
  return list;
}

ordered_json to_json(const std::vector<TechniqueRow>& rows) {
  ordered_json list = ordered_json::array();
  for (const TechniqueRow& row : rows) {
    list.push_back({{"patch", row.patch},
                    {"technique", row.technique},
                    {"arena_bytes", row.arena_bytes},
                    {"arena_weights_copied_bytes", row.copied_bytes},
                    {"embedding_bytes", row.parts.embedding},
                    {"attention_bytes", row.parts.attention},
                    {"mlp_bytes", row.parts.mlp},
                    {"operations", row.operations}});
  }
  return list;
}

ordered_json to_json(const std::vector<FitRow>& fits) {
  ordered_json list = ordered_json::array();
  for (const FitRow& fit : fits) {
    list.push_back({{"patch", fit.patch},
                    {"board", fit.board},
                    {"weights_in_sram", fit.weights_in_sram},
                    {"fits", fit.fits},
                    {"schedule", fit.schedule},
                    {"arena_bytes", fit.arena_bytes},
                    {"operations", fit.operations}});
  }
  return list;
}

int reproduce(CommandLine& line, const McuformerArguments& arguments) {
  const Accounting sums = mcuformer::account(mcuformer::logged_networks());
  const std::vector<LowRankRow> low_rank = mcuformer::low_rank_rows();
  const std::vector<BreakEven> break_even = mcuformer::break_even_ranks();
  const std::vector<TechniqueRow> techniques = mcuformer::technique_rows();
  const std::vector<FitRow> fits = mcuformer::fit_rows();
  const bool text = line.options.format == Format::table;
  if (text) {
    print_accounting(line.out, sums);
    print_low_rank(line.out, low_rank, break_even);
    print_techniques(line.out, techniques, fits);
    print_claim(line.out);
    line.out.flush();
  }
  const std::filesystem::path folder(arguments.pictures);
  std::filesystem::create_directories(folder);
  const std::string picture = (folder / "techniques.svg").string();
  write_file_atomically(picture, mcuformer::techniques_svg(techniques, kPicturePatch));
  ordered_json document = versioned();
  document["accounting"] = to_json(sums);
  document["low_rank"] = to_json(low_rank);
  document["break_even"] = to_json(break_even);
  document["techniques"] = to_json(techniques);
  document["boards"] = to_json(fits);
  int exit_code = 0;
  if (arguments.train) {
    document["trained"] = board_section(line, arguments.board, exit_code);
  }
  if (text) {
    line.out.write("\npicture: " + picture + "\n");
  } else if (exit_code == 0) {
    print(line.out, line.options.format, document);
  }
  return exit_code;
}

}  // namespace

void add_reproduce_mcuformer(const Command& program, CommandLine& line) {
  const Command command = program.command(
      "mcuformer",
      "transformers on microcontrollers: memory as published, low rank, techniques, and two trained networks");
  const auto arguments = std::make_shared<McuformerArguments>();
  BoardArguments& board = arguments->board;
  command.option("--pictures", arguments->pictures, "folder for the picture");
  command.flag("--train", arguments->train,
               "train a transformer and a CNN on Fashion-MNIST, export them as C and run them in QEMU (minutes)");
  command.option("--epochs", board.epochs, "of the trainings").in(0.001, 1000.0);
  command.option("--train-samples", board.train_samples, "images of an epoch; 0: all")
      .in(std::int64_t{0}, std::int64_t{55'000});
  command.option("--evaluate-samples", board.evaluate_samples, "images of the test split; 0: all")
      .in(std::int64_t{0}, std::int64_t{10'000});
  command.option("--fine-tune-epochs", board.fine_tune_epochs, "under quantisation; 0: none").in(0.0, 1000.0);
  command.option("--to", board.folder, "folder for the C projects");
  command.runs(line, [&line, arguments] { return reproduce(line, *arguments); });
}

}  // namespace cosearch::cli
