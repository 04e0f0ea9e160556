#include "trainer/supernet/supernet.hpp"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/trainer/supernet/small_spaces.hpp"
#include "tests/trainer/temporary_directory.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/supernet/scorer.hpp"
#include "trainer/supernet/subnet.hpp"

namespace cosearch {
namespace {

using test_supernets::one_task;
using test_supernets::only;
using test_supernets::small_space;

const TaskData& data() {
  static const TaskData small = test_supernets::small_data();
  return small;
}

SupernetOptions options() {
  SupernetOptions result;
  result.train = {.epochs = 2, .batch = 40, .learning_rate = 0.05, .label_smoothing = 0.05, .shift = 1, .flip = true};
  result.train.clip_norm = 1.0;
  return result;
}

struct Trained {
  TrainResult result;
  WeightStore store;
};

Trained run(const SubnetSpace& space, const SupernetOptions& recipe, const ProgressSink& progress = {},
            std::stop_token stop = {}, const std::string& checkpoint = {}, std::uint64_t seed = 5) {
  Trained trained{{}, make_supernet(space, seed)};
  const auto result =
      train_supernet(space, one_task(data()), recipe, seed, trained.store, progress, std::move(stop), {checkpoint});
  EXPECT_TRUE(result.has_value());
  trained.result = *result;
  return trained;
}

void expect_same_bits(const Trained& a, const Trained& b) {
  EXPECT_EQ(a.result.train_loss, b.result.train_loss);
  EXPECT_EQ(a.result.steps, b.result.steps);
  ASSERT_EQ(a.store.weights().size(), b.store.weights().size());
  for (const auto& [name, weight] : a.store.weights()) {
    EXPECT_EQ(weight.values, b.store.at(name).values) << name;
  }
}

TEST(Supernet, OfOneNetworkTrainsLikeTheNetworkAlone) {
  for (const graph::NetworkGraph& network : {test_networks::cnn({8, 8, 1}, 4), test_networks::vit({8, 8, 1}, 4)}) {
    for (const OptimizerKind optimizer : {OptimizerKind::sgd, OptimizerKind::adamw}) {
      SupernetOptions recipe = options();
      recipe.train.optimizer = optimizer;
      recipe.train.clip_norm = 0.0;  // its norm adds the weights in another order
      const Trained shared = run(only(network), recipe);
      WeightStore alone = WeightStore::for_network(network, 5);
      const auto result = train(network, data(), data().search, recipe.train, 5, alone);
      ASSERT_TRUE(result.has_value());
      EXPECT_EQ(shared.result.train_loss, result->train_loss);
      for (const auto& [name, weight] : alone.weights()) {
        if (weight.spec.trainable) {
          EXPECT_EQ(shared.store.at(name).values, weight.values) << name;
        }
      }
    }
  }
}

TEST(Supernet, BitsDoNotDependOnTheNumberOfThreads) {
  const SubnetSpace space = make_subnet_space(small_space("hybrid"));
  std::vector<Trained> runs;
  for (const int threads : {1, 4}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
    tbb::task_arena arena(threads);
    arena.execute([&] { runs.push_back(run(space, options())); });
  }
  expect_same_bits(runs[0], runs[1]);
}

TEST(Supernet, StoppedTrainingsContinueToTheSameBits) {
  const testing::TemporaryDirectory directory;
  const SubnetSpace space = make_subnet_space(small_space("hybrid"));
  const Trained whole = run(space, options());
  EXPECT_EQ(whole.result.steps, 8);
  for (const std::int64_t stop_at : {1, 4, 7}) {
    const std::string path = directory.file("checkpoint");
    std::filesystem::remove(path);
    std::stop_source stop;
    const auto stop_there = [&](const TrainProgress& progress) {
      if (progress.step == stop_at) {
        stop.request_stop();
      }
    };
    const Trained stopped = run(space, options(), stop_there, stop.get_token(), path);
    EXPECT_TRUE(stopped.result.stopped);
    std::int64_t first_step = 0;
    const Trained continued = run(
        space, options(),
        [&](const TrainProgress& progress) { first_step = first_step == 0 ? progress.step : first_step; }, {}, path);
    EXPECT_EQ(first_step, stop_at + 1);
    expect_same_bits(whole, continued);
  }
}

TEST(Supernet, KilledTrainingsContinueInMidEpochToTheSameBits) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.file("checkpoint");
  const SubnetSpace space = make_subnet_space(small_space("mobile_cnn"));
  // What lies on the disk while step 7 runs is what a process killed then leaves; an epoch has four steps.
  const Trained whole = run(
      space, options(),
      [&](const TrainProgress& progress) {
        if (progress.step == 7) {
          std::filesystem::copy_file(path, directory.file("copy"));
        }
      },
      {}, path);
  std::filesystem::rename(directory.file("copy"), path);
  std::int64_t first_step = 0;
  const Trained continued = run(
      space, options(),
      [&](const TrainProgress& progress) { first_step = first_step == 0 ? progress.step : first_step; }, {}, path);
  EXPECT_EQ(first_step, 7);
  expect_same_bits(whole, continued);
}

TEST(Supernet, CheckpointsOfOtherRecipesAreIgnored) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.file("checkpoint");
  const SubnetSpace space = make_subnet_space(small_space("ds_cnn"));
  run(space, options(), {}, {}, path);
  SupernetOptions other = options();
  other.distillation = 0.25;
  std::int64_t calls = 0;
  const ProgressSink count = [&](const TrainProgress&) { ++calls; };
  run(space, options(), count, {}, path);
  EXPECT_EQ(calls, 0);
  run(space, other, count, {}, path);
  EXPECT_EQ(calls, 8);
}

