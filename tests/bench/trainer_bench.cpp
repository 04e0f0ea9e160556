#include <benchmark/benchmark.h>
#include <tbb/global_control.h>

#include <cstdint>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/train/optimizer.hpp"
#include "trainer/train/train.hpp"

// Complete training steps (forward, loss, backward, SGD with momentum) of the networks that
// reference/torch_training_baselines.csv times, on random inputs. One thread, so that the thread's CPU time is the
// step's; items are samples.

namespace cosearch {
namespace {

using graph::Builder;

void conv_bn_relu(Builder& b, const std::string& name, graph::Conv2d conv, bool relu = true) {
  b.then(name + ".conv", std::move(conv));
  b.then(name + ".bn", graph::BatchNorm{});
  if (relu) {
    b.then(name + ".relu", graph::Activation{graph::ActivationKind::relu});
  }
}

graph::Conv2d conv(const Builder& b, std::int64_t out, std::int64_t kernel_h, std::int64_t kernel_w,
                   std::int64_t stride, std::int64_t groups = 1) {
  const graph::Shape& in = b.shape(b.last());
  return {.out_channels = out,
          .kernel_h = kernel_h,
          .kernel_w = kernel_w,
          .stride = stride,
          .padding = graph::same_padding(in[0], in[1], kernel_h, kernel_w, stride),
          .groups = groups};
}

/// MLPerf Tiny's CIFAR network: three residual blocks of 16, 32, 64 channels, 12.5 MMAC.
graph::NetworkGraph resnet8() {
  Builder b("resnet8", {32, 32, 3});
  conv_bn_relu(b, "stem", conv(b, 16, 3, 3, 1));
  for (int block = 0; block < 3; ++block) {
    const std::string name = "block" + std::to_string(block);
    const std::int64_t channels = 16LL << block;
    const std::int64_t stride = block == 0 ? 1 : 2;
    int skip = b.last();
    const graph::Conv2d shortcut = conv(b, channels, 1, 1, stride);
    conv_bn_relu(b, name + ".a", conv(b, channels, 3, 3, stride));
    conv_bn_relu(b, name + ".b", conv(b, channels, 3, 3, 1), false);
    const int main = b.last();
    if (block > 0) {
      skip = b.add(name + ".shortcut", shortcut, {skip});
    }
    b.add(name + ".add", graph::Add{}, {main, skip});
    b.then(name + ".relu", graph::Activation{graph::ActivationKind::relu});
  }
  b.then("pool", graph::GlobalAveragePool{});
  b.then("fc", graph::Linear{{10}, {}});
  return std::move(b).finish();
}

/// MLPerf Tiny's keyword-spotting network: 49 x 10 features, 64 channels, four depthwise-separable blocks, 2.66 MMAC.
graph::NetworkGraph ds_cnn() {
  Builder b("ds_cnn", {49, 10, 1});
  conv_bn_relu(b, "stem", conv(b, 64, 10, 4, 2));
  for (int block = 0; block < 4; ++block) {
    const std::string name = "block" + std::to_string(block);
    conv_bn_relu(b, name + ".dw", conv(b, 64, 3, 3, 1, 64));
    conv_bn_relu(b, name + ".pw", conv(b, 64, 1, 1, 1));
  }
  b.then("pool", graph::GlobalAveragePool{});
  b.then("fc", graph::Linear{{12}, {}});
  return std::move(b).finish();
}

/// Inverted residuals on 28 x 28 grey images.
graph::NetworkGraph mobile_cnn() {
  Builder b("mobile_cnn", {28, 28, 1});
  conv_bn_relu(b, "stem", conv(b, 16, 3, 3, 1));
  const std::vector<std::pair<std::int64_t, std::int64_t>> stages = {{16, 1}, {24, 2}, {24, 1}, {40, 2}, {40, 1}};
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto [channels, stride] = stages[i];
    const std::string name = "block" + std::to_string(i);
    const int skip = b.last();
    const std::int64_t width = b.shape(skip).back();
    const std::int64_t expanded = width * 3;
    conv_bn_relu(b, name + ".expand", conv(b, expanded, 1, 1, 1));
    conv_bn_relu(b, name + ".dw", conv(b, expanded, 3, 3, stride, expanded));
    conv_bn_relu(b, name + ".project", conv(b, channels, 1, 1, 1), false);
    if (stride == 1 && channels == width) {
      b.add(name + ".add", graph::Add{}, {b.last(), skip});
    }
  }
  b.then("pool", graph::GlobalAveragePool{});
  b.then("fc", graph::Linear{{10}, {}});
  return std::move(b).finish();
}

/// Plain 3x3 convolutions on 28 x 28 grey images.
graph::NetworkGraph small_cnn() {
  Builder b("small_cnn", {28, 28, 1});
  conv_bn_relu(b, "conv1", conv(b, 16, 3, 3, 1));
  conv_bn_relu(b, "conv2", conv(b, 32, 3, 3, 2));
  conv_bn_relu(b, "conv3", conv(b, 32, 3, 3, 1));
  conv_bn_relu(b, "conv4", conv(b, 64, 3, 3, 2));
  b.then("pool", graph::GlobalAveragePool{});
  b.then("fc", graph::Linear{{10}, {}});
  return std::move(b).finish();
}

graph::NetworkGraph vit(std::int64_t size, std::int64_t channels, std::int64_t patch, std::int64_t embed,
                        std::int64_t depth, std::int64_t heads, std::int64_t ratio) {
  Builder b("vit", {size, size, channels});
  b.then("patch_embed", graph::PatchEmbed{.patch = patch, .embed_dim = embed});
  b.then("position", graph::PositionEmbed{.grid_h = size / patch, .grid_w = size / patch});
  for (std::int64_t block = 0; block < depth; ++block) {
    const std::string name = "blocks." + std::to_string(block);
    int skip = b.last();
    b.then(name + ".norm1", graph::LayerNorm{});
    b.then(name + ".qkv", graph::Linear{{3, heads, embed / heads}, {}});
    b.then(name + ".attn", graph::MultiHeadAttention{heads});
    b.then(name + ".proj", graph::Linear{{embed}, {heads, embed / heads}});
    skip = b.add(name + ".add1", graph::Add{}, {b.last(), skip});
    b.then(name + ".norm2", graph::LayerNorm{});
    b.then(name + ".fc1", graph::Linear{{embed * ratio}, {}});
    b.then(name + ".gelu", graph::Activation{graph::ActivationKind::gelu});
    b.then(name + ".fc2", graph::Linear{{embed}, {}});
    b.add(name + ".add2", graph::Add{}, {b.last(), skip});
  }
  b.then("norm", graph::LayerNorm{});
  b.then("pool", graph::GlobalAveragePool{});
  b.then("head", graph::Linear{{10}, {}});
  return std::move(b).finish();
}

void train_steps(benchmark::State& state, const graph::NetworkGraph& network, std::int64_t batch) {
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  Parameters parameters(network);
  parameters.load(WeightStore::for_network(network, 1));
  TrainingExecutor executor(network, parameters, batch);
  const TrainOptions options{.learning_rate = 0.01};
  Optimizer optimizer(options, parameters);
  const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
    const std::int64_t size = graph::elements(std::get<graph::Input>(network.nodes.front().op).shape);
    for (std::int64_t i = 0; i < count * size; ++i) {
      out[i] = static_cast<float>((first * size + i) * 7919 % 1000) * 0.002F - 1.0F;
    }
  };
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(batch));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<std::uint8_t>(i % 10);
  }
  std::int64_t step = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(executor.step(input, labels, 0.1));
    optimizer.update(step++, 0.01, executor.gradients(), parameters);
  }
  state.SetItemsProcessed(state.iterations() * batch);
  state.counters["MMAC"] = static_cast<double>(graph::total_counts(network).macs) * 1e-6;
  state.counters["GFLOP/s"] =
      benchmark::Counter(6e-9 * static_cast<double>(graph::total_counts(network).macs * batch * state.iterations()),
                         benchmark::Counter::kIsRate);
}

