#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "spaces/base/json_reader.hpp"
#include "trainer/data/dataset.hpp"

/// What data sets read from files share: their options, and the way from samples to the three splits of a task.
namespace cosearch {

/// Height and width of samples that a config may state.
inline constexpr std::int64_t kLargestSide = 1024;
/// Labels are bytes.
inline constexpr std::int64_t kMostClasses = 256;

/// The option `key`: a path, which must be there and not empty. `what` it is, for the error.
[[nodiscard]] std::string path_option(const JsonReader& reader, const std::string& key, const std::string& what);
/// The options `height`, `width` and `channels` ([1, `channels`], 1 where left out) as a sample's shape.
[[nodiscard]] graph::Shape shape_options(const JsonReader& reader, std::int64_t most_channels);
/// The option `search`: how many training samples the search split gets; nothing where left out.
[[nodiscard]] std::optional<std::int64_t> search_option(const JsonReader& reader);

/// A split with these labels and black samples. @throws ConfigError: more than 32 GiB.
[[nodiscard]] Dataset make_split(const graph::Shape& sample, std::int64_t classes, std::vector<std::uint8_t> labels);

/// Moves `count` samples (where not stated, a tenth) of `from` into a split of their own, in their order. Each class
/// gives its share, rounded up or down; which samples it gives is a function of the labels and `count`, so files
/// ordered by class do no harm. @throws ConfigError at `/search`: nothing would be left.
[[nodiscard]] Dataset hold_out(Dataset& from, std::optional<std::int64_t> count);

/// The task, measured. @throws ConfigError with `source`, the path of what was read: an empty split, or a class
/// without training samples.
[[nodiscard]] TaskData assemble(std::string name, const std::string& source, Dataset train, Dataset search,
                                Dataset test, std::vector<std::string> class_names = {});

/// Calls `read(i)` for i in [0, count), in parallel. Of several ConfigErrors that of the lowest i is thrown, so
/// messages do not depend on the threads.
void for_each_sample(std::int64_t count, const std::function<void(std::int64_t)>& read);

/// (channels, height * width) to (height * width, channels), for one sample.
void channels_last(std::span<const std::uint8_t> from, std::int64_t channels, std::span<std::uint8_t> to);

}  // namespace cosearch
