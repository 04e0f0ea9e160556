#include "experiments/calibrate/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <stdexcept>

#include "experiments/calibrate/terms.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "predictors/least_squares.hpp"
#include "predictors/rank.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/expected.hpp"

namespace cosearch::calibrate {
namespace {

using mcu::KernelCycles;
using program::KernelCall;
using program::KernelKind;
using program::Program;
using Rates = std::map<KernelKind, KernelCycles>;

/// Choosing terms anew without each of more networks takes too long, and can hardly change what is chosen.
constexpr std::size_t kMostForChoice = 100;
/// Errors nearer than this are equal: rounding of a table that several sets fit.
constexpr double kSameError = 1e-9;

double program_cycles(const Program& program, const Rates& rates) {
  return std::accumulate(program.calls.begin(), program.calls.end(), 0.0, [&](double sum, const KernelCall& call) {
    return sum + mcu::cycles(call, rates.at(call.kind));
  });
}

/// A set of terms on all networks: cycles = assumed + features * coefficients.
struct Candidate {
  std::string name;
  std::vector<mcu::Term> terms;
  std::vector<std::vector<double>> features;  ///< by network, by term
};

std::string counted(std::size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// The networks as numbers.
struct Problem {
  std::string file;
  std::vector<int> lines;
  std::vector<Program> programs;
  std::vector<double> cycles;   ///< measured
  std::vector<double> assumed;  ///< part of them that no term can name
  std::string core;
  std::string data_directory;
  Rates assumed_rates;

  [[noreturn]] void fail(std::size_t row, const std::string& message) const {
    throw ConfigError(fmt::format("line {}", lines[row]), message, file);
  }
};

/// A fit of some of the rows. Errors are relative to whole latencies.
struct Fit {
  std::vector<double> coefficients;
  std::vector<double> left_out_errors;
};

double rms(const std::vector<double>& values) {
  const double squares = std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

Problem make_problem(const Measurements& measurements, double clock_mhz, const std::string& core,
                     const mcu::Engine& engine, const std::string& data_directory) {
  Problem problem;
  problem.file = measurements.file;
  problem.core = core;
  problem.data_directory = data_directory;
  problem.assumed_rates = mcu::kernel_cycles({}, core, data_directory);
  for (const Measurement& row : measurements.rows) {
    const std::size_t index = problem.lines.size();
    problem.lines.push_back(row.line);
    Expected<Program, std::string> lowered = program::lower_program(row.graph, engine.rules);
    if (!lowered) {
      problem.fail(index, row.network + " is malformed: " + lowered.error());
    }
    problem.cycles.push_back(row.measured_ms * clock_mhz * 1e3);
    problem.assumed.push_back(program_cycles(*lowered, problem.assumed_rates));
    if (problem.assumed.back() >= problem.cycles.back()) {
      problem.fail(index,
                   fmt::format("measured_ms: read {}; expected more than the {:.6g} ms at {:g} MHz that {}'s "
                               "kernels without a term are assumed to take",
                               row.measured_ms, problem.assumed.back() / (clock_mhz * 1e3), clock_mhz, row.network));
    }
    problem.programs.push_back(*std::move(lowered));
  }
  return problem;
}

Candidate make_candidate(const Problem& problem, const std::string& name) {
  Candidate candidate{name, parse_terms(name), std::vector<std::vector<double>>(problem.programs.size())};
  for (mcu::Term& term : candidate.terms) {
    // Rates are affine in the coefficient, kinds that are like a fitted one included; their difference is exact.
    term.coefficient = 1.0;
    Rates slope = mcu::kernel_cycles({term}, problem.core, problem.data_directory);
    term.coefficient = 0.0;
    for (auto& [kind, rates] : slope) {
      const KernelCycles& base = problem.assumed_rates.at(kind);
      rates.per_mac -= base.per_mac;
      rates.per_output -= base.per_output;
      rates.per_element -= base.per_element;
    }
    for (std::size_t i = 0; i < problem.programs.size(); ++i) {
      candidate.features[i].push_back(program_cycles(problem.programs[i], slope));
    }
  }
  return candidate;
}

Expected<Fit, std::string> fit(const Problem& problem, const Candidate& candidate,
                               const std::vector<std::size_t>& rows) {
  std::vector<std::vector<double>> features;
  std::vector<double> targets;
  for (const std::size_t row : rows) {
    features.push_back(candidate.features[row]);
    targets.push_back(problem.cycles[row] - problem.assumed[row]);
  }
  if (rows.size() <= candidate.terms.size()) {
    return Unexpected{fmt::format("{} for {}; expected at least {}, so that one can be left out",
                                  counted(rows.size(), "network"), counted(candidate.terms.size(), "term"),
                                  candidate.terms.size() + 1)};
  }
  try {
    LinearFit solved = fit_relative(features, targets, true);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      solved.leave_one_out_relative_errors[i] *= targets[i] / problem.cycles[rows[i]];
    }
    return Fit{std::move(solved.coefficients), std::move(solved.leave_one_out_relative_errors)};
  } catch (const std::invalid_argument&) {
    return Unexpected{std::string("the networks do not determine the coefficients, all of them or without one")};
  }
}

double predict(const Problem& problem, const Candidate& candidate, const std::vector<double>& coefficients,
               std::size_t row) {
  return problem.assumed[row] +
         std::inner_product(coefficients.begin(), coefficients.end(), candidate.features[row].begin(), 0.0);
}

struct Choice {
  std::size_t candidate = 0;
  Fit fit;
  double error = 0.0;
};

/// The best candidate on the rows, if any can be taken; what was tried goes into `trials`, unless that is null.
std::optional<Choice> choose(const Problem& problem, const std::vector<Candidate>& candidates,
                             const std::vector<std::size_t>& rows, std::vector<Trial>* trials) {
  std::optional<Choice> best;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Trial trial{candidates[i].name, std::nullopt, {}};
    Expected<Fit, std::string> solved = fit(problem, candidates[i], rows);
    if (solved) {
      trial.left_out_rms_error = rms(solved->left_out_errors);
      const bool positive = std::all_of(solved->coefficients.begin(), solved->coefficients.end(),
                                        [](double coefficient) { return coefficient > 0.0; });
      if (!positive) {
        trial.refusal = "a coefficient would be negative, so that it is 0";
      } else if (!best || *trial.left_out_rms_error < best->error - kSameError) {
        best = Choice{i, *std::move(solved), *trial.left_out_rms_error};
      }
    } else {
      trial.refusal = solved.error();
    }
    if (trials != nullptr) {
      trials->push_back(std::move(trial));
    }
  }
  return best;
}

std::vector<std::size_t> all_rows(const Problem& problem) {
  std::vector<std::size_t> rows(problem.cycles.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

/// Each network's cycles by terms chosen, and fitted, without it; empty where that cannot be done for all.
std::vector<double> chosen_left_out(const Problem& problem, const std::vector<Candidate>& candidates) {
  std::vector<double> cycles;
  const std::size_t count = problem.cycles.size();
  for (std::size_t row = 0; row < count && count <= kMostForChoice; ++row) {
    std::vector<std::size_t> others = all_rows(problem);
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(row));
    const std::optional<Choice> choice = choose(problem, candidates, others, nullptr);
    if (!choice) {
      return {};
    }
    cycles.push_back(predict(problem, candidates[choice->candidate], choice->fit.coefficients, row));
  }
  return cycles;
}

/// Kernels that multiply and that no term prices must not be in a measured network: their cycles would go to others.
void check_coverage(const Problem& problem, const Candidate& candidate) {
  const Rates rates = [&] {
    std::vector<mcu::Term> terms = candidate.terms;
    for (mcu::Term& term : terms) {
      term.coefficient = 1.0;
    }
    return mcu::kernel_cycles(terms, problem.core, problem.data_directory);
  }();
  for (std::size_t i = 0; i < problem.programs.size(); ++i) {
    for (const KernelCall& call : problem.programs[i].calls) {
      const KernelCycles& cycles = rates.at(call.kind);
      if (call.macs > 0 && cycles.per_mac + cycles.per_output == 0.0) {
        problem.fail(i, fmt::format("runs {}, on which {} says nothing; add a term for it, e.g. mac or output",
                                    program::kind_name(call.kind), candidate.name));
      }
    }
  }
}

/// The kernels with coefficients of their own that no network runs.
std::vector<std::string> unmeasured_kernels(const Problem& problem) {
  std::vector<std::string> names;
  for (const KernelKind kind :
       {KernelKind::conv2d, KernelKind::pointwise_conv2d, KernelKind::depthwise_conv2d, KernelKind::fully_connected}) {
    const bool measured = std::any_of(problem.programs.begin(), problem.programs.end(), [&](const Program& program) {
      return std::any_of(program.calls.begin(), program.calls.end(),
                         [&](const KernelCall& call) { return call.kind == kind; });
    });
    if (!measured) {
      names.emplace_back(program::kind_name(kind));
    }
  }
  return names;
}

void fit_macs_only(const Problem& problem, double cycles_per_ms, Calibration& calibration) {
  std::vector<std::vector<double>> macs;
  for (std::size_t i = 0; i < problem.programs.size(); ++i) {
    const std::vector<KernelCall>& calls = problem.programs[i].calls;
    const std::int64_t sum =
        std::accumulate(calls.begin(), calls.end(), std::int64_t{0},
                        [](std::int64_t total, const KernelCall& call) { return total + call.macs; });
    if (sum == 0) {
      problem.fail(i, "the network has no multiplications; nothing can be fitted to it");
    }
    macs.push_back({static_cast<double>(sum)});
  }
  const LinearFit fit = fit_relative(macs, problem.cycles, true);
  calibration.macs_only_cycles = fit.coefficients[0];
  for (std::size_t i = 0; i < macs.size(); ++i) {
    const double measured_ms = problem.cycles[i] / cycles_per_ms;
    calibration.macs_only.fitted_ms.push_back((1.0 + fit.relative_errors[i]) * measured_ms);
    calibration.macs_only.left_out_ms.push_back((1.0 + fit.leave_one_out_relative_errors[i]) * measured_ms);
  }
}

/// Terms, rows and predictions of the choice.
void fill_in(const Problem& problem, const Candidate& candidate, const Fit& fit, const Measurements& measurements,
             Calibration& calibration) {
  const double cycles_per_ms = calibration.model.clock_mhz * 1e3;
  calibration.terms = candidate.name;
  calibration.model.terms = candidate.terms;
  for (std::size_t j = 0; j < fit.coefficients.size(); ++j) {
    calibration.model.terms[j].coefficient = fit.coefficients[j];
  }
  calibration.model.kinds = mcu::kernel_cycles(calibration.model.terms, problem.core, problem.data_directory);
  for (std::size_t i = 0; i < measurements.rows.size(); ++i) {
    const Measurement& row = measurements.rows[i];
    const double fitted = predict(problem, candidate, fit.coefficients, i);
    calibration.measured_ms.push_back(row.measured_ms);
    calibration.predictions.fitted_ms.push_back(fitted / cycles_per_ms);
    calibration.predictions.left_out_ms.push_back((1.0 + fit.left_out_errors[i]) * row.measured_ms);
    calibration.assumed_share = std::max(calibration.assumed_share, problem.assumed[i] / fitted);
    calibration.model.rows.push_back(
        {row.network, row.measured_ms, fitted / problem.cycles[i] - 1.0, fit.left_out_errors[i], false});
  }
}

/// Board, engine, clock and source, with nothing fitted yet. @throws ConfigError for names that are not known.
mcu::CycleModel describe(const Measurements& measurements, const Options& options, const mcu::Board& board) {
  mcu::CycleModel model;
  model.board = options.board;
  model.engine = options.engine;
  const double highest = static_cast<double>(board.clocks_mhz.front());
  model.clock_mhz = options.clock_mhz.value_or(measurements.clock_mhz.value_or(highest));
  model.source = options.source.empty()
                     ? "measurements of " + std::filesystem::path(measurements.file).filename().string() +
                           ", fitted by cosearch calibrate"
                     : options.source;
  return model;
}

template <class List>
const typename List::value_type& named(const List& list, const std::string& name, const std::string& flag) {
  std::vector<std::string> known;
  for (const auto& item : list) {
    if (item.name == name) {
      return item;
    }
    known.push_back(item.name);
  }
  throw ConfigError(flag, unknown_name(name, known));
}

}  // namespace

Quality quality(const std::vector<double>& predicted, const std::vector<double>& measured) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    errors.push_back(std::abs(predicted[i] / measured[i] - 1.0));
  }
  std::sort(errors.begin(), errors.end());
  const std::size_t middle = errors.size() / 2;
  const double median = errors.size() % 2 == 1 ? errors[middle] : 0.5 * (errors[middle - 1] + errors[middle]);
  return {median, errors.back(), kendall(predicted, measured), spearman(predicted, measured)};
}

