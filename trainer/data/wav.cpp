#include "trainer/data/wav.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <string_view>

#include "spaces/base/config_error.hpp"
#include "trainer/data/file_bytes.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kLargestFile = std::int64_t{1} << 30U;
constexpr double kFullScale = 32768.0;

bool names(std::span<const std::uint8_t> bytes, std::size_t at, std::string_view name) {
  return std::equal(name.begin(), name.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

/// The sampling rate that a format chunk states.
std::int64_t read_format(std::span<const std::uint8_t> chunk, const std::string& path) {
  constexpr std::size_t kSize = 16;
  constexpr unsigned kPcm = 1;
  constexpr unsigned kExtensible = 0xfffe;
  constexpr std::size_t kSubFormat = 24;
  constexpr std::int64_t kLowestRate = 1'000;
  constexpr std::int64_t kHighestRate = 192'000;
  if (chunk.size() < kSize) {
    throw ConfigError("", fmt::format("has a format chunk of {} bytes, expected {}", chunk.size(), kSize), path);
  }
  unsigned coding = little_endian_16(chunk, 0);
  if (coding == kExtensible && chunk.size() >= kSubFormat + 2) {
    coding = little_endian_16(chunk, kSubFormat);
  }
  const unsigned channels = little_endian_16(chunk, 2);
  const unsigned bits = little_endian_16(chunk, 14);
  const std::int64_t rate = little_endian_32(chunk, 4);
  if (coding != kPcm || channels != 1 || bits != 16) {
    throw ConfigError(
        "",
        fmt::format("is of coding {} with {} channels and {} bits, expected coding 1 (PCM), 1 channel, 16 bits", coding,
                    channels, bits),
        path);
  }
  if (rate < kLowestRate || rate > kHighestRate) {
    throw ConfigError("", fmt::format("has {} samples per second, expected {} to {}", rate, kLowestRate, kHighestRate),
                      path);
  }
  return rate;
}

std::vector<std::int16_t> read_samples(std::span<const std::uint8_t> chunk) {
  std::vector<std::int16_t> samples;
  samples.reserve(chunk.size() / 2);
  for (std::size_t i = 0; i + 1 < chunk.size(); i += 2) {
    samples.push_back(static_cast<std::int16_t>(little_endian_16(chunk, i)));
  }
  return samples;
}

}  // namespace

Recording read_wav(const std::string& path) {
  constexpr std::size_t kRiffSize = 12;
  constexpr std::size_t kChunkHeader = 8;
  const std::vector<std::uint8_t> bytes = read_file_bytes(path, kLargestFile);
  if (bytes.size() < kRiffSize || !names(bytes, 0, "RIFF") || !names(bytes, 8, "WAVE")) {
    throw ConfigError("", fmt::format("is no WAV file: its {} bytes do not begin with RIFF and WAVE", bytes.size()),
                      path);
  }
  std::optional<std::int64_t> rate;
  for (std::size_t at = kRiffSize; at <= bytes.size() && bytes.size() - at >= kChunkHeader;) {
    const std::size_t size = little_endian_32(bytes, at + 4);
    const bool data = names(bytes, at, "data");
    const bool format = names(bytes, at, "fmt ");
    at += kChunkHeader;
    if (bytes.size() - at < size) {
      throw ConfigError("",
                        fmt::format("is truncated: a chunk at byte {} announces {} bytes, there are {}",
                                    at - kChunkHeader, size, bytes.size() - at),
                        path);
    }
    const auto chunk = std::span(bytes).subspan(at, size);
    if (format) {
      rate = read_format(chunk, path);
    }
    if (data) {
      if (!rate || size < 2 || size % 2 != 0) {
        throw ConfigError("",
                          rate ? fmt::format("has {} bytes of samples, expected 2 or more and an even number", size)
                               : "has samples before their format, expected the format first",
                          path);
      }
      return {*rate, read_samples(chunk)};
    }
    at += size + size % 2;  // chunks begin at even places
  }
  throw ConfigError("", fmt::format("is truncated: its {} bytes hold no samples", bytes.size()), path);
}

std::vector<float> resample(const Recording& recording, std::int64_t rate, std::int64_t count) {
  const auto size = static_cast<std::int64_t>(recording.samples.size());
  std::vector<float> out(static_cast<std::size_t>(count), 0.0F);
  if (recording.rate == rate) {
    std::transform(recording.samples.begin(), recording.samples.begin() + std::min(size, count), out.begin(),
                   [](std::int16_t sample) { return static_cast<float>(sample / kFullScale); });
    return out;
  }
  constexpr double kZeroCrossings = 16.0;
  const double step = static_cast<double>(recording.rate) / static_cast<double>(rate);
  const double cutoff = std::min(1.0, 1.0 / step);  // of the source's Nyquist frequency
  const double reach = kZeroCrossings / cutoff;
  for (std::int64_t i = 0; i < count; ++i) {
    const double centre = static_cast<double>(i) * step;
    const std::int64_t first = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(centre - reach)));
    const std::int64_t last = std::min(size - 1, static_cast<std::int64_t>(std::floor(centre + reach)));
    double sum = 0.0;
    for (std::int64_t k = first; k <= last && centre < static_cast<double>(size); ++k) {
      const double t = centre - static_cast<double>(k);
      const double phase = std::numbers::pi * cutoff * t;
      const double sinc = phase == 0.0 ? 1.0 : std::sin(phase) / phase;
      const double window = 0.5 + 0.5 * std::cos(std::numbers::pi * t / reach);
      sum += recording.samples[static_cast<std::size_t>(k)] / kFullScale * cutoff * sinc * window;
    }
    out[static_cast<std::size_t>(i)] = static_cast<float>(sum);
  }
  return out;
}

}  // namespace cosearch
