#include "experiments/cli/energy_picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <vector>

#include "experiments/cli/table.hpp"
#include "spaces/base/svg.hpp"

namespace cosearch::cli {
namespace {

// Pixels.
constexpr double kLeft = 190.0, kWidth = 700.0, kRight = 110.0, kRow = 18.0, kBar = 13.0, kAxis = 34.0;
constexpr double kLegendEntry = 150.0, kLegendLine = 18.0;
constexpr double kLeastShare = 0.002;
constexpr std::string_view kSuffix = "_pj";

struct Bar {
  std::string name;
  std::map<std::string, double> parts;  ///< pJ by component
  [[nodiscard]] double total() const {
    double sum = 0.0;
    for (const auto& [name_, energy] : parts) {
      sum += energy;
    }
    return sum;
  }
};

Bar bar_of(const LayerCost& layer) {
  Bar bar{layer.name, {}};
  for (const auto& [name, value] : layer.parts) {
    if (name.ends_with(kSuffix) && value > 0.0) {
      bar.parts[name.substr(0, name.size() - kSuffix.size())] += value;
    }
  }
  return bar;
}

/// Bars in the layers' order; small ones together at the end.
std::vector<Bar> bars_of(const Cost& cost) {
  double total = 0.0;
  std::vector<Bar> all;
  for (const LayerCost& layer : cost.layers) {
    all.push_back(bar_of(layer));
    total += all.back().total();
  }
  std::vector<Bar> bars;
  Bar rest;
  int merged = 0;
  for (Bar& bar : all) {
    if (bar.total() >= kLeastShare * total) {
      bars.push_back(std::move(bar));
      continue;
    }
    ++merged;
    for (const auto& [name, energy] : bar.parts) {
      rest.parts[name] += energy;
    }
  }
  if (rest.total() > 0.0) {
    rest.name = fmt::format("{} small layers", merged);
    bars.push_back(std::move(rest));
  }
  return bars;
}

/// Components, the one with most energy first.
std::vector<std::string> components_of(const std::vector<Bar>& bars) {
  std::map<std::string, double> sums;
  for (const Bar& bar : bars) {
    for (const auto& [name, energy] : bar.parts) {
      sums[name] += energy;
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, sum] : sums) {
    names.push_back(name);
  }
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return sums[a] > sums[b]; });
  return names;
}

}  // namespace

std::string energy_svg(const Cost& cost, const std::string& title) {
  const std::vector<Bar> bars = bars_of(cost);
  if (bars.empty() || components_of(bars).empty()) {
    return {};
  }
  const std::vector<std::string> components = components_of(bars);
  const auto per_line = static_cast<std::size_t>(kWidth / kLegendEntry);
  const std::size_t legend_lines = (components.size() - 1) / per_line + 1;
  const double legend = kLegendLine * static_cast<double>(legend_lines);
  const double top = 40.0 + legend;
  const double height = top + kRow * static_cast<double>(bars.size()) + kAxis;
  double longest = 0.0;
  for (const Bar& bar : bars) {
    longest = std::max(longest, bar.total());
  }
  svg::Picture picture(kLeft + kWidth + kRight, height);
  picture.text(kLeft, 20.0, svg::Anchor::start, title + ": energy of each layer [uJ]");
  for (std::size_t i = 0; i < components.size(); ++i) {
    const double x = kLeft + kLegendEntry * static_cast<double>(i % per_line);
    const std::size_t legend_line = i / per_line;
    const double y = 32.0 + kLegendLine * static_cast<double>(legend_line);
    picture.rectangle(x, y, 12.0, 12.0, svg::colour(i), components[i]);
    picture.text(x + 16.0, y + 10.0, svg::Anchor::start, components[i]);
  }
  for (std::size_t row = 0; row < bars.size(); ++row) {
    const double y = top + kRow * static_cast<double>(row);
    picture.text(kLeft - 6.0, y + kBar - 3.0, svg::Anchor::end, bars[row].name);
    double x = kLeft;
    for (std::size_t i = 0; i < components.size(); ++i) {
      const auto part = bars[row].parts.find(components[i]);
      if (part != bars[row].parts.end()) {
        const double width = kWidth * part->second / longest;
        picture.rectangle(
            x, y, width, kBar, svg::colour(i),
            fmt::format("{}: {} {} uJ", bars[row].name, components[i], format_number(part->second * 1e-6)));
        x += width;
      }
    }
    picture.text(x + 6.0, y + kBar - 3.0, svg::Anchor::start, format_number(bars[row].total() * 1e-6));
  }
  return picture.finish();
}

}  // namespace cosearch::cli
