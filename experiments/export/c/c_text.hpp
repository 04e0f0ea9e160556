#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// Pieces of C text; internal to experiments/export/c.
namespace cosearch::c_export {

/// `text` without what would end a comment.
[[nodiscard]] std::string in_comment(std::string_view text);
/// Letters, digits and `_` as they are, `_` for the rest; `network` for an empty text.
[[nodiscard]] std::string identifier(std::string_view text);

/// Numbers with commas between them, in lines of about 110 characters that begin with two spaces.
[[nodiscard]] std::string list(std::span<const std::int8_t> values);
[[nodiscard]] std::string list(std::span<const std::int32_t> values);
/// As hexadecimal constants, which C reads back to the same bits.
[[nodiscard]] std::string list(std::span<const float> values);

}  // namespace cosearch::c_export
