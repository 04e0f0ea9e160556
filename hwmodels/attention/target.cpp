#include "hwmodels/attention/target.hpp"

#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "hwmodels/asic/chip_metrics.hpp"
#include "hwmodels/attention/model.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/cascade/library.hpp"

namespace cosearch {
namespace {

using attention::DesignGenes;
using attention::Fusion;

constexpr std::int64_t kKib = 1024;
constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
constexpr const char* kOwnCascade = "own";
constexpr const char* kOwnSlots = "own";

template <class Number>
Choices numbers(std::initializer_list<Number> list) {
  Choices result;
  for (const Number number : list) {
    result.values.emplace_back(std::int64_t{number});
  }
  return result;
}

Choices texts(const std::vector<std::string>& list) { return Choices{{list.begin(), list.end()}}; }

std::vector<std::string> attention_cascades() {
  std::vector<std::string> names;
  for (const cascade::CascadeEntry& entry : cascade::cascade_registry()) {
    if (entry.name.starts_with("attention_")) {
      names.emplace_back(entry.name);
    }
  }
  return names;
}

/// Of arrays, in elements.
constexpr IntegerRange kArraySizes{8, 1024, 8};

std::string fusion_name(Fusion fusion) {
  return fusion == Fusion::none ? "none" : (fusion == Fusion::rows ? "rows" : "tiles");
}

class AttentionTarget final : public Target {
 public:
  AttentionTarget(const std::string& name, const std::string& point, const JsonReader& reader,
                  const std::string& data_directory) {
    auto shared = std::make_shared<attention::Shared>();
    shared->data = attention::load_attention_data(data_directory);
    shared->published = attention::load_published_designs(shared->data, data_directory);
    read_options(reader, !point.empty(), shared->options);
    (void)shared->data.prices(shared->options.design.energy_table, shared->options.design.dram, "banks_32");
    set_params(*shared);
    if (!point.empty()) {
      restrict_to(shared->published.designs.at(point), shared->options);
    }
    Hasher hasher;
    hasher.add(reader.without({}).dump()).add(shared->data.fingerprint).add(shared->published.fingerprint);
    for (const cascade::CascadeEntry& entry : cascade::cascade_registry()) {
      hasher.add(std::string(entry.text));
    }
    fingerprint_ = name + "/2/" + hex(hasher.value());
    set_profiles(shared->options);
    shared_ = std::move(shared);
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }
  [[nodiscard]] std::vector<std::string> metric_names() const override { return asic::chip_metric_names(); }
  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    DesignGenes genes;
    genes.elements = params_.text(genome, "elements");
    genes.cascade = params_.text(genome, "cascade");
    const std::string& fusion = params_.text(genome, "fusion");
    genes.fusion = fusion == "none" ? Fusion::none : (fusion == "rows" ? Fusion::rows : Fusion::tiles);
    genes.softmax_on_array = genes.fusion == Fusion::tiles && params_.text(genome, "softmax_on") == "array";
    genes.binding = genes.fusion == Fusion::tiles ? params_.text(genome, "binding") : "interleaved";
    genes.binding = genes.binding == kOwnSlots ? slots_ : genes.binding;
    genes.rows = params_.integer(genome, "rows");
    genes.columns = params_.integer(genome, "columns");
    genes.lanes = params_.integer(genome, "lanes");
    genes.buffer_bytes = kKib * params_.integer(genome, "buffer_kib");
    genes.dram_bytes_per_second = kGib * params_.real(genome, "dram_gib_s");
    genes.frequency_hz = 1e6 * params_.real(genome, "frequency_mhz");
    // What no network can change is refused before one is lowered: passes, units, registers, bindings.
    const auto design = attention::build_design(genes, profiles_.at(genes.cascade), shared_->options.design,
                                                shared_->data, shared_->published);
    if (!design) {
      return Unexpected{design.error()};
    }
    return std::unique_ptr<const Model>(std::make_unique<attention::AttentionModel>(std::move(genes), shared_));
  }

 private:
  /// Of every cascade that the gene may name, with heads of any size.
  void set_profiles(const attention::JobOptions& options) {
    if (options.cascade) {
      profiles_.emplace(kOwnCascade, attention::make_profile(*options.cascade).value());
      return;
    }
    for (const std::string& name : attention_cascades()) {
      profiles_.emplace(name, attention::make_profile(cascade::cascade(name)).value());
    }
  }

  void read_options(const JsonReader& reader, bool point, attention::JobOptions& options) {
    reader.only(
        {"energy_table", "dram", "complete_energy", "even_chunks", "causal", "decode_keys", "cascade_text", "slots"});
    options.design.energy_table = reader.text("energy_table", options.design.energy_table);
    options.design.dram = reader.text("dram", options.design.dram);
    options.design.complete_energy = reader.boolean("complete_energy", false);
    options.design.even_chunks = reader.boolean("even_chunks", point);
    options.causal = reader.boolean("causal", false);
    options.decode_keys = reader.integer("decode_keys", 0, 0);
    slots_ = reader.text("slots", "");
    if (const auto text = reader.find("cascade_text")) {
      try {
        options.cascade = ir::parse_workload(text->text());
      } catch (const ConfigError& error) {
        text->fail(error.what());
      }
      if (const auto profile = attention::make_profile(*options.cascade); !profile) {
        text->fail(profile.error());
      }
    }
  }