void bm_resnet8(benchmark::State& state) { train_steps(state, resnet8(), 64); }
void bm_ds_cnn(benchmark::State& state) { train_steps(state, ds_cnn(), 64); }
void bm_mobile_cnn(benchmark::State& state) { train_steps(state, mobile_cnn(), 64); }
void bm_small_cnn(benchmark::State& state) { train_steps(state, small_cnn(), 64); }
void bm_vit_d192(benchmark::State& state) { train_steps(state, vit(32, 3, 4, 192, 6, 3, 4), 64); }
void bm_vit_small(benchmark::State& state) { train_steps(state, vit(28, 1, 4, 48, 4, 3, 2), 64); }

BENCHMARK(bm_resnet8)->Name("train/resnet8/64")->Unit(benchmark::kMillisecond)->MinTime(1.0);
BENCHMARK(bm_ds_cnn)->Name("train/ds_cnn/64")->Unit(benchmark::kMillisecond)->MinTime(1.0);
BENCHMARK(bm_mobile_cnn)->Name("train/mobile_cnn_28/64")->Unit(benchmark::kMillisecond)->MinTime(1.0);
BENCHMARK(bm_small_cnn)->Name("train/small_cnn_28/64")->Unit(benchmark::kMillisecond)->MinTime(1.0);
BENCHMARK(bm_vit_d192)->Name("train/vit_d192_6/64")->Unit(benchmark::kMillisecond)->MinTime(1.0);
BENCHMARK(bm_vit_small)->Name("train/vit_d48_4/64")->Unit(benchmark::kMillisecond)->MinTime(1.0);

}  // namespace
}  // namespace cosearch
