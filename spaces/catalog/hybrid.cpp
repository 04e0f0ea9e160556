#include <utility>

#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

constexpr const char* kFamily = "family";

class Hybrid final : public SearchSpace {
 public:
  Hybrid(std::unique_ptr<SearchSpace> cnn, std::unique_ptr<SearchSpace> vit)
      : cnn_(std::move(cnn)), vit_(std::move(vit)), params_(declare(*cnn_, *vit_)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    const std::string& family = params_.text(genome, kFamily);
    const SearchSpace& space = family == "cnn" ? *cnn_ : *vit_;
    return space.decode(params_.translate(genome, space.params(), family + "."));
  }

  [[nodiscard]] std::vector<Genome> corners() const override {
    std::vector<Genome> genomes;
    for (const Genome& corner : cnn_->corners()) {
      genomes.push_back(joined(0, corner));
    }
    for (const Genome& corner : vit_->corners()) {
      genomes.push_back(joined(1, corner));
    }
    return genomes;
  }

 private:
  static ParamSet declare(const SearchSpace& cnn, const SearchSpace& vit) {
    std::vector<Param> params{{kFamily, Choices{{std::string("cnn"), std::string("vit")}}, {}}};
    for (Param& param : prefixed(cnn.params().params(), "cnn.", {kFamily, {0}})) {
      params.push_back(std::move(param));
    }
    for (Param& param : prefixed(vit.params().params(), "vit.", {kFamily, {1}})) {
      params.push_back(std::move(param));
    }
    return ParamSet(std::move(params));
  }

  /// The genes stand in the order family, cnn, vit; those of the other family are inactive.
  [[nodiscard]] Genome joined(int family, const Genome& part) const {
    Genome genome{std::vector<double>(params_.size(), 0.0)};
    genome.genes[0] = family;
    const std::size_t first = family == 0 ? 1 : 1 + cnn_->params().size();
    for (std::size_t i = 0; i < part.genes.size(); ++i) {
      genome.genes[first + i] = part.genes[i];
    }
    return genome;
  }

  std::unique_ptr<SearchSpace> cnn_;
  std::unique_ptr<SearchSpace> vit_;
  ParamSet params_;
};

}  // namespace

std::unique_ptr<SearchSpace> make_hybrid(const nlohmann::json& options, const TaskShape& task) {
  return std::make_unique<Hybrid>(make_mobile_cnn(options, task), make_vit(options, task));
}

}  // namespace cosearch::catalog
