#include "spaces/space/genome.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/space/domain.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kMaxCount = std::numeric_limits<std::int64_t>::max();

std::int64_t saturating_add(std::int64_t a, std::int64_t b) { return a > kMaxCount - b ? kMaxCount : a + b; }
std::int64_t saturating_multiply(std::int64_t a, std::int64_t b) {
  return b != 0 && a > kMaxCount / b ? kMaxCount : a * b;
}

/// Position of a value between the ends of its domain, in [0, 1].
double scaled(const Domain& domain, double gene) {
  double lower = 0.0;
  double upper = 0.0;
  double x = domain::number(domain, gene);
  if (const auto* real = std::get_if<RealRange>(&domain)) {
    lower = real->logarithmic ? std::log(real->lower) : real->lower;
    upper = real->logarithmic ? std::log(real->upper) : real->upper;
    x = real->logarithmic ? std::log(x) : x;
  } else {
    const auto last = static_cast<double>(*domain::cardinality(domain) - 1);
    lower = domain::number(domain, 0.0);
    upper = domain::number(domain, last);
    if (const auto* choices = std::get_if<Choices>(&domain)) {
      // Numbers may be listed in any order.
      for (std::size_t i = 0; i < choices->values.size(); ++i) {
        lower = std::min(lower, domain::number(domain, static_cast<double>(i)));
        upper = std::max(upper, domain::number(domain, static_cast<double>(i)));
      }
    }
  }
  return upper > lower ? (x - lower) / (upper - lower) : 0.0;
}

}  // namespace

std::uint64_t hash(const Genome& genome) {
  Hasher hasher;
  hasher.add(static_cast<std::uint64_t>(genome.genes.size()));
  for (const double gene : genome.genes) {
    hasher.add(gene);
  }
  return hasher.value();
}

std::vector<Param> prefixed(std::vector<Param> params, const std::string& prefix, const Condition& when) {
  for (Param& param : params) {
    param.name = prefix + param.name;
    if (param.active_when.param.empty()) {
      param.active_when = when;
    } else {
      param.active_when.param = prefix + param.active_when.param;
    }
    if (!param.preferred.param.empty()) {
      param.preferred.param = prefix + param.preferred.param;
    }
  }
  return params;
}

ParamSet::ParamSet(std::vector<Param> params) : params_(std::move(params)), parents_(params_.size(), -1) {
  std::vector<std::string> earlier;
  for (std::size_t i = 0; i < params_.size(); ++i) {
    Param& param = params_[i];
    const std::string place = pointer_to(param.name);
    if (param.name.empty()) {
      throw ConfigError("", "a parameter has no name");
    }
    if (std::find(earlier.begin(), earlier.end(), param.name) != earlier.end()) {
      throw ConfigError(place, "is the name of two parameters; names must differ");
    }
    domain::check(param.domain, place);
    const std::string& other = param.preferred.param;
    if (!other.empty() && std::find(earlier.begin(), earlier.end(), other) == earlier.end()) {
      throw ConfigError(place,
                        "prefers by a parameter that is not declared before it: " + unknown_name(other, earlier));
    }
    Condition& condition = param.active_when;
    if (!condition.param.empty()) {
      const auto found = std::find(earlier.begin(), earlier.end(), condition.param);
      if (found == earlier.end()) {
        throw ConfigError(
            place, "depends on a parameter that is not declared before it: " + unknown_name(condition.param, earlier));
      }
      parents_[i] = static_cast<int>(found - earlier.begin());
      const Domain& parent_domain = params_[static_cast<std::size_t>(parents_[i])].domain;
      if (std::holds_alternative<RealRange>(parent_domain)) {
        throw ConfigError(place, "depends on \"" + condition.param + "\", a real; only choices and integers can be");
      }
      std::sort(condition.values.begin(), condition.values.end());
      condition.values.erase(std::unique(condition.values.begin(), condition.values.end()), condition.values.end());
      for (const std::int64_t gene : condition.values) {
        if (!domain::contains(parent_domain, static_cast<double>(gene))) {
          throw ConfigError(place, "depends on value number " + std::to_string(gene) + " of \"" + condition.param +
                                       "\", which has " + std::to_string(*domain::cardinality(parent_domain)));
        }
      }
    }
    earlier.push_back(param.name);
  }
}

std::optional<std::size_t> ParamSet::find(const std::string& name) const {
  const auto at = std::find_if(params_.begin(), params_.end(), [&](const Param& param) { return param.name == name; });
  if (at == params_.end()) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(at - params_.begin());
}

std::size_t ParamSet::index_of(const std::string& name) const {
  const std::optional<std::size_t> index = find(name);
  COSEARCH_CHECK(index.has_value(), ("no parameter named " + name).c_str());
  return *index;
}

std::optional<std::int64_t> ParamSet::cardinality(std::size_t param) const {
  return domain::cardinality(params_[param].domain);
}

bool ParamSet::condition_holds(std::size_t param, const Genome& genome) const {
  const double gene = genome.genes[static_cast<std::size_t>(parents_[param])];
  const std::vector<std::int64_t>& values = params_[param].active_when.values;
  return std::any_of(values.begin(), values.end(), [&](std::int64_t v) { return static_cast<double>(v) == gene; });
}

