#include "search/variation.hpp"

#include <algorithm>
#include <cmath>

namespace cosearch {
namespace {

/// A real range as the operators see it: linear, with the logarithm undone at the end.
class Scale {
 public:
  explicit Scale(const RealRange& range)
      : range_(range), lower_(to_linear(range.lower)), upper_(to_linear(range.upper)) {}

  [[nodiscard]] double lower() const noexcept { return lower_; }
  [[nodiscard]] double upper() const noexcept { return upper_; }
  [[nodiscard]] double to_linear(double gene) const { return range_.logarithmic ? std::log(gene) : gene; }
  [[nodiscard]] double to_gene(double linear) const {
    return std::clamp(range_.logarithmic ? std::exp(linear) : linear, range_.lower, range_.upper);
  }

 private:
  const RealRange& range_;
  double lower_;
  double upper_;
};

/// One of the two children of simulated binary crossover within bounds, the one near `low` or the one near `high`.
double simulated_binary(double low, double high, const Scale& scale, bool near_low, double draw) {
  const double gap = high - low;
  const double room = near_low ? low - scale.lower() : scale.upper() - high;
  const double beta = 1.0 + 2.0 * room / gap;
  const double alpha = 2.0 - std::pow(beta, -(kDistributionIndex + 1.0));
  const double exponent = 1.0 / (kDistributionIndex + 1.0);
  const double spread =
      draw <= 1.0 / alpha ? std::pow(draw * alpha, exponent) : std::pow(1.0 / (2.0 - draw * alpha), exponent);
  const double middle = 0.5 * (low + high);
  return near_low ? middle - 0.5 * spread * gap : middle + 0.5 * spread * gap;
}

/// Polynomial mutation within bounds.
double polynomial(double value, const Scale& scale, double draw) {
  const double width = scale.upper() - scale.lower();
  const double exponent = 1.0 / (kDistributionIndex + 1.0);
  if (draw < 0.5) {
    const double room = 1.0 - (value - scale.lower()) / width;
    const double term = 2.0 * draw + (1.0 - 2.0 * draw) * std::pow(room, kDistributionIndex + 1.0);
    return value + (std::pow(term, exponent) - 1.0) * width;
  }
  const double room = 1.0 - (scale.upper() - value) / width;
  const double term = 2.0 * (1.0 - draw) + 2.0 * (draw - 0.5) * std::pow(room, kDistributionIndex + 1.0);
  return value + (1.0 - std::pow(term, exponent)) * width;
}

double cross_real(const RealRange& range, double a, double b, RngStream& rng) {
  // As Deb does it, half of the genes are crossed; the child is the one that otherwise takes after `a`.
  if (rng.below(2) == 0 || a == b) {
    return a;
  }
  const Scale scale{range};
  const double low = scale.to_linear(std::min(a, b));
  const double high = scale.to_linear(std::max(a, b));
  const bool near_low = rng.below(2) == 0;
  return high > low ? scale.to_gene(simulated_binary(low, high, scale, near_low, rng.uniform())) : a;
}

}  // namespace

Genome cross(const ParamSet& params, const Genome& a, const Genome& b, RngStream& rng) {
  Genome child = params.crossover(a, b, rng);
  for (std::size_t i = 0; i < params.size(); ++i) {
    const auto* range = std::get_if<RealRange>(&params.params()[i].domain);
    if (range != nullptr && params.active(i, child) && params.active(i, a) && params.active(i, b)) {
      child.genes[i] = cross_real(*range, a.genes[i], b.genes[i], rng);
    }
  }
  return child;
}

Genome mutate(const ParamSet& params, const Genome& parent, double probability, RngStream& rng) {
  Genome child = params.mutate(parent, probability, rng);
  for (std::size_t i = 0; i < params.size(); ++i) {
    const auto* range = std::get_if<RealRange>(&params.params()[i].domain);
    // Genes that came to life with this mutation keep their random values.
    if (range != nullptr && child.genes[i] != parent.genes[i] && params.active(i, child) && params.active(i, parent)) {
      const Scale scale{*range};
      const double mutated = scale.to_gene(polynomial(scale.to_linear(parent.genes[i]), scale, rng.uniform()));
      child.genes[i] = mutated != parent.genes[i] ? mutated : child.genes[i];
    }
  }
  return child;
}

}  // namespace cosearch
