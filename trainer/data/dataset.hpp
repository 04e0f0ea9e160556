#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/graph/graph.hpp"
#include "spaces/space/search_space.hpp"

/// Labelled samples. The only place of the trainer that reads data sets from disk.
namespace cosearch {

/// Samples as bytes, NHWC, with integer labels or numbers; the trainer normalises by `mean` and `std_dev` of the pixel
/// / 255.
struct Dataset {
  graph::Shape sample;               ///< (height, width, channels)
  std::int64_t classes = 0;          ///< 1 where numbers are learned
  std::vector<std::uint8_t> pixels;  ///< size() * elements(sample)
  std::vector<std::uint8_t> labels;  ///< size() * labels_per_sample(); none where numbers are learned
  bool dense = false;                ///< each pixel has a label, row by row; 0 is the background
  bool regression = false;           ///< numbers are learned, not classes
  std::vector<float> values = {};    ///< the numbers, as many as there would be labels

  [[nodiscard]] std::int64_t labels_per_sample() const noexcept { return dense ? sample[0] * sample[1] : 1; }
  [[nodiscard]] std::int64_t size() const noexcept {
    return static_cast<std::int64_t>(regression ? values.size() : labels.size()) / labels_per_sample();
  }
};

/// The three splits of a task. `search` scores candidates; `test` is touched once, at the end.
struct TaskData {
  std::string name;
  std::vector<std::string> class_names;  ///< by label; empty where the files name none
  Dataset train;
  Dataset search;
  Dataset test;
  double mean = 0.0;               ///< of train's pixels / 255
  double std_dev = 1.0;            ///< of train's pixels / 255
  std::uint64_t content_hash = 0;  ///< over all bytes of all splits
};

/// Reads a data set named in a config: {"name": "fashion_mnist", ...}, the other keys being the data set's own.
/// @throws ConfigError: unknown name or key (place: a JSON pointer relative to `config`), missing, truncated or
/// mislabelled file (with its path and the bytes expected).
[[nodiscard]] TaskData load_task_data(const nlohmann::json& config);
/// The shape of the task that `load_task_data` would read, without touching a file. @throws ConfigError: names, keys,
/// types and ranges.
[[nodiscard]] TaskShape task_shape_of(const nlohmann::json& config);

/// {"name": "fashion_mnist", "directory": "...", "labels": "class"}: Fashion-MNIST (Xiao et al., arXiv:1708.07747),
/// 55,000 training images, the last 5,000 of the training file held out for the search, 10,000 test images; 28 x 28 x
/// 1, 10 classes. With "labels": "group" the same images have five groups of classes as labels, a second task: tops
/// (T-shirt, pullover, coat, shirt), trousers, dresses, shoes (sandal, sneaker, ankle boot), bags. Reads the four IDX
/// files, gzip-compressed (`.gz`) or plain; the default directory is that of Debian's package dataset-fashion-mnist.
[[nodiscard]] TaskData load_fashion_mnist(const nlohmann::json& config);
[[nodiscard]] TaskShape fashion_mnist_shape(const nlohmann::json& config);

/// A small deterministic data set for tests and self-checks that needs no file: noisy class prototypes, smooth on a
/// coarse grid, with labels in turn. {"name": "synthetic", "height": 8, "width": 8, "channels": 1, "classes": 4,
/// "train": 256, "search": 64, "test": 64, "seed": 0}; every key but the name may be left out (defaults as shown).
[[nodiscard]] TaskData make_synthetic_data(const nlohmann::json& config);
[[nodiscard]] TaskShape synthetic_shape(const nlohmann::json& config);

/// A generated cell-segmentation task that needs no file: grey pictures of `size` x `size` pixels with about `cells`
/// overlapping ellipses of varying size and brightness on an unevenly lit background, blurred by a Gaussian of `blur`
/// pixels and with normal noise of `noise` grey levels; each pixel is labelled background (0) or cell (1). The labels
/// are the ellipses before the blur. {"name": "cells", "size": 32, "cells": 6, "blur": 1, "noise": 20, "train": 256,
/// "search": 64, "test": 64, "seed": 0}; every key but the name may be left out (defaults as shown). Synthetic: it
/// stands in for microscopy data and says nothing about real cells.
[[nodiscard]] TaskData make_cells_data(const nlohmann::json& config);
[[nodiscard]] TaskShape cells_shape(const nlohmann::json& config);

/// Generated pictures for several tasks on the same images, which need no file: grey, `size` x `size` pixels, `shapes`
/// discs, squares, triangles and crosses, turned and slanted, at different distances in front of a wall. The nearest is
/// the largest and about the middle, and is what the picture shows. What is farther is darker on average, by less than
/// shapes differ, so that brightness alone does not tell the distance. "task" says what is learned:
///   "class": the kind of the nearest shape, 4 classes;
///   "edges": each pixel, 1 where one of the four neighbours belongs to something nearer or farther, else 0;
///   "depth": each pixel's distance, a number from 0 (at the eye) to 1 (the wall): a regression.
/// Pictures are a function of all keys but "task", with normal noise of `noise` grey levels. {"name": "shapes", "task":
/// "class", "size": 32, "shapes": 3, "noise": 12, "train": 256, "search": 64, "test": 64, "seed": 0}; every key but the
/// name may be left out (defaults as shown). Synthetic: it says nothing about photographs.
[[nodiscard]] TaskData make_shapes_data(const nlohmann::json& config);
[[nodiscard]] TaskShape shapes_shape(const nlohmann::json& config);

/// The data sets below read files of the user. Their configs state the samples' shape and the classes, since a campaign
/// is checked without its data; files that say otherwise are refused. Of the training samples, "search" (default: a
/// tenth) go to the search split, each class by its share (`hold_out`).

/// {"name": "idx", "images": PATH, "labels": PATH, "test_images": PATH, "test_labels": PATH, "height": 28, "width": 28,
/// "classes": 10, "search": 5000}: pairs of IDX files of bytes, plain or gzip-compressed: MNIST and its relatives.
[[nodiscard]] TaskData load_idx(const nlohmann::json& config);
[[nodiscard]] TaskShape idx_shape(const nlohmann::json& config);

/// {"name": "cifar", "directory": PATH, "variant": "cifar10", "search": 5000}: the binary versions of CIFAR-10 and
/// CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009), 32 x 32 x 3. Variants:
/// "cifar10" (data_batch_1.bin to data_batch_5.bin of equal length, test_batch.bin; 10 classes), "cifar100_fine" and
/// "cifar100_coarse" (train.bin, test.bin; 100 or 20 classes).
[[nodiscard]] TaskData load_cifar(const nlohmann::json& config);
[[nodiscard]] TaskShape cifar_shape(const nlohmann::json& config);

/// {"name": "npz", "path": PATH, "height": 28, "width": 28, "channels": 1, "classes": 10, "images": "x_train",
/// "labels": "y_train", "test_images": "x_test", "test_labels": "y_test", "layout": "nhwc", "black": 0, "white": 255,
/// "search": 5000}: arrays KEY.npy of an NPZ archive, or of a directory. Images are (n, height, width, channels), with
/// "layout": "nchw" (n, channels, height, width), with one channel also (n, height, width); labels are integers, (n)
/// or (n, 1). Values from "black" to "white" become bytes from 0 to 255, rounded; others are refused.
[[nodiscard]] TaskData load_npz(const nlohmann::json& config);
[[nodiscard]] TaskShape npz_shape(const nlohmann::json& config);

/// {"name": "image_folder", "directory": PATH, "classes": 10 or ["cat", "dog"], "height": 32, "width": 32, "channels":
/// 3, "search_percent": 10, "test_percent": 10}: PNG pictures in class folders (`list_class_folders`), as 1 (grey) or 3
/// (RGB) channels, resized (`resize`). The splits follow from the files' names; where there is a folder `test`, it is
/// the test split.
[[nodiscard]] TaskData load_image_folder(const nlohmann::json& config);
[[nodiscard]] TaskShape image_folder_shape(const nlohmann::json& config);

/// {"name": "wav_folder", "directory": PATH, "classes": 35 or ["yes", "no"], "milliseconds": 1000, "coefficients": 10,
/// "search_percent": 10, "test_percent": 10}: recordings in class folders, as in Speech Commands, as (frames,
/// coefficients, 1) mel-frequency cepstral coefficients (`Mfcc`). Recordings are brought to 16 kHz, cut to the stated
/// time or filled with silence. A coefficient becomes the byte 128 + 32 z, rounded and clipped, where z is its distance
/// from the mean over the training split in standard deviations.
[[nodiscard]] TaskData load_wav_folder(const nlohmann::json& config);
[[nodiscard]] TaskShape wav_folder_shape(const nlohmann::json& config);

/// Sets `mean`, `std_dev` and `content_hash` from the splits' bytes.
void measure(TaskData& data);

struct DatasetEntry {
  std::string_view name;
  std::string_view summary;
  TaskShape (*shape)(const nlohmann::json& config);  ///< touches no file
  TaskData (*load)(const nlohmann::json& config);
};
/// Sorted by name.
[[nodiscard]] std::span<const DatasetEntry> dataset_registry();

}  // namespace cosearch
