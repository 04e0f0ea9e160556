#include <algorithm>
#include <cmath>

#include "trainer/kernels/activation_functions.hpp"
#include "trainer/kernels/channel_blocks.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"

namespace cosearch::kernels {
namespace {

/// Rows that are summed in single precision before the sum goes to double precision.
constexpr std::int64_t kBlockRows = 64;

/// Calls body(first row, end row) for blocks of kBlockRows rows, which stay in the first-level cache while the blocks
/// of channels walk over them.
template <class Body>
void for_row_blocks(std::int64_t rows, const Body& body) {
  for (std::int64_t begin = 0; begin < rows; begin += kBlockRows) {
    body(begin, std::min(rows, begin + kBlockRows));
  }
}

/// first[channel] and second[channel]: sums of the two parts of term(row, channel) over all rows.
struct Summands {
  float first;
  float second;
};
template <class Term>
void channel_sums(std::int64_t rows, std::int64_t channels, const Term& term, double* first, double* second) {
  std::fill_n(first, channels, 0.0);
  std::fill_n(second, channels, 0.0);
  for_row_blocks(rows, [&](std::int64_t begin, std::int64_t end) {
    for_channel_blocks(channels, [&](std::int64_t c, auto lanes) {
      float block_first[lanes] = {};
      float block_second[lanes] = {};
      for (std::int64_t r = begin; r < end; ++r) {
        for (std::int64_t i = 0; i < lanes; ++i) {
          const Summands s = term(r, c + i);
          block_first[i] += s.first;
          block_second[i] += s.second;
        }
      }
      for (std::int64_t i = 0; i < lanes; ++i) {
        first[c + i] += static_cast<double>(block_first[i]);
        second[c + i] += static_cast<double>(block_second[i]);
      }
    });
  });
}

/// y[row, channel] = value(row, channel); y may be one of the arrays that `value` reads at the same place.
template <class Value>
void for_channels(std::int64_t rows, std::int64_t channels, float* y, const Value& value) {
  for_row_blocks(rows, [&](std::int64_t begin, std::int64_t end) {
    for_channel_blocks(channels, [&](std::int64_t c, auto lanes) {
      for (std::int64_t r = begin; r < end; ++r) {
        float result[lanes];
        for (std::int64_t i = 0; i < lanes; ++i) {
          result[i] = value(r, c + i);
        }
        std::copy_n(result, static_cast<std::int64_t>(lanes), y + r * channels + c);
      }
    });
  });
}

}  // namespace

void batch_norm_statistics(std::int64_t rows, std::int64_t channels, const float* x, double* mean, double* deviation) {
  // Deviations from the first row instead of from zero: a mean far larger than the spread costs no digits.
  const auto term = [x, channels](std::int64_t r, std::int64_t c) {
    const float d = x[r * channels + c] - x[c];
    return Summands{d, d * d};
  };
  const auto count = static_cast<double>(rows);
  channel_sums(rows, channels, term, mean, deviation);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double sum = mean[c];
    mean[c] = static_cast<double>(x[c]) + sum / count;
    deviation[c] = std::max(0.0, deviation[c] - sum * sum / count);
  }
}

void affine_activation(Activation kind, std::int64_t rows, std::int64_t channels, const float* x, const float* a,
                       const float* b, float* y) {
  for_activation(kind, [&]<Activation k>() {
    for_channels(rows, channels, y, [=](std::int64_t row, std::int64_t c) {
      return activate<k>(multiply_add(a[c], x[row * channels + c], b[c]));
    });
  });
}

void affine_activation_sums(Activation kind, std::int64_t rows, std::int64_t channels, const float* x, const float* a,
                            const float* b, const float* centre, const float* dy, double* sum, double* weighted_sum) {
  for_activation(kind, [&]<Activation k>() {
    const auto term = [=](std::int64_t r, std::int64_t c) {
      const float value = x[r * channels + c];
      const float g = slope<k>(multiply_add(a[c], value, b[c])) * dy[r * channels + c];
      return Summands{g, g * (value - centre[c])};
    };
    channel_sums(rows, channels, term, sum, weighted_sum);
  });
}

void affine_activation_backward(Activation kind, std::int64_t rows, std::int64_t channels, const float* x,
                                const float* a, const float* b, const float* centre, const float* p, const float* q,
                                const float* r, const float* dy, float* dx) {
  for_activation(kind, [&]<Activation k>() {
    for_channels(rows, channels, dx, [=](std::int64_t row, std::int64_t c) {
      const float value = x[row * channels + c];
      const float g = slope<k>(multiply_add(a[c], value, b[c])) * dy[row * channels + c];
      return multiply_add(p[c], g, multiply_add(q[c], value - centre[c], r[c]));
    });
  });
}

}  // namespace cosearch::kernels
