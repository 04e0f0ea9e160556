#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"
#include "tests/trainer/temporary_directory.hpp"
#include "trainer/data/dataset.hpp"

/// Readers of files against damaged files.
namespace cosearch::testing {

/// The error of an action in one line, or "accepted".
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("\n")));
    return error.what();
  }
  return "accepted";
}

inline std::string loading_error(const nlohmann::json& config) {
  return error_of([&] { static_cast<void>(load_task_data(config)); });
}

/// Every file that is cut off after fewer than `bytes.size()` bytes is refused with a ConfigError that names it.
inline void expect_truncations_refused(const std::string& path, const std::string& bytes,
                                       const std::function<void()>& read) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_file(path, bytes.substr(0, size));
    ASSERT_THAT(error_of(read), ::testing::HasSubstr(path)) << "cut off after " << size << " bytes";
  }
  write_file(path, bytes);
  EXPECT_EQ(error_of(read), "accepted");
}

/// With one to three random bytes changed anywhere in the file, reading returns or throws a ConfigError.
/// @returns how many of the damaged files were refused
inline int count_refused_flips(const std::string& path, const std::string& bytes, int rounds,
                               const std::function<void()>& read) {
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    RngStream rng(20, Purpose::test, static_cast<std::uint64_t>(round));
    std::string damaged = bytes;
    for (std::uint64_t flips = 1 + rng.below(3); flips > 0; --flips) {
      char& byte = damaged[rng.below(damaged.size())];
      byte = static_cast<char>(byte ^ static_cast<char>(1 + rng.below(255)));
    }
    write_file(path, damaged);
    refused += error_of(read) == "accepted" ? 0 : 1;
  }
  write_file(path, bytes);
  return refused;
}

}  // namespace cosearch::testing
