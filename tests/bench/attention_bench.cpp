// Evaluations of one layer of attention: per second and thread CPU time, median of 7.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "hwmodels/attention/designs.hpp"

namespace cosearch::attention {
namespace {

/// Of this thread: other programs on the machine do not count.
double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Lengths that divide and that do not, around those of the artifact.
std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (std::int64_t tokens = 1024; tokens <= (1 << 20); tokens *= 4) {
    all.push_back({768, tokens, tokens, false});
    all.push_back({768, tokens - 7, tokens + 300, false});
  }
  return all;
}

/// `evaluate` gives the seconds of a shape.
template <class Evaluate>
void measure(const char* name, int rounds, Evaluate evaluate) {
  constexpr int kRepetitions = 7;
  const std::vector<Shape> all = shapes();
  std::vector<double> rates;
  double sum = 0.0;  // printed, so that no evaluation can be left out
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    const double start = cpu_seconds();
    for (int round = 0; round < rounds; ++round) {
      for (const Shape& shape : all) {
        sum += evaluate(shape);
      }
    }
    rates.push_back(rounds * static_cast<double>(all.size()) / (cpu_seconds() - start));
  }
  std::sort(rates.begin(), rates.end());
  fmt::print("evaluations_per_second {} {:.2g}  # {:.1f} to {:.1f} million, sum of latencies {:.6g} s\n", name,
             rates[kRepetitions / 2], 1e-6 * rates.front(), 1e-6 * rates.back(), sum);
}

}  // namespace
}  // namespace cosearch::attention

int main() {
  using namespace cosearch::attention;
  const AttentionData data = load_attention_data("");
  const PublishedDesigns published = load_published_designs(data, "");
  constexpr std::int64_t kHeadDim = 64;
  const auto design = [&](const char* name) {
    const DesignGenes& genes = published.designs.at(name);
    return build_design(genes, cascade_of(genes, kHeadDim, kHeadDim), {}, data, published).value();
  };
  const Design tiles = design("binding");
  const Design rows = design("flat");
  const Design none = design("unfused");
  // FLAT's own of 16 Ki tokens, for all lengths.
  const RowsMapping mapping = published.flat_mapping(rows.profile(), kHeadDim, {1, 16384, 16384, false}).value();
  measure("tiles", 200000, [&](const Shape& shape) { return tiles.evaluate(shape)->seconds; });
  measure("rows", 20000, [&](const Shape& shape) { return rows.evaluate(shape, mapping)->seconds; });
  measure("none", 20000, [&](const Shape& shape) { return none.evaluate(shape)->seconds; });
}
