#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Small pictures for reports.
namespace cosearch::svg {

/// Characters that XML keeps for itself, escaped.
[[nodiscard]] std::string escaped(std::string_view text);

/// Ten, told apart also by the colour-blind (Okabe and Ito, "Color universal design", 2008, with grey and P. Tol's
/// wine); indices beyond take turns.
[[nodiscard]] std::string_view colour(std::size_t index);

enum class Anchor { start, middle, end };

/// Shapes on a white ground, in pixels from the upper left corner.
class Picture {
 public:
  Picture(double width, double height);
  void text(double x, double y, Anchor anchor, std::string_view words);
  /// `title` shows when the pointer rests on it.
  void rectangle(double x, double y, double width, double height, std::string_view colour, std::string_view title);
  void line(double x1, double y1, double x2, double y2, std::string_view style);
  [[nodiscard]] std::string finish() const { return text_ + "</svg>\n"; }

 private:
  std::string text_;
};

}  // namespace cosearch::svg
