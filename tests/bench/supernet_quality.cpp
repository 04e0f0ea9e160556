// How well a supernet orders the networks of a space: Kendall's tau between the accuracies that they have with its
// weights and those that they reach when each is trained alone, beside the tau of their multiply-accumulates. The
// networks are drawn once; each is trained alone as often as asked, and the mean counts. The tau between two such
// trainings bounds what any score can reach. Every seed trains one supernet. Writes a CSV and a scatter picture. Times
// are those of this run; the ranks are the same on every run. With --campaign space, tasks and recipes are those of a
// one-shot campaign (alone: of its final stage); an accuracy of several tasks is 1 - their mean error.
#include <fmt/format.h>
#include <fmt/os.h>
#include <fmt/ranges.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "predictors/rank.hpp"
#include "spaces/base/hash.hpp"
#include "tests/bench/supernet_setting.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace)
using Clock = std::chrono::steady_clock;

struct Measured {
  graph::NetworkGraph network;
  double macs = 0.0;
  std::vector<double> alone;     ///< of every repeat
  std::vector<double> one_shot;  ///< of every seed
};

using Column = std::vector<double>;

double mean(const Column& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

template <class Value>
Column column(const std::vector<Measured>& subnets, const Value& value) {
  Column values;
  std::transform(subnets.begin(), subnets.end(), std::back_inserter(values), value);
  return values;
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<Measured> drawn(const SubnetSpace& space, std::uint64_t count, std::uint64_t seed) {
  std::vector<Measured> subnets;
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; subnets.size() < count && i < 100 * count; ++i) {
    RngStream rng(seed, Purpose::sample, i);
    graph::NetworkGraph network = space.sample(rng);
    if (seen.insert(graph::hash(network)).second) {
      const auto macs = static_cast<double>(graph::total_counts(network).macs);
      subnets.push_back({std::move(network), macs, {}, {}});
    }
  }
  return subnets;
}

/// Trains the supernet and scores the subnets with its weights.
void score(const SupernetSetting& setting, std::uint64_t seed, std::vector<Measured>& subnets) {
  Clock::time_point start = Clock::now();
  WeightStore store = make_supernet(setting.space(), seed);
  const auto result = train_supernet(setting.space(), setting.tasks(), setting.together(), seed, store);
  if (!result) {
    throw std::runtime_error(result.error().reason);
  }
  fmt::print("seed {}: supernet trained in {:.1f} s, loss {:.3f}\n", seed, seconds_since(start), result->train_loss);
  SubnetScorer scorer(std::move(store), setting.tasks(), setting.score());
  start = Clock::now();
  tbb::parallel_for(std::size_t{0}, subnets.size(), [&](std::size_t i) {
    subnets[i].one_shot.push_back(mean_accuracy(scorer.scores(subnets[i].network, &TaskData::search).value()));
  });
  fmt::print("seed {}: {:.2f} subnet evaluations per second\n", seed,
             static_cast<double>(subnets.size()) / seconds_since(start));
}

void train_alone(const SupernetSetting& setting, std::uint64_t repeat, std::vector<Measured>& subnets) {
  const Clock::time_point start = Clock::now();
  tbb::parallel_for(
      std::size_t{0}, subnets.size(),
      [&](std::size_t i) {
        tbb::this_task_arena::isolate([&] {
          const graph::NetworkGraph& network = subnets[i].network;
          const std::uint64_t own = Hasher{}.add(repeat).add(graph::hash(network)).value();
          subnets[i].alone.push_back(setting.accuracy_alone(network, own));
        });
      },
      tbb::simple_partitioner());
  fmt::print("repeat {}: {} networks trained alone in {:.1f} s\n", repeat, subnets.size(), seconds_since(start));
  std::fflush(stdout);
}

std::string csv_header(std::size_t repeats, std::size_t seeds) {
  std::string header = "network,macs";
  for (std::size_t i = 1; i <= repeats; ++i) {
    header += fmt::format(",alone_accuracy_{}", i);
  }
  for (std::size_t i = 1; i <= seeds; ++i) {
    header += fmt::format(",one_shot_accuracy_{}", i);
  }
  return header;
}

/// The stand-alone accuracies of a CSV that write_csv() wrote.
void take_alone(const std::string& path, std::vector<Measured>& subnets) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) {
    throw std::runtime_error("cannot read " + path);
  }
  const auto fields_of = [](const std::string& text) {
    std::istringstream split(text);
    std::vector<std::string> fields;
    for (std::string field; std::getline(split, field, ',');) {
      fields.push_back(field);
    }
    return fields;
  };
  const std::vector<std::string> header = fields_of(line);
  std::map<std::string, Column> accuracies;
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = fields_of(line);
    if (fields.size() != header.size()) {
      throw std::runtime_error(
          fmt::format("{}: \"{}\" has not the {} fields of the header", path, line, header.size()));
    }
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (header[i].starts_with("alone_accuracy_")) {
        accuracies[fields[0]].push_back(std::stod(fields[i]));
      }
    }
  }
  for (Measured& subnet : subnets) {
    const auto found = accuracies.find(hex(graph::hash(subnet.network)));
    if (found == accuracies.end()) {
      throw std::runtime_error(path + " lacks network " + hex(graph::hash(subnet.network)));
    }
    subnet.alone = found->second;
  }
}

void write_csv(const std::string& path, const std::vector<Measured>& subnets) {
  fmt::ostream file = fmt::output_file(path);
  file.print("{}\n", csv_header(subnets.front().alone.size(), subnets.front().one_shot.size()));
  for (const Measured& subnet : subnets) {
    file.print("{},{:.0f},{:.6f}{}{:.6f}\n", hex(graph::hash(subnet.network)), subnet.macs,
               fmt::join(subnet.alone, ","), subnet.one_shot.empty() ? "" : ",", fmt::join(subnet.one_shot, ","));
  }
}

