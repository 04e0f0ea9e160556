#include <algorithm>
#include <type_traits>

#include "trainer/kernels/depthwise.hpp"
#include "trainer/kernels/fp16_mcu/fp16_mcu_dense.hpp"
#include "trainer/kernels/fp16_mcu/packing.hpp"
#include "trainer/kernels/fp16_mcu/phases.hpp"
#include "trainer/kernels/fp16_mcu/round_to_half.hpp"
#include "trainer/kernels/fp16_mcu/windows.hpp"

namespace cosearch::kernels {

using namespace fp16_mcu;  // NOLINT(google-build-using-namespace): this file's own folder

namespace {

/// A tile of windows is about this large, so that it stays in the second-level cache beside the weights.
constexpr std::int64_t kTileElements = 64 * 1024;

/// Elements of the packed weights: for depthwise convolutions (taps, channels), one of zeros behind an odd number of
/// taps; else panels, phase after phase and in these group after group.
std::int64_t packed_elements(const Windows& windows, std::int64_t out_channels, bool depthwise) {
  if (depthwise) {
    return 2 * pairs_of(windows.taps()) * windows.channels;
  }
  const std::int64_t outputs = out_channels / windows.groups;
  if (!has_phases(windows)) {
    return windows.groups * panel_elements(windows.length(), outputs);
  }
  std::int64_t elements = 0;
  for_each_phase(windows,
                 [&](const Phase& phase) { elements += windows.groups * panel_elements(phase.length(), outputs); });
  return elements;
}

template <class Element>
std::int64_t forward_floats(const ConvShape& s) {
  constexpr std::int64_t kPerFloat = std::is_same_v<Element, Half> ? 2 : 1;
  return AlignedFloats::rounded_up(packed_elements(forward_windows(s), s.out_channels, is_depthwise(s)) / kPerFloat);
}

template <class Element>
void pack_depthwise(const Engine<Element>& engine, std::int64_t taps, std::int64_t channels, bool mirrored,
                    const float* w, Element* packed) {
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    engine.convert(channels, w + (mirrored ? taps - 1 - tap : tap) * channels, packed + tap * channels);
  }
  std::fill_n(packed + taps * channels, taps % 2 * channels, Element{});
}

/// The inner index of the panels is (tap, channel of the group).
template <class Element>
void pack_forward(const Engine<Element>& engine, const ConvShape& s, const float* w, Element* packed) {
  const std::int64_t inner = s.kernel_h * s.kernel_w * (s.channels / s.groups);
  const std::int64_t outputs = s.out_channels / s.groups;
  for (std::int64_t g = 0; g < s.groups; ++g, packed += panel_elements(inner, outputs)) {
    const float* group = w + g * outputs;
    pack_panels(
        engine, inner, outputs, [&](std::int64_t l, std::int64_t j) { return group[l * s.out_channels + j]; }, packed);
  }
}

/// One group's weights as seen from the gradient: at(tap of the mirrored kernel, output channel, input channel).
struct MirroredWeights {
  const ConvShape& shape;
  const float* group;

