#include <algorithm>
#include <array>

#include "search/algorithm.hpp"
#include "search/nsga2.hpp"
#include "search/random.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

constexpr std::array kAlgorithms{
    AlgorithmEntry{"nsga2", "evolution towards a well-spread Pareto front (NSGA-II)", &make_nsga2},
    AlgorithmEntry{"random", "uniform samples of the space, none twice", &make_random},
};

}  // namespace

std::span<const AlgorithmEntry> algorithm_registry() { return kAlgorithms; }

std::unique_ptr<SearchAlgorithm> make_algorithm(const std::string& name, const nlohmann::json& options,
                                                const AlgorithmContext& context) {
  const auto found = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                  [&](const AlgorithmEntry& entry) { return entry.name == name; });
  if (found == kAlgorithms.end()) {
    std::vector<std::string> known;
    known.reserve(kAlgorithms.size());
    for (const AlgorithmEntry& entry : kAlgorithms) {
      known.emplace_back(entry.name);
    }
    throw ConfigError{"/search/algorithm", unknown_name(name, known)};
  }
  return found->make(options, context);
}

}  // namespace cosearch
