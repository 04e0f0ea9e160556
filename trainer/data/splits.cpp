#include "trainer/data/splits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

/// The samples `indices` of `from`, in that order.
Dataset select(const Dataset& from, std::span<const std::int64_t> indices) {
  Dataset chosen{from.sample, from.classes, {}, {}};
  const std::int64_t elements = graph::elements(from.sample);
  chosen.pixels.reserve(indices.size() * static_cast<std::size_t>(elements));
  for (const std::int64_t index : indices) {
    const auto first = from.pixels.begin() + index * elements;
    chosen.pixels.insert(chosen.pixels.end(), first, first + elements);
    chosen.labels.push_back(from.labels[static_cast<std::size_t>(index)]);
  }
  return chosen;
}

/// All samples, class by class, each class shuffled.
std::vector<std::int64_t> by_class(const Dataset& data) {
  std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(data.classes));
  for (std::size_t i = 0; i < data.labels.size(); ++i) {
    members[data.labels[i]].push_back(static_cast<std::int64_t>(i));
  }
  std::vector<std::int64_t> order;
  for (std::size_t label = 0; label < members.size(); ++label) {
    RngStream(0, Purpose::split, label).shuffle(members[label]);
    order.insert(order.end(), members[label].begin(), members[label].end());
  }
  return order;
}

std::string class_text(std::size_t label, const std::vector<std::string>& names) {
  return names.empty() ? fmt::format("class {}", label) : fmt::format("class {} (\"{}\")", label, names[label]);
}

}  // namespace

std::string path_option(const JsonReader& reader, const std::string& key, const std::string& what) {
  std::string path = reader.required(key, what).text();
  if (path.empty()) {
    reader.at(key).refuse(what);
  }
  return path;
}

graph::Shape shape_options(const JsonReader& reader, std::int64_t most_channels) {
  return {reader.at("height").integer(1, kLargestSide), reader.at("width").integer(1, kLargestSide),
          reader.integer("channels", 1, 1, most_channels)};
}

std::optional<std::int64_t> search_option(const JsonReader& reader) {
  return reader.has("search") ? std::optional(reader.at("search").integer(1)) : std::nullopt;
}

Dataset make_split(const graph::Shape& sample, std::int64_t classes, std::vector<std::uint8_t> labels) {
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 35U;
  const std::int64_t elements = graph::elements(sample);
  const auto count = static_cast<std::int64_t>(labels.size());
  if (count > kMostBytes / elements) {
    throw ConfigError("", fmt::format("a split holds {} samples of {} bytes, expected at most {} bytes in all", count,
                                      elements, kMostBytes));
  }
  return {sample, classes, std::vector<std::uint8_t>(static_cast<std::size_t>(count * elements)), std::move(labels)};
}

Dataset hold_out(Dataset& from, std::optional<std::int64_t> count) {
  const std::int64_t size = from.size();
  const std::int64_t wanted = count.value_or((size + 9) / 10);
  if (wanted >= size) {
    throw ConfigError("/search", fmt::format("{} of the {} training samples would be held out, expected at most {}",
                                             wanted, size, size - 1));
  }
  // Places at equal distances in an order by class: each class gives its share.
  const std::vector<std::int64_t> order = by_class(from);
  std::vector<bool> held(static_cast<std::size_t>(size), false);
  for (std::int64_t i = 0; i < wanted; ++i) {
    held[static_cast<std::size_t>(order[static_cast<std::size_t>((2 * i + 1) * size / (2 * wanted))])] = true;
  }
  std::vector<std::int64_t> kept;
  std::vector<std::int64_t> moved;
  for (std::int64_t i = 0; i < size; ++i) {
    (held[static_cast<std::size_t>(i)] ? moved : kept).push_back(i);
  }
  Dataset search = select(from, moved);
  from = select(from, kept);
  return search;
}

TaskData assemble(std::string name, const std::string& source, Dataset train, Dataset search, Dataset test,
                  std::vector<std::string> class_names) {
  const std::array splits{std::pair{"training", &train}, std::pair{"search", &search}, std::pair{"test", &test}};
  for (const auto& [title, split] : splits) {
    if (split->size() == 0) {
      throw ConfigError("", fmt::format("leaves the {} split without samples, expected at least 1", title), source);
    }
  }
  std::vector<bool> seen(static_cast<std::size_t>(train.classes), false);
  for (const std::uint8_t label : train.labels) {
    seen[label] = true;
  }
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing != seen.end()) {
    throw ConfigError(
        "",
        fmt::format("has no training sample of {}, expected at least 1 of each of {} classes",
                    class_text(static_cast<std::size_t>(missing - seen.begin()), class_names), train.classes),
        source);
  }
  TaskData data;
  data.name = std::move(name);
  data.class_names = std::move(class_names);
  data.train = std::move(train);
  data.search = std::move(search);
  data.test = std::move(test);
  measure(data);
  return data;
}

void for_each_sample(std::int64_t count, const std::function<void(std::int64_t)>& read) {
  std::vector<std::optional<ConfigError>> errors(static_cast<std::size_t>(count));
  for_each_parallel(count, [&](std::int64_t i) {
    try {
      read(i);
    } catch (const ConfigError& error) {
      errors[static_cast<std::size_t>(i)] = error;
    }
  });
  for (const std::optional<ConfigError>& error : errors) {
    if (error) {
      throw ConfigError(*error);
    }
  }
}

void channels_last(std::span<const std::uint8_t> from, std::int64_t channels, std::span<std::uint8_t> to) {
  COSEARCH_CHECK(from.size() == to.size(), "samples of different sizes");
  const std::size_t depth = static_cast<std::size_t>(channels);
  const std::size_t pixels = from.size() / depth;
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    for (std::size_t channel = 0; channel < depth; ++channel) {
      to[pixel * depth + channel] = from[channel * pixels + pixel];
    }
  }
}

}  // namespace cosearch
