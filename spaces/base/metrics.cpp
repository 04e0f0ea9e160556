#include "spaces/base/metrics.hpp"

#include <algorithm>
#include <array>

namespace cosearch {
namespace {

constexpr auto kMin = Direction::minimize;
constexpr auto kMax = Direction::maximize;

// Sorted by name. A new metric becomes a typed column of a store when that is next opened for writing.
constexpr std::array kMetrics{
    MetricInfo{"accuracy", kMax, "share of right answers on the held-out search split", true},
    MetricInfo{"area_mm2", kMin, "silicon area"},
    MetricInfo{"cycles", kMin, "clock cycles of one evaluation"},
    MetricInfo{"delta_m", kMax, "mean gain over each task's baseline, a share (M3ViT); networks of several tasks",
               true},
    MetricInfo{"dram_gbps", kMin,
               "bandwidth of the external memory that the latency takes, GB/s: the highest rate of reads and writes"},
    MetricInfo{"edp_nj_s", kMin, "energy-delay product"},
    MetricInfo{"energy_uj", kMin, "energy of one evaluation"},
    MetricInfo{"error", kMin, "1 - accuracy", true},
    MetricInfo{"flash_bytes", kMin, "weights, constants and code in flash"},
    MetricInfo{"latency_ms", kMin, "time of one evaluation"},
    MetricInfo{"macs", kMin, "multiply-accumulates of one evaluation"},
    MetricInfo{"measured_arena_bytes", kMin, "highest byte of the exported program's arena, written in an emulator"},
    MetricInfo{"measured_instructions", kMin, "instructions of one inference of the exported program in an emulator"},
    MetricInfo{"measured_stack_bytes", kMin, "deepest stack of the exported program in an emulator"},
    MetricInfo{"params", kMin, "trainable scalars of the network"},
    MetricInfo{"power_mw", kMin, "energy / latency"},
    MetricInfo{"predicted_error", kMin, "error that the screening predictor expected", true},
    MetricInfo{"rmse", kMin, "root mean squared error of a task that predicts numbers, on the search split", true},
    MetricInfo{"sram_bytes", kMin, "peak of activations and scratch in on-chip memory"},
    MetricInfo{"test_accuracy", kMax, "share of right answers on the test set; final networks only", true},
    MetricInfo{"test_rmse", kMin, "the same on the test set; final networks only", true},
    MetricInfo{"traffic_bytes", kMin, "bytes to and from external memory"},
    MetricInfo{"train_loss", kMin, "mean training loss of the last epoch", true},
    MetricInfo{"utilization", kMax, "useful work / peak work"},
};
static_assert(std::ranges::is_sorted(kMetrics, {}, &MetricInfo::name), "find_metric searches by bisection");

}  // namespace

std::span<const MetricInfo> metric_registry() { return kMetrics; }

std::optional<MetricInfo> find_metric(std::string_view name) {
  const auto* const found = std::lower_bound(kMetrics.begin(), kMetrics.end(), name,
                                             [](const MetricInfo& m, std::string_view n) { return m.name < n; });
  if (found != kMetrics.end() && found->name == name) {
    return *found;
  }
  const auto* const whole = std::find_if(kMetrics.begin(), kMetrics.end(), [name](const MetricInfo& metric) {
    const std::size_t end = metric.name.size();
    return metric.of_training && name.starts_with(metric.name) && name.substr(end).starts_with('_') &&
           is_network_name(name.substr(end + 1));
  });
  return whole == kMetrics.end() ? std::nullopt : std::optional(*whole);
}

bool is_network_name(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && is_letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string network_metric(std::string_view metric, std::string_view network) {
  return network.empty() ? std::string(metric) : std::string(metric) + "_" + std::string(network);
}

}  // namespace cosearch
