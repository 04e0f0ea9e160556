#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

/// Makes WAV files for tests.
namespace cosearch::testing {

inline std::string little_endian(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text.push_back(static_cast<char>(value >> (8 * static_cast<unsigned>(i))));
  }
  return text;
}

inline std::string wav_format(std::uint32_t coding, std::uint32_t channels, std::uint32_t rate, std::uint32_t bits) {
  return "fmt " + little_endian(16, 4) + little_endian(coding, 2) + little_endian(channels, 2) +
         little_endian(rate, 4) + little_endian(rate * channels * bits / 8, 4) + little_endian(channels * bits / 8, 2) +
         little_endian(bits, 2);
}

inline std::string wav_chunks(const std::string& chunks) {
  return "RIFF" + little_endian(static_cast<std::uint32_t>(4 + chunks.size()), 4) + "WAVE" + chunks;
}

/// With a chunk of odd length between format and samples.
inline std::string wav(std::uint32_t rate, const std::vector<std::int16_t>& samples) {
  std::string data;
  for (const std::int16_t sample : samples) {
    data += little_endian(static_cast<std::uint16_t>(sample), 2);
  }
  return wav_chunks(wav_format(1, 1, rate, 16) + "LIST" + little_endian(3, 4) + std::string("abc\0", 4) + "data" +
                    little_endian(static_cast<std::uint32_t>(data.size()), 4) + data);
}

inline std::vector<std::int16_t> tone(double frequency, std::uint32_t rate, std::size_t count) {
  std::vector<std::int16_t> samples;
  for (std::size_t i = 0; i < count; ++i) {
    samples.push_back(static_cast<std::int16_t>(std::lround(
        16000.0 * std::sin(6.283185307179586 * frequency * static_cast<double>(i) / static_cast<double>(rate)))));
  }
  return samples;
}

}  // namespace cosearch::testing
