#include "experiments/export/registry.hpp"

#include <array>

#include "experiments/export/c_design.hpp"
#include "experiments/export/json.hpp"
#include "spaces/base/registry.hpp"

namespace cosearch {
namespace {

constexpr std::array kFormats{
    ExportFormat{"c", "C99 projects in int8: kernels, weights, one static arena, test vectors, Makefile", &write_c},
    ExportFormat{"c_fp32", "the same in fp32", &write_c_fp32},
    ExportFormat{"json", "network, hardware, metrics and per-layer cost as JSON, weights as safetensors", &write_json},
};

}  // namespace

std::span<const ExportFormat> export_registry() { return kFormats; }

const ExportFormat& export_format(const std::string& name) { return entry_named(kFormats, name, "--format"); }

}  // namespace cosearch
