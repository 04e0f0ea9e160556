#include "tests/hwmodels/mcu/instruction_fit.hpp"

#include <string_view>

#include "hwmodels/mcu/kernel_cycles.hpp"
#include "predictors/least_squares.hpp"
#include "tests/hwmodels/mcu/instruction_cases.hpp"

namespace cosearch::testing {
namespace {

using program::KernelKind;

/// What the kernels of a kind are seen to depend on.
std::vector<std::string> quantities_of(KernelKind kind) {
  switch (kind) {
    case KernelKind::conv2d:
      return {"macs", "outputs", "elements", "window_rows", "window_elements", "int4_macs"};
    case KernelKind::depthwise_conv2d:
      return {"macs", "outputs", "elements", "rows", "window_elements", "slow_macs", "int4_macs"};
    case KernelKind::patch_embed:
      return {"macs", "outputs", "window_rows", "window_elements", "int4_macs"};
    case KernelKind::pointwise_conv2d:
    case KernelKind::fully_connected:
      return {"macs", "outputs", "elements", "rows", "slow_macs", "int4_macs"};
    case KernelKind::attention_scores:
    case KernelKind::attention_context:
      return {"macs", "outputs", "rows"};
    case KernelKind::max_pool:
    case KernelKind::average_pool:
    case KernelKind::global_average_pool:
    case KernelKind::add:
      return {"elements", "outputs"};
    case KernelKind::activation:
    case KernelKind::position_embed:
      return {"elements"};
    case KernelKind::softmax:
    case KernelKind::batch_norm:
    case KernelKind::layer_norm:
    case KernelKind::concat:
    case KernelKind::upsample:
    case KernelKind::token_embed:
    case KernelKind::read_input:
      return {"elements", "rows"};
    case KernelKind::mixture:
      return {"macs", "outputs", "elements", "rows"};
  }
  return {};
}

/// Features of the calls that a case measures.
std::map<std::string, double> case_features(const InstructionCase& measured) {
  program::Program part = program_of(measured);
  const auto calls = measured_calls(measured, part);
  part.calls = std::vector(calls.begin(), calls.end());
  return mcu::features(part);
}

void fit_kind(KernelKind kind, const CaseInstructions& measured, InstructionFit& fit) {
  const std::string prefix = std::string(program::kind_name(kind)) + ".";
  const std::vector<std::string> quantities = quantities_of(kind);
  std::vector<std::vector<double>> rows;
  std::vector<double> targets;
  const std::size_t before = fit.left_out.size();
  for (const InstructionCase& known : instruction_cases()) {
    if (known.held_out || known.name.rfind(prefix.substr(0, prefix.size() - 1) + " ", 0) != 0) {
      continue;
    }
    const std::map<std::string, double> features = case_features(known);
    rows.emplace_back();
    for (const std::string& quantity : quantities) {
      rows.back().push_back(features.at(prefix + quantity));
    }
    targets.push_back(measured.at(known.name));
    fit.left_out.push_back({known.name, targets.back()});
  }
  const LinearFit linear = fit_relative(rows, targets, true);
  for (std::size_t i = 0; i < quantities.size(); ++i) {
    if (linear.coefficients[i] > 0.0) {
      fit.coefficients[prefix + quantities[i]] = linear.coefficients[i];
    }
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    fit.left_out[before + i].predicted = targets[i] * (1.0 + linear.leave_one_out_relative_errors[i]);
  }
}

}  // namespace

InstructionFit fit_instructions(const CaseInstructions& measured) {
  InstructionFit fit;
  for (const KernelKind kind : program::all_kernel_kinds()) {
    fit_kind(kind, measured, fit);
  }
  for (const InstructionCase& network : instruction_cases()) {
    if (!network.held_out) {
      continue;
    }
    double predicted = 0.0;
    for (const auto& [feature, amount] : case_features(network)) {
      const auto found = fit.coefficients.find(feature);
      predicted += found == fit.coefficients.end() ? 0.0 : found->second * amount;
    }
    fit.held_out.push_back({network.name, measured.at(network.name), predicted});
  }
  return fit;
}

}  // namespace cosearch::testing
