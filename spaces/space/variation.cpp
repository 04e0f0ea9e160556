#include <algorithm>
#include <cmath>

#include "spaces/base/check.hpp"
#include "spaces/space/domain.hpp"
#include "spaces/space/genome.hpp"

namespace cosearch {
namespace {

/// Standard deviation of a real gene's step, relative to its range.
constexpr double kRealStep = 0.1;

double draw(const Domain& domain, RngStream& rng) {
  if (const auto* real = std::get_if<RealRange>(&domain)) {
    if (real->logarithmic) {
      const double lower = std::log(real->lower);
      const double exponent = lower + rng.uniform() * (std::log(real->upper) - lower);
      return std::clamp(std::exp(exponent), real->lower, real->upper);
    }
    return std::min(real->lower + rng.uniform() * (real->upper - real->lower), real->upper);
  }
  return static_cast<double>(rng.below(static_cast<std::uint64_t>(*domain::cardinality(domain))));
}

bool can_change(const Domain& domain) {
  const auto* real = std::get_if<RealRange>(&domain);
  return real != nullptr ? real->lower < real->upper : *domain::cardinality(domain) > 1;
}

double step(const RealRange& range, double gene, RngStream& rng) {
  if (range.logarithmic) {
    const double width = std::log(range.upper) - std::log(range.lower);
    return std::clamp(std::exp(std::log(gene) + kRealStep * width * rng.normal()), range.lower, range.upper);
  }
  return std::clamp(gene + kRealStep * (range.upper - range.lower) * rng.normal(), range.lower, range.upper);
}

/// Another value of the domain, which has at least two.
double changed(const Domain& domain, double gene, RngStream& rng) {
  const bool by_step = domain::ordered(domain) && rng.below(2) == 0;
  if (const auto* real = std::get_if<RealRange>(&domain)) {
    double next = by_step ? step(*real, gene, rng) : draw(domain, rng);
    while (next == gene) {  // a step that was clamped to where it started
      next = draw(domain, rng);
    }
    return next;
  }
  const auto values = static_cast<std::uint64_t>(*domain::cardinality(domain));
  const auto index = static_cast<std::uint64_t>(gene);
  if (by_step) {
    const bool up = index == 0 || (index + 1 < values && rng.below(2) == 0);
    return static_cast<double>(up ? index + 1 : index - 1);
  }
  const std::uint64_t other = rng.below(values - 1);
  return static_cast<double>(other < index ? other : other + 1);
}

}  // namespace

Genome ParamSet::sample(RngStream& rng) const {
  Genome genome{std::vector<double>(size(), 0.0)};
  for (std::size_t i = 0; i < size(); ++i) {
    if (active(i, genome)) {
      genome.genes[i] = draw(params_[i].domain, rng);
    }
  }
  return genome;
}

Genome ParamSet::mutate(const Genome& parent, double probability, RngStream& rng) const {
  COSEARCH_CHECK(legal(parent), "only legal genomes can be mutated");
  std::vector<bool> marked(size(), false);
  std::vector<std::size_t> changeable;
  bool any = false;
  for (std::size_t i = 0; i < size(); ++i) {
    if (active(i, parent) && can_change(params_[i].domain)) {
      changeable.push_back(i);
      marked[i] = rng.uniform() < probability;
      any = any || marked[i];
    }
  }
  if (!any && !changeable.empty()) {
    marked[changeable[rng.below(changeable.size())]] = true;
  }
  Genome child{std::vector<double>(size(), 0.0)};
  for (std::size_t i = 0; i < size(); ++i) {
    if (!active(i, child)) {
      continue;
    }
    if (!active(i, parent)) {  // a change before it brought it to life
      child.genes[i] = draw(params_[i].domain, rng);
    } else {
      child.genes[i] = marked[i] ? changed(params_[i].domain, parent.genes[i], rng) : parent.genes[i];
    }
  }
  return child;
}

Genome ParamSet::crossover(const Genome& a, const Genome& b, RngStream& rng) const {
  COSEARCH_CHECK(legal(a) && legal(b), "only legal genomes can be crossed");
  Genome child{std::vector<double>(size(), 0.0)};
  for (std::size_t i = 0; i < size(); ++i) {
    if (!active(i, child)) {
      continue;
    }
    // A gene that is active in the child is active in the parent that gave the child the gene it hangs on, so at least
    // one of the two has a value.
    const bool in_a = active(i, a);
    const bool from_a = in_a && (!active(i, b) || rng.below(2) == 0);
    child.genes[i] = from_a ? a.genes[i] : b.genes[i];
  }
  return child;
}

}  // namespace cosearch