TEST(Supernet, EverySpaceOfTheCatalogueTrainsAndScores) {
  for (const testing::SpaceExample& example : testing::example_spaces()) {
    SCOPED_TRACE(example.name);
    const SubnetSpace space = test_supernets::classifying(make_subnet_space(small_space(example.name)));
    SupernetOptions recipe = options();
    recipe.train.epochs = 0.5;
    Trained trained = run(space, recipe);
    EXPECT_EQ(trained.result.steps, 2);
    EXPECT_TRUE(std::isfinite(trained.result.train_loss));
    SubnetScorer scorer(std::move(trained.store), one_task(data()),
                        {.calibration_samples = 32, .evaluate_samples = 40});
    for (std::uint64_t i = 0; i < 5; ++i) {
      RngStream rng(1, Purpose::test, i);
      const auto scores = scorer.scores(space.sample(rng), &TaskData::search);
      ASSERT_TRUE(scores.has_value()) << scores.error().reason;
      EXPECT_GE(scores->front().value, 0.0);
      EXPECT_LE(scores->front().value, 1.0);
    }
  }
}

TEST(Supernet, LearnsWhatItsSubnetsNeed) {
  const SubnetSpace space = make_subnet_space(small_space("ds_cnn"));
  SupernetOptions recipe = options();
  recipe.train = {.epochs = 20, .batch = 32, .optimizer = OptimizerKind::adamw, .learning_rate = 0.01};
  SubnetScorer scorer(run(space, recipe).store, one_task(data()), {.calibration_samples = 160});
  double sum = 0.0;
  for (std::uint64_t i = 0; i < 8; ++i) {
    RngStream rng(2, Purpose::test, i);
    sum += scorer.scores(space.sample(rng), &TaskData::search).value().front().value;
  }
  EXPECT_GT(sum / 8.0, 0.8) << "of four classes";
}

TEST(Supernet, FingerprintsFollowEverythingThatDecidesTheWeights) {
  const SubnetSpace space = make_subnet_space(small_space("vit"));
  const ParamSet fixed = small_space("vit").params().restricted({{"depth", 2}});
  const std::uint64_t base = supernet_fingerprint(space, one_task(data()), options(), 5);
  SupernetOptions scored = options();
  scored.train.evaluate_samples = 7;
  EXPECT_EQ(supernet_fingerprint(space, one_task(data()), scored, 5), base) << "scoring does not change weights";
  EXPECT_EQ(supernet_fingerprint(make_subnet_space(small_space("vit")), one_task(data()), options(), 5), base);
  SupernetOptions more = options();
  more.random_subnets = 3;
  SupernetOptions longer = options();
  longer.train.epochs = 3;
  TaskData other_data = data();
  ++other_data.content_hash;
  const std::set<std::uint64_t> all{
      base,
      supernet_fingerprint(space, one_task(data()), more, 5),
      supernet_fingerprint(space, one_task(data()), longer, 5),
      supernet_fingerprint(space, one_task(data()), options(), 6),
      supernet_fingerprint(space, one_task(data()), options(), 5, 9),
      supernet_fingerprint(space, one_task(other_data), options(), 5),
      supernet_fingerprint(make_subnet_space(small_space("vit"), fixed), one_task(data()), options(), 5)};
  EXPECT_EQ(all.size(), 7U);
}

class SubnetWeights : public ::testing::TestWithParam<std::string> {};

TEST_P(SubnetWeights, GradientsComeBackToWhereTheWeightsCameFrom) {
  const SubnetSpace space = make_subnet_space(small_space(GetParam()));
  const WeightStore store = make_supernet(space, 3);
  const Parameters shared(store);
  for (std::uint64_t i = 0; i < 10; ++i) {
    RngStream rng(4, Purpose::test, i);
    Subnet subnet(space.sample(rng), shared);
    subnet.gather();
    for (const Parameters::Entry& entry : subnet.parameters().entries()) {
      const std::vector<float> expected = store.slice(entry.spec);
      const auto values = subnet.parameters().values().subspan(static_cast<std::size_t>(entry.offset), expected.size());
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), values.begin())) << entry.spec.name;
    }
    // <gather(w), g> = <w, scatter(g)>, and twice the scatter is twice the sum.
    std::vector<float> gradients(static_cast<std::size_t>(subnet.parameters().trainable_size()), 0.0F);
    double inner = 0.0;
    for (const Parameters::Entry& entry : subnet.parameters().entries()) {
      for (std::int64_t k = 0; entry.spec.trainable && k < entry.size; ++k) {
        const auto at = static_cast<std::size_t>(entry.offset + k);
        gradients[at] = static_cast<float>(rng.normal());
        inner += static_cast<double>(gradients[at]) * static_cast<double>(subnet.parameters().values()[at]);
      }
    }
    std::vector<float> sum(static_cast<std::size_t>(shared.trainable_size()), 0.0F);
    subnet.scatter_add(gradients, sum);
    subnet.scatter_add(gradients, sum);
    double outer = 0.0;
    for (std::size_t k = 0; k < sum.size(); ++k) {
      outer += static_cast<double>(sum[k]) * static_cast<double>(shared.values()[k]);
    }
    EXPECT_NEAR(outer, 2.0 * inner, 1e-3 * (1.0 + std::abs(inner)));
  }
}

INSTANTIATE_TEST_SUITE_P(Catalogue, SubnetWeights, ::testing::Values("hybrid", "hybrid of four families", "unet"),
                         [](const auto& space) {
                           std::string name = space.param;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

}  // namespace
}  // namespace cosearch
