#include "hwmodels/mcu/arena_picture.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "hwmodels/text.hpp"
#include "spaces/base/svg.hpp"

namespace cosearch::mcu {
namespace {

using program::ArenaPlan;
using program::Buffer;
using program::BufferRole;
using program::LiveRange;
using program::Program;

// Pixels.
constexpr double kLeft = 80.0, kRight = 24.0, kTop = 44.0, kHeight = 420.0, kBottom = 24.0;
constexpr double kWidth = 1000.0;                   // of all calls; more where they would become too narrow
constexpr double kNarrowest = 3.0, kWidest = 80.0;  // a call
constexpr double kLetter = 5.6, kLine = 12.0;       // of the font
constexpr double kHead = 8.0;                       // above the arena
constexpr std::string_view kScratchColour = "#dddddd";

struct Axes {
  double call = 0.0;   ///< width of one
  double bytes = 0.0;  ///< height of one
  [[nodiscard]] double x(std::size_t step) const { return kLeft + call * static_cast<double>(step); }
  [[nodiscard]] double y(std::int64_t offset) const { return kTop + kHeight - bytes * static_cast<double>(offset); }
};

double width_of(std::string_view words) { return kLetter * static_cast<double>(words.size()); }

std::size_t first_place(const Program& program, std::size_t buffer) {
  while (program.buffers[buffer].alias_of) {
    buffer = static_cast<std::size_t>(*program.buffers[buffer].alias_of);
  }
  return buffer;
}

std::string_view colour_of(const Program& program, std::size_t buffer) {
  constexpr std::size_t kColours = 5;  // the light ones, on which black words can be read
  return program.buffers[buffer].role == BufferRole::scratch ? kScratchColour
                                                             : svg::colour(first_place(program, buffer) % kColours);
}

void add_grid(svg::Picture& picture, const Axes& axes, const ArenaPlan& plan, double right) {
  const std::int64_t tick = svg::tick_of(std::max<std::int64_t>(1, plan.bytes));
  for (std::int64_t bytes = 0; bytes <= plan.bytes; bytes += tick) {
    picture.line(kLeft, axes.y(bytes), right, axes.y(bytes), "stroke=\"#dddddd\"");
    picture.text(kLeft - 6.0, axes.y(bytes) + 4.0, svg::Anchor::end, grouped(bytes));
  }
}

/// One buffer in the picture: pixels, and calls from `first` to `last`, exclusive.
struct Box {
  std::size_t first = 0, last = 0;
  double x = 0.0, y = 0.0, width = 0.0, height = 0.0;
};

std::vector<Box> boxes_of(const Axes& axes, const Program& program, const ArenaPlan& plan) {
  std::vector<Box> boxes;
  const std::vector<LiveRange> ranges = program::live_ranges(program);
  for (std::size_t i = 0; i < program.buffers.size(); ++i) {
    Box box{static_cast<std::size_t>(ranges[i].first), static_cast<std::size_t>(ranges[i].last) + 1};
    box.x = axes.x(box.first);
    box.y = axes.y(plan.offsets[i] + program.buffers[i].bytes);
    box.width = axes.x(box.last) - box.x;
    box.height = axes.y(plan.offsets[i]) - box.y;
    boxes.push_back(box);
  }
  return boxes;
}

/// The name along or across, where the box has room for it.
void add_name(svg::Picture& picture, std::string_view name, const Box& box) {
  const double x = box.x + box.width / 2;
  const double y = box.y + box.height / 2;
  if (width_of(name) < box.width && box.height > kLine) {
    picture.text(x, y + 4.0, svg::Anchor::middle, name);
  } else if (width_of(name) < box.height && box.width > kLine) {
    picture.upright_text(x + 4.0, y, svg::Anchor::middle, name);
  }
}

void add_buffers(svg::Picture& picture, const Axes& axes, const Program& program, const ArenaPlan& plan,
                 std::size_t peak) {
  std::vector<Box> boxes = boxes_of(axes, program, plan);
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const Buffer& buffer = program.buffers[i];
    const Box& box = boxes[i];
    const std::string title = fmt::format("{}: {} bytes at {}, calls {} to {}", buffer.name, grouped(buffer.bytes),
                                          grouped(plan.offsets[i]), box.first, box.last - 1);
    const bool in_peak = box.first <= peak && peak < box.last;
    const double border = std::min({in_peak ? 1.0 : 0.5, box.width / 4, box.height / 4});
    picture.rectangle(box.x, box.y, box.width, box.height, in_peak ? "#000000" : "#ffffff", title);
    picture.rectangle(box.x + border, box.y + border, box.width - 2 * border, box.height - 2 * border,
                      colour_of(program, i), title);
  }
  // Names come last, and in what the next buffer in the same place leaves to be seen.
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    if (program.buffers[i].alias_of) {
      Box& base = boxes[static_cast<std::size_t>(*program.buffers[i].alias_of)];
      base.width = std::min(base.width, boxes[i].x - base.x);
    }
  }
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    add_name(picture, program.buffers[i].name, boxes[i]);
  }
}

