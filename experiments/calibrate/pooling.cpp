#include "experiments/calibrate/pooling.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "experiments/calibrate/terms.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "predictors/least_squares.hpp"

namespace cosearch::calibrate {
namespace {

/// A rate per output beside rates of 1 per multiply-accumulate, before anything was measured: to requantise, saturate
/// and store a sum takes about as many instructions as an addition (see `assumed` of mcu_coefficients.json).
constexpr double kBaseOutputRate = 20.0;

using Indices = std::vector<std::size_t>;

std::size_t index_of(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    names.push_back(name);
    return names.size() - 1;
  }
  return static_cast<std::size_t>(found - names.begin());
}

double feature(const std::map<std::string, double>& features, const std::string& name) {
  const auto found = features.find(name);
  return found == features.end() ? 0.0 : found->second;
}

/// The published rows as numbers.
struct Problem {
  const PublishedLatencies* published = nullptr;
  std::vector<std::string> boards;
  std::vector<std::string> engines;
  std::vector<std::size_t> device;
  std::vector<std::size_t> engine;
  std::vector<double> assumed;  ///< cycles of kernels that no term names

  [[nodiscard]] std::size_t size() const { return device.size(); }
  [[nodiscard]] const PublishedLatency& row(std::size_t i) const { return published->rows[i]; }
  [[nodiscard]] const std::map<std::string, double>& features(std::size_t i) const {
    return published->networks.at(row(i).network);
  }
  [[nodiscard]] Indices where(const std::function<bool(std::size_t)>& rule) const {
    Indices rows;
    for (std::size_t i = 0; i < size(); ++i) {
      if (rule(i)) {
        rows.push_back(i);
      }
    }
    return rows;
  }
};

/// A set of terms on all rows.
struct Candidate {
  std::string name;
  std::vector<mcu::Term> terms;
  std::vector<PooledRow> rows;
  PooledOptions options;
};

double assumed_cycles(const std::map<program::KernelKind, mcu::KernelCycles>& rates,
                      const std::map<std::string, double>& features) {
  double sum = 0.0;
  for (const auto& [kind, cycles] : rates) {
    const std::string name(program::kind_name(kind));
    sum += cycles.per_mac * feature(features, name + ".macs") +
           cycles.per_output * feature(features, name + ".outputs") +
           cycles.per_element * feature(features, name + ".elements");
  }
  return sum;
}

Problem make_problem(const PublishedLatencies& published, const std::string& data_directory) {
  std::map<std::string, std::map<program::KernelKind, mcu::KernelCycles>> assumed;
  for (const mcu::Board& board : mcu::load_boards(data_directory)) {
    assumed[board.name] = mcu::kernel_cycles({}, board.core, data_directory);
  }
  Problem problem;
  problem.published = &published;
  for (const PublishedLatency& row : published.rows) {
    problem.device.push_back(index_of(problem.boards, row.board));
    problem.engine.push_back(index_of(problem.engines, row.engine_generation()));
    problem.assumed.push_back(assumed_cycles(assumed.at(row.board), published.networks.at(row.network)));
  }
  return problem;
}

Candidate make_candidate(const Problem& problem, const std::string& name) {
  Candidate candidate{name, parse_terms(name), {}, {}};
  for (const mcu::Term& term : candidate.terms) {
    candidate.options.base.push_back(term.features.begin()->first.ends_with(".outputs") ? kBaseOutputRate : 1.0);
  }
  for (std::size_t i = 0; i < problem.size(); ++i) {
    PooledRow row{problem.device[i], problem.engine[i], {}, problem.row(i).cycles() - problem.assumed[i]};
    for (const mcu::Term& term : candidate.terms) {
      row.features.push_back(
          std::accumulate(term.features.begin(), term.features.end(), 0.0, [&](double sum, const auto& weighted) {
            return sum + weighted.second * feature(problem.features(i), weighted.first);
          }));
    }
    candidate.rows.push_back(std::move(row));
  }
  return candidate;
}

PooledFit fit(const Candidate& candidate, const Indices& rows) {
  std::vector<PooledRow> chosen;
  for (const std::size_t i : rows) {
    chosen.push_back(candidate.rows[i]);
  }
  return fit_pooled(chosen, candidate.options);
}

double predict(const Problem& problem, const Candidate& candidate, const PooledFit& fit, std::size_t i) {
  const PooledRow& row = candidate.rows[i];
  return problem.assumed[i] + fit.predict(row.device, row.engine, row.features);
}

/// Rows of the network, of which `others` have one with the same board and engine.
Indices testable(const Problem& problem, const std::string& network, const Indices& others) {
  return problem.where([&](std::size_t i) {
    return problem.row(i).network == network && std::any_of(others.begin(), others.end(), [&](std::size_t j) {
             return problem.device[j] == problem.device[i] && problem.engine[j] == problem.engine[i];
           });
  });
}

std::set<std::string> networks_of(const Problem& problem, const Indices& rows) {
  std::set<std::string> names;
  for (const std::size_t i : rows) {
    names.insert(problem.row(i).network);
  }
  return names;
}

Indices without(const Problem& problem, const Indices& rows, const std::string& network) {
  Indices others;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(others),
               [&](std::size_t i) { return problem.row(i).network != network; });
  return others;
}

