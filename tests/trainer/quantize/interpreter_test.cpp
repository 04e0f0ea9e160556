#include "trainer/quantize/interpreter.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/oracle/quantized_forward.hpp"
#include "tests/oracle/random_quantized.hpp"

namespace cosearch::quantize {
namespace {

using oracle::random_quantized;
using program::LoweringOptions;
using program::Program;

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

std::vector<std::pair<std::string, LoweringOptions>> engines() {
  return {{"tinyengine", program::tinyengine_options()},
          {"cmsis_nn", program::cmsis_nn_options()},
          {"tflm", program::tflm_reference_options()}};
}

constexpr std::uint64_t kGraphs = 400;

TEST(Interpreter, EqualsTheOracleInEveryBitForAllEngines) {
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    const QuantizedNetwork network = random_quantized(oracle::random_graph(seed), seed);
    const std::vector<std::int32_t> input = oracle::random_quantized_input(network.graph, seed);
    const std::vector<std::int8_t> wanted = expected(network, input);
    for (const auto& [engine, options] : engines()) {
      const Program program = program::lower_program(network.graph, options).value();
      Interpreter interpreter(program, network);
      ASSERT_EQ(interpreter.run(oracle::input_bytes(network.graph, input)), wanted)
          << network.graph.name << ", seed " << seed << ", " << engine;
      EXPECT_EQ(interpreter.high_water_bytes(), interpreter.plan().bytes) << network.graph.name << ", " << engine;
    }
  }
}

}  // namespace
}  // namespace cosearch::quantize
