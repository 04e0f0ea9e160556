// Complete training steps (forward, loss, backward, SGD with momentum, batch 64) on random inputs, beside the peak rate
// of fused multiply-adds that this machine reaches at the same moment.
#include <fmt/format.h>
#include <tbb/global_control.h>

#include <CLI/CLI.hpp>
#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "spaces/base/config_error.hpp"
#include "tests/peers/networks.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/train/optimizer.hpp"
#include "trainer/train/train.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace): a program, not a header

constexpr std::int64_t kBatch = 64;

double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

using Packet = Eigen::internal::packet_traits<float>::type;

/// Rounds of ten independent fused multiply-adds, which hide the latency of two units. They have names because an array
/// of them is spilled, and a function of their own because a loop around calls spills them too.
[[gnu::noinline]] void fma_rounds(int rounds) {
  using Eigen::internal::pmadd;
  Packet a = Eigen::internal::pset1<Packet>(0.5F);
  asm volatile("" : "+v"(a));  // not a constant in memory
  Packet s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a;
  for (int i = 0; i < rounds; ++i) {
    s0 = pmadd(s0, a, a), s1 = pmadd(s1, a, a), s2 = pmadd(s2, a, a), s3 = pmadd(s3, a, a), s4 = pmadd(s4, a, a);
    s5 = pmadd(s5, a, a), s6 = pmadd(s6, a, a), s7 = pmadd(s7, a, a), s8 = pmadd(s8, a, a), s9 = pmadd(s9, a, a);
    asm volatile(""
                 : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5), "+v"(s6), "+v"(s7), "+v"(s8), "+v"(s9));
  }
}

/// GFLOP/s of one thread.
double fma_peak() {
  constexpr int kRounds = 2'000'000;
  std::vector<double> rates;
  for (int repeat = 0; repeat < 9; ++repeat) {
    const double start = seconds(CLOCK_THREAD_CPUTIME_ID);
    fma_rounds(kRounds);
    constexpr double kFlops = 2.0 * 10.0 * (sizeof(Packet) / sizeof(float)) * kRounds;
    rates.push_back(1e-9 * kFlops / (seconds(CLOCK_THREAD_CPUTIME_ID) - start));
  }
  return median(rates);
}

/// A training that can take steps.
class Steps {
 public:
  Steps(const graph::NetworkGraph& network, Precision precision)
      : network_(network),
        parameters_(network, precision),
        executor_(start(), parameters_, kBatch),
        optimizer_({.learning_rate = 0.01}, parameters_) {
    for (std::int64_t i = 0; i < kBatch; ++i) {
      labels_.push_back(static_cast<std::uint8_t>(i % 10));
    }
    const std::int64_t size = kBatch * sample_size();
    for (std::int64_t i = 0; i < size; ++i) {
      inputs_.push_back(static_cast<float>(i * 7919 % 1000) * 0.002F - 1.0F);
    }
  }

  void run() {
    const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
      std::copy_n(inputs_.data() + first * sample_size(), count * sample_size(), out);
    };
    static_cast<void>(executor_.step(input, labels_, 0.0));
    optimizer_.update(step_++, 0.01, executor_.gradients(), parameters_);
  }

  /// GFLOP of a step: two operations for each multiply-accumulate, three passes.
  [[nodiscard]] double gflop() const {
    return 6e-9 * static_cast<double>(graph::total_counts(network_).macs) * static_cast<double>(kBatch);
  }

 private:
  const graph::NetworkGraph& start() {
    parameters_.load(WeightStore::for_network(network_, 1));
    return network_;
  }
  [[nodiscard]] std::int64_t sample_size() const {
    return graph::elements(std::get<graph::Input>(network_.nodes.front().op).shape);
  }

  graph::NetworkGraph network_;
  Parameters parameters_;
  TrainingExecutor executor_;
  Optimizer optimizer_;
  std::vector<std::uint8_t> labels_;
  std::vector<float> inputs_;
  std::int64_t step_ = 0;
};

struct Timing {
  std::vector<double> wall, cpu;  ///< seconds of a step
};

Timing time_steps(Steps& steps, int repeats) {
  constexpr int kSteps = 2;
  Timing timing;
  for (int i = 0; i < 3; ++i) {
    steps.run();
  }
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const double wall = seconds(CLOCK_MONOTONIC);
    const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < kSteps; ++i) {
      steps.run();
    }
    timing.wall.push_back((seconds(CLOCK_MONOTONIC) - wall) / kSteps);
    timing.cpu.push_back((seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / kSteps);
  }
  return timing;
}

/// One line for each network and number of threads. One thread is judged by its CPU time, more by the wall clock.
void measure(const std::string& name, Precision precision, const std::vector<int>& thread_counts, int repeats,
             double peak) {
  double one_thread_cpu = 0.0;
  for (const int threads : thread_counts) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
    Steps steps(peers::network(name), precision);
    const Timing timing = time_steps(steps, repeats);
    const std::vector<double>& judged = threads == 1 ? timing.cpu : timing.wall;
    const double step = median(judged);
    fmt::print("train {} threads {} samples_per_second {:.0f} best {:.0f} gflops {:.1f} share_of_fma_peak {:.2f}\n",
               name, threads, static_cast<double>(kBatch) / step,
               static_cast<double>(kBatch) / *std::min_element(judged.begin(), judged.end()), steps.gflop() / step,
               steps.gflop() / step / (peak * threads));
    if (threads == 1) {
      one_thread_cpu = median(timing.cpu);
    } else if (one_thread_cpu > 0.0) {
      const double idle = 1.0 - median(timing.cpu) / (static_cast<double>(threads) * median(timing.wall));
      fmt::print("cpu_time {} threads {} over_one_thread {:.3f} idle_share {:.3f}\n", name, threads,
                 median(timing.cpu) / one_thread_cpu, idle);
    }
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> models = peers::network_names();
  std::vector<int> threads = {1, 2};
  int repeats = 7;
  std::string precision = "fp32";
  CLI::App app("Times training steps");
  app.add_option("--models", models, "networks")->delimiter(',')->check(CLI::IsMember(peers::network_names()));
  app.add_option("--threads", threads, "numbers of threads")->delimiter(',')->check(CLI::Range(1, 256));
  app.add_option("--repeats", repeats, "timings of two steps each")->check(CLI::Range(1, 1000));
  app.add_option("--precision", precision, "as in a training recipe");
  CLI11_PARSE(app, argc, argv);
  const double peak = fma_peak();
  fmt::print("fma_peak_gflops {:.1f}\n", peak);
  try {
    const Precision arithmetic = train_options_from_json({{"precision", precision}}).precision;
    for (const std::string& model : models) {
      measure(model, arithmetic, threads, repeats, peak);
    }
  } catch (const ConfigError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
