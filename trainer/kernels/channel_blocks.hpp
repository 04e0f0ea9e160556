#pragma once

#include <cstdint>
#include <type_traits>

namespace cosearch::kernels {

/// Cuts the channels into blocks of 16, 8, 4 and 1, largest first, and calls body(first channel, size) for each with
/// the size as a compile-time constant, so that loops over a block become vector operations.
template <class Body>
void for_channel_blocks(std::int64_t channels, const Body& body) {
  std::int64_t c = 0;
  const auto run = [&](auto size) {
    for (; c + size <= channels; c += size) {
      body(c, size);
    }
  };
  run(std::integral_constant<std::int64_t, 16>{});
  run(std::integral_constant<std::int64_t, 8>{});
  run(std::integral_constant<std::int64_t, 4>{});
  run(std::integral_constant<std::int64_t, 1>{});
}

}  // namespace cosearch::kernels
