#include "experiments/cli/stop_signals.hpp"

#include <unistd.h>

#include <ctime>
#include <string_view>

namespace cosearch::cli {
namespace {

constexpr int kSignalExitBase = 128;  // the shells' convention

void say(std::string_view text) {
  // Nobody to tell when standard error is gone.
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

}  // namespace

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    // A shell starts background jobs with SIGINT ignored; they stay so.
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) {
      sigaddset(&signals_, signal);
    }
  }
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  thread_ = std::jthread([this](const std::stop_token& end) { watch(end); });
}

StopSignals::~StopSignals() {
  thread_.request_stop();
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int StopSignals::exit_code() const noexcept {
  const int signal = received_.load();
  return signal == 0 ? 0 : kSignalExitBase + signal;
}

void StopSignals::watch(const std::stop_token& end) {
  constexpr timespec kPatience{0, 50'000'000};  // how late the destructor may be noticed
  while (!end.stop_requested()) {
    const int signal = sigtimedwait(&signals_, nullptr, &kPatience);
    if (signal <= 0) {
      continue;
    }
    if (received_.load() != 0) {
      ::_exit(kSignalExitBase + signal);
    }
    received_.store(signal);
    say("cosearch: stopping; what was reported is stored. A second signal ends at once\n");
    source_.request_stop();
  }
}

}  // namespace cosearch::cli
