#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "trainer/data/class_folders.hpp"
#include "trainer/data/mfcc.hpp"
#include "trainer/data/splits.hpp"
#include "trainer/data/wav.hpp"

namespace cosearch {
namespace {

struct WavFolderOptions {
  ClassFoldersOptions folders;
  std::int64_t samples = 0;  // of a clip, at Mfcc::kRate
  std::int64_t coefficients = 0;

  [[nodiscard]] graph::Shape sample() const { return {Mfcc::frames(samples), coefficients, 1}; }
};

WavFolderOptions read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"classes", "coefficients", "directory", "milliseconds", "name", "search_percent", "test_percent"});
  constexpr std::int64_t kPerMillisecond = Mfcc::kRate / 1000;
  return {.folders = class_folders_options(reader),
          .samples = kPerMillisecond * reader.integer("milliseconds", 1000, 30, 20'000),
          .coefficients = reader.integer("coefficients", 10, 1, Mfcc::kBands)};
}

/// (files, frames, coefficients)
std::vector<float> read_features(const WavFolderOptions& options, const LabelledFiles& files) {
  const auto elements = static_cast<std::size_t>(graph::elements(options.sample()));
  std::vector<float> features(files.paths.size() * elements);
  const Mfcc mfcc(options.coefficients);
  for_each_sample(static_cast<std::int64_t>(files.paths.size()), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    mfcc.extract(resample(read_wav(files.paths[at]), Mfcc::kRate, options.samples),
                 std::span(features).subspan(at * elements, elements));
  });
  return features;
}

/// How the values of one coefficient become bytes.
struct Level {
  double mean = 0.0;
  double scale = 0.0;
};

std::vector<Level> measure_levels(const std::vector<float>& features, std::int64_t coefficients) {
  constexpr double kBytesPerDeviation = 32.0;
  std::vector<Level> levels(static_cast<std::size_t>(coefficients));
  const std::size_t frames = features.size() / levels.size();
  const auto count = static_cast<double>(frames);
  for (std::size_t k = 0; k < levels.size() && !features.empty(); ++k) {
    double sum = 0.0;
    for (std::size_t i = k; i < features.size(); i += levels.size()) {
      sum += features[i];
    }
    levels[k].mean = sum / count;
    double squares = 0.0;
    for (std::size_t i = k; i < features.size(); i += levels.size()) {
      squares += (features[i] - levels[k].mean) * (features[i] - levels[k].mean);
    }
    // A coefficient without spread says nothing and becomes a constant.
    levels[k].scale = squares > 0.0 ? kBytesPerDeviation / std::sqrt(squares / count) : 0.0;
  }
  return levels;
}

Dataset to_bytes(const WavFolderOptions& options, const std::vector<Level>& levels, const LabelledFiles& files,
                 const std::vector<float>& features) {
  constexpr double kMiddle = 128.0;
  Dataset split = make_split(options.sample(), options.folders.classes, files.labels);
  for (std::size_t i = 0; i < features.size(); ++i) {
    const Level& level = levels[i % levels.size()];
    const double byte = std::round(kMiddle + (features[i] - level.mean) * level.scale);
    split.pixels[i] = static_cast<std::uint8_t>(std::clamp(byte, 0.0, 255.0));
  }
  return split;
}

}  // namespace

TaskShape wav_folder_shape(const nlohmann::json& config) {
  const WavFolderOptions options = read_options(config);
  return {options.sample(), options.folders.classes};
}

TaskData load_wav_folder(const nlohmann::json& config) {
  const WavFolderOptions options = read_options(config);
  const ClassFolders folders = list_class_folders(options.folders, ".wav");
  const std::vector<float> train = read_features(options, folders.train);
  const std::vector<Level> levels = measure_levels(train, options.coefficients);
  const auto split = [&](const LabelledFiles& files) {
    return to_bytes(options, levels, files, read_features(options, files));
  };
  return assemble("wav_folder", options.folders.directory, to_bytes(options, levels, folders.train, train),
                  split(folders.search), split(folders.test), folders.class_names);
}

}  // namespace cosearch
