#include "hwmodels/fpga/target.hpp"

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "hwmodels/fpga/model.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kKib = 1024;
constexpr const char* kFree = "free";
constexpr const char* kByExpert = "expert_by_expert";

Choices numbers(std::initializer_list<std::int64_t> list) {
  Choices result;
  for (const std::int64_t number : list) {
    result.values.emplace_back(number);
  }
  return result;
}

Choices texts(std::initializer_list<const char*> list) {
  Choices result;
  for (const char* text : list) {
    result.values.emplace_back(std::string(text));
  }
  return result;
}

fpga::Scheduling scheduling_of(const std::string& name) {
  if (name == kByExpert) {
    return fpga::Scheduling::expert_by_expert;
  }
  if (name == "cache") {
    return fpga::Scheduling::cache;
  }
  return name == "cache_less" ? fpga::Scheduling::cache_less : fpga::Scheduling::all_on_chip;
}

class MoeFpgaTarget final : public Target {
 public:
  MoeFpgaTarget(const JsonReader& reader, const std::string& data_directory) {
    auto data = std::make_shared<fpga::FpgaData>(fpga::load_fpga_data(data_directory));
    reader.only({"free_power_w"});
    if (const auto power = reader.find("free_power_w")) {
      data->free_power_w = power->number(kPositive);
      data->free_power_source = "as the option free_power_w says";
    }
    set_params(*data);
    fingerprint_ = "moe_fpga/2/" + hex(Hasher().add(reader.without({}).dump()).add(data->fingerprint).value());
    data_ = std::move(data);
  }

  [[nodiscard]] const ParamSet& params() const noexcept override { return params_; }
  [[nodiscard]] std::string fingerprint() const override { return fingerprint_; }
  [[nodiscard]] std::vector<std::string> metric_names() const override {
    return {"cycles", "dram_gbps", "edp_nj_s",   "energy_uj",     "latency_ms", "macs",
            "params", "power_mw",  "sram_bytes", "traffic_bytes", "utilization"};
  }

  [[nodiscard]] Expected<std::unique_ptr<const Model>, Infeasible> build(const Genome& genome) const override {
    fpga::Genes genes;
    genes.dsps = params_.integer(genome, "dsps");
    genes.tile_in = params_.integer(genome, "tile_in");
    genes.attention = params_.integer(genome, "attention");
    genes.lanes = params_.integer(genome, "lanes");
    genes.bits_per_cycle = params_.integer(genome, "bits_per_cycle");
    genes.frequency_hz = 1e6 * params_.real(genome, "frequency_mhz");
    genes.weight_buffer_bytes = kKib * params_.integer(genome, "weight_buffer_kib");
    genes.token_buffer_bytes = kKib * params_.integer(genome, "token_buffer_kib");
    genes.scheduling = scheduling_of(params_.text(genome, "scheduling"));
    genes.half_experts =
        genes.scheduling == fpga::Scheduling::expert_by_expert && params_.text(genome, "pieces") == "half";
    genes.single_pass_softmax = params_.text(genome, "softmax") == "single_pass";
    genes.table_gelu = params_.text(genome, "gelu") == "table";
    genes.unified_linear = params_.text(genome, "linear") == "unified";
    genes.reordered_attention = params_.text(genome, "reordering") == "on";
    return std::unique_ptr<const Model>(std::make_unique<fpga::MoeFpgaModel>(genes, part(genome), data_));
  }

 private:
  void set_params(const fpga::FpgaData& data) {
    Choices parts;
    for (const auto& entry : data.parts) {
      parts.values.emplace_back(entry.first);
    }
    const auto free = static_cast<std::int64_t>(parts.values.size());
    parts.values.emplace_back(std::string(kFree));
    constexpr std::int64_t kFirst = 0;  // of `scheduling`: expert_by_expert
    params_ = ParamSet({{"part", parts, {}},
                        {"free_dsps", numbers({512, 1024, 2048, 4096, 8192}), {"part", {free}}},
                        {"free_kib", numbers({1024, 2048, 4096, 8192, 16384}), {"part", {free}}},
                        {"dsps", numbers({256, 512, 768, 1024, 1280, 1536, 2048, 4096}), {}},
                        {"tile_in", numbers({8, 16, 32}), {}},
                        {"attention", numbers({4, 1, 2, 8, 16}), {}},
                        {"lanes", numbers({8, 4, 16, 32, 64}), {}},
                        {"bits_per_cycle", numbers({64, 128, 256, 512}), {}},
                        {"frequency_mhz", numbers({300, 100, 150, 200, 250}), {}},
                        {"weight_buffer_kib", numbers({256, 64, 128, 384, 512, 640, 1024, 2048}), {}},
                        {"token_buffer_kib", numbers({64, 16, 32, 128, 256, 512, 1024, 2048}), {}},
                        {"scheduling", texts({kByExpert, "cache", "cache_less", "all_on_chip"}), {}},
                        {"pieces", texts({"expert", "half"}), {"scheduling", {kFirst}}},
                        {"softmax", texts({"single_pass", "three_pass"}), {}},
                        {"gelu", texts({"table", "exact"}), {}},
                        {"linear", texts({"unified", "per_kind"}), {}},
                        {"reordering", texts({"on", "off"}), {}}});
  }

  [[nodiscard]] fpga::Part part(const Genome& genome) const {
    const std::string& name = params_.text(genome, "part");
    if (name != kFree) {
      return data_->parts.at(name);
    }
    fpga::Part part;
    part.name = kFree;
    part.dsps = params_.integer(genome, "free_dsps");
    part.on_chip_bytes = kKib * params_.integer(genome, "free_kib");
    part.power_w = data_->free_power_w;
    part.power_source = data_->free_power_source;
    return part;
  }

  ParamSet params_;
  std::shared_ptr<const fpga::FpgaData> data_;
  std::string fingerprint_;
};

}  // namespace

std::unique_ptr<Target> make_moe_fpga(const nlohmann::json& options, const std::string& data_directory) {
  return std::make_unique<MoeFpgaTarget>(JsonReader::of_options(options, "/target"), data_directory);
}

}  // namespace cosearch
