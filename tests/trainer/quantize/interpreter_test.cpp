#include "trainer/quantize/interpreter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "spaces/program/patches.hpp"
#include "tests/oracle/quantized_forward.hpp"
#include "tests/oracle/random_network.hpp"
#include "tests/oracle/random_quantized.hpp"

namespace cosearch::quantize {
namespace {

using oracle::random_quantized;
using program::LoweringOptions;
using program::Program;
using program::Streaming;

/// Outputs of the network by the oracle, in the order of the graph's outputs, each buffer once.
std::vector<std::int8_t> expected(const QuantizedNetwork& network, const std::vector<std::int32_t>& input) {
  const std::vector<std::vector<std::int32_t>> values = oracle::quantized_forward(network, input);
  std::vector<std::int8_t> result;
  for (const int output : network.graph.outputs) {
    for (const std::int32_t value : values.at(static_cast<std::size_t>(output))) {
      result.push_back(static_cast<std::int8_t>(value));
    }
  }
  return result;
}

/// All engines, and all ways of our own to need less memory.
std::vector<std::pair<std::string, LoweringOptions>> variants() {
  std::vector<std::pair<std::string, LoweringOptions>> list = {{"tinyengine", program::tinyengine_options()},
                                                               {"cmsis_nn", program::cmsis_nn_options()},
                                                               {"tflm", program::tflm_reference_options()}};
  for (auto& entry : list) {
    entry.second.mixtures = true;  // their engines have no such kernel; their rules for buffers would serve it
  }
  const auto add = [&list](Streaming streaming, std::int64_t patches) {
    LoweringOptions options = program::cosearch_options();
    options.streaming = streaming;
    options.patches = patches;
    list.emplace_back(std::string(streaming_name(streaming)) + ", patches " + std::to_string(patches), options);
    options.streamed_input = options.weights_in_sram = true;
    list.emplace_back(list.back().first + ", streamed input", options);
  };
  for (const Streaming streaming :
       {Streaming::layers, Streaming::rows, Streaming::heads, Streaming::heads_recomputed}) {
    add(streaming, 1);
  }
  add(Streaming::rows, 2);
  add(Streaming::layers, 3);
  return list;
}

/// Reads rectangles of an input that lies in memory, row-major with channels.
InputReader reader_of(const graph::NetworkGraph& graph, const std::vector<std::int8_t>& input) {
  const graph::Shape shape = std::get<graph::Input>(graph.nodes.at(0).op).shape;
  return [shape, &input](const program::Window& window, std::int8_t* out) {
    ASSERT_LE(window.y + window.h, shape.at(0));
    ASSERT_LE(window.x + window.w, shape.at(1));
    for (std::int64_t y = window.y; y < window.y + window.h; ++y) {
      const std::int64_t first = (y * shape[1] + window.x) * shape.at(2);
      out = std::copy_n(input.begin() + first, window.w * shape[2], out);
    }
  };
}

/// The outputs of a run, wherever the program takes its input from.
std::vector<std::int8_t> outputs_of(Interpreter& interpreter, const Program& program, const graph::NetworkGraph& graph,
                                    const std::vector<std::int8_t>& input) {
  return program.inputs.empty() ? interpreter.run({}, reader_of(graph, input)) : interpreter.run(input);
}

constexpr std::uint64_t kGraphs = 300;

TEST(Interpreter, EqualsTheOracleInEveryBitForAllEnginesAndVariants) {
  std::map<std::string, int> programs;
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    const QuantizedNetwork network = random_quantized(oracle::random_graph(seed), seed);
    const std::vector<std::int32_t> input = oracle::random_quantized_input(network.graph, seed);
    const std::vector<std::int8_t> bytes = oracle::input_bytes(network.graph, input);
    const std::vector<std::int8_t> wanted = expected(network, input);
    for (const auto& [variant, options] : variants()) {
      const Program program = program::lower_program(network.graph, options).value();
      SCOPED_TRACE(network.graph.name + ", seed " + std::to_string(seed) + ", " + variant);
      Interpreter interpreter(program, network);
      ASSERT_EQ(outputs_of(interpreter, program, network.graph, bytes), wanted);
      ASSERT_EQ(interpreter.high_water_bytes(), interpreter.plan().bytes);
      programs["row blocks"] += program.row_blocks > 0 ? 1 : 0;
      programs["streamed inputs"] += program.inputs.empty() ? 1 : 0;
      for (const program::KernelCall& call : program.calls) {
        const bool mixture = call.kind == program::KernelKind::mixture;
        const auto& output = program.buffers[static_cast<std::size_t>(call.output)];
        programs["mixtures in place"] += mixture && output.alias_of ? 1 : 0;
        programs["mixtures row by row"] += mixture && call.row_block >= 0 ? 1 : 0;
      }
    }
  }
  EXPECT_GT(programs["row blocks"], 500);
  EXPECT_GT(programs["streamed inputs"], 100);
  EXPECT_GT(programs["mixtures in place"], 50);
  EXPECT_GT(programs["mixtures row by row"], 50);
}

// Wherever patches end, not only where that saves memory.
TEST(Interpreter, PatchesUpToEveryCallGiveTheSameBits) {
  int programs = 0;
  int in_place = 0;
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    const QuantizedNetwork network = random_quantized(oracle::random_graph(seed), seed);
    LoweringOptions options = program::cosearch_options();
    const Program whole = program::lower_program(network.graph, options).value();
    const std::vector<std::int32_t> input = oracle::random_quantized_input(network.graph, seed);
    const std::vector<std::int8_t> bytes = oracle::input_bytes(network.graph, input);
    options.patches = 2 + static_cast<std::int64_t>(seed % 2);
    options.streamed_input = seed % 3 == 0;
    for (const std::size_t end : program::patch_ends(whole, options.patches)) {
      const Program program = program::in_patches_until(whole, options, end);
      SCOPED_TRACE(network.graph.name + ", seed " + std::to_string(seed) + ", up to " + whole.calls[end].name);
      Interpreter interpreter(program, network);
      ASSERT_EQ(outputs_of(interpreter, program, network.graph, bytes), expected(network, input));
      ++programs;
      in_place += static_cast<int>(std::count_if(program.buffers.begin(), program.buffers.end(),
                                                 [](const auto& buffer) { return buffer.window && buffer.alias_of; }));
    }
  }
  std::printf("%d programs, %d parts of images in the place of others\n", programs, in_place);
  EXPECT_GT(programs, 100);
  EXPECT_GT(in_place, 100);
}

