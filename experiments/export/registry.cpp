#include "experiments/export/registry.hpp"

#include <array>

#include "experiments/export/json.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

constexpr std::array kFormats{
    ExportFormat{"json", "network, hardware, metrics and per-layer cost as JSON, weights as safetensors", &write_json},
};

}  // namespace

std::span<const ExportFormat> export_registry() { return kFormats; }

const ExportFormat& export_format(const std::string& name) {
  std::vector<std::string> known;
  for (const ExportFormat& format : kFormats) {
    if (format.name == name) {
      return format;
    }
    known.emplace_back(format.name);
  }
  throw ConfigError("--format", unknown_name(name, known));
}

}  // namespace cosearch
