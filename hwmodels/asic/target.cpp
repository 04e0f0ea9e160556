#include "hwmodels/asic/target.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/asic/accelerator.hpp"
#include "hwmodels/asic/array_arch.hpp"
#include "hwmodels/asic/asic_model.hpp"
#include "hwmodels/asic/chip_metrics.hpp"
#include "hwmodels/asic/target_options.hpp"
#include "hwmodels/data_files.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

using asic::Arch;
using asic::Dataflow;

/// What both kinds of target share: options, dataflows, metrics.
class AsicTargetBase : public Target {
 public:
  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }
  [[nodiscard]] std::vector<std::string> metric_names() const override { return asic::chip_metric_names(); }
  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }

 protected:
  AsicTargetBase(const JsonReader& reader, const std::string& data_directory)
      : options_(std::make_shared<const asic::TargetOptions>(asic::read_target_options(reader, data_directory))),
        dataflows_(asic::load_dataflows(data_directory)) {}

  [[nodiscard]] std::optional<Dataflow> dataflow(const std::string& name) const {
    const auto found = std::find_if(dataflows_.begin(), dataflows_.end(),
                                    [&](const Dataflow& dataflow) { return dataflow.name == name; });
    return found == dataflows_.end() ? std::nullopt : std::optional(*found);
  }
  [[nodiscard]] std::vector<GeneValue> dataflow_names() const {
    std::vector<GeneValue> names;
    for (const Dataflow& dataflow : dataflows_) {
      names.emplace_back(dataflow.name);
    }
    return names;
  }
  void set(std::vector<Param> params, const std::string& name, const JsonReader& reader, const std::string& data) {
    params_ = ParamSet(std::move(params));
    Hasher hasher;
    hasher.add(data).add(options_->fingerprint).add(reader.without({}).dump());
    fingerprint_ = name + "/3/" + hex(hasher.value());
  }

  std::shared_ptr<const asic::TargetOptions> options_;
  std::vector<Dataflow> dataflows_;

 private:
  ParamSet params_{std::vector<Param>{}};
  std::string fingerprint_;
};

class ArrayTarget final : public AsicTargetBase {
 public:
  ArrayTarget(const JsonReader& reader, const std::string& data_directory)
      : AsicTargetBase(reader, data_directory), dram_(asic::dram_kind(reader, options_->prices.macros)) {
    asic::check_target_options(reader, {"dram"});
    const auto choices = [](std::initializer_list<std::int64_t> list) {
      Choices result;
      result.values.assign(list.begin(), list.end());
      return result;
    };
    set({{"dataflow", Choices{dataflow_names()}, {}},
         {"rows", choices({4, 8, 16, 32, 64, 128}), {}},
         {"columns", choices({4, 8, 16, 32, 64, 128}), {}},
         {"registers", choices({8, 16, 32, 64, 128, 256}), {}},
         {"buffer_kib", choices({16, 32, 64, 128, 256, 512, 1024, 2048, 4096}), {}},
         {"bandwidth_gb_s", choices({1, 2, 4, 8, 16, 32}), {}},
         {"frequency_mhz", choices({100, 200, 400, 800}), {}}},
        "asic", reader, "");
  }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    asic::ArrayKnobs knobs;
    knobs.rows = params().integer(genome, "rows");
    knobs.columns = params().integer(genome, "columns");
    knobs.register_words = params().integer(genome, "registers");
    knobs.buffer_bytes = 1024 * params().integer(genome, "buffer_kib");
    knobs.bytes_per_second = params().real(genome, "bandwidth_gb_s") * 1e9;
    knobs.frequency_hz = params().real(genome, "frequency_mhz") * 1e6;
    knobs.dram = dram_;
    return std::unique_ptr<const Model>(
        std::make_unique<asic::AsicModel>([knobs](ir::ElementType type) { return asic::array_arch(knobs, type); },
                                          dataflow(params().text(genome, "dataflow")), options_));
  }

 private:
  std::string dram_;
};

class PresetTarget final : public AsicTargetBase {
 public:
  PresetTarget(const std::string& name, const std::string& preset, const JsonReader& reader,
               const std::string& data_directory)
      : AsicTargetBase(reader, data_directory), arch_(asic::load_arch(reader.text("arch", preset), data_directory)) {
    asic::check_target_options(reader, {"arch"});
    std::vector<GeneValue> dataflows = dataflow_names();
    dataflows.insert(dataflows.begin(), std::string("native"));
    set({{"dataflow", Choices{std::move(dataflows)}, {}}}, name, reader, hex(asic::hash(arch_)));
    // A preset that cannot be priced is found now.
    (void)asic::Pricing(arch_, options_->prices);
  }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    return std::unique_ptr<const Model>(std::make_unique<asic::AsicModel>(
        [arch = arch_](ir::ElementType) { return arch; }, dataflow(params().text(genome, "dataflow")), options_));
  }

 private:
  Arch arch_;
};

std::unique_ptr<Target> make_preset(const std::string& name, const std::string& preset, const nlohmann::json& options,
                                    const std::string& data_directory) {
  return std::make_unique<PresetTarget>(name, preset, JsonReader::of_options(options, "/target"), data_directory);
}

}  // namespace

std::unique_ptr<Target> make_asic(const nlohmann::json& options, const std::string& data_directory) {
  return std::make_unique<ArrayTarget>(JsonReader::of_options(options, "/target"), data_directory);
}
std::unique_ptr<Target> make_eyeriss(const nlohmann::json& options, const std::string& data_directory) {
  return make_preset("eyeriss", "eyeriss_168", options, data_directory);
}
std::unique_ptr<Target> make_nvdla(const nlohmann::json& options, const std::string& data_directory) {
  return make_preset("nvdla", "nvdla", options, data_directory);
}
std::unique_ptr<Target> make_shidiannao(const nlohmann::json& options, const std::string& data_directory) {
  return make_preset("shidiannao", "shidiannao", options, data_directory);
}
std::unique_ptr<Target> make_simba(const nlohmann::json& options, const std::string& data_directory) {
  return make_preset("simba", "simba", options, data_directory);
}
std::unique_ptr<Target> make_tpu(const nlohmann::json& options, const std::string& data_directory) {
  return make_preset("tpu", "tpu", options, data_directory);
}

}  // namespace cosearch
