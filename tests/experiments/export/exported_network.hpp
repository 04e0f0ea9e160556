#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "experiments/export/c/project.hpp"
#include "spaces/program/program.hpp"
#include "trainer/quantize/quantized_network.hpp"

/// Random quantised networks as C projects, with test vectors of the interpreter.
namespace cosearch::testing_support {

struct ExportedNetwork {
  quantize::QuantizedNetwork network;
  c_export::Project project;  ///< of that network
};

[[nodiscard]] std::unique_ptr<ExportedNetwork> export_random(const graph::NetworkGraph& graph, std::uint64_t seed,
                                                             const program::LoweringOptions& options,
                                                             int test_vectors = 2);

/// In floating point, with random weights and the outputs of the trainer's InferenceExecutor.
struct ExportedFloatNetwork {
  c_export::FloatNetwork network;
  c_export::Project project;  ///< of that network
};
[[nodiscard]] std::unique_ptr<ExportedFloatNetwork> export_random_float(const graph::NetworkGraph& graph,
                                                                        std::uint64_t seed,
                                                                        program::LoweringOptions options);

/// A network of a space on 16 x 16 or other small images, with less than a million multiply-accumulates.
[[nodiscard]] graph::NetworkGraph small_network_of(const std::string& space, std::uint64_t seed);

/// What our own kernels can do with memory: layer by layer, in streams, patch by patch, ...
[[nodiscard]] std::vector<program::LoweringOptions> memory_variants();

/// Writes a project to a new folder below `parent`, which must exist; returns the folder.
[[nodiscard]] std::string write_below(const c_export::Project& project, const std::string& parent,
                                      const std::string& name);

}  // namespace cosearch::testing_support
