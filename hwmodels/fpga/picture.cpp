#include "hwmodels/fpga/picture.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "hwmodels/text.hpp"
#include "spaces/base/svg.hpp"

namespace cosearch::fpga {
namespace {

using svg::Anchor;
using svg::Picture;

// Pixels.
constexpr double kLeft = 90.0, kRight = 30.0, kWidth = 900.0;
constexpr double kTop = 44.0, kBars = 150.0, kGap = 56.0, kRow = 34.0, kBar = 24.0, kAxis = 50.0;
constexpr double kLetter = 6.2;  // of a small sans-serif font, rather too wide
constexpr const char* kGrid = "stroke=\"#ddd\"";

std::string cycles(double value) { return grouped(std::llround(value)); }

void draw_tokens(Picture& picture, const ExpertQueue& queue) {
  std::int64_t most = 1;
  int last = 0;
  for (const QueuedExpert& each : queue.experts) {
    most = std::max(most, each.tokens);
    last = std::max(last, each.expert);
  }
  const double slot = kWidth / (last + 1);
  const std::int64_t tick = svg::tick_of(most);
  for (std::int64_t value = 0; value <= most; value += tick) {
    const double y = kTop + kBars * (1.0 - static_cast<double>(value) / static_cast<double>(most));
    picture.line(kLeft, y, kLeft + kWidth, y, kGrid);
    picture.text(kLeft - 6.0, y + 4.0, Anchor::end, grouped(value));
  }
  for (const QueuedExpert& each : queue.experts) {
    const double height = kBars * static_cast<double>(each.tokens) / static_cast<double>(most);
    const double x = kLeft + slot * each.expert;
    picture.rectangle(x + 0.1 * slot, kTop + kBars - height, 0.8 * slot, height,
                      svg::colour(static_cast<std::size_t>(each.expert)),
                      fmt::format("expert {}: {} tokens", each.expert, grouped(each.tokens)));
    picture.text(x + slot / 2.0, kTop + kBars + 14.0, Anchor::middle, std::to_string(each.expert));
  }
  picture.upright_text(kLeft - 56.0, kTop + kBars / 2.0, Anchor::middle, "tokens");
}

void draw_spans(Picture& picture, const Timeline& line, const std::vector<Span>& spans, double y,
                const std::string& what) {
  picture.text(kLeft - 6.0, y + kBar / 2.0 + 4.0, Anchor::end, what);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const double scale = kWidth / std::max(line.cycles(), 1.0);
    const double width = (spans[i].end - spans[i].start) * scale;
    const double x = kLeft + spans[i].start * scale;
    const std::string& name = line.pieces[i].name;
    picture.rectangle(x, y, width, kBar, svg::colour(static_cast<std::size_t>(line.pieces[i].expert)),
                      fmt::format("expert {} {}: {} to {}, {} cycles", name, what, cycles(spans[i].start),
                                  cycles(spans[i].end), cycles(spans[i].end - spans[i].start)));
    if (kLetter * static_cast<double>(name.size() + 2) < width) {
      picture.text(x + width / 2.0, y + kBar / 2.0 + 4.0, Anchor::middle, name);
    }
  }
}

void draw_timeline(Picture& picture, const Timeline& line, double top) {
  const double bottom = top + 2.0 * kRow;
  const auto span = std::max<std::int64_t>(1, std::llround(line.cycles()));
  for (std::int64_t value = 0; value <= span; value += svg::tick_of(span)) {
    const double x = kLeft + kWidth * static_cast<double>(value) / static_cast<double>(span);
    picture.line(x, top, x, bottom, kGrid);
    picture.text(x, bottom + 15.0, Anchor::middle, grouped(value));
  }
  draw_spans(picture, line, line.loads, top + (kRow - kBar) / 2.0, "load");
  draw_spans(picture, line, line.computes, top + kRow + (kRow - kBar) / 2.0, "compute");
  picture.text(kLeft + kWidth / 2.0, bottom + 34.0, Anchor::middle, "cycles behind the gate");
}

}  // namespace

std::string expert_picture(const std::string& title, const MoeTime& moe) {
  const bool timed = !moe.timeline.pieces.empty();
  const double timeline_top = kTop + kBars + kGap;
  Picture picture(kLeft + kWidth + kRight, timed ? timeline_top + 2.0 * kRow + kAxis : timeline_top);
  picture.text(kLeft, 24.0, Anchor::start, title);
  draw_tokens(picture, moe.queue);
  picture.text(kLeft + kWidth / 2.0, kTop + kBars + 32.0, Anchor::middle, "expert");
  if (timed) {
    draw_timeline(picture, moe.timeline, timeline_top);
  }
  return picture.finish();
}

}  // namespace cosearch::fpga
