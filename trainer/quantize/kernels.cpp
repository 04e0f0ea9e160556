#include "trainer/quantize/kernels.hpp"

#include <algorithm>

namespace cosearch::quantize {
namespace {

// Rows are filled up to whole vectors, so that the loops over them have no rest.
constexpr std::size_t kRowStep = 32;

/// out[i] = F(zy' + value(i)). Two loops, because a look-up does not vectorise and the rest does.
template <class Value>
void store(const Finish& finish, std::int64_t n, std::int8_t* out, Value value) {
  using T = decltype(value(0));
  const T zero = finish.zero_point, low = finish.low, high = finish.high;
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<std::int8_t>(std::clamp<T>(zero + value(i), low, high));
  }
  if (finish.table != nullptr) {
    for (std::int64_t i = 0; i < n; ++i) {
      out[i] = finish.table[out[i] - kLowest];
    }
  }
}

/// value / 2^shift, halves up, in 32 bits.
constexpr std::int32_t rounded_shift_32(std::int32_t value, int shift) { return (value + (1 << (shift - 1))) >> shift; }

}  // namespace

Finish finish_of(const QuantizedLayer& layer, std::int32_t zero_point) {
  if (layer.table.empty()) {
    return {zero_point, layer.low, layer.high, nullptr};
  }
  return {layer.table_zero_point, kLowest, kHighest, layer.table.data()};
}

PreparedRows padded_rows(std::span<const std::int8_t> weights, std::size_t rows) {
  const std::size_t length = weights.size() / rows;
  const std::size_t padded = (length + kRowStep - 1) / kRowStep * kRowStep;
  PreparedRows prepared{std::vector<std::int16_t>(rows * padded, 0), static_cast<std::int64_t>(padded)};
  for (std::size_t row = 0; row < rows; ++row) {
    const std::span<const std::int8_t> own = weights.subspan(row * length, length);
    std::copy(own.begin(), own.end(), prepared.values.begin() + static_cast<std::ptrdiff_t>(row * padded));
  }
  return prepared;
}

void centre(const Centred& x, std::int64_t n, std::int16_t* out) {
  const auto zero = static_cast<std::int16_t>(x.zero_point);
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<std::int16_t>(x.values[i] - zero);
  }
}

void linear_sums(const std::int16_t* column, const std::int16_t* weights, std::int64_t n, std::int64_t outputs,
                 std::int32_t* sums) {
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::int16_t* const row = weights + o * n;
    std::int32_t sum = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      sum += std::int32_t{column[i]} * std::int32_t{row[i]};
    }
    sums[o] = sum;
  }
}

void accumulate_products(const Centred& x, const std::int16_t* weights, std::int64_t n, std::int32_t* sums) {
  for (std::int64_t c = 0; c < n; ++c) {
    sums[c] += (x.values[c] - x.zero_point) * std::int32_t{weights[c]};
  }
}

void accumulate(const Centred& x, std::int64_t n, std::int32_t* sums) {
  for (std::int64_t c = 0; c < n; ++c) {
    sums[c] += x.values[c] - x.zero_point;
  }
}

void accumulate_maximum(const std::int8_t* x, std::int64_t n, std::int8_t* largest) {
  for (std::int64_t c = 0; c < n; ++c) {
    largest[c] = std::max(largest[c], x[c]);
  }
}

void requantize_channels(const std::int32_t* sums, const std::int32_t* bias, const std::int32_t* multiplier, int shift,
                         const Finish& finish, std::int64_t n, std::int8_t* out) {
  store(finish, n, out, [=](std::int64_t c) { return requantized(bias[c] + sums[c], multiplier[c], shift); });
}

void requantize_sums(const std::int32_t* sums, const std::int32_t* multiplier, int shift, const Finish& finish,
                     std::int64_t n, std::int8_t* out) {
  store(finish, n, out, [=](std::int64_t c) { return requantized(sums[c], multiplier[c], shift); });
}

void requantize_row(const std::int32_t* sums, std::int32_t multiplier, int shift, const Finish& finish, std::int64_t n,
                    std::int8_t* out) {
  store(finish, n, out, [=](std::int64_t c) { return requantized(sums[c], multiplier, shift); });
}

