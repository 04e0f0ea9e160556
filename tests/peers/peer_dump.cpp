// One training step of a network as a safetensors file, for torch_agreement.py: the input (batch, height, width,
// channels), labels, weights, the outputs and the weights' gradients of the mean cross entropy. Layouts are ours.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "spaces/base/rng.hpp"
#include "tests/peers/networks.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/store/weight_store.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace): a program, not a header

constexpr std::int64_t kBatch = 16;
constexpr std::uint64_t kSeed = 1;

StoredWeight tensor(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values) {
  graph::WeightSpec spec;
  spec.name = name;
  for (const std::int64_t extent : shape) {
    spec.axes.push_back({{{.extent = extent, .selected = {}}}});
  }
  return {std::move(spec), std::move(values)};
}

void write_step(const std::string& name, const std::string& path) {
  const graph::NetworkGraph network = peers::network(name);
  WeightStore weights = WeightStore::for_network(network, kSeed);
  Parameters parameters(network);
  parameters.load(weights);
  RngStream rng(kSeed, Purpose::test, 0);
  for (float& value : parameters.values().first(static_cast<std::size_t>(parameters.trainable_size()))) {
    value += static_cast<float>(0.05 * rng.normal());  // scales and shifts that are not all alike
  }
  parameters.save(weights);
  parameters.load(weights);
  const graph::Shape shape = std::get<graph::Input>(network.nodes.front().op).shape;
  std::vector<float> input(static_cast<std::size_t>(kBatch * graph::elements(shape)));
  for (float& value : input) {
    value = static_cast<float>(rng.normal());
  }
  const graph::Shape output = graph::infer_shapes(network).value().back();
  std::vector<std::uint8_t> labels;
  std::vector<float> label_values;
  for (std::int64_t i = 0; i < kBatch; ++i) {
    labels.push_back(static_cast<std::uint8_t>(rng.below(static_cast<std::uint64_t>(output[0]))));
    label_values.push_back(labels.back());
  }
  WeightStore file;
  for (const auto& [weight_name, weight] : weights.weights()) {
    StoredWeight copy = weight;
    copy.spec.name = "weight:" + weight_name;
    file.insert(std::move(copy));
  }
  TrainingExecutor executor(network, parameters, kBatch);
  const InputSource source = [&](std::int64_t first, std::int64_t count, float* out) {
    std::copy_n(input.data() + first * graph::elements(shape), count * graph::elements(shape), out);
  };
  std::vector<float> probabilities(static_cast<std::size_t>(kBatch * output[0]));
  const double loss = executor.step(source, {.labels = labels, .predictions = probabilities});
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (entry.spec.trainable) {
      const auto part =
          executor.gradients().subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
      graph::WeightSpec spec = entry.spec;
      spec.name = "gradient:" + entry.spec.name;
      file.insert({std::move(spec), {part.begin(), part.end()}});
    }
  }
  file.insert(tensor("input", {kBatch, shape[0], shape[1], shape[2]}, std::move(input)));
  file.insert(tensor("labels", {kBatch}, std::move(label_values)));
  file.insert(tensor("probabilities", {kBatch, output[0]}, std::move(probabilities)));
  file.insert(tensor("loss", {1}, {static_cast<float>(loss)}));
  save_safetensors(file, {{"network", name}}, path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: peer_dump NETWORK FILE\n");
    return 2;
  }
  write_step(argv[1], argv[2]);
  return 0;
}
