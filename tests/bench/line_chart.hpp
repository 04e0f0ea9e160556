#pragma once

#include <string>
#include <utility>
#include <vector>

/// Pictures of measurements: curves over a logarithmic axis of sizes, as SVG.
namespace cosearch::bench {

struct Curve {
  std::string label;
  std::string colour;  ///< of CSS
  bool dashed = false;
  std::vector<std::pair<double, double>> points;  ///< (bytes, value), bytes > 0 ascending
};

struct Panel {
  std::string title;
  std::vector<Curve> curves;  ///< not empty; the legend lists them in this order
};

/// Panels side by side with the same axes: bytes to the base 2 from left to right, values from 0 up.
[[nodiscard]] std::string line_chart(const std::vector<Panel>& panels, const std::string& value_label);

}  // namespace cosearch::bench
