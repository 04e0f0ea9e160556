#include "search/outer_walk.hpp"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/space/domain.hpp"

namespace cosearch {
namespace {

std::string last_segment(const std::string& name) { return name.substr(name.rfind('.') + 1); }

bool is_rank(const std::string& name) {
  const std::string segment = last_segment(name);
  return segment == "low_rank" || segment.starts_with("rank_");
}

/// Real ranges are as they are; all others have countable values.
std::pair<double, double> limits(const Domain& domain) {
  if (const auto* range = std::get_if<RealRange>(&domain)) {
    return {range->lower, range->upper};
  }
  if (const auto* range = std::get_if<IntegerRange>(&domain)) {
    return {static_cast<double>(range->lower),
            domain::number(domain, static_cast<double>(*domain::cardinality(domain) - 1))};
  }
  double lower = domain::number(domain, 0.0);
  double upper = lower;
  for (std::int64_t gene = 1; gene < *domain::cardinality(domain); ++gene) {
    lower = std::min(lower, domain::number(domain, static_cast<double>(gene)));
    upper = std::max(upper, domain::number(domain, static_cast<double>(gene)));
  }
  return {lower, upper};
}

double squared_distance(const std::vector<double>& a, const std::vector<double>& b) {
  return std::transform_reduce(a.begin(), a.end(), b.begin(), 0.0, std::plus<>{},
                               [](double x, double y) { return (x - y) * (x - y); });
}

}  // namespace

OuterSpace::OuterSpace(const ParamSet& params, const std::vector<bool>& hardware,
                       const std::optional<JsonReader>& outer)
    : params_(params), chosen_(params.size(), false) {
  if (!outer) {
    for (std::size_t i = 0; i < params.size(); ++i) {
      const Param& param = params.params()[i];
      const bool of_hardware = i < hardware.size() && hardware[i];
      if (!of_hardware && param.active_when.param.empty() && domain::ordered(param.domain) &&
          (is_rank(param.name) || last_segment(param.name) == "patch")) {
        add({i});
      }
    }
    return;
  }
  const std::string allowed = "a list of genes, or of lists of genes that have the same value";
  for (const JsonReader& item : outer->items(allowed)) {
    std::vector<std::size_t> tied;
    for (const JsonReader& name : item.value().is_array() ? item.items() : std::vector{item}) {
      const std::size_t param = chosen_param(name);
      if (std::find(tied.begin(), tied.end(), param) != tied.end() || chosen_[param]) {
        name.fail(fmt::format("\"{}\" is listed already; allowed: each gene once", name.text()));
      }
      if (!tied.empty() && params.params()[param].domain != params.params()[tied.front()].domain) {
        name.fail(fmt::format("\"{}\" has other values than \"{}\"; allowed: tied genes with the same values",
                              name.text(), params.params()[tied.front()].name));
      }
      tied.push_back(param);
    }
    if (tied.empty()) {
      item.refuse("at least one gene");
    }
    add(tied);
  }
}

std::size_t OuterSpace::chosen_param(const JsonReader& name) const {
  const std::string text = name.text();
  const std::optional<std::size_t> param = params_.find(text);
  if (!param) {
    name.fail(unknown_name(text, domain::names(params_.params())));
  }
  if (!params_.params()[*param].active_when.param.empty()) {
    name.fail(fmt::format("\"{}\" is not in every candidate; allowed: genes without a condition", text));
  }
  if (!domain::ordered(params_.params()[*param].domain)) {
    name.fail(fmt::format("\"{}\" has no order; allowed: genes whose values are numbers", text));
  }
  return *param;
}

void OuterSpace::add(const std::vector<std::size_t>& params) {
  const Param& first = params_.params()[params.front()];
  const auto [lower, upper] = limits(first.domain);
  for (const std::size_t param : params) {
    chosen_[param] = true;
  }
  if (lower == upper) {
    return;  // nothing to walk over: such a gene is what it is
  }
  axes_.push_back(is_rank(first.name) ? Axis{params, first.domain, lower, upper, 0.05 / 0.55, 0.2, 0.1}
                                      : Axis{params, first.domain, lower, upper, 4.0 / 16.0, 2.0, 0.2});
}

std::optional<OuterPoint> OuterSpace::point_of(const Genome& genome) const {
  OuterPoint point;
  for (const Axis& axis : axes_) {
    const double gene = genome.genes[axis.params.front()];
    if (std::any_of(axis.params.begin(), axis.params.end(),
                    [&](std::size_t param) { return genome.genes[param] != gene; })) {
      return std::nullopt;
    }
    point.push_back(gene);
  }
  return point;
}

void OuterSpace::place(const OuterPoint& point, Genome& genome) const {
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    for (const std::size_t param : axes_[a].params) {
      genome.genes[param] = point[a];
    }
  }
}

ParamSet OuterSpace::fixed_at(const OuterPoint& point) const {
  nlohmann::json fixed = nlohmann::json::object();
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    for (const std::size_t param : axes_[a].params) {
      fixed[params_.params()[param].name] = domain::to_json(domain::value(axes_[a].domain, point[a]));
    }
  }
  return params_.restricted(fixed);
}