void add_rows(const Centred& a, const Centred& b, const std::int32_t* multiplier, int shift, const Finish& finish,
              std::int64_t n, std::int8_t* out) {
  const std::int32_t first = multiplier[0], second = multiplier[1];
  store(finish, n, out, [=](std::int64_t i) {
    return rounded_shift_32((a.values[i] - a.zero_point) * first + (b.values[i] - b.zero_point) * second, shift);
  });
}

void batch_norm_row(const Centred& x, const std::int32_t* multiplier, const std::int32_t* bias, int shift,
                    const Finish& finish, std::int64_t n, std::int8_t* out) {
  store(finish, n, out, [=](std::int64_t c) {
    return rounded_shift_32((x.values[c] - x.zero_point) * multiplier[c] + bias[c], shift);
  });
}

void rescale_row(const Centred& x, std::int32_t multiplier, int shift, const Finish& finish, std::int64_t n,
                 std::int8_t* out) {
  store(finish, n, out,
        [=](std::int64_t i) { return rounded_shift_32((x.values[i] - x.zero_point) * multiplier, shift); });
}

void activation_row(const std::int8_t* x, const Finish& finish, std::int64_t n, std::int8_t* out) {
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = finish.table != nullptr
                 ? finish.table[x[i] - kLowest]
                 : static_cast<std::int8_t>(std::clamp(std::int32_t{x[i]}, finish.low, finish.high));
  }
}

void layer_norm_row(const std::int8_t* x, const QuantizedLayer& layer, const Finish& finish, std::int64_t n,
                    std::int8_t* out) {
  std::int64_t sum = 0, squares = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    sum += x[i];
    squares += x[i] * x[i];
  }
  const std::int64_t variance = std::max<std::int64_t>(1, n * squares - sum * sum + layer.epsilon);
  const ReciprocalRoot root = reciprocal_root(static_cast<std::uint64_t>(variance));
  const std::int64_t reciprocal = root.reciprocal;
  const int to_norm_bits = root.shift - kNormBits;
  const std::int32_t* const multiplier = layer.multiplier.data();
  const std::int32_t* const bias = layer.bias.data();
  const int shift = layer.shift;
  store(finish, n, out, [=](std::int64_t e) {
    const std::int64_t z = rounded_shift((n * x[e] - sum) * reciprocal, to_norm_bits);
    return rounded_shift(z * multiplier[e] + (std::int64_t{bias[e]} << kNormBits), shift);
  });
}

void attention_scores_row(const std::int8_t* query, const std::int8_t* keys, std::int64_t stride, std::int64_t tokens,
                          std::int64_t head_dim, std::int32_t* out) {
  for (std::int64_t j = 0; j < tokens; ++j) {
    const std::int8_t* const key = keys + j * stride;
    std::int32_t sum = 0;
    for (std::int64_t d = 0; d < head_dim; ++d) {
      sum += std::int32_t{query[d]} * std::int32_t{key[d]};
    }
    out[j] = sum;
  }
}

void attention_weights_row(const std::int32_t* scores, std::int32_t multiplier, int shift, std::int64_t n,
                           std::int8_t* out) {
  const std::int32_t largest = *std::max_element(scores, scores + n);
  for (std::int64_t j = 0; j < n; ++j) {
    const std::int32_t exponent = std::min(requantized(largest - scores[j], multiplier, shift), kLargestExponent);
    const std::int32_t weight = exponent == kLargestExponent ? 0 : attention_weight(exponential(exponent));
    out[j] = static_cast<std::int8_t>(weight + kLowest);
  }
}

void attention_context_means(const std::int8_t* weights, const std::int8_t* values, std::int64_t stride,
                             std::int64_t tokens, std::int64_t head_dim, std::int32_t* means) {
  std::fill(means, means + head_dim, 0);
  std::uint32_t total = 0;
  for (std::int64_t j = 0; j < tokens; ++j) {
    const std::int32_t weight = weights[j] - kLowest;
    total += static_cast<std::uint32_t>(weight);
    const std::int8_t* const value = values + j * stride;
    for (std::int64_t d = 0; d < head_dim; ++d) {
      means[d] += weight * value[d];
    }
  }
  const MeanScale scale = mean_scale(total);
  for (std::int64_t d = 0; d < head_dim; ++d) {
    means[d] = weighted_mean(means[d], scale);
  }
}

}  // namespace cosearch::quantize
