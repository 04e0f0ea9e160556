#include "trainer/quantize/quantized_training.hpp"

#include <gtest/gtest.h>
#include <tbb/task_arena.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <stop_token>

#include "spaces/base/config_error.hpp"
#include "spaces/catalog/families.hpp"
#include "tests/trainer/temporary_directory.hpp"
#include "tests/trainer/train/networks.hpp"

namespace cosearch::quantize {
namespace {

const TaskData& synthetic() {
  static const TaskData data = make_synthetic_data(
      {{"name", "synthetic"}, {"height", 8}, {"width", 8}, {"classes", 4}, {"train", 320}, {"search", 120}});
  return data;
}

TrainOptions recipe() { return {.epochs = 3, .batch = 40, .learning_rate = 0.1}; }

struct Trained {
  Quantized result;
  WeightStore store;
};

Trained run(const graph::NetworkGraph& network, const QuantizeRecipe& quantize, const ProgressSink& progress = {},
            const std::stop_token& stop = {}, const std::string& checkpoint = {}) {
  Trained trained{{}, WeightStore::for_network(network, 5)};
  auto result = train_quantized(network, synthetic(), synthetic().search, recipe(), quantize, 5, trained.store,
                                progress, stop, {checkpoint});
  EXPECT_TRUE(result.has_value());
  trained.result = *result;
  return trained;
}

void expect_same_bits(const Trained& a, const Trained& b) {
  EXPECT_EQ(a.result.train.accuracy, b.result.train.accuracy);
  EXPECT_EQ(a.result.train.train_loss, b.result.train.train_loss);
  EXPECT_EQ(a.result.ranges, b.result.ranges);
  for (const auto& [name, weight] : a.store.weights()) {
    EXPECT_EQ(weight.values, b.store.at(name).values) << name;
  }
}

TEST(QuantizedTraining, IntegersLearnWhatTheNetworkLearned) {
  for (const graph::NetworkGraph& network : {test_networks::cnn({8, 8, 1}, 4), test_networks::vit({8, 8, 1}, 4)}) {
    WeightStore store = WeightStore::for_network(network, 5);
    const auto plain = train(network, synthetic(), synthetic().search, recipe(), 5, store);
    for (const char* rule : {"extremes", "percentile", "entropy"}) {
      const Trained result = run(network, quantize_recipe_from_json({{"rule", rule}}));
      EXPECT_GT(result.result.train.accuracy, plain->accuracy - 0.05) << network.name << ", " << rule;
    }
  }
}

TEST(QuantizedTraining, TheAccuracyIsThatOfTheStoredWeightsAndRanges) {
  const graph::NetworkGraph network = test_networks::cnn({8, 8, 1}, 4);
  const Trained result = run(network, {});
  EXPECT_EQ(result.result.train.accuracy,
            quantized_accuracy(quantize(network, result.store, result.result.ranges), synthetic(), synthetic().search));
  EXPECT_NEAR(result.result.train.accuracy,
              evaluate_accuracy(network, synthetic(), synthetic().search, result.store, 0, Precision::fp32,
                                simulate(network, result.result.ranges)),
              0.03);
}

TEST(QuantizedTraining, ThreadsDoNotMatter) {
  const graph::NetworkGraph network = test_networks::cnn({8, 8, 1}, 4);
  std::vector<Trained> results;
  for (const int threads : {1, 2, 4}) {
    tbb::task_arena arena(threads);
    arena.execute([&] { results.push_back(run(network, {})); });
  }
  expect_same_bits(results[0], results[1]);
  expect_same_bits(results[0], results[2]);
}

TEST(QuantizedTraining, GoesOnFromItsCheckpointsInEitherPhase) {
  const graph::NetworkGraph network = test_networks::cnn({8, 8, 1}, 4);
  QuantizeRecipe quantize;
  quantize.fine_tune_epochs = 2;
  const Trained whole = run(network, quantize);
  for (const int stop_at : {10, 30}) {  // of 24 and 16 steps
    const cosearch::testing::TemporaryDirectory directory;
    const std::string path = directory.file("training.checkpoint");
    std::stop_source source;
    int calls = 0;
    const Trained part = run(
        network, quantize,
        [&](const TrainProgress&) {
          if (++calls == stop_at) {
            source.request_stop();
          }
        },
        source.get_token(), path);
    EXPECT_TRUE(part.result.train.stopped);
    expect_same_bits(whole, run(network, quantize, {}, {}, path));
  }
}

TEST(QuantizedTraining, FourBitsCostMoreThanEightAndFineTuningGivesThemBack) {
  graph::NetworkGraph network = test_networks::cnn({8, 8, 1}, 4);
  WeightStore trained = WeightStore::for_network(network, 5);
  static_cast<void>(train(network, synthetic(), synthetic().search, recipe(), 5, trained));
  for (graph::Node& node : network.nodes) {
    if (auto* conv = std::get_if<graph::Conv2d>(&node.op)) {
      conv->weight_bits = 4;
    }
  }
  const auto accuracy = [&](double epochs) {
    WeightStore store = trained;
    QuantizeRecipe quantize;
    quantize.fine_tune_epochs = epochs;
    return quantize_trained(network, synthetic(), synthetic().search, recipe(), quantize, 5, store)->train.accuracy;
  };
  EXPECT_GE(accuracy(4.0), accuracy(0.0));
}

TEST(FashionMnist, LosesLessThanAPointWithIntegers) {
  const TaskData data = load_task_data({{"name", "fashion_mnist"}});
  const graph::NetworkGraph network = test_networks::three_stages({28, 28, 1}, 10);
  const TrainOptions options{
      .epochs = 4, .batch = 32, .train_samples = 4000, .evaluate_samples = 2000, .learning_rate = 0.1};
  WeightStore store = WeightStore::for_network(network, 1);
  const double plain = train(network, data, data.search, options, 1, store)->accuracy;
  EXPECT_GT(plain, 0.75);
  const auto result = quantize_trained(network, data, data.search, options, {}, 1, store);
  ASSERT_TRUE(result.has_value());
  EXPECT_GT(result->train.accuracy, plain - 0.01);
}

/// Two of four blocks with experts.
graph::NetworkGraph small_moe_vit() {
  catalog::VisionTransformer net;
  net.input = {28, 28, 1};
  net.patch = 7;
  net.embed_dim = 32;
  net.blocks = std::vector<catalog::TransformerBlock>(4, {.heads = 2});
  for (const std::size_t block : {1, 3}) {
    net.blocks[block].experts = graph::MoeFfn{.experts = 8, .top_k = 2, .hidden = 32};
  }
  return catalog::build("moe_vit", net);
}

TEST(FashionMnist, MixturesLoseLittleWithIntegers) {
  const TaskData data = load_task_data({{"name", "fashion_mnist"}});
  const graph::NetworkGraph network = small_moe_vit();
  TrainOptions options{.epochs = 4, .batch = 32, .train_samples = 4000, .evaluate_samples = 2000};
  options.optimizer = OptimizerKind::adamw;
  options.learning_rate = 0.003;
  WeightStore store = WeightStore::for_network(network, 1);
  const double plain = train(network, data, data.search, options, 1, store)->accuracy;
  QuantizeRecipe rounded;
  rounded.fine_tune_epochs = 0.0;
  WeightStore copy = store;
  const double integers = quantize_trained(network, data, data.search, options, rounded, 1, copy)->train.accuracy;
  const double tuned = quantize_trained(network, data, data.search, options, {}, 1, store)->train.accuracy;
  std::printf("fp32 %.4f, integers %.4f, fine-tuned integers %.4f\n", plain, integers, tuned);
  EXPECT_GT(plain, 0.7);
  EXPECT_GT(integers, plain - 0.02);
  EXPECT_GT(tuned, plain - 0.01);
}

TEST(QuantizeRecipe, RoundTripsAndRefusesWhatItDoesNotKnow) {
  const nlohmann::json all = {
      {"rule", "entropy"}, {"percentile", 99.5}, {"samples", 64}, {"fine_tune_epochs", 0.5}, {"fine_tune_rate", 0.02}};
  EXPECT_EQ(to_json(quantize_recipe_from_json(all)), all);
  for (const nlohmann::json& wrong : {nlohmann::json{{"rule", "median"}}, nlohmann::json{{"bits", 8}},
                                      nlohmann::json{{"percentile", 101}}, nlohmann::json{{"samples", 0}}}) {
    EXPECT_THROW(static_cast<void>(quantize_recipe_from_json(wrong)), ConfigError) << wrong;
  }
}

}  // namespace
}  // namespace cosearch::quantize
