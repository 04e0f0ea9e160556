#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "trainer/kernels/fp16_mcu/engine.hpp"
#include "trainer/net/aligned_floats.hpp"

/// Operands of products in the layouts of `Product`.
namespace cosearch::kernels::fp16_mcu {

[[nodiscard]] constexpr std::int64_t pairs_of(std::int64_t inner) noexcept { return (inner + 1) / 2; }

/// Elements of the panels of an operand b (inner, columns).
[[nodiscard]] constexpr std::int64_t panel_elements(std::int64_t inner, std::int64_t columns) noexcept {
  return (columns + kPanel - 1) / kPanel * pairs_of(inner) * kPanel * 2;
}

/// Working memory of one thread: it grows to what the thread's largest product needs and is not given back.
enum class Slot { source, a, b, rows, product, pointers };
constexpr std::size_t kSlots = 6;
[[nodiscard]] void* working_memory(Slot slot, std::int64_t bytes);
template <class Element>
[[nodiscard]] Element* working_memory(Slot slot, std::int64_t count) {
  return static_cast<Element*>(working_memory(slot, count * static_cast<std::int64_t>(sizeof(Element))));
}

/// at(l, j): element of b (inner, columns).
template <class Element, class At>
void pack_panels(const Engine<Element>& engine, std::int64_t inner, std::int64_t columns, const At& at,
                 Element* panels) {
  float block[2 * kPanel];
  for (std::int64_t first = 0; first < columns; first += kPanel) {
    const std::int64_t count = std::min(kPanel, columns - first);
    for (std::int64_t l = 0; l < inner; l += 2, panels += 2 * kPanel) {
      if (count == kPanel && l + 1 < inner) {
        for (std::int64_t j = 0; j < kPanel; ++j) {
          block[2 * j] = at(l, first + j);
          block[2 * j + 1] = at(l + 1, first + j);
        }
      } else {
        std::fill(std::begin(block), std::end(block), 0.0F);
        for (std::int64_t j = 0; j < count; ++j) {
          block[2 * j] = at(l, first + j);
          block[2 * j + 1] = l + 1 < inner ? at(l + 1, first + j) : 0.0F;
        }
      }
      engine.convert(2 * kPanel, block, panels);
    }
  }
}

/// a (rows, columns), row-major with stride lda, in rows of whole pairs.
template <class Element>
void convert_rows(const Engine<Element>& engine, std::int64_t rows, std::int64_t columns, const float* a,
                  std::int64_t lda, Element* out) {
  if (columns == lda && columns % 2 == 0) {
    engine.convert(rows * columns, a, out);
    return;
  }
  const std::int64_t stride = 2 * pairs_of(columns);
  for (std::int64_t r = 0; r < rows; ++r, out += stride) {
    out[stride - 1] = Element{};
    engine.convert(columns, a + r * lda, out);
  }
}

/// The transposed operand a (columns, inner), in the layout (pairs, columns, 2). row(l, buffer) returns row l of the
/// inner index, which it may have written to `buffer`.
template <class Element, class Row>
void interleave_rows(std::int64_t inner, std::int64_t columns, const Row& row, Element* out) {
  auto* buffer = working_memory<Element>(Slot::rows, 2 * columns);
  for (std::int64_t l = 0; l < inner; l += 2, out += 2 * columns) {
    const Element* even = row(l, buffer);
    const Element* odd = nullptr;
    if (l + 1 < inner) {
      odd = row(l + 1, buffer + columns);
    } else {
      std::fill_n(buffer + columns, columns, Element{});
      odd = buffer + columns;
    }
    for (std::int64_t i = 0; i < columns; ++i) {
      out[2 * i] = even[i];
      out[2 * i + 1] = odd[i];
    }
  }
}

}  // namespace cosearch::kernels::fp16_mcu