  [[nodiscard]] std::int64_t inputs() const { return shape.channels / shape.groups; }
  [[nodiscard]] std::int64_t outputs() const { return shape.out_channels / shape.groups; }
  [[nodiscard]] float at(std::int64_t tap, std::int64_t output, std::int64_t input) const {
    const std::int64_t unmirrored = shape.kernel_h * shape.kernel_w - 1 - tap;
    return group[(unmirrored * inputs() + input) * shape.out_channels + output];
  }
  /// Zeros times the weights of one lane of a run of taps, added up. It is 0 with a sign, or NaN.
  [[nodiscard]] float zeros(std::int64_t first, std::int64_t taps, std::int64_t lane, std::int64_t input) const {
    float sum = -0.0F;
    for (std::int64_t tap = first; tap < first + taps; ++tap) {
      for (std::int64_t output = lane; output < outputs(); output += 2) {
        sum += 0.0F * round_to_half(at(tap, output, input));
      }
    }
    return sum;
  }
};

/// The panels of one phase; each run of taps has its rows of the inner index.
template <class Element>
void pack_phase(const Engine<Element>& engine, const Phase& phase, const MirroredWeights& weights, Element* packed) {
  for (std::int64_t first = 0; first < weights.inputs(); first += kPanel) {
    const std::int64_t count = std::min(kPanel, weights.inputs() - first);
    const auto pack_rows = [&](std::int64_t rows, const auto& at) {
      pack_panels(engine, rows, count, at, packed);
      packed += panel_elements(rows, count);
    };
    phase.for_each_run(
        [&](std::int64_t tap) {
          pack_rows(weights.outputs(), [&](std::int64_t l, std::int64_t j) { return weights.at(tap, l, first + j); });
        },
        [&](std::int64_t tap, std::int64_t taps) {
          pack_rows(2, [&](std::int64_t l, std::int64_t j) { return weights.zeros(tap, taps, l, first + j); });
        });
  }
}

/// The inner index of the panels is (tap of the mirrored kernel, output channel of the group).
template <class Element>
void pack_mirrored(const Engine<Element>& engine, const ConvShape& s, const float* w, Element* packed) {
  const Windows windows = backward_windows(s);
  const auto group = [&](std::int64_t g) { return MirroredWeights{s, w + g * (s.out_channels / s.groups)}; };
  const std::int64_t inputs = s.channels / s.groups;
  const std::int64_t outputs = s.out_channels / s.groups;
  if (has_phases(windows)) {
    for_each_phase(windows, [&](const Phase& phase) {
      for (std::int64_t g = 0; g < s.groups; ++g, packed += panel_elements(phase.length(), inputs)) {
        pack_phase(engine, phase, group(g), packed);
      }
    });
    return;
  }
  for (std::int64_t g = 0; g < s.groups; ++g, packed += panel_elements(windows.length(), inputs)) {
    const MirroredWeights weights = group(g);
    const auto at = [&](std::int64_t l, std::int64_t j) { return weights.at(l / outputs, l % outputs, j); };
    pack_panels(engine, windows.length(), inputs, at, packed);
  }
}

/// result (positions, out_channels) of one image.
template <class Element>
void convolve(const Engine<Element>& engine, const Windows& windows, std::int64_t out_channels, const Element* image,
              const Element* panels, float* result) {
  const std::int64_t length = windows.length();
  const std::int64_t pairs = pairs_of(length);
  const std::int64_t outputs = out_channels / windows.groups;
  const bool in_place = windows.are_pixels() && length % 2 == 0;
  const std::int64_t tile = in_place ? windows.positions() : std::max<std::int64_t>(48, kTileElements / length);
  Element* rows = in_place ? nullptr : working_memory<Element>(Slot::a, tile * 2 * pairs);
  for (std::int64_t first = 0; first < windows.positions(); first += tile) {
    const std::int64_t count = std::min(tile, windows.positions() - first);
    for (std::int64_t g = 0; g < windows.groups; ++g) {
      for (std::int64_t r = 0; r < count && !in_place; ++r) {
        Element* row = rows + r * 2 * pairs;
        row[2 * pairs - 1] = Element{};
        windows.gather(image, first + r, g, row);
      }
      engine.product({.m = count,
                      .n = outputs,
                      .pairs = pairs,
                      .a = in_place ? image : rows,
                      .row_stride = pairs,
                      .pair_stride = 1,
                      .b = panels + g * panel_elements(length, outputs),
                      .c = result + first * out_channels + g * outputs,
                      .ldc = out_channels,
                      .adds = false});
    }
  }
}

/// The same, phase by phase.
template <class Element>
void convolve_phases(const Engine<Element>& engine, const Windows& windows, std::int64_t out_channels,
                     const Element* image, const Element* panels, float* result) {
  const std::int64_t outputs = out_channels / windows.groups;
  for_each_phase(windows, [&](const Phase& phase) {
    const std::int64_t length = phase.length();
    const std::int64_t tile = std::max<std::int64_t>(48, kTileElements / length);
    auto* rows = working_memory<Element>(Slot::a, tile * length);
    auto* sums = working_memory<float>(Slot::product, tile * outputs);
    for (std::int64_t g = 0; g < windows.groups; ++g, panels += panel_elements(length, outputs)) {
      for (std::int64_t first = 0; first < phase.positions(); first += tile) {
        const std::int64_t count = std::min(tile, phase.positions() - first);
        for (std::int64_t r = 0; r < count; ++r) {
          phase.gather(image, first + r, g, rows + r * length);
        }
        engine.product({.m = count,
                        .n = outputs,
                        .pairs = length / 2,
                        .a = rows,
                        .row_stride = length / 2,
                        .pair_stride = 1,
                        .b = panels,
                        .c = sums,
                        .ldc = outputs,
                        .adds = false});
        for (std::int64_t r = 0; r < count; ++r) {
          std::copy_n(sums + r * outputs, outputs, result + phase.position(first + r) * out_channels + g * outputs);
        }
      }
    }
  });
}

/// The same for depthwise convolutions, the weights being (taps, channels).
template <class Element>
void convolve_depthwise(const Engine<Element>& engine, const Windows& windows, const Element* image, const Element* w,
                        float* result) {
  const std::int64_t inner = 2 * pairs_of(windows.taps());
  auto* zeros = working_memory<Element>(Slot::rows, windows.channels);
  std::fill_n(zeros, windows.channels, Element{});
  auto** pixels = working_memory<const Element*>(Slot::pointers, inner);
  pixels[inner - 1] = zeros;
  for (std::int64_t position = 0; position < windows.positions(); ++position) {
    const std::int64_t y = position / windows.out_width * windows.stride - windows.pad_top;
    const std::int64_t x = position % windows.out_width * windows.stride - windows.pad_left;
    for (std::int64_t ky = 0, tap = 0; ky < windows.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < windows.kernel_w; ++kx, ++tap) {
        const Element* pixel = windows.pixel(image, y + ky, x + kx);
        pixels[tap] = pixel == nullptr ? zeros : pixel;
      }
    }
    engine.column_products({.columns = windows.channels,
                            .inner = inner,
                            .a = pixels,
                            .b = w,
                            .ldb = windows.channels,
                            .y = result + position * windows.channels,
                            .adds = false});
  }
}

