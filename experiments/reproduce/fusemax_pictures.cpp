#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "experiments/reproduce/fusemax.hpp"
#include "spaces/base/svg.hpp"

namespace cosearch::fusemax {
namespace {

// Pixels.
constexpr double kLeft = 70.0, kTop = 44.0, kBottom = 46.0, kRight = 20.0;
constexpr std::string_view kAxis = "stroke=\"#444444\"";
constexpr std::string_view kGrid = "stroke=\"#dddddd\"";

/// Position on a logarithmic axis from `low` to `high`.
double at(double value, double low, double high) { return std::log(value / low) / std::log(high / low); }

}  // namespace

std::string contribution_svg(const std::vector<Result>& results, const std::string& model, std::int64_t tokens) {
  constexpr double kBar = 56.0, kGap = 34.0, kHeight = 260.0;
  constexpr std::array<std::string_view, 4> kSteps{"flat", "cascade", "architecture", "binding"};
  constexpr std::array<std::string_view, 4> kLabels{"FLAT", "+ cascade", "+ architecture", "+ binding"};
  std::array<double, kSteps.size()> speedups{};
  double flat = 1.0;
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    for (const Result& result : results) {
      if (result.model == model && result.tokens == tokens && result.design == kSteps[i]) {
        flat = i == 0 ? result.attention.seconds : flat;
        speedups[i] = flat / result.attention.seconds;
      }
    }
  }
  const double most = std::ceil(*std::max_element(speedups.begin(), speedups.end()));
  const double width = kLeft + kSteps.size() * (kBar + kGap) + kRight;
  svg::Picture picture(width, kTop + kHeight + kBottom);
  picture.text(kLeft, 18.0, svg::Anchor::start,
               fmt::format("Attention of {}, {} Ki tokens: speed over FLAT by steps", model, tokens / 1024));
  const double ground = kTop + kHeight;
  for (double tick = 0.0; tick <= most; tick += 1.0) {
    const double y = ground - kHeight * tick / most;
    picture.line(kLeft, y, width - kRight, y, kGrid);
    picture.text(kLeft - 6.0, y + 4.0, svg::Anchor::end, fmt::format("{:.0f}x", tick));
  }
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    const double x = kLeft + kGap / 2.0 + static_cast<double>(i) * (kBar + kGap);
    const double height = kHeight * speedups[i] / most;
    picture.rectangle(x, ground - height, kBar, height, svg::colour(i), fmt::format("{:.4f}x", speedups[i]));
    picture.text(x + kBar / 2.0, ground - height - 5.0, svg::Anchor::middle, fmt::format("{:.2f}x", speedups[i]));
    picture.text(x + kBar / 2.0, ground + 16.0, svg::Anchor::middle, kLabels[i]);
  }
  picture.line(kLeft, ground, width - kRight, ground, kAxis);
  return picture.finish();
}

std::string sizes_svg(const std::vector<Size>& sizes) {
  constexpr double kWidth = 520.0, kHeight = 320.0, kLegend = 90.0, kDot = 7.0;
  double low_area = 1e300, high_area = 0.0, low_time = 1e300, high_time = 0.0;
  for (const Size& size : sizes) {
    low_area = std::min(low_area, size.area_mm2);
    high_area = std::max(high_area, size.area_mm2);
    low_time = std::min(low_time, size.seconds);
    high_time = std::max(high_time, size.seconds);
  }
  const auto decade = [](double value, bool up) {
    return std::pow(10.0, up ? std::ceil(std::log10(value)) : std::floor(std::log10(value)));
  };
  low_area = decade(low_area, false), high_area = decade(high_area, true);
  low_time = decade(low_time, false), high_time = decade(high_time, true);
  svg::Picture picture(kLeft + kWidth + kLegend + kRight, kTop + kHeight + kBottom);
  picture.text(kLeft, 18.0, svg::Anchor::start,
               "FuseMax by size of its array: time of attention, 256 Ki tokens, against area");
  for (double area = low_area; area <= high_area * 1.01; area *= 10.0) {
    const double x = kLeft + kWidth * at(area, low_area, high_area);
    picture.line(x, kTop, x, kTop + kHeight, kGrid);
    picture.text(x, kTop + kHeight + 16.0, svg::Anchor::middle, fmt::format("{:g} mm2", area));
  }
  for (double time = low_time; time <= high_time * 1.01; time *= 10.0) {
    const double y = kTop + kHeight * (1.0 - at(time, low_time, high_time));
    picture.line(kLeft, y, kLeft + kWidth, y, kGrid);
    picture.text(kLeft - 6.0, y + 4.0, svg::Anchor::end, fmt::format("{:g} s", time));
  }
  std::vector<std::string> models;
  for (const Size& size : sizes) {
    auto found = std::find(models.begin(), models.end(), size.model);
    if (found == models.end()) {
      found = models.insert(models.end(), size.model);
      const double y = kTop + 14.0 + 18.0 * static_cast<double>(models.size() - 1);
      picture.rectangle(kLeft + kWidth + 14.0, y - kDot, kDot, kDot, svg::colour(models.size() - 1), size.model);
      picture.text(kLeft + kWidth + 28.0, y, svg::Anchor::start, size.model);
    }
    const double x = kLeft + kWidth * at(size.area_mm2, low_area, high_area);
    const double y = kTop + kHeight * (1.0 - at(size.seconds, low_time, high_time));
    picture.rectangle(
        x - kDot / 2.0, y - kDot / 2.0, kDot, kDot, svg::colour(static_cast<std::size_t>(found - models.begin())),
        fmt::format("{} {} x {}: {:.4g} s, {:.4g} mm2", size.model, size.size, size.size, size.seconds, size.area_mm2));
  }
  picture.line(kLeft, kTop + kHeight, kLeft + kWidth, kTop + kHeight, kAxis);
  picture.line(kLeft, kTop, kLeft, kTop + kHeight, kAxis);
  return picture.finish();
}

}  // namespace cosearch::fusemax
