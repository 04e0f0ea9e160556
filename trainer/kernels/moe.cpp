#include "trainer/kernels/moe.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "trainer/kernels/channel_blocks.hpp"

namespace cosearch::kernels {
namespace {

constexpr std::int64_t kLanes = 16;

/// In 16 lanes and one order, so that the bits do not depend on the instruction set.
float dot(std::int64_t count, const float* a, const float* b) {
  std::array<float, kLanes> lanes{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l) {
      lanes[static_cast<std::size_t>(l)] += a[i + l] * b[i + l];
    }
  }
  for (; i < count; ++i) {
    lanes[static_cast<std::size_t>(i % kLanes)] += a[i] * b[i];
  }
  float sum = 0.0F;
  for (const float lane : lanes) {
    sum += lane;
  }
  return sum;
}

}  // namespace

void top_k(const MoeShape& shape, const float* scores, std::int32_t* picks) {
  for (std::int64_t row = 0; row < shape.rows; ++row, scores += shape.experts, picks += shape.top_k) {
    for (std::int64_t j = 0; j < shape.top_k; ++j) {
      std::int32_t best = -1;
      for (std::int32_t e = 0; e < shape.experts; ++e) {
        if ((best < 0 || scores[e] > scores[best]) && std::find(picks, picks + j, e) == picks + j) {
          best = e;
        }
      }
      picks[j] = best;
    }
  }
}

void sort_by_expert(const MoeShape& shape, const std::int32_t* picks, std::int32_t* begin, std::int32_t* tokens) {
  std::fill_n(begin, shape.experts + 1, 0);
  for (std::int64_t i = 0; i < shape.pairs(); ++i) {
    ++begin[picks[i] + 1];
  }
  for (std::int64_t e = 0; e < shape.experts; ++e) {
    begin[e + 1] += begin[e];
  }
  // Each `begin` moves on to the next expert's while its places fill, and is moved back behind the loop.
  for (std::int64_t i = 0; i < shape.pairs(); ++i) {
    tokens[begin[picks[i]]++] = static_cast<std::int32_t>(i / shape.top_k);
  }
  std::copy_backward(begin, begin + shape.experts, begin + shape.experts + 1);
  begin[0] = 0;
}

void gather_rows(std::int64_t pairs, std::int64_t columns, const std::int32_t* tokens, const float* x, float* y) {
  for (std::int64_t p = 0; p < pairs; ++p) {
    std::copy_n(x + tokens[p] * columns, columns, y + p * columns);
  }
}

void scatter_add_rows(std::int64_t pairs, std::int64_t columns, const std::int32_t* tokens, const float* x, float* y) {
  for (std::int64_t p = 0; p < pairs; ++p, x += columns) {
    float* row = y + tokens[p] * columns;
    for_channel_blocks(columns, [&](std::int64_t c, auto size) {
      for (std::int64_t i = c; i < c + size; ++i) {
        row[i] += x[i];
      }
    });
  }
}

void scatter_add_weighted(std::int64_t pairs, std::int64_t columns, const std::int32_t* tokens, const float* share,
                          const float* x, float* y) {
  for (std::int64_t p = 0; p < pairs; ++p, x += columns) {
    float* row = y + tokens[p] * columns;
    const float weight = share[p];
    for_channel_blocks(columns, [&](std::int64_t c, auto size) {
      for (std::int64_t i = c; i < c + size; ++i) {
        row[i] += weight * x[i];
      }
    });
  }
}

void scatter_weighted_backward(std::int64_t pairs, std::int64_t columns, const std::int32_t* tokens, const float* share,
                               const float* x, const float* dy, float* dx, float* dshare) {
  for (std::int64_t p = 0; p < pairs; ++p, x += columns, dx += columns) {
    const float* row = dy + tokens[p] * columns;
    const float weight = share[p];
    dshare[p] = dot(columns, row, x);
    for_channel_blocks(columns, [&](std::int64_t c, auto size) {
      for (std::int64_t i = c; i < c + size; ++i) {
        dx[i] = weight * row[i];
      }
    });
  }
}

}  // namespace cosearch::kernels