/// All images of a batch.
template <class Element>
void convolve_batch(const Engine<Element>& engine, const Windows& windows, std::int64_t batch,
                    std::int64_t out_channels, bool depthwise, const float* source, const float* packed,
                    float* result) {
  const auto* weights = reinterpret_cast<const Element*>(packed);
  const std::int64_t size = windows.height * windows.width * windows.channels;
  auto* image = working_memory<Element>(Slot::source, size);
  for (std::int64_t n = 0; n < batch; ++n) {
    engine.convert(size, source + n * size, image);
    float* target = result + n * windows.positions() * out_channels;
    if (depthwise) {
      convolve_depthwise(engine, windows, image, weights, target);
    } else if (has_phases(windows)) {
      convolve_phases(engine, windows, out_channels, image, weights, target);
    } else {
      convolve(engine, windows, out_channels, image, weights, target);
    }
  }
}

/// dw of one image, or dw + this.
template <class Element>
void weight_gradient(const Engine<Element>& engine, const ConvShape& s, const Element* image, const float* dy,
                     bool adds, float* dw) {
  const Windows windows = forward_windows(s);
  const std::int64_t length = windows.length();
  const std::int64_t outputs = s.out_channels / s.groups;
  const std::int64_t positions = windows.positions();
  auto* columns = working_memory<Element>(Slot::a, 2 * pairs_of(positions) * length);
  auto* panels = working_memory<Element>(Slot::b, panel_elements(positions, outputs));
  for (std::int64_t g = 0; g < s.groups; ++g) {
    interleave_rows(
        positions, length,
        [&](std::int64_t position, Element* buffer) -> const Element* {
          if (windows.are_pixels()) {
            return image + position * length;
          }
          windows.gather(image, position, g, buffer);
          return buffer;
        },
        columns);
    const float* gradient = dy + g * outputs;
    pack_panels(
        engine, positions, outputs, [&](std::int64_t l, std::int64_t j) { return gradient[l * s.out_channels + j]; },
        panels);
    engine.product({.m = length,
                    .n = outputs,
                    .pairs = pairs_of(positions),
                    .a = columns,
                    .row_stride = 1,
                    .pair_stride = length,
                    .b = panels,
                    .c = dw + g * outputs,
                    .ldc = s.out_channels,
                    .adds = adds});
  }
}

template <class Element>
void depthwise_weight_gradient(const Engine<Element>& engine, const ConvShape& s, const Element* image, const float* dy,
                               bool adds, float* dw) {
  const Windows windows = forward_windows(s);
  const std::int64_t positions = windows.positions();
  const std::int64_t inner = 2 * pairs_of(positions);
  auto* gradient = working_memory<Element>(Slot::b, inner * s.channels);
  engine.convert(positions * s.channels, dy, gradient);
  std::fill_n(gradient + positions * s.channels, (inner - positions) * s.channels, Element{});
  auto* zeros = working_memory<Element>(Slot::rows, s.channels);
  std::fill_n(zeros, s.channels, Element{});
  auto** pixels = working_memory<const Element*>(Slot::pointers, inner);
  pixels[inner - 1] = zeros;
  for (std::int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (std::int64_t kx = 0; kx < s.kernel_w; ++kx, dw += s.channels) {
      for (std::int64_t oy = 0, position = 0; oy < s.out_height; ++oy) {
        for (std::int64_t ox = 0; ox < s.out_width; ++ox, ++position) {
          const Element* pixel = windows.pixel(image, oy * s.stride - s.pad_top + ky, ox * s.stride - s.pad_left + kx);
          pixels[position] = pixel == nullptr ? zeros : pixel;
        }
      }
      engine.column_products({.columns = s.channels,
                              .inner = inner,
                              .a = pixels,
                              .b = gradient,
                              .ldb = s.channels,
                              .y = dw,
                              .adds = adds});
    }
  }
}

}  // namespace