// What the comparison is worth: random networks whose values are neither all alike nor all cut off.
TEST(RandomQuantized, ValuesSpreadOverTheRangeOfInt8) {
  std::int64_t values = 0, at_the_ends = 0;
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    const QuantizedNetwork network = random_quantized(oracle::random_graph(seed), seed);
    const auto all = oracle::quantized_forward(network, oracle::random_quantized_input(network.graph, seed));
    std::set<std::int32_t> distinct;
    for (const std::int32_t value : all.back()) {
      ++values;
      at_the_ends += value == kLowest || value == kHighest ? 1 : 0;
      distinct.insert(value);
    }
    EXPECT_TRUE(all.back().size() < 64 || distinct.size() > 4) << network.graph.name << ", seed " << seed;
  }
  EXPECT_LT(at_the_ends, values / 8);
}

// A plan in which two live buffers overlap must not go unnoticed.
TEST(Interpreter, GivesOtherResultsWhereScratchLiesOnAValue) {
  const QuantizedNetwork network = random_quantized(oracle::small_residual_network(), 1);
  const std::vector<std::int32_t> input = oracle::random_quantized_input(network.graph, 1);
  Program program = program::lower_program(network.graph, program::cmsis_nn_options()).value();
  for (program::KernelCall& call : program.calls) {
    if (call.kind == program::KernelKind::global_average_pool) {
      call.scratch.push_back(call.inputs[0]);
    }
  }
  EXPECT_NE(Interpreter(program, network).run(oracle::input_bytes(network.graph, input)), expected(network, input));
}

TEST(InterpreterDeathTest, RefusesWhatCannotBe) {
  const QuantizedNetwork network = random_quantized(oracle::small_text_network(), 1);
  const Program program = program::lower_program(network.graph, program::tinyengine_options()).value();
  EXPECT_DEATH(static_cast<void>(Interpreter(program, network).run({})), "another size");
  const std::vector<std::int32_t> unknown(5, 7);
  EXPECT_DEATH(static_cast<void>(Interpreter(program, network).run(oracle::input_bytes(network.graph, unknown))),
               "token id");
  Program narrow = program;
  narrow.buffers[static_cast<std::size_t>(narrow.calls[0].output)].bytes -= 1;
  EXPECT_DEATH(static_cast<void>(Interpreter(narrow, network).run(std::vector<std::int8_t>(20))), "outside");
}

}  // namespace
}  // namespace cosearch::quantize
