#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/config/campaign.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/run/runner.hpp"
#include "experiments/store/query.hpp"
#include "experiments/store/store.hpp"
#include "spaces/base/hash.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;

// Fixed: the signature is a fact about the program, not about a config.
constexpr std::string_view kConfig = R"json({
  "name": "selfcheck",
  "seed": 7,
  "dataset": {"name": "synthetic", "height": 12, "width": 12, "channels": 1, "classes": 4,
              "train": 192, "search": 96, "test": 96, "seed": 3},
  "space": {"name": "hybrid"},
  "target": {"name": "cortex_m"},
  "objectives": ["error", "latency_ms"],
  "accuracy": {"epochs": 1, "batch": 32},
  "screen": {"predictor": "ridge", "share": 0.5, "warmup": 4},
  "search": {"algorithm": "nsga2", "population": 12},
  "budget": {"evaluations": 36, "trainings": 10},
  "final": {"top": 1, "epochs": 2}
})json";

class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_((std::filesystem::temp_directory_path() / "cosearch-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) {
      throw std::runtime_error(fmt::format("{}: cannot be made: {}", path_, std::strerror(errno)));
    }
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

void add(Hasher& hasher, const Metrics& metrics) {
  for (const auto& [name, value] : metrics) {
    hasher.add(name).add(value);
  }
}

/// Over everything that is stored of the trials and final trainings, durations excepted.
std::uint64_t signature(const Store& store, std::int64_t campaign) {
  Hasher hasher;
  for (const TrialRow& row : store.trials(campaign)) {
    hasher.add(row.id).add(row.batch).add(hash(row.genome)).add(row.genes.dump()).add(state_text(row));
    hasher.add(static_cast<int>(row.fidelity.kind)).add(row.fidelity.epochs);
    add(hasher, row.metrics);
    hasher.add(row.violation).add(row.violated).add(row.violated_by).add(row.reason);
    hasher.add(row.network_hash).add(row.hardware_hash);
  }
  for (const FinalRow& row : store.finals(campaign)) {
    hasher.add(row.trial);
    add(hasher, row.metrics);
  }
  return hasher.value();
}

struct CheckedRun {
  bool stopped = false;
  std::uint64_t signature = 0;
};

CheckedRun run_once(const Campaign& campaign, int threads, std::stop_token stop) {
  const TemporaryDirectory directory;
  Store store = Store::open_writer(directory.path() + "/selfcheck.db");
  const CampaignRow row =
      store.create_campaign(campaign.name, campaign.resolved, config_hash(campaign), campaign.evaluations);
  RunOptions options;
  options.threads = threads;
  options.quiet = true;
  const RunOutcome outcome =
      run_campaign(campaign, load_campaign_data(campaign), store, row.id, options, std::move(stop));
  return {outcome == RunOutcome::stopped, signature(store, row.id)};
}

int selfcheck(CommandLine& line) {
  StopSignals signals;
  const Campaign campaign = campaign_from_json(parse_json(kConfig, "selfcheck"));
  constexpr std::array<int, 2> kThreads{1, 2};
  Records records{"runs", {"threads", "signature"}, {}};
  for (const int threads : kThreads) {
    const CheckedRun checked = run_once(campaign, threads, signals.token());
    if (checked.stopped) {
      return signals.exit_code();
    }
    records.rows.push_back({threads, hex(checked.signature)});
  }
  const json& first = records.rows.front().back();
  const json& second = records.rows.back().back();
  if (first != second) {
    throw std::runtime_error(fmt::format("selfcheck failed: signature {} with 1 thread, {} with 2",
                                         first.get<std::string>(), second.get<std::string>()));
  }
  if (line.options.format == Format::table) {
    line.out.write(fmt::format("signature {}\n", first.get<std::string>()));
  } else {
    print(line.out, line.options.format, records);
  }
  return 0;
}

}  // namespace

void add_selfcheck_command(const Command& program, CommandLine& line) {
  const Command command = program.command(
      "selfcheck", "run a tiny fixed campaign with 1 and 2 threads; prints the signature that both must have");
  command.runs(line, [&line] { return selfcheck(line); });
}

}  // namespace cosearch::cli