OuterPoint OuterSpace::sample(RngStream& rng) const {
  const Genome genome = params_.sample(rng);
  OuterPoint point;
  for (const Axis& axis : axes_) {
    point.push_back(genome.genes[axis.params.front()]);
  }
  return point;
}

std::vector<double> OuterSpace::coordinates(const OuterPoint& point) const {
  std::vector<double> scaled;
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    const Axis& axis = axes_[a];
    scaled.push_back((domain::number(axis.domain, point[a]) - axis.lower) / (axis.upper - axis.lower));
  }
  return scaled;
}

OuterPoint OuterSpace::step(const OuterPoint& from, std::span<const OuterResult> results, std::size_t neighbours,
                            double error_scale) const {
  const std::vector<double> centre = coordinates(from);
  std::vector<std::vector<double>> places;
  for (const OuterResult& result : results) {
    places.push_back(coordinates(result.point));
  }
  std::vector<std::size_t> order(results.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return squared_distance(places[a], centre) < squared_distance(places[b], centre);
  });
  order.resize(std::min(neighbours, order.size()));
  std::vector<std::vector<double>> all;
  std::vector<std::vector<double>> with_error;
  std::vector<double> illegal;
  std::vector<double> errors;
  for (const std::size_t i : order) {
    all.push_back(places[i]);
    illegal.push_back(results[i].illegal);
    if (results[i].error) {
      with_error.push_back(places[i]);
      errors.push_back(*results[i].error / error_scale);
    }
  }
  const std::vector<double> illegal_slopes = plane_slopes(all, illegal);
  const std::vector<double> error_slopes = plane_slopes(with_error, errors);
  OuterPoint to;
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    const double illegal_steps = illegal_slopes.empty() ? 0.0 : illegal_slopes[a] / axes_[a].illegal_threshold;
    const double error_steps = error_slopes.empty() ? 0.0 : error_slopes[a] / axes_[a].error_threshold;
    to.push_back(moved(axes_[a], from[a], -(std::trunc(illegal_steps) + std::trunc(error_steps)) * axes_[a].step));
  }
  return to;
}

double OuterSpace::moved(const Axis& axis, double gene, double shift) {
  if (shift == 0.0) {
    return gene;
  }
  const double value = domain::number(axis.domain, gene);
  const double target = std::clamp(value + shift * (axis.upper - axis.lower), axis.lower, axis.upper);
  if (std::holds_alternative<RealRange>(axis.domain)) {
    return target;
  }
  if (const auto* range = std::get_if<IntegerRange>(&axis.domain)) {
    const double nearest = std::round((target - axis.lower) / static_cast<double>(range->step));
    const double neighbour = gene + (shift > 0.0 ? 1.0 : -1.0);
    const double reached = shift > 0.0 ? std::max(nearest, neighbour) : std::min(nearest, neighbour);
    return domain::contains(axis.domain, reached) ? reached : gene;
  }
  std::optional<std::size_t> best;
  const std::vector<GeneValue>& values = std::get<Choices>(axis.domain).values;
  const auto number = [&](std::size_t choice) { return domain::number(axis.domain, static_cast<double>(choice)); };
  for (std::size_t choice = 0; choice < values.size(); ++choice) {
    const bool ahead = shift > 0.0 ? number(choice) > value : number(choice) < value;
    if (ahead && (!best || std::abs(number(choice) - target) < std::abs(number(*best) - target))) {
      best = choice;
    }
  }
  return best ? static_cast<double>(*best) : gene;
}

std::vector<double> plane_slopes(const std::vector<std::vector<double>>& points, const std::vector<double>& values) {
  COSEARCH_CHECK(points.size() == values.size(), "one value for each point");
  if (points.empty()) {
    return {};
  }
  Eigen::MatrixXd places(std::ssize(points), std::ssize(points.front()));
  for (Eigen::Index i = 0; i < places.rows(); ++i) {
    places.row(i) = Eigen::Map<const Eigen::RowVectorXd>(points[static_cast<std::size_t>(i)].data(), places.cols());
  }
  Eigen::VectorXd heights = Eigen::Map<const Eigen::VectorXd>(values.data(), places.rows());
  // Without the means the plane goes through the origin, and only slopes are left to be small.
  places.rowwise() -= places.colwise().mean().eval();
  heights.array() -= heights.mean();
  Eigen::CompleteOrthogonalDecomposition<Eigen::MatrixXd> solver;
  solver.setThreshold(1e-9);
  solver.compute(places);
  const Eigen::VectorXd slopes = solver.solve(heights);
  return {slopes.begin(), slopes.end()};
}

std::size_t best_outer(std::span<const OuterResult> results) {
  COSEARCH_CHECK(!results.empty(), "the best of nothing");
  double most = 0.0;
  for (const OuterResult& result : results) {
    most = std::max(most, 1.0 - result.illegal);
  }
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const OuterResult& result = results[i];
    const bool allowed = most == 0.0 || (result.error && 1.0 - result.illegal >= 0.5 * most);
    const auto better = [&](const OuterResult& other) {
      return most == 0.0 ? result.violation < other.violation : *result.error < *other.error;
    };
    if (allowed && (!best || better(results[*best]))) {
      best = i;
    }
  }
  return best.value_or(0);
}

}  // namespace cosearch