/// Root mean square of log(predicted / measured) over the rows, each network predicted by a fit of the others.
double left_out_error(const Problem& problem, const Candidate& candidate, const Indices& rows) {
  double squares = 0.0;
  double count = 0.0;
  for (const std::string& network : networks_of(problem, rows)) {
    const Indices others = without(problem, rows, network);
    if (others.empty()) {
      continue;
    }
    const PooledFit fitted = fit(candidate, others);
    for (const std::size_t i : testable(problem, network, others)) {
      const double error = std::log(predict(problem, candidate, fitted, i) / problem.row(i).cycles());
      squares += error * error;
      count += 1.0;
    }
  }
  return count > 0.0 ? std::sqrt(squares / count) : 0.0;
}

const Candidate& choose(const Problem& problem, const std::vector<Candidate>& candidates, const Indices& rows,
                        std::vector<Trial>* trials) {
  std::size_t best = 0;
  std::vector<double> errors;
  for (const Candidate& candidate : candidates) {
    errors.push_back(left_out_error(problem, candidate, rows));
    best = errors.back() < errors[best] ? errors.size() - 1 : best;
    if (trials != nullptr) {
      trials->push_back({candidate.name, errors.back(), {}});
    }
  }
  return candidates[best];
}

void leave_networks_out(const Problem& problem, const std::vector<Candidate>& candidates, Pooling& pooling) {
  const Indices all = problem.where([](std::size_t) { return true; });
  for (const std::string& network : networks_of(problem, all)) {
    const Indices others = without(problem, all, network);
    const Candidate& chosen = choose(problem, candidates, others, nullptr);
    const PooledFit fitted = fit(chosen, others);
    for (const std::size_t i : testable(problem, network, others)) {
      pooling.rows[i].network_left_out_ms = predict(problem, chosen, fitted, i) / (problem.row(i).clock_mhz * 1e3);
    }
  }
}

/// Cycles per MAC of a board with an engine, the least squares of relative errors.
void leave_networks_out_by_macs(const Problem& problem, Pooling& pooling) {
  const auto macs = [&](std::size_t i) {
    const auto& features = problem.features(i);
    return std::accumulate(features.begin(), features.end(), 0.0, [](double sum, const auto& item) {
      return sum + (item.first.ends_with(".macs") ? item.second : 0.0);
    });
  };
  for (std::size_t i = 0; i < problem.size(); ++i) {
    const Indices pair = problem.where([&](std::size_t j) {
      return problem.device[j] == problem.device[i] && problem.engine[j] == problem.engine[i];
    });
    if (pair.size() < 2) {
      continue;
    }
    std::vector<std::vector<double>> rows;
    std::vector<double> targets;
    for (const std::size_t j : pair) {
      rows.push_back({macs(j)});
      targets.push_back(problem.row(j).cycles());
    }
    const LinearFit fitted = fit_relative(rows, targets, true);
    const auto position = static_cast<std::size_t>(std::find(pair.begin(), pair.end(), i) - pair.begin());
    pooling.rows[i].macs_only_ms = (1.0 + fitted.leave_one_out_relative_errors[position]) * problem.row(i).measured_ms;
  }
}

/// Boards with engines as if they had never been measured together.
void leave_pairs_out(const Problem& problem, const Candidate& candidate, Pooling& pooling) {
  for (const auto& [pair, scale] : pooling.fit.pair) {
    const auto [device, engine] = pair;
    const auto in_pair = [&, d = device, e = engine](std::size_t i) {
      return problem.device[i] == d && problem.engine[i] == e;
    };
    const Indices others = problem.where([&](std::size_t i) { return !in_pair(i); });
    const auto known = [&](const std::vector<std::size_t>& names, std::size_t name) {
      return std::any_of(others.begin(), others.end(), [&](std::size_t i) { return names[i] == name; });
    };
    if (!known(problem.device, device) || !known(problem.engine, engine)) {
      continue;
    }
    const PooledFit fitted = fit(candidate, others);
    for (const std::size_t i : problem.where(in_pair)) {
      pooling.rows[i].pair_left_out_ms = predict(problem, candidate, fitted, i) / (problem.row(i).clock_mhz * 1e3);
    }
  }
}

}  // namespace

Pooling pool(const PublishedLatencies& published, const std::string& data_directory) {
  const Problem problem = make_problem(published, data_directory);
  std::vector<Candidate> candidates;
  for (const std::string& name : pooled_term_sets()) {
    candidates.push_back(make_candidate(problem, name));
  }
  const Indices all = problem.where([](std::size_t) { return true; });
  Pooling pooling;
  const Candidate& chosen = choose(problem, candidates, all, &pooling.trials);
  pooling.name = chosen.name;
  pooling.terms = chosen.terms;
  pooling.boards = problem.boards;
  pooling.engines = problem.engines;
  pooling.networks = networks_of(problem, all).size();
  pooling.fit = fit(chosen, all);
  for (std::size_t i = 0; i < problem.size(); ++i) {
    const double cycles = predict(problem, chosen, pooling.fit, i);
    pooling.rows.push_back({problem.row(i), cycles / (problem.row(i).clock_mhz * 1e3), {}, {}, {}});
  }
  leave_networks_out(problem, candidates, pooling);
  leave_networks_out_by_macs(problem, pooling);
  leave_pairs_out(problem, chosen, pooling);
  return pooling;
}

Quality quality_of(const std::vector<PooledPrediction>& rows, std::optional<double> PooledPrediction::*predicted,
                   std::optional<double> PooledPrediction::*also) {
  std::vector<double> predictions;
  std::vector<double> measured;
  for (const PooledPrediction& row : rows) {
    if ((row.*predicted).has_value() && (row.*also).has_value()) {
      predictions.push_back(*(row.*predicted));
      measured.push_back(row.row.measured_ms);
    }
  }
  return quality(predictions, measured);
}

}  // namespace cosearch::calibrate
