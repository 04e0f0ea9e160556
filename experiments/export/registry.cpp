#include "experiments/export/registry.hpp"

#include <array>

#include "experiments/export/json.hpp"
#include "spaces/base/registry.hpp"

namespace cosearch {
namespace {

constexpr std::array kFormats{
    ExportFormat{"json", "network, hardware, metrics and per-layer cost as JSON, weights as safetensors", &write_json},
};

}  // namespace

std::span<const ExportFormat> export_registry() { return kFormats; }

const ExportFormat& export_format(const std::string& name) { return entry_named(kFormats, name, "--format"); }

}  // namespace cosearch
