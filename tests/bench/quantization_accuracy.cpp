// What int8 and int4 cost in accuracy: the network of a campaign's config is trained by the recipe of its final stage,
// then quantised by each rule of ranges, without and with fine-tuning. All accuracies are of integers, by the
// interpreter, on the test split; those of rows "float" are of the trained network itself.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "spaces/catalog/registry.hpp"
#include "trainer/quantize/quantized_training.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace): a program, not a header

struct Arguments {
  std::string config = "experiments/configs/resnet8.json";
  std::vector<std::int64_t> bits = {8, 4};
  std::uint64_t seed = 1;
  double epochs = 0;
  std::int64_t train_samples = 0;
  std::int64_t evaluate_samples = 0;
  double fine_tune_epochs = quantize::QuantizeRecipe{}.fine_tune_epochs;
  double fine_tune_rate = quantize::QuantizeRecipe{}.fine_tune_rate;
};

void add_options(CLI::App& app, Arguments& arguments) {
  app.add_option("--config", arguments.config, "a campaign; the first of its networks counts")->capture_default_str();
  app.add_option("--bits", arguments.bits, "of the weights, each 8 or 4")->delimiter(',')->capture_default_str();
  app.add_option("--seed", arguments.seed, "of weights and batches")->capture_default_str();
  app.add_option("--epochs", arguments.epochs, "of the training; 0: as the config says");
  app.add_option("--train-samples", arguments.train_samples, "0: as the config says");
  app.add_option("--evaluate-samples", arguments.evaluate_samples, "of the test split; 0: all");
  app.add_option("--fine-tune-epochs", arguments.fine_tune_epochs, "")->capture_default_str();
  app.add_option("--fine-tune-rate", arguments.fine_tune_rate, "of the recipe's learning rate")->capture_default_str();
}

graph::NetworkGraph with_bits(graph::NetworkGraph network, std::int64_t bits) {
  for (graph::Node& node : network.nodes) {
    std::visit(
        [bits](auto& op) {
          if constexpr (requires { op.weight_bits; }) {
            op.weight_bits = bits;
          }
        },
        node.op);
  }
  return network;
}

void print(const std::string& what, double accuracy, double reference) {
  fmt::print("{:44} {:7.2f} % {:+6.2f}\n", what, 100.0 * accuracy, 100.0 * (accuracy - reference));
  std::fflush(stdout);
}

nlohmann::json section(nlohmann::json json, const std::vector<std::string>& without) {
  for (const std::string& key : without) {
    json.erase(key);
  }
  return json;
}

void run(const Arguments& arguments) {
  std::ifstream file(arguments.config);
  const nlohmann::json config = nlohmann::json::parse(file, nullptr, true, /*ignore_comments=*/true);
  const nlohmann::json& about = config.at("space");
  const auto space =
      make_space(about.at("name"), section(about, {"name", "genes", "initial"}), task_shape_of(config.at("dataset")));
  const auto network = std::get<graph::NetworkGraph>(
      space->decode(space->params().from_json(about.value("genes", nlohmann::json::object()))));
  const TaskData data = load_task_data(config.at("dataset"));
  TrainOptions options = train_options_from_json(section(config.at("final"), {"top", "initialise", "quantize"}));
  options.epochs = arguments.epochs > 0 ? arguments.epochs : options.epochs;
  options.train_samples = arguments.train_samples > 0 ? arguments.train_samples : options.train_samples;
  options.evaluate_samples = arguments.evaluate_samples;
  WeightStore trained = WeightStore::for_network(network, arguments.seed);
  const double reference = train(network, data, data.test, options, arguments.seed, trained).value().accuracy;
  print(fmt::format("{} float", network.name), reference, reference);
  for (const std::int64_t bits : arguments.bits) {
    const graph::NetworkGraph narrow = with_bits(network, bits);
    for (const std::string& rule : quantize::range_rule_names()) {
      quantize::QuantizeRecipe recipe = quantize::quantize_recipe_from_json({{"rule", rule}});
      recipe.fine_tune_epochs = arguments.fine_tune_epochs;
      recipe.fine_tune_rate = arguments.fine_tune_rate;
      WeightStore weights = trained;
      const quantize::Quantized plain =
          quantize::quantize_trained(narrow, data, data.test, options, {recipe.ranges, 0.0}, arguments.seed, weights)
              .value();
      print(fmt::format("weights of {} bits, {}", bits, rule), plain.train.accuracy, reference);
      const quantize::Quantized tuned =
          quantize::quantize_trained(narrow, data, data.test, options, recipe, arguments.seed, weights).value();
      print(fmt::format("weights of {} bits, {}, fine-tuned", bits, rule), tuned.train.accuracy, reference);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Accuracy of quantised networks");
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
