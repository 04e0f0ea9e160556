// What the arithmetic of a training costs in accuracy: the same networks, data and seeds trained with each precision
// that this machine has. Every training's accuracy, then their mean and standard deviation over the seeds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "spaces/base/config_error.hpp"
#include "tests/peers/networks.hpp"
#include "trainer/train/train.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace): a program, not a header

struct Arguments {
  std::vector<std::string> models = {"small_cnn_28"};
  std::vector<std::string> precisions = {"fp32", "bf16", "fp16_mcu", "fp16_mcu_fp32_accumulate"};
  std::string data = R"({"name": "fashion_mnist"})";
  std::string recipe = "{}";
  std::uint64_t seeds = 3;
  std::int64_t samples = 10000;
  double epochs = 5;
};

void add_options(CLI::App& app, Arguments& arguments) {
  app.add_option("--models", arguments.models, "networks")
      ->delimiter(',')
      ->check(CLI::IsMember(peers::network_names()));
  app.add_option("--precisions", arguments.precisions, "as in a training recipe")->delimiter(',');
  app.add_option("--data", arguments.data, "a data set, as in a configuration file");
  app.add_option("--recipe", arguments.recipe, "a training recipe, as in a configuration file");
  app.add_option("--seeds", arguments.seeds, "trainings with each precision")->check(CLI::Range(1, 1000));
  app.add_option("--samples", arguments.samples, "of the training split; 0: all");
  app.add_option("--epochs", arguments.epochs, "of each training");
}

/// The accuracy on the test split; that of a diverged training is NaN.
double trained_accuracy(const graph::NetworkGraph& network, const TaskData& data, const TrainOptions& options,
                        std::uint64_t seed) {
  WeightStore store = WeightStore::for_network(network, seed);
  const auto result = train(network, data, data.test, options, seed, store);
  return result ? result->accuracy : std::nan("");
}

void measure(const Arguments& arguments, const TaskData& data, const std::string& model, const TrainOptions& options,
             const std::string& precision) {
  const graph::NetworkGraph network = peers::network(model);
  std::vector<double> accuracies;
  double sum = 0.0;
  for (std::uint64_t seed = 1; seed <= arguments.seeds; ++seed) {
    accuracies.push_back(trained_accuracy(network, data, options, seed));
    sum += accuracies.back();
    fmt::print("training {} {} seed {} accuracy {:.4f}\n", model, precision, seed, accuracies.back());
    std::fflush(stdout);
  }
  const auto count = static_cast<double>(accuracies.size());
  const double mean = sum / count;
  double squares = 0.0;
  for (const double accuracy : accuracies) {
    squares += (accuracy - mean) * (accuracy - mean);
  }
  fmt::print("accuracy {} {} mean {:.4f} deviation {:.4f} seeds {}\n", model, precision, mean,
             accuracies.size() > 1 ? std::sqrt(squares / (count - 1.0)) : 0.0, accuracies.size());
}

void run(const Arguments& arguments) {
  const TaskData data = load_task_data(nlohmann::json::parse(arguments.data));
  for (const std::string& model : arguments.models) {
    for (const std::string& precision : arguments.precisions) {
      nlohmann::json recipe = nlohmann::json::parse(arguments.recipe);
      recipe["precision"] = precision;
      recipe["epochs"] = arguments.epochs;
      recipe["train_samples"] = arguments.samples;
      try {
        measure(arguments, data, model, train_options_from_json(recipe), precision);
      } catch (const ConfigError& error) {
        if (precision != "bf16" || error.place() != "/precision") {
          throw;
        }
        fmt::print("accuracy {} bf16: {}\n", model, error.what());  // not every CPU has it
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Accuracy of trainings in each arithmetic");
  add_options(app, arguments);
  CLI11_PARSE(app, argc, argv);
  try {
    run(arguments);
  } catch (const std::exception& error) {  // of the configuration
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
