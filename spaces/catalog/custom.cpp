#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/catalog/network_template.hpp"
#include "spaces/catalog/spaces.hpp"
#include "spaces/space/domain.hpp"

namespace cosearch::catalog {
namespace {

using Json = nlohmann::json;

std::vector<std::string> task_variables() { return {"classes", "sample.height", "sample.width", "sample.channels"}; }

void require_known_keys(const Json& object, const std::string& place, const std::vector<std::string>& known) {
  if (!object.is_object()) {
    throw ConfigError(place, "expected an object, read " + object.dump());
  }
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw ConfigError(place + pointer_to(key), unknown_name(key, known));
    }
  }
}

// --- parameters -------------------------------------------------------------------------------------------------

bool read_flag(const Json& param, const char* key, const std::string& place) {
  if (!param.contains(key)) {
    return false;
  }
  if (!param[key].is_boolean()) {
    throw ConfigError(place + "/" + key, param[key].dump() + " is not allowed; allowed: true or false");
  }
  return param[key].get<bool>();
}

double read_number(const Json& param, const char* key, const std::string& place) {
  if (!param.contains(key)) {
    throw ConfigError(place, fmt::format("expected \"choices\", or \"min\" and \"max\"; \"{}\" is missing", key));
  }
  if (!param[key].is_number()) {
    throw ConfigError(place + "/" + key, param[key].dump() + " is not allowed; allowed: a number");
  }
  return param[key].get<double>();
}

std::int64_t read_integer(const Json& param, const char* key, const std::string& place) {
  const double number = read_number(param, key, place);
  constexpr double kLargest = 4503599627370496.0;  // 2^52
  if (number != static_cast<double>(static_cast<std::int64_t>(std::clamp(number, -kLargest, kLargest)))) {
    throw ConfigError(place + "/" + key,
                      param[key].dump() + " is not allowed; allowed: an integer (for reals add \"real\": true)");
  }
  return static_cast<std::int64_t>(number);
}

Domain read_choices(const Json& param, const std::string& place) {
  require_known_keys(param, place, {"name", "choices", "active_when"});
  if (!param["choices"].is_array()) {
    throw ConfigError(place + "/choices", "expected an array of numbers or strings, read " + param["choices"].dump());
  }
  Choices choices;
  for (std::size_t i = 0; i < param["choices"].size(); ++i) {
    const std::optional<GeneValue> value = domain::value_from_json(param["choices"][i]);
    if (!value) {
      throw ConfigError(fmt::format("{}/choices/{}", place, i),
                        param["choices"][i].dump() + " is not allowed; allowed: a number or a string");
    }
    choices.values.push_back(*value);
  }
  return choices;
}

Domain read_domain(const Json& param, const std::string& place) {
  if (param.contains("choices")) {
    return read_choices(param, place);
  }
  if (read_flag(param, "real", place)) {
    require_known_keys(param, place, {"name", "min", "max", "real", "logarithmic", "active_when"});
    return RealRange{read_number(param, "min", place), read_number(param, "max", place),
                     read_flag(param, "logarithmic", place)};
  }
  require_known_keys(param, place, {"name", "min", "max", "step", "real", "active_when"});
  IntegerRange range{read_integer(param, "min", place), read_integer(param, "max", place), 1};
  if (param.contains("step")) {
    range.step = read_integer(param, "step", place);
  }
  return range;
}

