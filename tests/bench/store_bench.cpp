// Queries over a million synthetic trials. Usage: store_bench [--benchmark_...]; COSEARCH_BENCH_TRIALS sets the number.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/store/query.hpp"
#include "experiments/store/store.hpp"
#include "spaces/base/rng.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace): a program, not a header

constexpr std::int64_t kBatch = 10'000;

/// What a trial of an MCU campaign looks like: 24 genes, eight metrics, a third infeasible.
TrialRow synthetic_trial(TrialId id) {
  RngStream rng(1, Purpose::test, static_cast<std::uint64_t>(id));
  TrialRow row;
  row.id = id;
  row.batch = id / kBatch;
  for (int gene = 0; gene < 24; ++gene) {
    row.genome.genes.push_back(static_cast<double>(rng.below(8)));
    row.genes[fmt::format("stages.{}.{}", gene / 4, gene % 4)] = row.genome.genes.back();
  }
  row.network_hash = fmt::format("{:016x}", rng.next_u64());
  row.hardware_hash = fmt::format("{:016x}", rng.next_u64());
  return row;
}

void measure(TrialRow& row) {
  RngStream rng(2, Purpose::test, static_cast<std::uint64_t>(row.id));
  row.pending = false;
  row.metrics = {{"macs", 1e6 + rng.uniform() * 1e8}, {"params", 1e4 + rng.uniform() * 1e6}};
  if (rng.below(3) == 0) {
    row.state = TrialState::infeasible;
    row.violation = row.violated_by = rng.uniform();
    row.violated = "sram_bytes";
    row.reason = "needs 412,160 bytes of SRAM, STM32F746 has 327,680";
    return;
  }
  row.metrics["accuracy"] = 0.5 + 0.5 * rng.uniform();
  row.metrics["error"] = 1.0 - row.metrics["accuracy"];
  row.metrics["latency_ms"] = 100.0 * rng.uniform();
  row.metrics["energy_uj"] = row.metrics["latency_ms"] * 300.0;
  row.metrics["sram_bytes"] = static_cast<double>(rng.below(300'000));
  row.metrics["flash_bytes"] = static_cast<double>(rng.below(1'000'000));
}

std::int64_t fill(Store& store, std::int64_t trials) {
  const std::int64_t campaign = store.create_campaign("synthetic", {}, "0", trials).id;
  const auto start = std::chrono::steady_clock::now();
  for (TrialId first = 0; first < trials; first += kBatch) {
    std::vector<TrialRow> rows;
    for (TrialId id = first; id < std::min(first + kBatch, trials); ++id) {
      rows.push_back(synthetic_trial(id));
    }
    store.insert_pending(campaign, rows);
    for (TrialRow& row : rows) {
      measure(row);
      store.finish(campaign, row);
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "stored {} trials, one transaction each: {:.0f} per second\n", trials,
             static_cast<double>(trials) / seconds.count());
  return campaign;
}

void register_query(const Store& store, std::int64_t campaign, const std::string& where, const std::string& sort,
                    std::optional<std::int64_t> limit) {
  TrialFilter filter;
  filter.where = parse_where(where, {});
  if (!sort.empty()) {
    filter.sort = parse_sort(sort, {});
  }
  filter.limit = limit;
  const std::string name =
      fmt::format("{} | sort {} | {}", where, sort, limit ? fmt::format("limit {}", *limit) : "no limit");
  benchmark::RegisterBenchmark(name.c_str(),
                               [&store, campaign, filter](benchmark::State& state) {
                                 std::size_t rows = 0;
                                 for (auto _ : state) {
                                   rows = store.query(campaign, filter).size();
                                 }
                                 state.counters["rows"] = static_cast<double>(rows);
                               })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

}  // namespace

int main(int argc, char** argv) {
  const char* const asked = std::getenv("COSEARCH_BENCH_TRIALS");
  const std::int64_t trials = asked != nullptr ? std::strtoll(asked, nullptr, 10) : 1'000'000;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("cosearch_store_bench_{}", getpid());
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "bench.db").string();
  std::int64_t campaign = 0;
  {
    Store writer = Store::open_writer(path);
    campaign = fill(writer, trials);
  }
  fmt::print(stderr, "{:.0f} MB\n", static_cast<double>(std::filesystem::file_size(path)) / 1e6);
  {
    const Store store = Store::open_reader(path);
    const std::string where = "latency_ms < 10 and accuracy > 0.9";
    for (const std::int64_t limit : {100, 1000, 10'000}) {
      register_query(store, campaign, where, "latency_ms", limit);
    }
    register_query(store, campaign, where, "-accuracy,latency_ms", 100);
    register_query(store, campaign, where, "latency_ms", std::nullopt);
    register_query(store, campaign, "latency_ms < 90 or state = 'infeasible'", "-energy_uj", 100);
    benchmark::RegisterBenchmark("count | latency_ms < 10 and accuracy > 0.9",
                                 [&](benchmark::State& state) {
                                   TrialFilter filter;
                                   filter.where = parse_where(where, {});
                                   for (auto _ : state) {
                                     benchmark::DoNotOptimize(store.count(campaign, filter));
                                   }
                                 })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
  }
  std::filesystem::remove_all(folder);
  return 0;
}