template <class Element>
std::int64_t Fp16McuDense<Element>::conv2d_packed(const ConvShape& s, Use use) const {
  const std::int64_t forward = forward_floats<Element>(s);
  if (use == Use::inference) {
    return forward;
  }
  constexpr std::int64_t kPerFloat = std::is_same_v<Element, Half> ? 2 : 1;
  return forward + packed_elements(backward_windows(s), s.channels, is_depthwise(s)) / kPerFloat;
}

template <class Element>
void Fp16McuDense<Element>::conv2d_pack(const ConvShape& s, Use use, const float* w, float* packed) const {
  auto* forward = reinterpret_cast<Element*>(packed);
  auto* backward = reinterpret_cast<Element*>(packed + forward_floats<Element>(s));
  if (is_depthwise(s)) {
    pack_depthwise(engine_, s.kernel_h * s.kernel_w, s.channels, false, w, forward);
    if (use == Use::training) {
      pack_depthwise(engine_, s.kernel_h * s.kernel_w, s.channels, true, w, backward);
    }
    return;
  }
  pack_forward(engine_, s, w, forward);
  if (use == Use::training) {
    pack_mirrored(engine_, s, w, backward);
  }
}

template <class Element>
void Fp16McuDense<Element>::conv2d_forward(const ConvShape& s, const float* x, const float* /*w*/, const float* packed,
                                           float* y, float* /*scratch*/) const {
  convolve_batch(engine_, forward_windows(s), s.batch, s.out_channels, is_depthwise(s), x, packed, y);
}

template <class Element>
void Fp16McuDense<Element>::conv2d_backward_data(const ConvShape& s, const float* dy, const float* /*w*/,
                                                 const float* packed, float* dx, float* /*scratch*/) const {
  convolve_batch(engine_, backward_windows(s), s.batch, s.channels, is_depthwise(s), dy,
                 packed + forward_floats<Element>(s), dx);
}

template <class Element>
void Fp16McuDense<Element>::conv2d_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw,
                                                    float* /*scratch*/) const {
  const std::int64_t size = s.height * s.width * s.channels;
  auto* image = working_memory<Element>(Slot::source, size);
  for (std::int64_t n = 0; n < s.batch; ++n) {
    engine_.convert(size, x + n * size, image);
    const float* gradient = dy + n * s.out_height * s.out_width * s.out_channels;
    if (is_depthwise(s)) {
      depthwise_weight_gradient(engine_, s, image, gradient, n > 0, dw);
    } else {
      weight_gradient(engine_, s, image, gradient, n > 0, dw);
    }
  }
}

// The other members are instantiated in fp16_mcu_dense.cpp.
template std::int64_t Fp16McuDense<Half>::conv2d_packed(const ConvShape&, Use) const;
template void Fp16McuDense<Half>::conv2d_pack(const ConvShape&, Use, const float*, float*) const;
template void Fp16McuDense<Half>::conv2d_forward(const ConvShape&, const float*, const float*, const float*, float*,
                                                 float*) const;
template void Fp16McuDense<Half>::conv2d_backward_data(const ConvShape&, const float*, const float*, const float*,
                                                       float*, float*) const;
template void Fp16McuDense<Half>::conv2d_backward_weights(const ConvShape&, const float*, const float*, float*,
                                                          float*) const;
template std::int64_t Fp16McuDense<float>::conv2d_packed(const ConvShape&, Use) const;
template void Fp16McuDense<float>::conv2d_pack(const ConvShape&, Use, const float*, float*) const;
template void Fp16McuDense<float>::conv2d_forward(const ConvShape&, const float*, const float*, const float*, float*,
                                                  float*) const;
template void Fp16McuDense<float>::conv2d_backward_data(const ConvShape&, const float*, const float*, const float*,
                                                        float*, float*) const;
template void Fp16McuDense<float>::conv2d_backward_weights(const ConvShape&, const float*, const float*, float*,
                                                           float*) const;

}  // namespace cosearch::kernels
