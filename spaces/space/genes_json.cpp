#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/space/domain.hpp"
#include "spaces/space/genome.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

/// The parameter that a JSON member names.
std::size_t named_param(const ParamSet& set, const std::string& name) {
  const std::optional<std::size_t> index = set.find(name);
  if (!index) {
    throw ConfigError(pointer_to(name), unknown_name(name, domain::names(set.params())));
  }
  return *index;
}

/// The gene that a JSON value means.
double read_gene(const Domain& domain, const json& value, const std::string& place) {
  const std::optional<GeneValue> meaning = domain::value_from_json(value);
  const std::optional<double> gene = meaning ? domain::gene(domain, *meaning) : std::nullopt;
  if (!gene) {
    throw ConfigError(place, fmt::format("{} is not allowed; allowed: {}", value.dump(), domain::describe(domain)));
  }
  return *gene;
}

/// The listed values only, in the domain's order.
Domain listed(const Domain& domain, const json& values, const std::string& place) {
  if (values.empty()) {
    throw ConfigError(place, "an empty list leaves no value; allowed: " + domain::describe(domain));
  }
  std::vector<double> genes;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double gene = read_gene(domain, values[i], place + "/" + std::to_string(i));
    if (std::find(genes.begin(), genes.end(), gene) != genes.end()) {
      throw ConfigError(place + "/" + std::to_string(i), values[i].dump() + " is listed twice");
    }
    genes.push_back(gene);
  }
  std::sort(genes.begin(), genes.end());
  Choices choices;
  for (const double gene : genes) {
    choices.values.push_back(domain::value(domain, gene));
  }
  return choices;
}

struct Limits {
  double lower, upper;
};

/// Ends of an ordered domain.
Limits ends(const Domain& domain) {
  if (const auto* real = std::get_if<RealRange>(&domain)) {
    return {real->lower, real->upper};
  }
  if (const auto* integers = std::get_if<IntegerRange>(&domain)) {
    return {static_cast<double>(integers->lower), static_cast<double>(integers->upper)};
  }
  Limits limits{domain::number(domain, 0.0), domain::number(domain, 0.0)};
  for (double gene = 1.0; domain::contains(domain, gene); gene += 1.0) {
    limits.lower = std::min(limits.lower, domain::number(domain, gene));
    limits.upper = std::max(limits.upper, domain::number(domain, gene));
  }
  return limits;
}

Limits read_limits(const Domain& domain, const json& object, const std::string& place) {
  Limits limits = ends(domain);
  const Limits whole = limits;
  if (object.empty()) {
    throw ConfigError(place, "{} restricts nothing; expected \"min\", \"max\" or both");
  }
  for (const auto& [key, value] : object.items()) {
    if (key != "min" && key != "max") {
      throw ConfigError(place + pointer_to(key), unknown_name(key, {"min", "max"}));
    }
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (!(number >= whole.lower && number <= whole.upper)) {
      throw ConfigError(fmt::format("{}/{}", place, key),
                        fmt::format("{} is not allowed; allowed: {}", value.dump(), domain::describe(domain)));
    }
    (key == "min" ? limits.lower : limits.upper) = number;
  }
  if (limits.lower > limits.upper) {
    throw ConfigError(place, fmt::format("min {} is above max {}", limits.lower, limits.upper));
  }
  return limits;
}

/// The values from min to max.
Domain limited(const Domain& domain, const json& object, const std::string& place) {
  if (!domain::ordered(domain)) {
    throw ConfigError(place, "has no order for min and max; allowed: one or a list of " + domain::describe(domain));
  }
  const Limits limits = read_limits(domain, object, place);
  if (const auto* real = std::get_if<RealRange>(&domain)) {
    if (limits.lower == limits.upper) {
      return Choices{{limits.lower}};
    }
    return RealRange{limits.lower, limits.upper, real->logarithmic};
  }
  if (const auto* integers = std::get_if<IntegerRange>(&domain)) {
    const auto step = static_cast<double>(integers->step);
    const auto first = static_cast<double>(integers->lower);
    const auto from = static_cast<std::int64_t>(std::ceil((limits.lower - first) / step));
    const auto to = static_cast<std::int64_t>(std::floor((limits.upper - first) / step));
    if (from > to) {
      throw ConfigError(place, "no value lies between min and max; allowed: " + domain::describe(domain));
    }
    return IntegerRange{integers->lower + from * integers->step, integers->lower + to * integers->step, integers->step};
  }
  Choices choices;
  for (double gene = 0.0; domain::contains(domain, gene); gene += 1.0) {
    const double number = domain::number(domain, gene);
    if (number >= limits.lower && number <= limits.upper) {
      choices.values.push_back(domain::value(domain, gene));
    }
  }
  if (choices.values.empty()) {
    throw ConfigError(place, "no value lies between min and max; allowed: " + domain::describe(domain));
  }
  return choices;
}