/// {"parent": value | [values]}, in the parent's values.
Condition read_condition(const Json& entry, const std::string& place, const std::vector<Param>& earlier) {
  if (!entry.is_object() || entry.size() != 1) {
    throw ConfigError(place, "expected one parameter and its values, as {\"depth\": [1, 2]}, read " + entry.dump());
  }
  Condition condition;
  condition.param = entry.begin().key();
  const auto parent =
      std::find_if(earlier.begin(), earlier.end(), [&](const Param& param) { return param.name == condition.param; });
  if (parent == earlier.end()) {
    throw ConfigError(place + pointer_to(condition.param),
                      "not a parameter declared before: " + unknown_name(condition.param, domain::names(earlier)));
  }
  if (std::holds_alternative<RealRange>(parent->domain)) {
    throw ConfigError(place, "\"" + condition.param + "\" is a real; only choices and integers can activate others");
  }
  const Json values = entry.begin()->is_array() ? *entry.begin() : Json::array({*entry.begin()});
  if (values.empty()) {
    throw ConfigError(place, "an empty list would never activate the parameter");
  }
  for (const Json& value : values) {
    const std::optional<GeneValue> meaning = domain::value_from_json(value);
    const std::optional<double> gene = meaning ? domain::gene(parent->domain, *meaning) : std::nullopt;
    if (!gene) {
      throw ConfigError(place + pointer_to(condition.param),
                        value.dump() + " is not allowed; allowed: " + domain::describe(parent->domain));
    }
    condition.values.push_back(static_cast<std::int64_t>(*gene));
  }
  return condition;
}

void check_name(const std::string& name, const std::string& place) {
  const auto is_name_character = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  };
  if (name.empty() || (name[0] >= '0' && name[0] <= '9') || name[0] == '.' ||
      !std::all_of(name.begin(), name.end(), is_name_character)) {
    throw ConfigError(place, "\"" + name + "\" is no name: letters, digits, _ and . are, with a letter or _ first");
  }
  const std::vector<std::string> taken = task_variables();
  if (std::find(taken.begin(), taken.end(), name) != taken.end()) {
    throw ConfigError(place, "\"" + name + "\" is a property of the task; choose another name");
  }
}

ParamSet read_params(const Json& list) {
  if (!list.is_array()) {
    throw ConfigError("/params", "expected an array of parameters, read " + list.dump());
  }
  std::vector<Param> params;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& entry = list[i];
    const std::string place = fmt::format("/params/{}", i);
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string()) {
      throw ConfigError(place, "expected an object with a \"name\", read " + entry.dump());
    }
    Param param;
    param.name = entry["name"].get<std::string>();
    check_name(param.name, place + "/name");
    if (std::any_of(params.begin(), params.end(), [&](const Param& p) { return p.name == param.name; })) {
      throw ConfigError(place + "/name", "\"" + param.name + "\" is declared twice");
    }
    param.domain = read_domain(entry, place);
    domain::check(param.domain, place);
    if (entry.contains("active_when")) {
      param.active_when = read_condition(entry["active_when"], place + "/active_when", params);
    }
    params.push_back(std::move(param));
  }
  return ParamSet(std::move(params));
}

// --- the space --------------------------------------------------------------------------------------------------

class Custom final : public SearchSpace {
 public:
  Custom(const Json& options, TaskShape task)
      : task_(std::move(task)),
        params_(read_params(options["params"])),
        template_(options.contains("input") ? options["input"] : Json(task_.sample), options["template"], variables()) {
    check_networks();
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }

  [[nodiscard]] TaskModel decode(const Genome& genome) const override {
    try {
      graph::NetworkGraph network = template_.expand([&](const std::string& name) { return value(genome, name); });
      check_task(network);
      return network;
    } catch (const ConfigError& error) {
      throw ConfigError(error.place(), error.message() + " (with genes " + params_.to_json(genome).dump() + ")");
    }
  }

  [[nodiscard]] std::vector<Genome> corners() const override {
    constexpr std::size_t kMostFamilies = 64;
    std::vector<Genome> families{Genome{std::vector<double>(params_.size(), 0.0)}};
    for (std::size_t i = 0; i < params_.size(); ++i) {
      if (domain::ordered(params_.params()[i].domain)) {
        continue;
      }
      const std::int64_t values = params_.cardinality(i).value();
      const std::size_t before = families.size();
      for (std::int64_t gene = 1; gene < values && families.size() < kMostFamilies; ++gene) {
        for (std::size_t family = 0; family < before && families.size() < kMostFamilies; ++family) {
          families.push_back(families[family]);
          families.back().genes[i] = static_cast<double>(gene);
        }
      }
    }
    std::vector<Genome> genomes;
    for (const Genome& family : families) {
      for (const bool upper : {false, true}) {
        Genome corner = params_.canonical(at_ends(family, upper));
        if (std::find(genomes.begin(), genomes.end(), corner) == genomes.end()) {
          genomes.push_back(std::move(corner));
        }
      }
    }
    return genomes;
  }

