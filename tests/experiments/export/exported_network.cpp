#include "tests/experiments/export/exported_network.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "spaces/base/rng.hpp"
#include "spaces/catalog/registry.hpp"
#include "tests/oracle/random_quantized.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/quantize/interpreter.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch::testing_support {
namespace {

constexpr std::int64_t kMostMacs = 1'000'000;
constexpr int kDraws = 500;

/// Moves all weights and states away from their initial values.
void randomize(Parameters& parameters, RngStream& rng) {
  for (const Parameters::Entry& entry : parameters.entries()) {
    const bool variance = entry.spec.name.ends_with("running_variance");
    const std::span<float> values =
        parameters.values().subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
    for (float& value : values) {
      // What initial values leave at 0 or 1 (biases, norms) would hide mistakes.
      value =
          variance ? static_cast<float>(0.5 + rng.uniform()) : value + static_cast<float>(0.4 * rng.uniform() - 0.2);
    }
  }
}

std::vector<std::int8_t> bytes_of(const auto& values) {
  std::vector<std::int8_t> bytes(values.size() * sizeof(values[0]));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
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

}  // namespace

std::unique_ptr<ExportedNetwork> export_random(const graph::NetworkGraph& graph, std::uint64_t seed,
                                               const program::LoweringOptions& options, int test_vectors) {
  auto exported = std::make_unique<ExportedNetwork>();
  exported->network = oracle::random_quantized(graph, seed);
  c_export::Project& project = exported->project;
  project.name = graph.name;
  project.program = program::lower_program(graph, options).value();
  project.plan = program::plan_arena(project.program);
  project.network = &exported->network;
  quantize::Interpreter interpreter(project.program, exported->network);
  const graph::Shape& shape = std::get<graph::Input>(graph.nodes[0].op).shape;
  for (int i = 0; i < test_vectors; ++i) {
    const std::vector<std::int8_t> input =
        oracle::input_bytes(graph, oracle::random_quantized_input(graph, seed * 1000 + static_cast<std::uint64_t>(i)));
    const bool streamed = project.program.inputs.empty();  // not every network streams its input
    project.test_vectors.push_back(
        {input, streamed ? interpreter.run({}, reader_of(shape, input)) : interpreter.run(input)});
  }
  return exported;
}

std::unique_ptr<ExportedFloatNetwork> export_random_float(const graph::NetworkGraph& graph, std::uint64_t seed,
                                                          program::LoweringOptions options) {
  options.element_bytes = sizeof(float);
  auto exported = std::make_unique<ExportedFloatNetwork>();
  RngStream rng(seed, Purpose::test, 301);
  WeightStore weights = WeightStore::for_network(graph, seed);
  Parameters parameters(graph);
  parameters.load(weights);
  randomize(parameters, rng);
  parameters.save(weights);
  exported->network = {graph, quantize::fold(graph, weights)};
  c_export::Project& project = exported->project;
  project.name = graph.name;
  project.program = program::lower_program(graph, options).value();
  project.plan = program::plan_arena(project.program);
  project.network = &exported->network;
  const std::vector<std::int32_t> integers = oracle::random_quantized_input(graph, seed);
  const bool ids = graph::takes_token_ids(graph);
  std::vector<float> input;
  for (const std::int32_t value : integers) {
    input.push_back(static_cast<float>(value) * (ids ? 1.0F : 1.0F / 64.0F));
  }
  std::vector<float> output(static_cast<std::size_t>(graph::elements(graph::infer_shapes(graph)->back())));
  InferenceExecutor(graph, parameters)
      .run([&input](std::int64_t, std::int64_t, float* out) { std::copy(input.begin(), input.end(), out); }, 1,
           output.data());
  project.test_vectors.push_back({ids ? bytes_of(integers) : bytes_of(input), bytes_of(output)});
  return exported;
}

graph::NetworkGraph small_network_of(const std::string& space_name, std::uint64_t seed) {
  RngStream rng(seed, Purpose::test, 300);
  const TaskShape task{{16, 16, 3}, 5, space_name == "unet"};
  const std::unique_ptr<SearchSpace> space = make_space(space_name, nlohmann::json::object(), task);
  graph::NetworkGraph graph = std::get<graph::NetworkGraph>(space->decode(space->corners().front()));
  for (int i = 0; i < kDraws; ++i) {
    graph::NetworkGraph drawn = std::get<graph::NetworkGraph>(space->decode(space->params().sample(rng)));
    if (graph::total_counts(drawn).macs <= kMostMacs) {
      graph = std::move(drawn);
      break;
    }
  }
  graph.name = space_name;
  return graph;
}

std::vector<program::LoweringOptions> memory_variants() {
  std::vector<program::LoweringOptions> variants;
  for (const program::Streaming streaming : {program::Streaming::layers, program::Streaming::rows,
                                             program::Streaming::heads, program::Streaming::heads_recomputed}) {
    for (const bool streamed_input : {false, true}) {
      program::LoweringOptions options = program::cosearch_options();
      options.streaming = streaming;
      options.streamed_input = streamed_input;
      variants.push_back(options);
    }
  }
  for (const bool streamed_input : {false, true}) {
    program::LoweringOptions options = program::cosearch_options();
    options.patches = streamed_input ? 3 : 2;
    options.streamed_input = streamed_input;
    variants.push_back(options);
  }
  program::LoweringOptions copying = program::cosearch_options();
  copying.weights_in_sram = true;
  variants.push_back(copying);
  return variants;
}

std::string write_below(const c_export::Project& project, const std::string& parent, const std::string& name) {
  const std::filesystem::path folder = std::filesystem::path(parent) / name;
  std::filesystem::create_directories(folder);
  // Not `write_project`, which waits for the disk.
  for (const c_export::File& file : c_export::project_files(project)) {
    std::ofstream(folder / file.name, std::ios::binary) << file.text;
  }
  return folder.string();
}

}  // namespace cosearch::testing_support
