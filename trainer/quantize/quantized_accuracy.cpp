#include <algorithm>

#include "spaces/base/check.hpp"
#include "spaces/program/program.hpp"
#include "trainer/net/parallel.hpp"
#include "trainer/quantize/interpreter.hpp"
#include "trainer/quantize/quantized_training.hpp"
#include "trainer/train/accuracy.hpp"

namespace cosearch::quantize {
namespace {

/// Samples that one interpreter runs.
constexpr std::int64_t kSlice = 64;

}  // namespace

double quantized_accuracy(const QuantizedNetwork& network, const TaskData& data, const Dataset& split,
                          std::int64_t samples) {
  check_fit(network.graph, data, split);
  const auto program = program::lower_program(network.graph, program::plain_options());
  COSEARCH_CHECK(program.has_value(), "a malformed network is quantised");
  const std::vector<graph::Shape> shapes = graph::infer_shapes(network.graph).value();
  const auto inputs = static_cast<std::size_t>(graph::elements(shapes.front()));
  const auto width = static_cast<std::size_t>(graph::elements(shapes.back()));
  const Quantization& first = network.values.front();
  const Quantization& last = network.values.back();
  const BatchRunner run = [&](const InputSource& input, std::int64_t count, float* outputs) {
    for_each_parallel((count + kSlice - 1) / kSlice, [&](std::int64_t slice) {
      Interpreter interpreter(*program, network);
      std::vector<float> values(inputs);
      std::vector<std::int8_t> integers(inputs);
      for (std::int64_t i = slice * kSlice; i < std::min(count, (slice + 1) * kSlice); ++i) {
        input(i, 1, values.data());
        std::transform(values.begin(), values.end(), integers.begin(),
                       [&](float value) { return quantized(static_cast<double>(value), first); });
        const std::vector<std::int8_t> output = interpreter.run(integers);
        std::transform(output.begin(), output.end(), outputs + static_cast<std::size_t>(i) * width,
                       [&](std::int8_t value) { return static_cast<float>(real(value, last)); });
      }
    });
  };
  return accuracy_of(run, network.graph, data, split, samples);
}

}  // namespace cosearch::quantize