/// Numbers and names of the calls below the arena, as many as have room.
void add_calls(svg::Picture& picture, const Axes& axes, const Program& program) {
  const auto step = static_cast<std::size_t>(kLine / axes.call) + 1;
  for (std::size_t i = 0; i < program.calls.size(); i += step) {
    picture.upright_text(axes.x(i) + axes.call / 2 + 4.0, kTop + kHeight + 6.0, svg::Anchor::end,
                         fmt::format("{} {}", program.calls[i].name, i));
  }
}

void add_marks(svg::Picture& picture, const Axes& axes, const ArenaPlan& plan, std::size_t peak, double right) {
  constexpr std::string_view kDashes = "stroke=\"#cc0000\" stroke-dasharray=\"6 4\"";
  picture.line(kLeft, axes.y(plan.bytes), right, axes.y(plan.bytes), kDashes);
  if (plan.lower_bound < plan.bytes) {
    picture.line(kLeft, axes.y(plan.lower_bound), right, axes.y(plan.lower_bound), kDashes);
  }
  const double x = axes.x(peak) + axes.call / 2;
  picture.line(x, kTop - kHead, x, kTop + kHeight, kDashes);
}

}  // namespace

std::string arena_picture(const Program& program, const ArenaPlan& plan) {
  const std::vector<program::LiveStep> steps = program::live_steps(program);
  const auto largest =
      std::max_element(steps.begin(), steps.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  const auto peak = static_cast<std::size_t>(largest - steps.begin());
  Axes axes;
  axes.call = std::clamp(kWidth / static_cast<double>(steps.size()), kNarrowest, kWidest);
  axes.bytes = kHeight / static_cast<double>(std::max<std::int64_t>(1, plan.bytes));
  const double right = axes.x(steps.size());
  std::size_t longest = 0;
  for (const program::KernelCall& call : program.calls) {
    longest = std::max(longest, call.name.size());
  }
  const std::string title =
      fmt::format("{}: arena of {} bytes; most alive, {} bytes, during {}", program.name, grouped(plan.bytes),
                  grouped(plan.lower_bound), program.calls.empty() ? "no call" : program.calls[peak].name);
  const double names = kLetter * static_cast<double>(longest + 5);
  svg::Picture picture(std::max(right, kLeft + width_of(title)) + kRight, kTop + kHeight + names + kBottom);
  picture.text(kLeft, 18.0, svg::Anchor::start, title);
  add_grid(picture, axes, plan, right);
  add_buffers(picture, axes, program, plan, peak);
  add_calls(picture, axes, program);
  add_marks(picture, axes, plan, peak, right);
  return picture.finish();
}

}  // namespace cosearch::mcu