 private:
  [[nodiscard]] std::vector<std::string> variables() const {
    std::vector<std::string> all = task_variables();
    const std::vector<std::string> genes = domain::names(params_.params());
    all.insert(all.end(), genes.begin(), genes.end());
    return all;
  }

  [[nodiscard]] GeneValue value(const Genome& genome, const std::string& name) const {
    if (const std::optional<std::size_t> param = params_.find(name)) {
      if (!params_.active(*param, genome)) {
        throw ConfigError("", "$" + name + " is inactive here; a \"when\" can leave the node out");
      }
      return params_.value(*param, genome);
    }
    if (name == "classes") {
      return task_.classes;
    }
    if (task_.sample.size() != 3) {
      throw ConfigError("", "$" + name + " has no meaning: the task's samples are not images");
    }
    return task_.sample[name == "sample.height" ? 0 : name == "sample.width" ? 1 : 2];
  }

  /// Numbers at the lower or upper end of their domains.
  [[nodiscard]] Genome at_ends(Genome genome, bool upper) const {
    for (std::size_t i = 0; i < params_.size(); ++i) {
      const Domain& domain = params_.params()[i].domain;
      if (const auto* real = std::get_if<RealRange>(&domain)) {
        genome.genes[i] = upper ? real->upper : real->lower;
      } else if (domain::ordered(domain)) {
        double end = 0.0;
        for (double gene = 1.0; std::holds_alternative<Choices>(domain) && domain::contains(domain, gene);
             gene += 1.0) {
          const bool beyond = upper ? domain::number(domain, gene) > domain::number(domain, end)
                                    : domain::number(domain, gene) < domain::number(domain, end);
          end = beyond ? gene : end;
        }
        if (std::holds_alternative<IntegerRange>(domain) && upper) {
          end = static_cast<double>(*domain::cardinality(domain) - 1);
        }
        genome.genes[i] = end;
      }
    }
    return genome;
  }

  void check_task(const graph::NetworkGraph& network) const {
    const auto shapes = graph::infer_shapes(network);
    COSEARCH_CHECK(shapes.has_value(), "the graph's reader accepts only networks with shapes");
    const graph::Shape& input = shapes->front();
    if (input.size() != task_.sample.size() || input.back() != task_.sample.back()) {
      throw ConfigError("/input", fmt::format("{} is not allowed; allowed: {} extents, the last being {} as in the "
                                              "task's samples",
                                              Json(input).dump(), task_.sample.size(), task_.sample.back()));
    }
    const graph::Shape& output = shapes->back();
    if (output != task_.output()) {
      throw ConfigError("/template", fmt::format("the last node gives {}; the task needs {}", Json(output).dump(),
                                                 Json(task_.output()).dump()));
    }
  }

  /// Decodes what makes a wrong template show itself.
  void check_networks() const {
    constexpr std::size_t kAll = 512;
    constexpr std::uint64_t kSamples = 256;
    std::vector<Genome> genomes = corners();
    const std::optional<std::int64_t> count = params_.count();
    if (count && *count <= static_cast<std::int64_t>(kAll)) {
      genomes = params_.enumerate(kAll);
    } else {
      for (std::uint64_t i = 0; i < kSamples; ++i) {
        RngStream rng(0, Purpose::sample, i);
        genomes.push_back(params_.sample(rng));
      }
    }
    for (const Genome& genome : genomes) {
      static_cast<void>(decode(genome));
    }
  }

  TaskShape task_;
  ParamSet params_;
  NetworkTemplate template_;
};

}  // namespace

std::unique_ptr<SearchSpace> make_custom(const nlohmann::json& options, const TaskShape& task) {
  require_known_keys(options, "", {"params", "input", "template"});
  for (const char* key : {"params", "template"}) {
    if (!options.contains(key)) {
      throw ConfigError("", fmt::format("\"{}\" is missing", key));
    }
  }
  return std::make_unique<Custom>(options, task);
}

}  // namespace cosearch::catalog