Calibration calibrate(const Measurements& measurements, const Options& options) {
  const std::vector<mcu::Board> boards = mcu::load_boards(options.data_directory);
  const mcu::Board& board = named(boards, options.board, "--board");
  std::map<std::string, std::string> cores;
  for (const mcu::Board& each : boards) {
    cores[each.name] = each.core;
  }
  const mcu::CycleTable table = mcu::load_cycle_table(options.data_directory, cores);
  const mcu::Engine& engine = named(table.engines, options.engine, "--engine");
  Calibration calibration;
  calibration.model = describe(measurements, options, board);
  const double clock_mhz = calibration.model.clock_mhz;
  const Problem problem = make_problem(measurements, clock_mhz, board.core, engine, options.data_directory);

  std::vector<Candidate> candidates;
  for (const std::string& name : options.terms.empty() ? default_term_sets() : std::vector{options.terms}) {
    candidates.push_back(make_candidate(problem, name));
  }
  const auto too_few = [&](const std::string& message) {
    throw ConfigError(problem.lines.empty() ? "" : fmt::format("line {}", problem.lines.back()), "ends with " + message,
                      problem.file);
  };
  if (problem.lines.size() < 2) {
    too_few(counted(problem.lines.size(), "network") + "; expected at least 2, so that one can be left out");
  }
  if (options.terms.empty()) {
    const std::optional<Choice> choice = choose(problem, candidates, all_rows(problem), &calibration.trials);
    if (!choice) {
      too_few("networks that determine no set of terms; give one with --terms");
    }
    fill_in(problem, candidates[choice->candidate], choice->fit, measurements, calibration);
    for (const double cycles :
         problem.lines.size() < 3 ? std::vector<double>{} : chosen_left_out(problem, candidates)) {
      calibration.chosen_left_out_ms.push_back(cycles / (clock_mhz * 1e3));
    }
  } else {
    check_coverage(problem, candidates.front());
    const Expected<Fit, std::string> solved = fit(problem, candidates.front(), all_rows(problem));
    if (!solved) {
      too_few(solved.error());
    }
    fill_in(problem, candidates.front(), *solved, measurements, calibration);
  }
  fit_macs_only(problem, clock_mhz * 1e3, calibration);
  calibration.unmeasured = unmeasured_kernels(problem);
  return calibration;
}

}  // namespace cosearch::calibrate
