#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cosearch {

struct Recording {
  std::int64_t rate = 0;              ///< samples per second
  std::vector<std::int16_t> samples;  ///< one channel
};

/// Reads a RIFF/WAVE file of 16-bit linear PCM, one channel, 1 to 192 kHz (Microsoft and IBM, "Multimedia Programming
/// Interface and Data Specifications 1.0", 1991; WAVE_FORMAT_EXTENSIBLE too). Other chunks are passed over.
/// @throws ConfigError with the path: missing, truncated, damaged, another coding.
[[nodiscard]] Recording read_wav(const std::string& path);

/// The first `count` samples of the recording at another rate, as parts of full scale in [-1, 1] (interpolated peaks
/// may exceed it), zeros behind its end. Equal rates copy; others are interpolated by a Hann-windowed sinc of 16 zero
/// crossings on each side, cut off at the lower of the two Nyquist frequencies.
[[nodiscard]] std::vector<float> resample(const Recording& recording, std::int64_t rate, std::int64_t count);

}  // namespace cosearch
