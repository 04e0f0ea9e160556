#include "experiments/export/c_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <variant>

#include "hwmodels/text.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/rng.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/net/simulation.hpp"
#include "trainer/quantize/interpreter.hpp"

namespace cosearch::c_export {
namespace {

template <class T>
std::vector<std::int8_t> bytes_of(const std::vector<T>& values) {
  std::vector<std::int8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Inputs of the network, sample after sample.
std::vector<float> test_inputs(const graph::NetworkGraph& graph, const TaskData* data, std::int64_t count) {
  const graph::Shape& shape = std::get<graph::Input>(graph.nodes[0].op).shape;
  std::vector<float> inputs(static_cast<std::size_t>(count * graph::elements(shape)));
  if (data != nullptr && data->test.size() >= count) {
    std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
    std::iota(samples.begin(), samples.end(), 0);
    fill_batch(data->test, {.input = shape, .mean = data->mean, .std_dev = data->std_dev}, samples, inputs.data());
    return inputs;
  }
  std::int64_t vocabulary = 0;
  for (const graph::Node& node : graph.nodes) {
    const auto* embed = std::get_if<graph::TokenEmbed>(&node.op);
    vocabulary = embed == nullptr ? vocabulary : embed->vocabulary;
  }
  RngStream rng(0, Purpose::sample, 0);
  for (float& value : inputs) {
    value = vocabulary > 0 ? static_cast<float>(rng.below(static_cast<std::uint64_t>(vocabulary)))
                           : static_cast<float>(rng.normal());
  }
  return inputs;
}

/// Gives rectangles of a whole image.
quantize::InputReader reader_of(const graph::Shape& shape, const std::vector<std::int8_t>& image) {
  return [&shape, &image](const program::Window& window, std::int8_t* out) {
    const std::int64_t row = window.w * shape[2];
    for (std::int64_t y = 0; y < window.h; ++y) {
      std::copy_n(image.begin() + ((window.y + y) * shape[1] + window.x) * shape[2], row, out + y * row);
    }
  };
}

void add_integer_vectors(Project& project, const quantize::QuantizedNetwork& network, const std::vector<float>& inputs,
                         std::int64_t count) {
  const graph::Shape& shape = std::get<graph::Input>(network.graph.nodes[0].op).shape;
  const std::int64_t size = graph::elements(shape);
  quantize::Interpreter interpreter(project.program, network);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::span<const float> values(inputs.data() + i * size, static_cast<std::size_t>(size));
    std::vector<std::int8_t> bytes;
    if (graph::takes_token_ids(network.graph)) {
      bytes = bytes_of(std::vector<std::int32_t>(values.begin(), values.end()));
    } else {
      for (const float value : values) {
        bytes.push_back(quantize::quantized(static_cast<double>(value), network.values.front()));
      }
    }
    std::vector<std::int8_t> output =
        project.program.inputs.empty() ? interpreter.run({}, reader_of(shape, bytes)) : interpreter.run(bytes);
    project.test_vectors.push_back({std::move(bytes), std::move(output)});
  }
}

/// The network whose weights of 4 bits keep all of theirs, as in the fp32 export.
graph::NetworkGraph unrounded(graph::NetworkGraph graph) {
  for (graph::Node& node : graph.nodes) {
    std::visit(
        [](auto& op) {
          if constexpr (requires { op.weight_bits; }) {
            op.weight_bits = graph::kDefaultWeightBits;
          }
        },
        node.op);
  }
  return graph;
}

void add_float_vectors(Project& project, const Source& source, const std::vector<float>& inputs, std::int64_t count) {
  const std::vector<graph::Shape> shapes = graph::infer_shapes(source.graph).value();
  const std::int64_t size = graph::elements(shapes.front());
  const std::int64_t width = graph::elements(shapes.back());
  const graph::NetworkGraph graph = unrounded(source.graph);
  Parameters parameters(graph);
  parameters.load(source.weights);
  std::vector<float> outputs(static_cast<std::size_t>(count * width));
  InferenceExecutor(graph, parameters)
      .run([&](std::int64_t first, std::int64_t number,
               float* out) { std::copy_n(inputs.begin() + first * size, number * size, out); },
           count, outputs.data());
  for (std::int64_t i = 0; i < count; ++i) {
    const std::vector<float> values(inputs.begin() + i * size, inputs.begin() + (i + 1) * size);
    const std::vector<float> output(outputs.begin() + i * width, outputs.begin() + (i + 1) * width);
    project.test_vectors.push_back({graph::takes_token_ids(source.graph)
                                        ? bytes_of(std::vector<std::int32_t>(values.begin(), values.end()))
                                        : bytes_of(values),
                                    bytes_of(output)});
  }
}

/// What does not fit the board, if anything.
std::optional<Infeasible> excess(const program::PlannedProgram& planned, const mcu::Board& board) {
  Infeasible infeasible;
  const auto check = [&](const char* metric, const std::string& what, std::int64_t needed, std::int64_t limit) {
    if (needed > limit) {
      infeasible.violations.push_back({metric, static_cast<double>(needed), static_cast<double>(limit)});
      infeasible.reason += fmt::format("{}{} {} bytes, {} has {}: {} too many", infeasible.reason.empty() ? "" : "; ",
                                       what, grouped(needed), board.part, grouped(limit), grouped(needed - limit));
    }
  };
  const std::vector<program::LiveStep> steps = program::live_steps(planned.program);
  const auto peak =
      std::max_element(steps.begin(), steps.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  const std::string call = planned.program.calls.at(static_cast<std::size_t>(peak - steps.begin())).name;
  check("sram_bytes", "the arena (fullest at " + call + ") needs", planned.plan.bytes, board.sram_bytes);
  check("flash_bytes", "the constants without any code need", planned.program.constant_bytes(), board.flash_bytes);
  return infeasible.violations.empty() ? std::nullopt : std::optional(std::move(infeasible));
}

}  // namespace

Expected<NetworkProject, Infeasible> NetworkProject::make(const Source& source, const Choice& choice,
                                                          const TaskData* data) {
  program::LoweringOptions options = program::cosearch_options();
  options.element_bytes = choice.floating_point ? static_cast<std::int64_t>(sizeof(float)) : 1;
  options.streamed_input = choice.streamed_input;
  options.weights_in_sram = choice.board && choice.board->weights_in_sram;
  const Expected<program::PlannedProgram, std::string> planned = program::fit_program(
      source.graph, options, choice.board ? choice.board->sram_bytes : std::numeric_limits<std::int64_t>::max());
  if (!planned) {
    return Unexpected{Infeasible{{}, planned.error()}};
  }
  NetworkProject made;
  made.options_ = planned->options;
  made.project_ = std::make_shared<Project>();
  Project& project = *made.project_;
  project.name = source.name;
  project.program = planned->program;
  project.plan = planned->plan;
  if (choice.board) {
    if (std::optional<Infeasible> refusal = excess(*planned, *choice.board)) {
      return Unexpected{*std::move(refusal)};
    }
    project.budget = {choice.board->sram_bytes, choice.board->flash_bytes};
  }
  const std::vector<float> inputs = test_inputs(source.graph, data, choice.test_vectors);
  if (choice.floating_point) {
    made.floats_ =
        std::make_shared<FloatNetwork>(FloatNetwork{source.graph, quantize::fold(source.graph, source.weights)});
    project.network = made.floats_.get();
    add_float_vectors(project, source, inputs, choice.test_vectors);
  } else {
    COSEARCH_CHECK(source.ranges.size() == value_count(source.graph), "a range for every value");
    made.integers_ =
        std::make_shared<quantize::QuantizedNetwork>(quantize::quantize(source.graph, source.weights, source.ranges));
    project.network = made.integers_.get();
    add_integer_vectors(project, *made.integers_, inputs, choice.test_vectors);
  }
  return made;
}

Source untrained(const std::string& name, const graph::NetworkGraph& graph, std::uint64_t seed) {
  constexpr double kRange = 4.0;
  return {name, graph, WeightStore::for_network(graph, seed),
          std::vector<quantize::ValueRange>(value_count(graph), {-kRange, kRange})};
}

}  // namespace cosearch::c_export
