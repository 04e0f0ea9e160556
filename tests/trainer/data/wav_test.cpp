#include "trainer/data/wav.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/data/file_damage.hpp"
#include "tests/trainer/data/wav_files.hpp"

namespace cosearch {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::little_endian;
using testing::tone;
using testing::wav_chunks;
using testing::wav_format;
using testing::write_file;

TEST(Wav, ReadsSamplesBehindOtherChunks) {
  const testing::TemporaryDirectory directory;
  write_file(directory.file("a.wav"), testing::wav(22'050, {0, 1, -1, 32767, -32768}));
  const Recording recording = read_wav(directory.file("a.wav"));
  EXPECT_EQ(recording.rate, 22'050);
  EXPECT_EQ(recording.samples, (std::vector<std::int16_t>{0, 1, -1, 32767, -32768}));
}

TEST(Wav, DamagedFilesAreRefusedOrRead) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.file("a.wav");
  const std::string bytes = testing::wav(16'000, tone(300, 16'000, 12));
  const auto read = [&] { static_cast<void>(read_wav(path)); };
  testing::expect_truncations_refused(path, bytes, read);
  EXPECT_GT(testing::count_refused_flips(path, bytes, 200, read), 80);
}

TEST(Wav, OtherCodingsAreNamed) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.file("a.wav");
  const std::string data = "data" + little_endian(4, 4) + "abcd";
  struct Case {
    std::string bytes;
    std::string message;
  };
  const std::vector<Case> cases{
      {wav_chunks(wav_format(3, 1, 16'000, 32) + data),
       "is of coding 3 with 1 channels and 32 bits, expected coding 1"},
      {wav_chunks(wav_format(1, 2, 16'000, 16) + data), "with 2 channels and 16 bits"},
      {wav_chunks(wav_format(1, 1, 16'000, 8) + data), "with 1 channels and 8 bits"},
      {wav_chunks(wav_format(1, 1, 0, 16) + data), "has 0 samples per second, expected 1000 to 192000"},
      {wav_chunks(data), "has samples before their format"},
      {wav_chunks(wav_format(1, 1, 16'000, 16)), "hold no samples"},
      {wav_chunks(wav_format(1, 1, 16'000, 16) + "data" + little_endian(3, 4) + "abcd"), "has 3 bytes of samples"},
      {"OggS and more of it", "is no WAV file"},
  };
  for (const Case& bad : cases) {
    write_file(path, bad.bytes);
    EXPECT_THAT(error_of([&] { static_cast<void>(read_wav(path)); }), HasSubstr(bad.message));
  }
}

TEST(Resample, KeepsTonesAndRemovesWhatTheNewRateCannotHold) {
  for (const std::uint32_t rate : {8'000U, 16'000U, 22'050U, 44'100U, 48'000U}) {
    const std::vector<float> out = resample({rate, tone(440, rate, rate)}, 16'000, 16'000);
    for (std::size_t i = 200; i < 15'800; ++i) {  // away from the ends
      ASSERT_NEAR(out[i], 16000.0 / 32768.0 * std::sin(6.283185307179586 * 440 * static_cast<double>(i) / 16000), 2e-3)
          << rate;
    }
  }
  const std::vector<float> high = resample({44'100, tone(12'000, 44'100, 44'100)}, 16'000, 16'000);
  for (std::size_t i = 200; i < 15'800; ++i) {
    ASSERT_NEAR(high[i], 0.0, 0.002) << i;
  }
}

TEST(Resample, FillsWithSilence) {
  const std::vector<float> out = resample({16'000, {16384, -16384}}, 16'000, 4);
  EXPECT_EQ(out, (std::vector<float>{0.5F, -0.5F, 0.0F, 0.0F}));
  EXPECT_EQ(resample({8'000, tone(100, 8'000, 100)}, 16'000, 400).back(), 0.0F);
}

}  // namespace
}  // namespace cosearch