  void set_params(const attention::Shared& shared) {
    std::vector<std::string> elements;
    for (const auto& entry : shared.published.elements) {
      elements.push_back(entry.first);
    }
    std::vector<std::string> bindings{"interleaved", "pipelined", "sequential"};
    for (const auto& entry : shared.published.bindings) {
      bindings.push_back(entry.first);
    }
    if (!slots_.empty()) {
      bindings = {kOwnSlots};
    }
    const std::vector<std::string> cascades =
        shared.options.cascade ? std::vector<std::string>{kOwnCascade} : attention_cascades();
    constexpr std::int64_t kTiles = 2;  // of `fusion`
    const Preference size = preferred(std::int64_t{256}, std::int64_t{256}, std::int64_t{256});
    std::vector<Param> params{
        {"elements", texts(elements), {}},
        {"cascade", texts(cascades), {}, preferred("attention_three_pass", "attention_one_pass", "attention_one_pass")},
        {"fusion", texts({"none", "rows", "tiles"}), {}, preferred("rows", "tiles", "tiles")},
        {"softmax_on", texts({"array", "lanes"}), {"fusion", {kTiles}}, preferred("lanes", "lanes", "array")},
        {"binding", texts(bindings), {"fusion", {kTiles}}},
        {"rows", kArraySizes, {}, size},
        {"columns", kArraySizes, {}, size},
        {"lanes", kArraySizes, {}, size},
        {"buffer_kib",
         numbers<std::int64_t>({16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}),
         {},
         preferred(std::int64_t{32768}, std::int64_t{16384}, std::int64_t{16384})},
        {"dram_gib_s",
         numbers<std::int64_t>({10, 25, 50, 100, 200, 400, 800, 1600}),
         {},
         preferred(std::int64_t{400}, std::int64_t{400}, std::int64_t{400})},
        {"frequency_mhz",
         numbers<std::int64_t>({200, 400, 800, 940, 1200}),
         {},
         preferred(std::int64_t{940}, std::int64_t{940}, std::int64_t{940})}};
    if (shared.options.cascade) {
      params[1].preferred = {};
    }
    params_ = ParamSet(std::move(params));
  }

  /// What the published designs have, by their elements.
  template <class Value>
  static Preference preferred(Value flat, Value flat_cascade, Value fusemax) {
    using Text = std::string;
    return {"elements",
            {{Text("flat"), GeneValue(flat)},
             {Text("flat_cascade"), GeneValue(flat_cascade)},
             {Text("fusemax"), GeneValue(fusemax)}}};
  }

  void restrict_to(const DesignGenes& point, const attention::JobOptions& options) {
    nlohmann::json genes{{"elements", point.elements},
                         {"fusion", fusion_name(point.fusion)},
                         {"rows", point.rows},
                         {"columns", point.columns},
                         {"lanes", point.lanes},
                         {"buffer_kib", point.buffer_bytes / kKib},
                         {"dram_gib_s", static_cast<std::int64_t>(point.dram_bytes_per_second / kGib)},
                         {"frequency_mhz", static_cast<std::int64_t>(point.frequency_hz * 1e-6)}};
    if (!options.cascade) {
      genes["cascade"] = point.cascade;
    }
    if (point.fusion == Fusion::tiles) {
      genes["softmax_on"] = point.softmax_on_array ? "array" : "lanes";
      genes["binding"] = slots_.empty() ? point.binding : kOwnSlots;
    }
    params_ = params_.restricted(genes);
  }

  ParamSet params_;
  std::map<std::string, attention::Profile> profiles_;  ///< by cascade
  std::string slots_;
  std::string fingerprint_;
  std::shared_ptr<const attention::Shared> shared_;
};

std::unique_ptr<Target> make_point(const std::string& name, const std::string& point, const nlohmann::json& options,
                                   const std::string& data_directory) {
  return std::make_unique<AttentionTarget>(name, point, JsonReader::of_options(options, "/target"), data_directory);
}

}  // namespace

std::unique_ptr<Target> make_attention(const nlohmann::json& options, const std::string& data_directory) {
  return make_point("attention", "", options, data_directory);
}
std::unique_ptr<Target> make_attention_unfused(const nlohmann::json& options, const std::string& data_directory) {
  return make_point("attention_unfused", "unfused", options, data_directory);
}
std::unique_ptr<Target> make_flat(const nlohmann::json& options, const std::string& data_directory) {
  return make_point("flat", "flat", options, data_directory);
}
std::unique_ptr<Target> make_fusemax(const nlohmann::json& options, const std::string& data_directory) {
  return make_point("fusemax", "binding", options, data_directory);
}

}  // namespace cosearch
