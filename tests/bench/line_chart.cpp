#include "tests/bench/line_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cosearch::bench {
namespace {

// Pixels.
constexpr double kWidth = 560.0, kHeight = 360.0;
constexpr double kLeft = 62.0, kTop = 40.0, kBottom = 56.0;
constexpr double kPanelWidth = kLeft + kWidth + 32.0;

/// What the axes cover.
struct Axes {
  double first_power, last_power, largest;  // powers of two of the bytes

  [[nodiscard]] double x(double bytes) const {
    return kLeft + kWidth * (std::log2(bytes) - first_power) / (last_power - first_power);
  }
  [[nodiscard]] double y(double value) const { return kTop + kHeight * (1.0 - value / largest); }
};

Axes axes_of(const std::vector<Panel>& panels) {
  Axes axes{1e9, 0.0, 0.0};
  for (const Panel& panel : panels) {
    for (const Curve& curve : panel.curves) {
      for (const auto& [bytes, value] : curve.points) {
        axes.first_power = std::min(axes.first_power, std::log2(bytes));
        axes.last_power = std::max(axes.last_power, std::log2(bytes));
        axes.largest = std::max(axes.largest, value);
      }
    }
  }
  axes.last_power = std::max(axes.last_power, axes.first_power + 1.0);
  axes.largest = std::ceil(axes.largest * 5.0 + 0.01) / 5.0;
  return axes;
}

std::string bytes_label(int power) {
  const char* const unit[] = {"B", "KiB", "MiB", "GiB"};
  return fmt::format("{} {}", 1 << (power % 10), unit[power / 10]);
}

std::string text(double x, double y, const std::string& anchor, const std::string& words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, words);
}

std::string line(double x1, double y1, double x2, double y2, const std::string& style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
}

std::string frame(const Axes& axes, const Panel& panel, const std::string& value_label) {
  std::string svg;
  for (int power = static_cast<int>(std::ceil(axes.first_power)); power <= axes.last_power; power += 3) {
    const double x = axes.x(std::exp2(power));
    svg += line(x, kTop, x, kTop + kHeight, "stroke=\"#ddd\"") +
           text(x, kTop + kHeight + 17, "middle", bytes_label(power));
  }
  for (int i = 0; i * 0.2 <= axes.largest + 1e-9; ++i) {
    const double y = axes.y(i * 0.2);
    svg += line(kLeft, y, kLeft + kWidth, y, "stroke=\"#ddd\"") +
           text(kLeft - 6, y + 4, "end", fmt::format("{:.1f}", i * 0.2));
  }
  svg += text(kLeft + kWidth / 2, kTop - 14, "middle", "<tspan font-weight=\"bold\">" + panel.title + "</tspan>");
  svg += text(kLeft + kWidth / 2, kTop + kHeight + 40, "middle", "bytes of the row");
  svg += fmt::format("<text transform=\"translate(18 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                     kTop + kHeight / 2, value_label);
  return svg;
}

std::string curve_and_legend(const Axes& axes, const Curve& curve, std::size_t place) {
  const std::string style = fmt::format("fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}", curve.colour,
                                        curve.dashed ? " stroke-dasharray=\"6 4\"" : "");
  std::string points;
  for (const auto& [bytes, value] : curve.points) {
    points += fmt::format("{:.1f},{:.1f} ", axes.x(bytes), axes.y(value));
  }
  const double y = kTop + 16.0 + 18.0 * static_cast<double>(place);
  return fmt::format("<polyline points=\"{}\" {}/>\n", points, style) +
         line(kLeft + 12, y - 4, kLeft + 42, y - 4, style) + text(kLeft + 50, y, "start", curve.label);
}

}  // namespace

std::string line_chart(const std::vector<Panel>& panels, const std::string& value_label) {
  const Axes axes = axes_of(panels);
  const double width = kPanelWidth * static_cast<double>(panels.size());
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"white\"/>\n",
      width, kTop + kHeight + kBottom);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    svg += fmt::format("<g transform=\"translate({:.1f} 0)\">\n", kPanelWidth * static_cast<double>(i));
    svg += frame(axes, panels[i], value_label);
    for (std::size_t c = 0; c < panels[i].curves.size(); ++c) {
      svg += curve_and_legend(axes, panels[i].curves[c], c);
    }
    svg += "</g>\n";
  }
  return svg + "</svg>\n";
}

}  // namespace cosearch::bench
