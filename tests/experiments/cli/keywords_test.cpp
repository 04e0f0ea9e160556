// A campaign that learns words from recordings: WAV files, MFCC, depthwise-separable CNNs on a microcontroller.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>

#include "experiments/store/store.hpp"
#include "spaces/base/rng.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"
#include "tests/trainer/data/wav_files.hpp"

namespace cosearch::testing_support {
namespace {

using nlohmann::json;

constexpr std::uint32_t kRate = 16'000;
constexpr int kSpeakers = 60;
constexpr double kSeconds = 0.4;

/// A word is a glide of the voice between two pitches, in multiples of the speaker's: what is said first counts.
struct Word {
  const char* name;
  double from, to;
};
constexpr Word kWords[] = {{"down", 2.0, 1.0}, {"high", 2.0, 2.0}, {"low", 1.0, 1.0}, {"up", 1.0, 2.0}};

/// Each speaker has a pitch, a loudness and a moment of beginning; noise is everywhere.
std::vector<std::int16_t> recording(const Word& word, std::uint64_t index) {
  RngStream rng(4, Purpose::test, index);
  const double pitch = 450.0 + 150.0 * rng.uniform();
  const double loudness = 4000.0 + 4000.0 * rng.uniform();
  const double begin = 0.1 * rng.uniform();
  constexpr double kSpoken = 0.3;
  std::vector<std::int16_t> samples;
  double phase = 0.0;
  for (int i = 0; i < static_cast<int>(kSeconds * kRate); ++i) {
    const double progress = (i / static_cast<double>(kRate) - begin) / kSpoken;
    double sound = 300.0 * rng.normal();
    if (progress >= 0.0 && progress < 1.0) {
      phase += 2.0 * std::numbers::pi * pitch * (word.from + (word.to - word.from) * progress) / kRate;
      sound += loudness * std::sin(std::numbers::pi * progress) * (std::sin(phase) + 0.5 * std::sin(2.0 * phase));
    }
    samples.push_back(static_cast<std::int16_t>(std::clamp(std::round(sound), -32768.0, 32767.0)));
  }
  return samples;
}

/// Speakers are held out as a whole: the same speaker's words have one prefix.
void write_recordings(const std::string& folder) {
  std::uint64_t index = 0;
  for (const Word& word : kWords) {
    std::filesystem::create_directories(folder + "/" + word.name);
    for (int speaker = 0; speaker < kSpeakers; ++speaker) {
      write_bytes(folder + "/" + word.name + "/speaker" + std::to_string(speaker) + "_nohash_0.wav",
                  testing::wav(kRate, recording(word, index++)));
    }
  }
}

json keyword_config(const std::string& folder) {
  return {{"name", "keywords"},
          {"seed", 1},
          {"dataset",
           {{"name", "wav_folder"},
            {"directory", folder},
            {"classes", std::size(kWords)},
            {"milliseconds", 400},
            {"search_percent", 20},
            {"test_percent", 20}}},
          {"space",
           {{"name", "ds_cnn"},
            {"genes", {{"stem.kernel_h", {3, 5}}, {"stem.kernel_w", 3}, {"width", {16, 24}}, {"depth", {1, 2}}}}}},
          {"target", {{"name", "cortex_m"}}},
          {"objectives", {"error", "latency_ms"}},
          {"accuracy", {{"epochs", 8}, {"batch", 16}, {"learning_rate", 0.05}}},
          {"search", {{"algorithm", "nsga2"}, {"population", 4}}},
          {"budget", {{"evaluations", 6}}},
          {"final", {{"top", 1}, {"epochs", 16}}}};
}

TEST(Keywords, AreLearntFromRecordingsFarAboveChance) {
  const TemporaryFolder folder;
  write_recordings(folder.file("words"));
  write_bytes(folder.file("keywords.json"), keyword_config(folder.file("words")).dump(2));
  const std::string database = folder.file("keywords.db");
  const ProcessResult made = run_cosearch({"run", folder.file("keywords.json"), "--db", database, "--threads", "2"});
  ASSERT_EQ(made.exit_code, 0) << made.err;

  const Store store = Store::open_reader(database);
  const std::int64_t campaign = store.campaign("keywords").id;
  const std::vector<FinalRow> finals = store.finals(campaign);
  ASSERT_EQ(finals.size(), 1U);
  EXPECT_GT(finals[0].metrics.at("test_accuracy"), 0.9) << "chance is 0.25";
  EXPECT_GT(finals[0].metrics.at("accuracy"), 0.9);

  const ProcessResult exported =
      run_cosearch({"export", "--id", std::to_string(finals[0].trial), "--to", folder.file("out"), "--db", database});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const json design = json::parse(read_bytes(lines(exported.out).front()));
  EXPECT_EQ(read_bytes(folder.file("out") + "/" + design.at("weights").at("file").get<std::string>()),
            read_bytes(finals[0].weights_file));
}

}  // namespace
}  // namespace cosearch::testing_support
