#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/base/registry.hpp"
#include "spaces/catalog/registry.hpp"
#include "spaces/catalog/spaces.hpp"

namespace cosearch::catalog {
namespace {

constexpr const char* kFamily = "family";

constexpr std::array kFamilies{
    SpaceEntry{"cnn", "mobile_cnn", &make_mobile_cnn},
    SpaceEntry{"mcu_vit", "mcu_vit", &make_mcu_vit},
    SpaceEntry{"mcunet", "mcunet", &make_mcunet},
    SpaceEntry{"vit", "vit", &make_vit},
};

struct Family {
  std::string name;
  std::unique_ptr<SearchSpace> space;
};

class Hybrid final : public SearchSpace {
 public:
  explicit Hybrid(std::vector<Family> families) : families_(std::move(families)), params_(declare(families_)) {}

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    const std::string& name = params_.text(genome, kFamily);
    const auto family =
        std::find_if(families_.begin(), families_.end(), [&](const Family& f) { return f.name == name; });
    return family->space->decode(params_.translate(genome, family->space->params(), name + "."));
  }

  [[nodiscard]] std::vector<Genome> corners() const override {
    std::vector<Genome> genomes;
    std::size_t first = 1;  // of the family's genes
    for (std::size_t family = 0; family < families_.size(); ++family) {
      for (const Genome& corner : families_[family].space->corners()) {
        Genome genome{std::vector<double>(params_.size(), 0.0)};
        genome.genes[0] = static_cast<double>(family);
        std::copy(corner.genes.begin(), corner.genes.end(), genome.genes.begin() + static_cast<std::ptrdiff_t>(first));
        genomes.push_back(std::move(genome));
      }
      first += families_[family].space->params().size();
    }
    return genomes;
  }

 private:
  /// The family, then the genes of each; those of the others are inactive.
  static ParamSet declare(const std::vector<Family>& families) {
    Choices names;
    for (const Family& family : families) {
      names.values.emplace_back(family.name);
    }
    std::vector<Param> params{{kFamily, std::move(names), {}}};
    for (std::size_t i = 0; i < families.size(); ++i) {
      const Condition chosen{kFamily, {static_cast<std::int64_t>(i)}};
      for (Param& param : prefixed(families[i].space->params().params(), families[i].name + ".", chosen)) {
        params.push_back(std::move(param));
      }
    }
    return ParamSet(std::move(params));
  }

  std::vector<Family> families_;
  ParamSet params_;
};

std::vector<std::string> read_families(const JsonReader& options) {
  const auto listed = options.find("families");
  if (!listed) {
    return {"cnn", "vit"};
  }
  const std::string allowed = "an array of different families";
  std::vector<std::string> families;
  for (const JsonReader& item : listed->items(allowed)) {
    const std::string name(entry_named(kFamilies, item.text(), item.pointer()).name);
    if (std::find(families.begin(), families.end(), name) != families.end()) {
      item.fail("\"" + name + "\" stands there twice");
    }
    families.push_back(name);
  }
  if (families.empty()) {
    listed->refuse(allowed);
  }
  return families;
}

/// The options of one family, with errors at their place; what is wrong with the task stays at the space's name.
std::unique_ptr<SearchSpace> make_family(const std::string& name, const JsonReader& options, const TaskShape& task) {
  const JsonReader own = options.section(name);
  try {
    return entry_named(kFamilies, name, "").make(own.value(), task);
  } catch (const ConfigError& error) {
    throw error.place() == "/name" ? error : error.below(own.pointer());
  }
}

}  // namespace

std::unique_ptr<SearchSpace> make_hybrid(const nlohmann::json& options, const TaskShape& task) {
  const JsonReader reader = JsonReader::of_options(options);
  reader.only({"families", "options"});
  const std::vector<std::string> names = read_families(reader);
  const JsonReader of_families = reader.section("options");
  of_families.only(names);
  std::vector<Family> families;
  families.reserve(names.size());
  for (const std::string& name : names) {
    families.push_back({name, make_family(name, of_families, task)});
  }
  return std::make_unique<Hybrid>(std::move(families));
}

}  // namespace cosearch::catalog
