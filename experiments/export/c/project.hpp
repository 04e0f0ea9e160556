#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "spaces/program/arena.hpp"
#include "spaces/program/program.hpp"
#include "trainer/quantize/quantize.hpp"
#include "trainer/quantize/quantized_network.hpp"

/// Networks as C99 projects that need no other file: kernels, weights, one static arena, test vectors, start-up code,
/// linker script and Makefile for the host, for Cortex-M and for RISC-V. experiments/export/c/runtime holds the
/// kernels, experiments/export/c/template what does not depend on the network.
namespace cosearch::c_export {

/// A network in floating point.
struct FloatNetwork {
  graph::NetworkGraph graph;
  std::vector<std::optional<quantize::FoldedLayer>> layers;  ///< of quantize::fold
};

/// What a board has; nothing: not checked.
struct Budget {
  std::optional<std::int64_t> sram_bytes;
  std::optional<std::int64_t> flash_bytes;
};

/// An input and what the network makes of it, as bytes: int8, int32 token ids, or floats. The input is whole also where
/// the program streams it; outputs follow each other.
struct TestVector {
  std::vector<std::int8_t> input;
  std::vector<std::int8_t> output;
};

struct Project {
  std::string name;  ///< of the network; the program's file name follows from it
  /// Of the network, lowered with the scratch rule `cosearch`, with element_bytes 1 for a quantised network and 4 for
  /// one in floating point.
  program::Program program;
  program::ArenaPlan plan;
  std::variant<const quantize::QuantizedNetwork*, const FloatNetwork*> network;  ///< outlives the project
  std::vector<TestVector> test_vectors;                                          ///< at least one
  Budget budget;
};

struct File {
  std::string name;
  std::string text;
};

/// All files of the project, `README.txt` first.
[[nodiscard]] std::vector<File> project_files(const Project& project);

/// Writes them below `directory`, which exists; returns their names. @throws std::runtime_error naming the path that
/// cannot be written.
std::vector<std::string> write_project(const Project& project, const std::string& directory);

}  // namespace cosearch::c_export
