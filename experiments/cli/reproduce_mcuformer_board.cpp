#include "experiments/cli/reproduce_mcuformer_board.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <tbb/global_control.h>
#include <tbb/info.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "experiments/cli/stop_signals.hpp"
#include "experiments/cli/table.hpp"
#include "experiments/reproduce/mcuformer_board.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {
namespace {

using mcuformer::BoardOptions;
using mcuformer::BoardResult;
using mcuformer::Contestant;
using nlohmann::ordered_json;

/// The one of the abstract.
constexpr std::string_view kBoard = "f746";

void apply(const BoardArguments& arguments, Contestant& contestant) {
  TrainOptions& recipe = contestant.recipe;
  recipe.epochs = arguments.epochs.value_or(recipe.epochs);
  recipe.train_samples = arguments.train_samples.value_or(recipe.train_samples);
  recipe.evaluate_samples = arguments.evaluate_samples.value_or(recipe.evaluate_samples);
}

/// SRAM that the emulator saw in use: the arena to its high-water mark, variables and the stack.
std::int64_t sram_of(const EmulatorReport& report) {
  return report.arena_bytes + report.data_bytes + report.bss_bytes + report.stack_bytes;
}
std::int64_t flash_of(const EmulatorReport& report) {
  return report.code_bytes + report.weight_bytes + report.data_bytes;
}

ordered_json to_json(const Contestant& contestant, const BoardOptions& options, const BoardResult& result) {
  ordered_json row{{"network", contestant.name},
                   {"space", contestant.space},
                   {"recipe", cosearch::to_json(contestant.recipe)},
                   {"macs", result.macs},
                   {"params", result.parameters},
                   {"fp32_accuracy", result.fp32_accuracy},
                   {"int8_accuracy", result.int8_accuracy},
                   {"int8_fine_tuned_accuracy", result.fine_tuned_accuracy},
                   {"planned_arena_bytes", result.arena_bytes},
                   {"planned_constant_bytes", result.constant_bytes},
                   {"schedule", result.schedule},
                   {"project", result.project},
                   {"machine", options.machine},
                   {"missing_packages", result.missing_packages},
                   {"emulator", nullptr}};
  if (result.emulated) {
    const EmulatorReport& report = *result.emulated;
    row["emulator"] = {
        {"arena_bytes", report.arena_bytes},
        {"sram_bytes", sram_of(report)},
        {"flash_bytes", flash_of(report)},
        {"instructions", report.instructions},
        {"vectors", report.vectors},
        {"vectors_equal", report.passed},
        {"fits", sram_of(report) <= options.board.sram_bytes && flash_of(report) <= options.board.flash_bytes}};
  }
  return row;
}

void print_rows(Output& out, const ordered_json& rows, const BoardOptions& options) {
  out.write(
      fmt::format("\n== a transformer and a CNN on {} ({} KB SRAM, {} KB flash): Fashion-MNIST at 96 x 96, not the "
                  "paper's ImageNet; "
                  "both chosen by hand\n",
                  options.board.part, options.board.sram_bytes / 1024, options.board.flash_bytes / 1024));
  Table accuracy({"network", "space", "MACs", "params", "fp32 [%]", "int8 [%]", "int8 fine-tuned [%]"});
  Table memory({"network", "arena planned [B]", "arena emulated [B]", "SRAM emulated [B]", "flash emulated [B]",
                "instructions", "bits equal", "fits"});
  const auto percent = [](const ordered_json& share) { return fmt::format("{:.2f}", 100.0 * share.get<double>()); };
  for (const ordered_json& row : rows) {
    accuracy.add_row({row["network"], row["space"], row["macs"].dump(), row["params"].dump(),
                      percent(row["fp32_accuracy"]), percent(row["int8_accuracy"]),
                      percent(row["int8_fine_tuned_accuracy"])});
    const ordered_json& report = row["emulator"];
    const auto figure = [&](const char* key) { return report.is_null() ? std::string("-") : report[key].dump(); };
    memory.add_row({row["network"], row["planned_arena_bytes"].dump(), figure("arena_bytes"), figure("sram_bytes"),
                    figure("flash_bytes"), figure("instructions"),
                    report.is_null() ? "-" : figure("vectors_equal") + " of " + figure("vectors"),
                    report.is_null() ? "-" : (report["fits"].get<bool>() ? "yes" : "no")});
  }
  out.write(accuracy.text() + memory.text());
  for (const ordered_json& row : rows) {
    if (!row["missing_packages"].empty()) {
      out.write(fmt::format("{} did not run in the emulator: apt-get install {}\n", row["network"].get<std::string>(),
                            fmt::join(row["missing_packages"].get<std::vector<std::string>>(), " ")));
    }
  }
  out.write("SRAM: arena to its high-water mark, variables, stack; instructions of " + options.machine +
            " in QEMU, which counts no cycles\n");
}

}  // namespace

ordered_json board_section(CommandLine& line, const BoardArguments& arguments, int& exit_code) {
  const int threads = line.options.threads > 0 ? line.options.threads : tbb::info::default_concurrency();
  const StopSignals signals;
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
  const TaskData data = load_task_data({{"name", "fashion_mnist"}});
  const std::vector<mcu::Board> boards = mcu::load_boards(line.options.data_directory);
  const auto board = std::find_if(boards.begin(), boards.end(), [](const mcu::Board& b) { return b.name == kBoard; });
  if (board == boards.end()) {
    throw ConfigError("--data-dir", fmt::format("its boards have no {}", kBoard));
  }
  BoardOptions options;
  options.board = *board;
  options.quantize.fine_tune_epochs = arguments.fine_tune_epochs;
  options.folder = arguments.folder;
  ordered_json rows = ordered_json::array();
  for (Contestant contestant : mcuformer::contestants()) {
    apply(arguments, contestant);
    const auto result = mcuformer::run_on_board(contestant, data, options, signals.token());
    if (!result) {
      throw std::runtime_error(fmt::format("{} on {}: {}", contestant.name, options.board.part, result.error().reason));
    }
    if (result->stopped) {
      exit_code = signals.exit_code();
      return rows;
    }
    rows.push_back(to_json(contestant, options, *result));
  }
  if (line.options.format == Format::table) {
    print_rows(line.out, rows, options);
  }
  return rows;
}

}  // namespace cosearch::cli
