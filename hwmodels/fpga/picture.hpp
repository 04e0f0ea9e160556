#pragma once

#include <string>

#include "hwmodels/fpga/moe.hpp"

namespace cosearch::fpga {

/// Tokens of each expert as bars, above when its weights load and when it computes (SVG). Without a timeline (other
/// schedulings than experts one by one) the bars alone.
[[nodiscard]] std::string expert_picture(const std::string& title, const MoeTime& moe);

}  // namespace cosearch::fpga
