#pragma once

#include <chrono>
#include <string>
#include <vector>

/// Programs that are started and waited for.
namespace cosearch {

struct ChildResult {
  int exit_code = -1;  ///< 128 + signal when it was killed
  bool timed_out = false;
  std::string output;  ///< standard output and standard error, as they came
};

/// Runs a program found by PATH, with its arguments, in `directory`, and reads what it prints until it ends or the time
/// is up; then it is killed with everything that it has started. @throws std::runtime_error when it cannot be started.
[[nodiscard]] ChildResult run_child(const std::vector<std::string>& words, const std::string& directory,
                                    std::chrono::milliseconds timeout);

/// Whether PATH has an executable file of this name.
[[nodiscard]] bool has_program(const std::string& name);

}  // namespace cosearch
