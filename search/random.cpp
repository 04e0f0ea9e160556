#include "search/random.hpp"

#include <utility>

#include "search/fresh_genomes.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

class Random final : public SearchAlgorithm {
 public:
  explicit Random(const AlgorithmContext& context)
      : seed_(context.seed), fidelity_(context.fidelity), fresh_(*context.params, context.initial) {}

  std::vector<Proposal> ask(std::size_t n) override {
    return fresh_.propose(n, fidelity_, [this] {
      std::optional<Genome> genome = fresh_.next_initial();
      if (!genome) {
        RngStream rng{seed_, Purpose::sample, fresh_.proposed()};
        genome = fresh_.sample(rng);
      }
      return genome;
    });
  }

  void tell(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) {
      fresh_.add(trial.proposal.genome);  // a replayed trial was never asked of this instance
    }
  }

 private:
  std::uint64_t seed_;
  Fidelity fidelity_;
  FreshGenomes fresh_;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_random(const nlohmann::json& options, const AlgorithmContext& context) {
  COSEARCH_CHECK(context.params != nullptr, "an algorithm needs parameters");
  JsonReader::of_options(options, "/search").only({});
  return std::make_unique<Random>(context);
}

}  // namespace cosearch
