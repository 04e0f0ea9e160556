#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "experiments/measure/emulator.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/graph/graph.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/quantize/quantized_training.hpp"
#include "trainer/train/train.hpp"

/// A transformer of MCUFormer's kind and a CNN of MCUNet's under the limits of one board: trained, brought to int8,
/// planned, exported as C and run in the emulator.
namespace cosearch::mcuformer {

struct Contestant {
  std::string name;
  std::string space;  ///< that the network is of
  graph::NetworkGraph network;
  TrainOptions recipe;
};
/// For 96 x 96 grey images of 10 classes. Chosen by hand, not by a search: of similar time to train, far from the
/// limits of flash.
[[nodiscard]] std::vector<Contestant> contestants();

struct BoardOptions {
  mcu::Board board;                   ///< whose memory is the limit
  std::string machine = "cortex-m7";  ///< one of emulated_machines()
  quantize::QuantizeRecipe quantize;
  std::uint64_t seed = 1;
  std::int64_t vectors = 4;  ///< images of the test split that run in the emulator
  std::string folder;        ///< for the C projects; made where it does not exist
};

struct BoardResult {
  bool stopped = false;  ///< a stop was requested: the rest is not a result
  std::int64_t macs = 0;
  std::int64_t parameters = 0;
  double fp32_accuracy = 0.0;
  double int8_accuracy = 0.0;                 ///< after training
  double fine_tuned_accuracy = 0.0;           ///< int8, after fine-tuning under quantisation
  std::string schedule;                       ///< of the program that fits; empty: every layer runs as a whole
  std::int64_t arena_bytes = 0;               ///< as planned
  std::int64_t constant_bytes = 0;            ///< weights and their constants, as planned
  std::string project;                        ///< folder of the C project
  std::vector<std::string> missing_packages;  ///< without which nothing ran in the emulator
  std::optional<EmulatorReport> emulated;
};

/// Accuracies are on the test split, `recipe.evaluate_samples` of it; images are resized to the network's. The program
/// is the one that c_export::NetworkProject takes for the board; the C project is linked against both limits.
/// Infeasible: the training diverged; arena or weights do not fit, which is known before the training.
/// @throws ConfigError, std::runtime_error as train() and run_in_emulator().
[[nodiscard]] Expected<BoardResult, Infeasible> run_on_board(const Contestant& contestant, const TaskData& data,
                                                             const BoardOptions& options,
                                                             const std::stop_token& stop = {});

}  // namespace cosearch::mcuformer
