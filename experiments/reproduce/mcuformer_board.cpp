#include "experiments/reproduce/mcuformer_board.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <variant>

#include "experiments/export/c_network.hpp"
#include "hwmodels/mcu/plan.hpp"
#include "spaces/catalog/registry.hpp"

namespace cosearch::mcuformer {
namespace {

using nlohmann::json;

constexpr std::int64_t kSide = 96;

/// A member of a space; genes that are left out have the first value of their domain.
graph::NetworkGraph member(const std::string& space_name, const json& genes) {
  const auto space = make_space(space_name, json::object(), {{kSide, kSide, 1}, 10});
  return std::get<graph::NetworkGraph>(space->decode(space->params().from_json(genes)));
}

/// Trains, then goes to integers without and with fine-tuning; notes the accuracies.
Expected<quantize::Quantized, Infeasible> learned(const Contestant& contestant, const TaskData& data,
                                                  const BoardOptions& options, const std::stop_token& stop,
                                                  WeightStore& weights, BoardResult& result) {
  const graph::NetworkGraph& network = contestant.network;
  const auto trained = train(network, data, data.test, contestant.recipe, options.seed, weights, {}, stop);
  if (!trained) {
    return Unexpected{trained.error()};
  }
  result.fp32_accuracy = trained->accuracy;
  if (trained->stopped) {
    return quantize::Quantized{*trained, {}};
  }
  const auto to_integers = [&](double fine_tune_epochs) {
    quantize::QuantizeRecipe recipe = options.quantize;
    recipe.fine_tune_epochs = fine_tune_epochs;
    return quantize::quantize_trained(network, data, data.test, contestant.recipe, recipe, options.seed, weights, {},
                                      stop);
  };
  Expected<quantize::Quantized, Infeasible> quantized = to_integers(0.0);
  if (!quantized) {
    return quantized;
  }
  result.int8_accuracy = result.fine_tuned_accuracy = quantized->train.accuracy;
  if (options.quantize.fine_tune_epochs > 0.0 && !quantized->train.stopped) {
    quantized = to_integers(options.quantize.fine_tune_epochs);
    result.fine_tuned_accuracy = quantized ? quantized->train.accuracy : 0.0;
  }
  return quantized;
}

/// Writes the project and runs it where the tools are there.
void emulate(const c_export::Project& project, const BoardOptions& options, BoardResult& result) {
  const std::filesystem::path folder = std::filesystem::path(options.folder) / project.name;
  std::filesystem::create_directories(folder);
  c_export::write_project(project, folder.string());
  result.project = folder.string();
  for (const EmulatedMachine& machine : emulated_machines()) {
    if (machine.name == options.machine) {
      result.missing_packages = missing_packages(machine);
    }
  }
  if (result.missing_packages.empty()) {
    result.emulated = run_in_emulator(folder.string(), options.machine);
  }
}

}  // namespace

std::vector<Contestant> contestants() {
  // Short: minutes for both.
  TrainOptions transformer;
  transformer.epochs = 4;
  transformer.train_samples = 10'000;
  transformer.evaluate_samples = 2000;
  transformer.batch = 32;
  transformer.optimizer = OptimizerKind::adamw;
  transformer.learning_rate = 0.0015;
  transformer.weight_decay = 0.05;
  transformer.flip = true;
  TrainOptions cnn = transformer;
  cnn.learning_rate = 0.004;
  cnn.weight_decay = 0.01;
  json vit{{"patch", 12}, {"embed_dim", 80}, {"depth", 5}, {"rank_attn", 0.6}, {"rank_mlp", 0.6}, {"factors", 2}};
  for (int block = 0; block < 5; ++block) {
    vit[fmt::format("blocks.{}.heads", block)] = 4;
    vit[fmt::format("blocks.{}.mlp_ratio", block)] = 3.0;
  }
  return {{"transformer", "mcu_vit", member("mcu_vit", vit), transformer},
          {"cnn", "mcunet", member("mcunet", {{"resolution", 96}, {"width", 0.4}}), cnn}};
}

Expected<BoardResult, Infeasible> run_on_board(const Contestant& contestant, const TaskData& data,
                                               const BoardOptions& options, const std::stop_token& stop) {
  const graph::NetworkGraph& network = contestant.network;
  c_export::Choice choice;
  choice.board = options.board;
  choice.test_vectors = 1;
  // What does not fit says so before the training.
  const auto plan = c_export::NetworkProject::make(c_export::untrained(contestant.name, network, 0), choice, &data);
  if (!plan) {
    return Unexpected{plan.error()};
  }
  const graph::NodeCounts counts = graph::total_counts(network);
  BoardResult result;
  result.macs = counts.macs;
  result.parameters = counts.parameters;
  result.schedule = mcu::describe(plan->options());
  result.arena_bytes = plan->project().plan.bytes;
  result.constant_bytes = plan->project().program.constant_bytes();

  WeightStore weights = WeightStore::for_network(network, options.seed);
  const Expected<quantize::Quantized, Infeasible> quantized = learned(contestant, data, options, stop, weights, result);
  if (!quantized) {
    return Unexpected{quantized.error()};
  }
  result.stopped = quantized->train.stopped;
  if (result.stopped) {
    return result;
  }
  choice.test_vectors = options.vectors;
  const auto made =
      c_export::NetworkProject::make({contestant.name, network, weights, quantized->ranges}, choice, &data);
  if (!made) {
    return Unexpected{made.error()};
  }
  emulate(made->project(), options, result);
  return result;
}

}  // namespace cosearch::mcuformer
