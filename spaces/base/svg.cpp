#include "spaces/base/svg.hpp"

#include <fmt/format.h>

#include <array>

namespace cosearch::svg {
namespace {

constexpr std::array<std::string_view, 10> kColours{"#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442",
                                                    "#0072b2", "#d55e00", "#999999", "#000000", "#882255"};
constexpr std::array<std::string_view, 3> kAnchors{"start", "middle", "end"};

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += letter;
    }
  }
  return result;
}

std::string_view colour(std::size_t index) { return kColours[index % kColours.size()]; }

std::int64_t tick_of(std::int64_t span) {
  for (std::int64_t power = 1;; power *= 10) {
    for (const std::int64_t factor : {1, 2, 5}) {
      if (span / (factor * power) < 10) {
        return factor * power;
      }
    }
  }
}

Picture::Picture(double width, double height)
    : text_(fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
                        "height=\"{1:.0f}\" font-family=\"sans-serif\" font-size=\"11\">\n"
                        "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
                        width, height)) {}

void Picture::text(double x, double y, Anchor anchor, std::string_view words) {
  text_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y,
                       kAnchors.at(static_cast<std::size_t>(anchor)), escaped(words));
}

void Picture::upright_text(double x, double y, Anchor anchor, std::string_view words) {
  text_ += fmt::format(
      "<text x=\"{0:.1f}\" y=\"{1:.1f}\" text-anchor=\"{2}\" transform=\"rotate(-90 {0:.1f} {1:.1f})\">{3}</text>\n", x,
      y, kAnchors.at(static_cast<std::size_t>(anchor)), escaped(words));
}

void Picture::rectangle(double x, double y, double width, double height, std::string_view fill,
                        std::string_view title) {
  text_ += fmt::format(
      "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\" fill=\"{}\">"
      "<title>{}</title></rect>\n",
      x, y, width, height, fill, escaped(title));
}

void Picture::line(double x1, double y1, double x2, double y2, std::string_view style) {
  text_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
}

}  // namespace cosearch::svg