Domain narrowed(const Domain& domain, const json& restriction, const std::string& place) {
  if (restriction.is_array()) {
    return listed(domain, restriction, place);
  }
  if (restriction.is_object()) {
    return limited(domain, restriction, place);
  }
  return Choices{{domain::value(domain, read_gene(domain, restriction, place))}};
}

}  // namespace

ParamSet ParamSet::restricted(const json& genes) const {
  if (!genes.is_object()) {
    throw ConfigError("", "expected an object of gene names, read " + genes.dump());
  }
  std::vector<Param> params = params_;
  for (const auto& [name, restriction] : genes.items()) {
    const std::size_t index = named_param(*this, name);
    params[index].domain = narrowed(params_[index].domain, restriction, pointer_to(name));
  }
  for (std::size_t i = 0; i < size(); ++i) {
    if (parents_[i] < 0) {
      continue;
    }
    const auto above = static_cast<std::size_t>(parents_[i]);
    std::vector<std::int64_t> values;
    for (const std::int64_t old : params_[i].active_when.values) {
      const GeneValue meaning = domain::value(params_[above].domain, static_cast<double>(old));
      if (const std::optional<double> gene = domain::gene(params[above].domain, meaning)) {
        values.push_back(static_cast<std::int64_t>(*gene));
      }
    }
    params[i].active_when.values = std::move(values);
  }
  return ParamSet(std::move(params));
}

json ParamSet::to_json(const Genome& genome) const {
  json values = json::object();
  for (std::size_t i = 0; i < size(); ++i) {
    if (active(i, genome)) {
      values[params_[i].name] = domain::to_json(value(i, genome));
    }
  }
  return values;
}

double ParamSet::missing_gene(std::size_t param, const Genome& genome) const {
  const Domain& domain = params_[param].domain;
  const Preference& preferred = params_[param].preferred;
  if (!preferred.param.empty()) {
    const GeneValue decisive = value(index_of(preferred.param), genome);
    for (const auto& [other, wanted] : preferred.values) {
      if (other == decisive) {
        // A restriction may have left the preferred value out.
        return domain::gene(domain, wanted).value_or(0.0);
      }
    }
  }
  const auto* real = std::get_if<RealRange>(&domain);
  return real == nullptr ? 0.0 : real->lower;
}

Genome ParamSet::from_json(const json& values) const {
  if (!values.is_object()) {
    throw ConfigError("", "expected an object of gene values, read " + values.dump());
  }
  std::vector<bool> given(size(), false);
  Genome genome{std::vector<double>(size(), 0.0)};
  for (const auto& [name, value] : values.items()) {
    const std::size_t index = named_param(*this, name);
    genome.genes[index] = read_gene(params_[index].domain, value, pointer_to(name));
    given[index] = true;
  }
  for (std::size_t i = 0; i < size(); ++i) {
    if (active(i, genome)) {
      genome.genes[i] = given[i] ? genome.genes[i] : missing_gene(i, genome);
    } else if (given[i]) {
      const auto above = static_cast<std::size_t>(parents_[i]);
      throw ConfigError(pointer_to(params_[i].name),
                        active(above, genome)
                            ? fmt::format("has no meaning when \"{}\" is {}", params_[above].name,
                                          domain::describe(value(above, genome)))
                            : fmt::format("has no meaning because \"{}\" has none here", params_[above].name));
    }
  }
  return genome;
}

Genome ParamSet::translate(const Genome& genome, const ParamSet& to, const std::string& prefix) const {
  Genome translated{std::vector<double>(to.size(), 0.0)};
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (!to.active(i, translated)) {
      continue;
    }
    const std::size_t index = index_of(prefix + to.params_[i].name);
    COSEARCH_CHECK(active(index, genome), ("inactive here: " + params_[index].name).c_str());
    const std::optional<double> gene = domain::gene(to.params_[i].domain, value(index, genome));
    COSEARCH_CHECK(gene.has_value(), ("outside the other domain: " + params_[index].name).c_str());
    translated.genes[i] = *gene;
  }
  return translated;
}

}  // namespace cosearch
