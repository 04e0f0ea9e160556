#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Small pictures for reports.
namespace cosearch::svg {

/// Characters that XML keeps for itself, escaped.
[[nodiscard]] std::string escaped(std::string_view text);

/// Ten, told apart also by the colour-blind (Okabe and Ito, "Color universal design", 2008, with grey and P. Tol's
/// wine); indices beyond take turns.
[[nodiscard]] std::string_view colour(std::size_t index);

/// 1, 2 or 5 times a power of ten, less than ten of which make up the span: where an axis has its marks.
[[nodiscard]] std::int64_t tick_of(std::int64_t span);

enum class Anchor { start, middle, end };

/// Shapes on a white ground, in pixels from the upper left corner.
class Picture {
 public:
  Picture(double width, double height);
  void text(double x, double y, Anchor anchor, std::string_view words);
  /// Words that run upwards; `x` is where their feet stand, `y` where `anchor` is.
  void upright_text(double x, double y, Anchor anchor, std::string_view words);
  /// `title` shows when the pointer rests on it.
  void rectangle(double x, double y, double width, double height, std::string_view colour, std::string_view title);
  void line(double x1, double y1, double x2, double y2, std::string_view style);
  [[nodiscard]] std::string finish() const { return text_ + "</svg>\n"; }

 private:
  std::string text_;
};

}  // namespace cosearch::svg
