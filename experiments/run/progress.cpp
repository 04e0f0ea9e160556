#include "experiments/run/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>

namespace cosearch {
namespace {

constexpr std::chrono::milliseconds kLiveInterval{200};
constexpr std::chrono::seconds kPlainInterval{15};
constexpr std::size_t kTrainingsShown = 3;

std::size_t columns(std::FILE* stream) {
  winsize size{};
  const bool known = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) {
    return fmt::format("{}s", whole);
  }
  return whole < 3600 ? fmt::format("{}m{:02}s", whole / 60, whole % 60)
                      : fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
}

std::string status_line(const SearchStatus& status) {
  std::string line = fmt::format("gen {}  {}/{} evaluated", status.batch, status.evaluated, status.evaluations);
  if (status.evaluated_now > 0 && status.seconds > 0.0) {
    const double rate = static_cast<double>(status.evaluated_now) / status.seconds;
    line += fmt::format("  {:.3g}/s", rate);
    if (status.evaluated < status.evaluations) {
      const auto left = static_cast<double>(status.evaluations - status.evaluated);
      line += fmt::format("  ETA {}", duration_text(left / rate));
    }
  }
  line += fmt::format("  {:.0f}% feasible", 100.0 * status.feasible_share);
  if (status.trained) {
    line += status.trainings > 0 ? fmt::format("  trained {}/{}", *status.trained, status.trainings)
                                 : fmt::format("  trained {}", *status.trained);
  }
  line += fmt::format("  front {}", status.front);
  if (status.hypervolume) {
    line += fmt::format("  HV {:.4f}", *status.hypervolume);
  }
  if (status.cache_use.lookups > 0) {
    line += fmt::format("  cache {:.0f}%", 100.0 * static_cast<double>(status.cache_use.hits) /
                                               static_cast<double>(status.cache_use.lookups));
  }
  return line;
}

Progress::Progress(std::FILE* stream, bool quiet, std::function<std::string()> line)
    : stream_(stream),
      quiet_(quiet),
      terminal_(isatty(fileno(stream)) == 1),
      line_(std::move(line)),
      next_(Clock::now() + (terminal_ ? Clock::duration(kLiveInterval) : Clock::duration(kPlainInterval))) {}

Progress::~Progress() {
  if (live_) {
    std::fputc('\n', stream_);
  }
}

void Progress::refresh() {
  if (quiet_ || Clock::now() < next_) {
    return;
  }
  if (!terminal_) {
    print();
    return;
  }
  next_ = Clock::now() + kLiveInterval;
  fmt::print(stream_, "\r\x1b[K{}", line_of(columns(stream_) - 1));
  std::fflush(stream_);
  live_ = true;
}

void Progress::print() {
  if (!quiet_) {
    note(line_of(std::string::npos));
  }
}

void Progress::note(const std::string& text) {
  if (quiet_) {
    return;
  }
  clear_live();
  fmt::print(stream_, "{}\n", text);
  std::fflush(stream_);
  next_ = Clock::now() + (terminal_ ? Clock::duration(kLiveInterval) : Clock::duration(kPlainInterval));
}

void Progress::training(TrialId trial, const TrainProgress& progress) {
  trainings_[trial] = progress;
  refresh();
}

void Progress::trained(TrialId trial) { trainings_.erase(trial); }

std::string Progress::line_of(std::size_t width) const {
  std::string line = line_();
  std::string trainings;
  std::size_t shown = 0;
  for (const auto& [trial, progress] : trainings_) {
    if (++shown > kTrainingsShown) {
      break;
    }
    trainings += fmt::format("  #{} step {}/{} loss {:.3f}", trial, progress.step, progress.steps, progress.loss);
  }
  // Trainings keep their place; what the line says last gives way.
  const std::size_t room = width - std::min(width, trainings.size());
  line.resize(std::min(line.size(), std::max(room, width / 2)));
  line += trainings;
  line.resize(std::min(line.size(), width));
  return line;
}

void Progress::clear_live() {
  if (live_) {
    fmt::print(stream_, "\r\x1b[K");
    live_ = false;
  }
}

}  // namespace cosearch
