#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "experiments/reproduce/mcuformer.hpp"
#include "spaces/base/svg.hpp"

namespace cosearch::mcuformer {
namespace {

// Pixels.
constexpr double kLeft = 230.0, kTop = 80.0, kBottom = 40.0, kRight = 90.0;
constexpr double kWidth = 520.0, kBar = 14.0, kStep = 44.0;
constexpr double kKibi = 1024.0;
constexpr std::array<std::string_view, 2> kBars{"weights in flash", "weights copied to SRAM"};

/// Axis of KiB with marks, and a line for each board's SRAM.
class Axis {
 public:
  explicit Axis(double most_kib) : most_kib_(most_kib) {}

  [[nodiscard]] double x(double kib) const { return kLeft + kWidth * kib / most_kib_; }
  void draw(svg::Picture& picture, double bottom) const {
    const auto tick = static_cast<double>(svg::tick_of(static_cast<std::int64_t>(most_kib_)));
    for (double kib = 0.0; kib <= most_kib_; kib += tick) {
      picture.line(x(kib), kTop, x(kib), bottom, "stroke=\"#dddddd\"");
      picture.text(x(kib), bottom + 16.0, svg::Anchor::middle, fmt::format("{:.0f} KiB", kib));
    }
    for (const BoardLimits& board : kBoards) {
      const double kib = static_cast<double>(board.sram_bytes) / kKibi;
      if (kib <= most_kib_) {
        picture.line(x(kib), kTop - 12.0, x(kib), bottom, "stroke=\"#444444\" stroke-dasharray=\"4 3\"");
        picture.text(x(kib), kTop - 16.0, svg::Anchor::middle, fmt::format("{:.0f}", kib));
      }
    }
  }

 private:
  double most_kib_;
};

}  // namespace

std::string techniques_svg(const std::vector<TechniqueRow>& rows, std::int64_t patch) {
  std::vector<TechniqueRow> shown;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(shown),
               [&](const TechniqueRow& row) { return row.patch == patch; });
  double most = static_cast<double>(kBoards.back().sram_bytes) / kKibi;
  for (const TechniqueRow& row : shown) {
    most = std::max(most, static_cast<double>(row.copied_bytes) / kKibi);
  }
  const Axis axis(most * 1.02);
  const double bottom = kTop + kStep * static_cast<double>(shown.size());
  svg::Picture picture(kLeft + kWidth + kRight, bottom + kBottom);
  picture.text(
      10.0, 18.0, svg::Anchor::start,
      fmt::format("Arena by technique: width 192, 12 blocks, patches of {0} x {0}; dashed: SRAM of F427, F746, "
                  "H743 in KiB",
                  patch));
  for (std::size_t bar = 0; bar < kBars.size(); ++bar) {
    const double x = kLeft + 150.0 * static_cast<double>(bar);
    picture.rectangle(x, 30.0, kBar, kBar - 2.0, svg::colour(bar), kBars[bar]);
    picture.text(x + kBar + 6.0, 41.0, svg::Anchor::start, kBars[bar]);
  }
  axis.draw(picture, bottom);
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const double y = kTop + kStep * static_cast<double>(i) + 6.0;
    picture.text(kLeft - 8.0, y + kBar + 4.0, svg::Anchor::end, shown[i].technique);
    const std::array bars{shown[i].arena_bytes, shown[i].copied_bytes};
    for (std::size_t bar = 0; bar < bars.size(); ++bar) {
      const double kib = static_cast<double>(bars[bar]) / kKibi;
      const double top = y + static_cast<double>(bar) * kBar;
      picture.rectangle(kLeft, top, axis.x(kib) - kLeft, kBar - 2.0, svg::colour(bar),
                        fmt::format("{}: {} bytes", kBars[bar], bars[bar]));
      picture.text(axis.x(kib) + 4.0, top + kBar - 3.0, svg::Anchor::start, fmt::format("{:.1f}", kib));
    }
  }
  return picture.finish();
}

}  // namespace cosearch::mcuformer