/// Accuracy alone against accuracy with shared weights; a colour for each seed.
void write_picture(const std::string& path, const std::string& title, const std::vector<Measured>& subnets) {
  constexpr double kSide = 440.0;
  constexpr double kMargin = 60.0;
  const std::vector<std::string> colours{"#4269d0", "#efb118", "#3ca951", "#ff725c"};
  double low_x = 1.0;
  double low_y = 1.0;
  double high_x = 0.0;
  double high_y = 0.0;
  for (const Measured& subnet : subnets) {
    for (const double one_shot : subnet.one_shot) {
      low_x = std::min(low_x, std::floor(one_shot * 50.0) / 50.0);
      high_x = std::max(high_x, std::ceil(one_shot * 50.0) / 50.0);
    }
    low_y = std::min(low_y, std::floor(mean(subnet.alone) * 50.0) / 50.0);
    high_y = std::max(high_y, std::ceil(mean(subnet.alone) * 50.0) / 50.0);
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
  for (const Measured& subnet : subnets) {
    for (std::size_t seed = 0; seed < subnet.one_shot.size(); ++seed) {
      file.print(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}" fill-opacity="0.75"/>)"
                 "\n",
                 x_of(subnet.one_shot[seed]), y_of(mean(subnet.alone)), colours[seed % colours.size()]);
    }
  }
  file.print("</svg>\n");
}

void measure_quality(const Arguments& arguments, const SupernetSetting& setting) {
  std::vector<Measured> subnets = drawn(setting.space(), arguments.subnets, 1);
  if (arguments.alone_from.empty()) {
    for (std::uint64_t repeat = 1; repeat <= arguments.alone_repeats; ++repeat) {
      train_alone(setting, repeat, subnets);
    }
  } else {
    take_alone(arguments.alone_from, subnets);
  }
  const Column alone = column(subnets, [](const Measured& subnet) { return mean(subnet.alone); });
  const double macs = kendall(column(subnets, [](const Measured& subnet) { return subnet.macs; }), alone);
  if (subnets.front().alone.size() > 1) {
    fmt::print("tau {} between two stand-alone trainings {:.3f}\n", setting.name(),
               kendall(column(subnets, [](const Measured& subnet) { return subnet.alone[0]; }),
                       column(subnets, [](const Measured& subnet) { return subnet.alone[1]; })));
  }
  write_csv(arguments.prefix + ".csv", subnets);
  Column taus;
  for (std::uint64_t seed = arguments.first_seed; seed < arguments.first_seed + arguments.seeds; ++seed) {
    score(setting, seed, subnets);
    const Column one_shot = column(subnets, [](const Measured& subnet) { return subnet.one_shot.back(); });
    taus.push_back(kendall(one_shot, alone));
    fmt::print(
        "tau {} seed {} one_shot {:.3f} macs {:.3f} over {} subnets; mean accuracy {:.3f} one-shot, {:.3f} alone\n",
        setting.name(), seed, taus.back(), macs, subnets.size(), mean(one_shot), mean(alone));
    std::fflush(stdout);
    write_csv(arguments.prefix + ".csv", subnets);
  }
  if (!taus.empty()) {
    const std::string title =
        fmt::format("{}: tau {:.2f}, of multiply-accumulates {:.2f}", setting.name(), mean(taus), macs);
    fmt::print("mean over {} seeds: {}\n", taus.size(), title);
    write_picture(arguments.prefix + ".svg", title, subnets);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Rank agreement between a supernet and stand-alone training"};
  app.add_option("--space", arguments.space, "of the catalogue, e.g. mobile_cnn or vit")->capture_default_str();
  app.add_option("--data", arguments.data, "data set as in a campaign config")->capture_default_str();
  app.add_option("--campaign", arguments.campaign,
                 "config of a one-shot campaign, in place of space, data, recipes and what scores take");
  app.add_option("--out", arguments.prefix, "writes PREFIX.csv and PREFIX.svg")->capture_default_str();
  app.add_option("--alone-from", arguments.alone_from,
                 "CSV of an earlier run: its stand-alone accuracies instead of training again");
  app.add_option("--subnets", arguments.subnets, "networks to rank")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  app.add_option("--seeds", arguments.seeds, "supernets; 0: only the trainings alone")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_option("--first-seed", arguments.first_seed, "of the supernets")->capture_default_str();
  app.add_option("--alone-repeats", arguments.alone_repeats, "trainings of each network alone")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--samples", arguments.samples, "training samples of the supernet; 0: all")->capture_default_str();
  app.add_option("--alone-samples", arguments.alone_samples, "training samples of each network alone; 0: all")
      ->capture_default_str();
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
  app.add_option("--optimizer", arguments.optimizer, "of the supernet")
      ->check(CLI::IsMember({"adamw", "sgd"}))
      ->capture_default_str();
  app.add_option("--alone-learning-rate", arguments.alone_learning_rate, "AdamW's peak alone")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--learning-rate", arguments.learning_rate, "peak in the supernet")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch", arguments.batch, "samples of a step")->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--threads", arguments.threads, "0: all cores")->check(CLI::Range(0, 1024))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const int threads = arguments.threads > 0 ? arguments.threads : tbb::info::default_concurrency();
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
  tbb::task_arena arena(threads);
  try {
    arena.execute([&] {
      const SupernetSetting setting(arguments);
      measure_quality(arguments, setting);
    });
  } catch (const std::exception& error) {
    std::cerr << "supernet_quality: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
