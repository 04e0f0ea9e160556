// How well a supernet orders the networks of a space: Kendall's tau between the accuracies that they have with its
// weights and those that they reach when each is trained alone, beside the tau of their multiply-accumulates. Writes a
// CSV and a scatter picture. Times are those of this run; the ranks are the same on every run.
#include <fmt/format.h>
#include <fmt/os.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "predictors/rank.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/catalog/registry.hpp"
#include "trainer/supernet/scorer.hpp"
#include "trainer/supernet/supernet.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace)
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string space = "mobile_cnn";
  std::string data = R"({"name": "fashion_mnist"})";
  std::string prefix = "supernet_quality";
  std::uint64_t subnets = 24;
  std::uint64_t seeds = 1;
  std::int64_t samples = 10000;
  std::int64_t evaluate_samples = 0;
  double epochs = 12;
  double alone_epochs = 6;
  std::int64_t random_subnets = 2;
  double distillation = 0.5;
  std::int64_t calibration_samples = 256;
  double learning_rate = 0.004;
  std::int64_t batch = 64;
  int threads = 0;
};

struct Measured {
  graph::NetworkGraph network;
  double macs = 0.0;
  double one_shot = 0.0;
  double alone = 0.0;
};

struct Taus {
  double one_shot = 0.0;
  double macs = 0.0;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

TrainOptions recipe(const Arguments& arguments, double epochs) {
  return {.epochs = epochs,
          .batch = arguments.batch,
          .train_samples = arguments.samples,
          .evaluate_samples = arguments.evaluate_samples,
          .optimizer = OptimizerKind::adamw,
          .learning_rate = arguments.learning_rate,
          .weight_decay = 0.01};
}

std::vector<Measured> drawn(const SubnetSpace& space, std::uint64_t count, std::uint64_t seed) {
  std::vector<Measured> subnets;
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; subnets.size() < count && i < 100 * count; ++i) {
    RngStream rng(seed, Purpose::sample, i);
    graph::NetworkGraph network = space.sample(rng);
    if (seen.insert(graph::hash(network)).second) {
      const auto macs = static_cast<double>(graph::total_counts(network).macs);
      subnets.push_back({std::move(network), macs});
    }
  }
  return subnets;
}

/// Trains the supernet and scores the subnets with its weights.
void score(const Arguments& arguments, const SubnetSpace& space, const TaskData& data, std::uint64_t seed,
           std::vector<Measured>& subnets) {
  Clock::time_point start = Clock::now();
  WeightStore store = make_supernet(space, seed);
  const SupernetOptions options{.train = recipe(arguments, arguments.epochs),
                                .random_subnets = arguments.random_subnets,
                                .distillation = arguments.distillation};
  const auto result = train_supernet(space, data, options, seed, store);
  if (!result) {
    throw std::runtime_error(result.error().reason);
  }
  fmt::print("seed {}: supernet trained in {:.1f} s, loss {:.3f}\n", seed, seconds_since(start), result->train_loss);
  SubnetScorer scorer(std::move(store), data, {arguments.calibration_samples, arguments.evaluate_samples});
  start = Clock::now();
  tbb::parallel_for(std::size_t{0}, subnets.size(), [&](std::size_t i) {
    subnets[i].one_shot = scorer.accuracy(subnets[i].network, data.search).value();
  });
  fmt::print("seed {}: {:.2f} subnet evaluations per second\n", seed,
             static_cast<double>(subnets.size()) / seconds_since(start));
}

void train_alone(const Arguments& arguments, const TaskData& data, std::uint64_t seed, std::vector<Measured>& subnets) {
  const Clock::time_point start = Clock::now();
  tbb::parallel_for(
      std::size_t{0}, subnets.size(),
      [&](std::size_t i) {
        tbb::this_task_arena::isolate([&] {
          const graph::NetworkGraph& network = subnets[i].network;
          const std::uint64_t own = Hasher{}.add(seed).add(graph::hash(network)).value();
          WeightStore store = WeightStore::for_network(network, own);
          const auto result = train(network, data, data.search, recipe(arguments, arguments.alone_epochs), own, store);
          subnets[i].alone = result ? result->accuracy : 0.0;
        });
      },
      tbb::simple_partitioner());
  fmt::print("seed {}: {} networks trained alone in {:.1f} s\n", seed, subnets.size(), seconds_since(start));
  std::fflush(stdout);
}

Taus taus(const std::vector<Measured>& subnets) {
  std::vector<double> macs;
  std::vector<double> one_shot;
  std::vector<double> alone;
  for (const Measured& subnet : subnets) {
    macs.push_back(subnet.macs);
    one_shot.push_back(subnet.one_shot);
    alone.push_back(subnet.alone);
  }
  return {kendall(one_shot, alone), kendall(macs, alone)};
}

void write_csv(const std::string& path, const std::vector<std::vector<Measured>>& runs) {
  fmt::ostream file = fmt::output_file(path);
  file.print("seed,network,macs,one_shot_accuracy,alone_accuracy\n");
  for (std::size_t seed = 0; seed < runs.size(); ++seed) {
    for (const Measured& subnet : runs[seed]) {
      file.print("{},{},{:.0f},{:.6f},{:.6f}\n", seed + 1, hex(graph::hash(subnet.network)), subnet.macs,
                 subnet.one_shot, subnet.alone);
    }
  }
}

