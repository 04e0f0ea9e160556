#pragma once

#include <signal.h>  // sigset_t; <csignal> does not promise it

#include <atomic>
#include <stop_token>
#include <thread>

namespace cosearch::cli {

/// While it lives, SIGINT and SIGTERM ask for a clean stop; a second one ends the process at once with the same exit
/// code. Create it before any other thread: they inherit the blocked signals, so that only the watcher sees them.
/// A thread of its own, because a stop cannot be requested from a signal handler.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

  [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }
  /// 130 or 143 by the signal that came; 0 when none did.
  [[nodiscard]] int exit_code() const noexcept;

 private:
  void watch(const std::stop_token& end);

  sigset_t signals_{};
  sigset_t before_{};
  std::atomic<int> received_{0};
  std::stop_source source_;
  std::jthread thread_;
};

}  // namespace cosearch::cli
