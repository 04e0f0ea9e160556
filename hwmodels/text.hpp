#pragma once

#include <cstdint>
#include <string>

namespace cosearch {

/// 1234567 -> "1,234,567": how byte counts stand in sentences.
[[nodiscard]] inline std::string grouped(std::int64_t value) {
  constexpr std::size_t kGroup = 3;
  std::string text = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t i = text.size(); i > first + kGroup; i -= kGroup) {
    text.insert(i - kGroup, ",");
  }
  return text;
}

}  // namespace cosearch
