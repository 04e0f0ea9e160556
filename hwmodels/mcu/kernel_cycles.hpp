#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spaces/base/json_reader.hpp"
#include "spaces/program/program.hpp"

namespace cosearch::mcu {

/// What a kernel call has to do, in the quantities that cycles are counted by. Engines that are known by latencies of
/// whole networks have rates for the first three only; the others tell our own kernels' paths apart.
struct KernelWork {
  double macs = 0.0;
  double outputs = 0.0;   ///< elements written
  double elements = 0.0;  ///< other element operations
  double rows = 0.0;      ///< pixels or tokens of the output, in each group of channels
  /// Rows of windows and elements of windows that are brought together before the products: all of dense convolutions
  /// and patch embeddings; of depthwise convolutions the places of `slow_macs`.
  double window_rows = 0.0, window_elements = 0.0;
  /// MACs off the quick path: linear maps of single rows, whose weights serve one row; depthwise convolutions but for
  /// the pixels of 3 x 3 kernels of 8 bits whose windows lie inside of the image.
  double slow_macs = 0.0;
  double int4_macs = 0.0;  ///< MACs with weights of 4 bits
};
[[nodiscard]] KernelWork work_of(const program::KernelCall& call);

/// Cycles of one kernel kind: the sum of its quantities times these rates.
struct KernelCycles {
  double per_mac = 0.0;
  double per_output = 0.0;
  double per_element = 0.0;
  double per_row = 0.0;
  double per_window_row = 0.0, per_window_element = 0.0;
  double per_slow_mac = 0.0;  ///< beside per_mac
  double per_int4_mac = 0.0;  ///< likewise
  /// From instruction counts of others or from another kind, not from measured networks. (Element operations of engines
  /// that are known by latencies always are.)
  bool assumed = false;
};
[[nodiscard]] double cycles(const program::KernelCall& call, const KernelCycles& cycles);

/// A quantity by its name in features: `macs`, `outputs`, `elements`, `rows`, ...
struct Quantity {
  std::string_view name;
  double KernelWork::*amount;
  double KernelCycles::*rate;
};
[[nodiscard]] std::span<const Quantity> quantities();

/// Names of all kernel kinds, in their order.
[[nodiscard]] std::vector<std::string> kind_names();
/// The kind of that name. @throws ConfigError at `place`.
[[nodiscard]] program::KernelKind kind_of(const JsonReader& place, const std::string& name);
/// Adds `amount` to the rate that `<kernel kind>.<quantity>` names. @throws ConfigError at `place` for another name.
void add_feature(const JsonReader& place, const std::string& feature, double amount,
                 std::map<program::KernelKind, KernelCycles>& kinds);
/// @throws ConfigError at `place` for a kind without rates.
void check_kinds(const JsonReader& place, const std::map<program::KernelKind, KernelCycles>& kinds);

/// The features of a program that terms name, `<kernel kind>.<quantity>`, summed over its calls.
[[nodiscard]] std::map<std::string, double> features(const program::Program& program);

}  // namespace cosearch::mcu