bool ParamSet::active(std::size_t param, const Genome& genome) const {
  COSEARCH_CHECK(genome.genes.size() == size(), "genome of another space");
  for (int at = static_cast<int>(param); parent(static_cast<std::size_t>(at)) >= 0;) {
    if (!condition_holds(static_cast<std::size_t>(at), genome)) {
      return false;
    }
    at = parent(static_cast<std::size_t>(at));
  }
  return true;
}

bool ParamSet::reachable(std::size_t param) const {
  for (int at = static_cast<int>(param); parent(static_cast<std::size_t>(at)) >= 0;) {
    if (params_[static_cast<std::size_t>(at)].active_when.values.empty()) {
      return false;
    }
    at = parent(static_cast<std::size_t>(at));
  }
  return true;
}

Genome ParamSet::canonical(Genome genome) const {
  for (std::size_t i = 0; i < size(); ++i) {
    if (!active(i, genome)) {
      genome.genes[i] = 0.0;
    }
  }
  return genome;
}

bool ParamSet::legal(const Genome& genome) const {
  if (genome.genes.size() != size()) {
    return false;
  }
  for (std::size_t i = 0; i < size(); ++i) {
    const double gene = genome.genes[i];
    if (active(i, genome) ? !domain::contains(params_[i].domain, gene) : gene != 0.0) {
      return false;
    }
  }
  return true;
}

std::optional<std::int64_t> ParamSet::count() const {
  // conditional[i][gene]: product of the counts of the children that this value of i activates. Children come after
  // their parents, so one pass from the back sees each parameter after all of its children.
  std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>> conditional(size());
  std::int64_t total = 1;
  for (std::size_t i = size(); i-- > 0;) {
    if (!reachable(i)) {
      continue;
    }
    const std::optional<std::int64_t> values = cardinality(i);
    if (!values) {
      return std::nullopt;
    }
    std::int64_t designs = *values - static_cast<std::int64_t>(conditional[i].size());
    for (const auto& [gene, product] : conditional[i]) {
      designs = saturating_add(designs, product);
    }
    if (parents_[i] < 0) {
      total = saturating_multiply(total, designs);
      continue;
    }
    auto& siblings = conditional[static_cast<std::size_t>(parents_[i])];
    for (const std::int64_t gene : params_[i].active_when.values) {
      const auto at = std::find_if(siblings.begin(), siblings.end(), [&](const auto& s) { return s.first == gene; });
      if (at == siblings.end()) {
        siblings.emplace_back(gene, designs);
      } else {
        at->second = saturating_multiply(at->second, designs);
      }
    }
  }
  return total;
}

std::vector<Genome> ParamSet::enumerate(std::size_t limit) const {
  for (std::size_t i = 0; i < size(); ++i) {
    COSEARCH_CHECK(!reachable(i) || cardinality(i).has_value(), "a space with real parameters cannot be enumerated");
  }
  std::vector<Genome> genomes;
  // All zeros is canonical, and so is any genome followed by zeros: the successor raises the last active gene that can
  // be raised and zeroes everything behind it.
  Genome genome{std::vector<double>(size(), 0.0)};
  while (genomes.size() < limit) {
    genomes.push_back(genome);
    std::size_t i = size();
    for (; i > 0; --i) {
      double& gene = genome.genes[i - 1];
      if (active(i - 1, genome) && gene + 1.0 < static_cast<double>(*cardinality(i - 1))) {
        gene += 1.0;
        break;
      }
      gene = 0.0;
    }
    if (i == 0) {
      break;
    }
  }
  return genomes;
}

GeneValue ParamSet::value(std::size_t param, const Genome& genome) const {
  return domain::value(params_[param].domain, genome.genes[param]);
}

std::int64_t ParamSet::integer(const Genome& genome, const std::string& name) const {
  const GeneValue meaning = value(index_of(name), genome);
  const auto* number = std::get_if<std::int64_t>(&meaning);
  COSEARCH_CHECK(number != nullptr, (name + " is not an integer").c_str());
  return *number;
}

double ParamSet::real(const Genome& genome, const std::string& name) const {
  const std::size_t index = index_of(name);
  COSEARCH_CHECK(!std::holds_alternative<std::string>(value(index, genome)), (name + " is not a number").c_str());
  return domain::number(params_[index].domain, genome.genes[index]);
}

const std::string& ParamSet::text(const Genome& genome, const std::string& name) const {
  const std::size_t index = index_of(name);
  const auto* choices = std::get_if<Choices>(&params_[index].domain);
  COSEARCH_CHECK(choices != nullptr && domain::contains(*choices, genome.genes[index]),
                 (name + " is not a choice").c_str());
  const auto* text = std::get_if<std::string>(&choices->values[static_cast<std::size_t>(genome.genes[index])]);
  COSEARCH_CHECK(text != nullptr, (name + " is not a string").c_str());
  return *text;
}

std::vector<double> ParamSet::features(const Genome& genome) const {
  std::vector<double> numbers;
  for (std::size_t i = 0; i < size(); ++i) {
    const Domain& domain = params_[i].domain;
    const bool is_active = active(i, genome);
    if (domain::ordered(domain)) {
      numbers.push_back(is_active ? scaled(domain, genome.genes[i]) : 0.0);
    } else {
      for (std::int64_t gene = 0; gene < *domain::cardinality(domain); ++gene) {
        numbers.push_back(is_active && genome.genes[i] == static_cast<double>(gene) ? 1.0 : 0.0);
      }
    }
    if (parents_[i] >= 0) {
      numbers.push_back(is_active ? 1.0 : 0.0);
    }
  }
  return numbers;
}

}  // namespace cosearch