/// Accuracy alone against accuracy with shared weights; a colour for each seed.
void write_picture(const std::string& path, const std::string& title, const std::vector<std::vector<Measured>>& runs) {
  constexpr double kSide = 440.0;
  constexpr double kMargin = 60.0;
  const std::vector<std::string> colours{"#4269d0", "#efb118", "#3ca951", "#ff725c"};
  double low_x = 1.0;
  double low_y = 1.0;
  double high_x = 0.0;
  double high_y = 0.0;
  for (const auto& run : runs) {
    for (const Measured& subnet : run) {
      low_x = std::min(low_x, std::floor(subnet.one_shot * 50.0) / 50.0);
      high_x = std::max(high_x, std::ceil(subnet.one_shot * 50.0) / 50.0);
      low_y = std::min(low_y, std::floor(subnet.alone * 50.0) / 50.0);
      high_y = std::max(high_y, std::ceil(subnet.alone * 50.0) / 50.0);
    }
  }
  const auto x_of = [&](double value) { return kMargin + kSide * (value - low_x) / std::max(0.02, high_x - low_x); };
  const auto y_of = [&](double value) {
    return kMargin + kSide * (1.0 - (value - low_y) / std::max(0.02, high_y - low_y));
  };
  fmt::ostream file = fmt::output_file(path);
  file.print(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{0}" font-family="sans-serif" font-size="12">)"
      "\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{1}\" y=\"30\" font-size=\"15\">{2}</text>\n",
      kSide + 2 * kMargin, kMargin, title);
  file.print(R"(<rect x="{0}" y="{0}" width="{1}" height="{1}" fill="none" stroke="#888"/>)"
             "\n",
             kMargin, kSide);
  for (int tick = 0; tick <= 4; ++tick) {
    const double x = low_x + (high_x - low_x) * tick / 4.0;
    const double y = low_y + (high_y - low_y) * tick / 4.0;
    file.print(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{:.3f}</text>)"
               "\n",
               x_of(x), kMargin + kSide + 18, x);
    file.print(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{:.3f}</text>)"
               "\n",
               kMargin - 6, y_of(y) + 4, y);
  }
  file.print(R"(<text x="{0}" y="{1}" text-anchor="middle">accuracy with the supernet's weights</text>)"
             "\n",
             kMargin + kSide / 2, kMargin + kSide + 42);
  file.print(
      R"svg(<text transform="translate(16 {}) rotate(-90)" text-anchor="middle">accuracy trained alone</text>)svg"
      "\n",
      kMargin + kSide / 2);
  for (std::size_t seed = 0; seed < runs.size(); ++seed) {
    for (const Measured& subnet : runs[seed]) {
      file.print(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}" fill-opacity="0.75"/>)"
                 "\n",
                 x_of(subnet.one_shot), y_of(subnet.alone), colours[seed % colours.size()]);
    }
  }
  file.print("</svg>\n");
}

void measure_quality(const Arguments& arguments) {
  const TaskData data = load_task_data(nlohmann::json::parse(arguments.data));
  const std::unique_ptr<SearchSpace> space =
      make_space(arguments.space, nlohmann::json::object(), {data.train.sample, data.train.classes});
  const SubnetSpace subnet_space = make_subnet_space(*space);
  std::vector<std::vector<Measured>> runs;
  Taus mean;
  for (std::uint64_t seed = 1; seed <= arguments.seeds; ++seed) {
    runs.push_back(drawn(subnet_space, arguments.subnets, seed));
    score(arguments, subnet_space, data, seed, runs.back());
    train_alone(arguments, data, seed, runs.back());
    const Taus run = taus(runs.back());
    fmt::print("tau {} seed {} one_shot {:.3f} macs {:.3f} over {} subnets\n", arguments.space, seed, run.one_shot,
               run.macs, runs.back().size());
    std::fflush(stdout);
    mean.one_shot += run.one_shot / static_cast<double>(arguments.seeds);
    mean.macs += run.macs / static_cast<double>(arguments.seeds);
  }
  const std::string title =
      fmt::format("{}: tau {:.2f}, of multiply-accumulates {:.2f}", arguments.space, mean.one_shot, mean.macs);
  fmt::print("mean over {} seeds: {}\n", arguments.seeds, title);
  write_csv(arguments.prefix + ".csv", runs);
  write_picture(arguments.prefix + ".svg", title, runs);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Rank agreement between a supernet and stand-alone training"};
  app.add_option("--space", arguments.space, "of the catalogue, e.g. mobile_cnn or vit")->capture_default_str();
  app.add_option("--data", arguments.data, "data set as in a campaign config")->capture_default_str();
  app.add_option("--out", arguments.prefix, "writes PREFIX.csv and PREFIX.svg")->capture_default_str();
  app.add_option("--subnets", arguments.subnets, "networks of each seed")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  app.add_option("--seeds", arguments.seeds, "repetitions with other networks and weights")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--samples", arguments.samples, "training samples; 0: all")->capture_default_str();
  app.add_option("--evaluate-samples", arguments.evaluate_samples, "scored samples; 0: all")->capture_default_str();
  app.add_option("--epochs", arguments.epochs, "of the supernet")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--alone-epochs", arguments.alone_epochs, "of each network alone")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--random-subnets", arguments.random_subnets, "of a step, beside largest and smallest")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  app.add_option("--distillation", arguments.distillation, "share of the largest network's targets")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--calibration-samples", arguments.calibration_samples, "for batch norms")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--learning-rate", arguments.learning_rate, "AdamW's peak")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch", arguments.batch, "samples of a step")->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--threads", arguments.threads, "0: all cores")->check(CLI::Range(0, 1024))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const int threads = arguments.threads > 0 ? arguments.threads : tbb::info::default_concurrency();
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
  tbb::task_arena arena(threads);
  try {
    arena.execute([&] { measure_quality(arguments); });
  } catch (const std::exception& error) {
    std::cerr << "supernet_quality: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
