#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/mcu/kernel_cycles.hpp"
#include "spaces/program/program.hpp"

namespace cosearch::mcu {

/// A network that coefficients were calibrated on, or compared with.
struct CalibrationRow {
  std::string network;
  double measured_ms = 0.0;
  double relative_error = 0.0;                         ///< (modelled - measured) / measured
  std::optional<double> leave_one_out_relative_error;  ///< predicted by a fit without this row, where that is solvable
  bool held_out = false;                               ///< not in the fit
};

/// One coefficient and the features of a network that it multiplies: `<kernel kind>.macs | outputs | elements`, each
/// with a weight.
struct Term {
  std::string name;
  std::map<std::string, double> features;
  double coefficient = 0.0;
};

/// Where instructions counted in an emulator stand for measured cycles.
struct Emulation {
  std::string core;  ///< whose table of instructions it is
  double cycles_per_instruction = 0.0;
  double held_out_error = 0.0;  ///< relative, of instructions: the worst of the networks that no coefficient knows
};

/// Cycle coefficients of an engine on a board. Where nobody published measurements, those of another board with the
/// same or a similar core stand in, or the engine's pooled rates times the board's pooled scale.
struct CycleModel {
  std::string board;
  std::string engine;
  std::optional<std::pair<std::string, std::string>> assumed_from;  ///< (board, engine) that stands in
  bool pooled = false;  ///< coefficients are the engine's rates times the board's scale; no rows
  std::optional<Emulation>
      emulation;           ///< coefficients are instructions times cycles per instruction; no terms, no rows
  std::string source;      ///< of the measurements, why another stands in, or what was pooled
  double clock_mhz = 0.0;  ///< of the measurements
  std::vector<Term> terms;
  std::vector<CalibrationRow> rows;
  std::map<program::KernelKind, KernelCycles> kinds;  ///< every kind

  /// Number of networks that the coefficients were fitted to.
  [[nodiscard]] std::size_t fitted_rows() const;
};

/// An inference engine: its buffer rules are `program::LoweringOptions`, its size is data.
struct Engine {
  std::string name;
  program::LoweringOptions rules;
  std::int64_t code_bytes = 0;  ///< flash beside weights and per-channel constants
  std::string note;
};

struct CycleTable {
  std::vector<Engine> engines;     ///< in the order of the file
  std::vector<CycleModel> models;  ///< at most one for each board and engine

  /// Null where an engine was not measured on a board and nothing stands in.
  [[nodiscard]] const CycleModel* find(const std::string& board, const std::string& engine) const;
  /// The same where it is known to be there.
  [[nodiscard]] const CycleModel& model(const std::string& board, const std::string& engine) const;
  [[nodiscard]] const Engine& engine(const std::string& name) const;
  /// The engine that says most about a board: one measured on it before one that others stand in for, then the one
  /// fitted to most networks, then the first of the file.
  [[nodiscard]] const Engine& best_calibrated(const std::string& board) const;
};

/// hwmodels/data/mcu_coefficients.json. `core_of_board`: names and cores. Of a board and an engine the first counts: a
/// fit of its own, what was pooled with measurements on both, another pair that stands in, a product of the pooled
/// scale of the board and the pooled rates of the engine, and instructions counted in an emulator. @throws ConfigError,
/// see load_data, and for a board without any model.
[[nodiscard]] CycleTable load_cycle_table(const std::string& data_directory,
                                          const std::map<std::string, std::string>& core_of_board);

/// Rates of every kind under `terms` on a core: what no term names is the file's assumption. They are affine in the
/// terms' coefficients. @throws ConfigError, see load_data, and for a core or a feature that is not known.
[[nodiscard]] std::map<program::KernelKind, KernelCycles> kernel_cycles(const std::vector<Term>& terms,
                                                                        const std::string& core,
                                                                        const std::string& data_directory);

/// The whole data file with `model` (terms and rows) in place of the one for its board and engine, or
/// behind all others. @throws ConfigError, see load_data.
[[nodiscard]] nlohmann::json data_with_model(const CycleModel& model, const std::string& data_directory);

}  // namespace cosearch::mcu
