#pragma once

#include <algorithm>
#include <cstdint>

#include "trainer/kernels/fp16_mcu/windows.hpp"

namespace cosearch::kernels::fp16_mcu {

/// Whether inner products over dilated windows can leave out the inserted zeros: where a tap holds whole pairs, leaving
/// it out moves no element to the other lane.
[[nodiscard]] inline bool has_phases(const Windows& windows) {
  return windows.dilation > 1 && windows.channels / windows.groups % 2 == 0;
}

/// The windows at positions (y + dilation * i, x + dilation * j): inserted zeros lie under the same taps in all of
/// them. Such taps change a lane only where it is -0, or where a weight is infinite or NaN, and a run of them does what
/// a single product does: of a zero and the run's sum of zeros times weights. So each run shrinks to one pair.
struct Phase {
  const Windows& windows;
  std::int64_t y, x;

  [[nodiscard]] std::int64_t rows() const { return (windows.out_height - y + windows.dilation - 1) / windows.dilation; }
  [[nodiscard]] std::int64_t columns() const {
    return (windows.out_width - x + windows.dilation - 1) / windows.dilation;
  }
  [[nodiscard]] std::int64_t positions() const { return rows() * columns(); }
  /// In raster order, as a position of all windows.
  [[nodiscard]] std::int64_t position(std::int64_t index) const {
    return (y + index / columns() * windows.dilation) * windows.out_width + x + index % columns() * windows.dilation;
  }

  /// Calls pixel(tap) and zeros(first tap, number of taps), in the order of the taps.
  template <class Pixel, class Zeros>
  void for_each_run(const Pixel& pixel, const Zeros& zeros) const {
    std::int64_t run = 0;
    for (std::int64_t tap = 0; tap < windows.taps(); ++tap) {
      const bool reached = (y - windows.pad_top + tap / windows.kernel_w) % windows.dilation == 0 &&
                           (x - windows.pad_left + tap % windows.kernel_w) % windows.dilation == 0;
      if (reached && run > 0) {
        zeros(tap - run, run);
      }
      run = reached ? 0 : run + 1;
      if (reached) {
        pixel(tap);
      }
    }
    if (run > 0) {
      zeros(windows.taps() - run, run);
    }
  }

  /// Elements of one group's window.
  [[nodiscard]] std::int64_t length() const {
    std::int64_t elements = 0;
    for_each_run([&](std::int64_t /*tap*/) { elements += windows.channels / windows.groups; },
                 [&](std::int64_t /*first*/, std::int64_t /*taps*/) { elements += 2; });
    return elements;
  }

  /// One group's window.
  template <class Element>
  void gather(const Element* image, std::int64_t index, std::int64_t group, Element* out) const {
    const std::int64_t count = windows.channels / windows.groups;
    const std::int64_t top = position(index) / windows.out_width - windows.pad_top;
    const std::int64_t left = position(index) % windows.out_width - windows.pad_left;
    for_each_run(
        [&](std::int64_t tap) {
          const Element* source = windows.pixel(image, top + tap / windows.kernel_w, left + tap % windows.kernel_w);
          Windows::copy(count, source == nullptr ? nullptr : source + group * count, out);
          out += count;
        },
        [&](std::int64_t /*first*/, std::int64_t /*taps*/) {
          Windows::copy<Element>(2, nullptr, out);
          out += 2;
        });
  }
};

/// All phases of the windows.
template <class Body>
void for_each_phase(const Windows& windows, const Body& body) {
  for (std::int64_t y = 0; y < std::min(windows.dilation, windows.out_height); ++y) {
    for (std::int64_t x = 0; x < std::min(windows.dilation, windows.out_width); ++x) {
      body(Phase{windows, y, x});
    }
  }
}

}  // namespace cosearch::kernels::fp16_mcu
