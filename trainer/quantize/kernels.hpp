#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/quantize/quantized_network.hpp"

/// The kernels of quantised networks on plain rows, as quantized_network.hpp defines them: naive loops that the
/// compiler vectorises. `n`: elements of a row. An output may begin where an input does: element i is written after it
/// is read.
namespace cosearch::quantize {

/// What becomes of a requantised value v: clamp(zero_point + v), and the table's entry for it where there is one.
struct Finish {
  std::int32_t zero_point = 0;
  std::int32_t low = kLowest, high = kHighest;
  const std::int8_t* table = nullptr;  ///< 256 entries
};
/// F and zy' of a layer whose output has this zero point.
[[nodiscard]] Finish finish_of(const QuantizedLayer& layer, std::int32_t zero_point);

/// An input and its zero point.
struct Centred {
  const std::int8_t* values = nullptr;
  std::int32_t zero_point = 0;
};

/// Rows of weights as the loops want them: the end of each filled with zeros up to whole vectors.
struct PreparedRows {
  std::vector<std::int16_t> values;  ///< [rows][length]
  std::int64_t length = 0;

  [[nodiscard]] const std::int16_t* row(std::size_t i) const {
    return values.data() + static_cast<std::int64_t>(i) * length;
  }
};
/// Of `rows` equally long rows, one after the other.
[[nodiscard]] PreparedRows padded_rows(std::span<const std::int8_t> weights, std::size_t rows);

/// out[i] = x[i] - zero point.
void centre(const Centred& x, std::int64_t n, std::int16_t* out);
/// sums[o] = sum over i of column[i] * weights[o * n + i], for `outputs` rows of weights.
void linear_sums(const std::int16_t* column, const std::int16_t* weights, std::int64_t n, std::int64_t outputs,
                 std::int32_t* sums);
/// sums[c] += (x[c] - zero point) * weights[c].
void accumulate_products(const Centred& x, const std::int16_t* weights, std::int64_t n, std::int32_t* sums);
/// sums[c] += x[c] - zero point.
void accumulate(const Centred& x, std::int64_t n, std::int32_t* sums);
/// largest[c] = max(largest[c], x[c]).
void accumulate_maximum(const std::int8_t* x, std::int64_t n, std::int8_t* largest);

/// F(zy' + R(bias[c] + sums[c], multiplier[c])).
void requantize_channels(const std::int32_t* sums, const std::int32_t* bias, const std::int32_t* multiplier, int shift,
                         const Finish& finish, std::int64_t n, std::int8_t* out);
/// F(zy' + R(sums[c], multiplier[c])).
void requantize_sums(const std::int32_t* sums, const std::int32_t* multiplier, int shift, const Finish& finish,
                     std::int64_t n, std::int8_t* out);
/// F(zy' + R(sums[c], multiplier)).
void requantize_row(const std::int32_t* sums, std::int32_t multiplier, int shift, const Finish& finish, std::int64_t n,
                    std::int8_t* out);

/// F(zy' + ((a - za) * multiplier[0] + (b - zb) * multiplier[1] + 2^(shift-1)) >> shift).
void add_rows(const Centred& a, const Centred& b, const std::int32_t* multiplier, int shift, const Finish& finish,
              std::int64_t n, std::int8_t* out);
/// F(zy' + ((x - zx) * multiplier[c] + bias[c] + 2^(shift-1)) >> shift).
void batch_norm_row(const Centred& x, const std::int32_t* multiplier, const std::int32_t* bias, int shift,
                    const Finish& finish, std::int64_t n, std::int8_t* out);
/// F(zy' + ((x - zx) * multiplier + 2^(shift-1)) >> shift): an input of a concatenation.
void rescale_row(const Centred& x, std::int32_t multiplier, int shift, const Finish& finish, std::int64_t n,
                 std::int8_t* out);
/// An activation alone: the table's entry, or clamp(x).
void activation_row(const std::int8_t* x, const Finish& finish, std::int64_t n, std::int8_t* out);
/// The layer norm of a row; `n` is the whole row.
void layer_norm_row(const std::int8_t* x, const QuantizedLayer& layer, const Finish& finish, std::int64_t n,
                    std::int8_t* out);

/// out[j] = sum over d of query[d] * key_j[d]; key j begins at keys + j * stride.
void attention_scores_row(const std::int8_t* query, const std::int8_t* keys, std::int64_t stride, std::int64_t tokens,
                          std::int64_t head_dim, std::int32_t* out);
/// Weights of a row of scores, 0 to 255 as int8 with zero point -128.
void attention_weights_row(const std::int32_t* scores, std::int32_t multiplier, int shift, std::int64_t n,
                           std::int8_t* out);
/// means[d]: the mean of value_j[d], weighted by weights[j] + 128, in 1/2^16; value j begins at values + j * stride.
void attention_context_means(const std::int8_t* weights, const std::int8_t* values, std::int64_t stride,
                             std::int64_t tokens, std::int64_t head_dim, std::int32_t* means);

}  // namespace cosearch::quantize
