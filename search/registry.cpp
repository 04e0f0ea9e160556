#include <array>

#include "search/algorithm.hpp"
#include "search/mcuformer.hpp"
#include "search/nsga2.hpp"
#include "search/random.hpp"
#include "search/reinforce.hpp"
#include "spaces/base/registry.hpp"

namespace cosearch {
namespace {

constexpr std::array kAlgorithms{
    AlgorithmEntry{"mcuformer",
                   "a walk over patch sizes and rank ratios by fitted planes, then evolution at the best (MCUFormer)",
                   &make_mcuformer},
    AlgorithmEntry{"nsga2", "evolution towards a well-spread Pareto front (NSGA-II)", &make_nsga2},
    AlgorithmEntry{"random", "uniform samples of the space, none twice", &make_random},
    AlgorithmEntry{"reinforce",
                   "a recurrent controller that learns from rewards, hardware redrawn per network (NASAIC)",
                   &make_reinforce},
};

}  // namespace

std::span<const AlgorithmEntry> algorithm_registry() { return kAlgorithms; }

std::unique_ptr<SearchAlgorithm> make_algorithm(const std::string& name, const nlohmann::json& options,
                                                const AlgorithmContext& context) {
  return entry_named(kAlgorithms, name, "/search/algorithm").make(options, context);
}

}  // namespace cosearch
