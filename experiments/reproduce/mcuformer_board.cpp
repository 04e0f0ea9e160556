#include "experiments/reproduce/mcuformer_board.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <variant>

#include "experiments/export/c/project.hpp"
#include "hwmodels/mcu/plan.hpp"
#include "spaces/catalog/registry.hpp"
#include "spaces/program/variants.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/quantize/interpreter.hpp"
#include "trainer/train/batch_sequence.hpp"

namespace cosearch::mcuformer {
namespace {

using nlohmann::json;

constexpr std::int64_t kSide = 96;
/// Left for the stack and for variables outside of the arena; the linker has the last word.
constexpr std::int64_t kReservedSram = 8 * 1024;

/// A member of a space; genes that are left out have the first value of their domain.
graph::NetworkGraph member(const std::string& space_name, const json& genes) {
  const auto space = make_space(space_name, json::object(), {{kSide, kSide, 1}, 10});
  return std::get<graph::NetworkGraph>(space->decode(space->params().from_json(genes)));
}

Expected<program::PlannedProgram, Infeasible> planned(const graph::NetworkGraph& network, const BoardLimits& limits) {
  const std::int64_t room = limits.sram_bytes - kReservedSram;
  Expected<program::PlannedProgram, std::string> found =
      program::fit_program(network, program::cosearch_options(), room);
  if (!found) {
    return Unexpected{Infeasible{{}, found.error()}};
  }
  if (found->plan.bytes > room) {
    return Unexpected{Infeasible{{},
                                 fmt::format("the arena of {} bytes is {} too large for {}", found->plan.bytes,
                                             found->plan.bytes - room, limits.name)}};
  }
  if (const std::int64_t flash = found->program.constant_bytes(); flash > limits.flash_bytes) {
    return Unexpected{Infeasible{
        {}, fmt::format("weights of {} bytes are {} too many for {}", flash, flash - limits.flash_bytes, limits.name)}};
  }
  return *std::move(found);
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

/// The first images of the test split with what the interpreter makes of them.
std::vector<c_export::TestVector> test_vectors(const program::Program& program,
                                               const quantize::QuantizedNetwork& network, const TaskData& data,
                                               int count) {
  const graph::Shape& shape = std::get<graph::Input>(network.graph.nodes.front().op).shape;
  const BatchSpec spec = plain_batches(shape, data);
  quantize::Interpreter interpreter(program, network);
  std::vector<c_export::TestVector> vectors;
  for (std::int64_t image = 0; image < std::min<std::int64_t>(count, data.test.size()); ++image) {
    std::vector<float> values(static_cast<std::size_t>(graph::elements(shape)));
    fill_batch(data.test, spec, std::span(&image, 1), values.data());
    std::vector<std::int8_t> input(values.size());
    std::transform(values.begin(), values.end(), input.begin(), [&](float value) {
      return quantize::quantized(static_cast<double>(value), network.values.front());
    });
    std::vector<std::int8_t> output = interpreter.run(input);
    vectors.push_back({std::move(input), std::move(output)});
  }
  return vectors;
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
  Expected<program::PlannedProgram, Infeasible> plan = planned(network, options.limits);
  if (!plan) {
    return Unexpected{plan.error()};
  }
  const graph::NodeCounts counts = graph::total_counts(network);
  BoardResult result;
  result.macs = counts.macs;
  result.parameters = counts.parameters;
  result.schedule = mcu::describe(plan->options);
  result.arena_bytes = plan->plan.bytes;
  result.constant_bytes = plan->program.constant_bytes();

  WeightStore weights = WeightStore::for_network(network, options.seed);
  const Expected<quantize::Quantized, Infeasible> quantized = learned(contestant, data, options, stop, weights, result);
  if (!quantized) {
    return Unexpected{quantized.error()};
  }
  result.stopped = quantized->train.stopped;
  if (result.stopped) {
    return result;
  }
  const quantize::QuantizedNetwork integers = quantize::quantize(network, weights, quantized->ranges);
  const std::vector<c_export::TestVector> vectors = test_vectors(plan->program, integers, data, options.vectors);
  emulate({contestant.name,
           plan->program,
           plan->plan,
           &integers,
           vectors,
           {options.limits.sram_bytes, options.limits.flash_bytes}},
          options, result);
  return result;
}

}  // namespace cosearch::mcuformer
