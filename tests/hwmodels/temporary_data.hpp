#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "spaces/base/config_error.hpp"

namespace cosearch::testing {

/// A directory with model data of its own, removed at the end.
class TemporaryData {
 public:
  TemporaryData();
  ~TemporaryData();
  TemporaryData(const TemporaryData&) = delete;
  TemporaryData& operator=(const TemporaryData&) = delete;

  void write(const std::string& name, const std::string& text) const;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// The one-line message of the ConfigError that `action` throws; fails the test when it throws none.
template <class Action>
std::string config_error_of(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no ConfigError";
  return {};
}

}  // namespace cosearch::testing
