#include "experiments/measure/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>

namespace cosearch {
namespace {

// What a shell returns for a command that it cannot execute.
constexpr int kCannotExecute = 127;
constexpr int kSignalled = 128;

[[noreturn]] void cannot_start(const std::string& name) {
  throw std::runtime_error(fmt::format("{}: cannot be started: {}", name, std::strerror(errno)));
}

/// In the child: only calls that are allowed between fork and exec.
[[noreturn]] void become(char* const* words, const char* directory, int output) {
  ::setpgid(0, 0);  // so that all that it starts can be killed with it
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 &&
      ::dup2(output, STDERR_FILENO) >= 0 && ::chdir(directory) == 0) {
    ::execvp(words[0], words);
  }
  ::_exit(kCannotExecute);
}

/// Reads until the other end is closed everywhere; false when the time is up first.
bool read_all(int descriptor, std::chrono::steady_clock::time_point end, std::string& text) {
  std::array<char, 4096> part{};
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd wait{descriptor, POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready == 0) {
      return false;
    }
    const ssize_t count = ready < 0 ? -1 : ::read(descriptor, part.data(), part.size());
    if (count == 0) {
      return true;
    }
    if (count > 0) {
      text.append(part.data(), static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return true;
    }
  }
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& words, const std::string& directory,
                      std::chrono::milliseconds timeout) {
  std::vector<std::string> copies = words;
  std::vector<char*> pointers;
  for (std::string& word : copies) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    cannot_start(words[0]);
  }
  const auto end = std::chrono::steady_clock::now() + timeout;
  const pid_t child = ::fork();
  if (child == 0) {
    become(pointers.data(), directory.c_str(), ends[1]);
  }
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    cannot_start(words[0]);
  }
  ::setpgid(child, child);  // whichever of the two comes first
  ChildResult result;
  result.timed_out = !read_all(ends[0], end, result.output);
  ::close(ends[0]);
  if (result.timed_out) {
    ::kill(-child, SIGKILL);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
  return result;
}

bool has_program(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access(fmt::format("{}/{}", folder.empty() ? "." : folder, name).c_str(), X_OK) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace cosearch
