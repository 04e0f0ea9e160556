#include "kernel_oracle.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "trainer/quantize/arithmetic.hpp"

namespace cosearch::testing_support {

namespace {

using Bytes = std::vector<std::int8_t>;

/// F(zero_point + scaled).
std::int8_t stored(std::int64_t scaled, const cs_output& output) {
  const std::int64_t value = scaled + output.zero_point;
  if (output.table != nullptr) {
    return output.table[std::clamp<std::int64_t>(value, -128, 127) + 128];
  }
  return static_cast<std::int8_t>(std::clamp<std::int64_t>(value, output.low, output.high));
}

std::int32_t weight_at(const cs_linear& linear, int channel, int index, int count) {
  if (linear.weight_bits == 8) {
    return linear.weight[channel * count + index];
  }
  const auto byte = static_cast<std::uint8_t>(linear.weight[channel * ((count + 1) / 2) + index / 2]);
  const int nibble = index % 2 == 0 ? byte & 15 : byte >> 4;
  return nibble < 8 ? nibble : nibble - 16;
}

/// From the sum of x * weight.
std::int8_t linear_result(const cs_linear& linear, int channel, std::int64_t sum) {
  const std::int32_t* requantization = linear.requantization + 2 * channel;
  const auto total = static_cast<std::int32_t>(sum + requantization[0]);
  return stored(quantize::requantized(total, requantization[1], linear.shift), linear.out);
}

/// Pixel (y, x), channel c of the input; `outside` where there is none.
int pixel_at(const kernel_case& call, int y, int x, int c, int outside) {
  const cs_geometry& g = call.geometry;
  const bool inside = y >= 0 && y < g.in_h && x >= 0 && x < g.in_w;
  return inside ? call.in[y * g.in_row + x * g.in_c + c] : outside;
}

std::int8_t convolution_at(const kernel_case& call, int out_y, int out_x, int channel) {
  const cs_geometry& g = call.geometry;
  const int in_channels = g.in_c / g.groups;
  const int first = channel / (g.out_c / g.groups) * in_channels;
  std::int64_t sum = 0;
  int index = 0;
  for (int ky = 0; ky < g.kernel_h; ++ky) {
    for (int kx = 0; kx < g.kernel_w; ++kx) {
      for (int c = 0; c < in_channels; ++c, ++index) {
        const int x = pixel_at(call, out_y * g.stride - g.pad_top + ky, out_x * g.stride - g.pad_left + kx, first + c,
                               call.linear.in_zero_point);
        sum += x * weight_at(call.linear, channel, index, g.kernel_h * g.kernel_w * in_channels);
      }
    }
  }
  return linear_result(call.linear, channel, sum);
}

/// The largest of a window's pixels, or their mean.
std::int8_t pool_at(const kernel_case& call, int out_y, int out_x, int channel) {
  const cs_geometry& g = call.geometry;
  const int zero = call.rescaling.in_zero_point;
  int largest = -128;
  std::int32_t sum = 0;
  for (int ky = 0; ky < g.kernel_h; ++ky) {
    for (int kx = 0; kx < g.kernel_w; ++kx) {
      const int y = out_y * g.stride - g.pad_top + ky;
      const int x = out_x * g.stride - g.pad_left + kx;
      largest = std::max(largest, pixel_at(call, y, x, channel, -128));
      sum += pixel_at(call, y, x, channel, zero) - zero;
    }
  }
  if (call.kernel == MAX_POOL) {
    return static_cast<std::int8_t>(largest);
  }
  return stored(quantize::requantized(sum, call.rescaling.multiplier, call.rescaling.shift), call.rescaling.out);
}

void image(const kernel_case& call, Bytes& out) {
  const cs_geometry& g = call.geometry;
  const bool pool = call.kernel == MAX_POOL || call.kernel == AVERAGE_POOL;
  const bool patches = call.kernel == PATCH_EMBED || call.kernel == PATCH_EMBED_TOKEN;
  for (int y = 0; y < g.out_h; ++y) {
    for (int x = 0; x < g.out_w; ++x) {
      const int token = y * g.out_w + x;
      if (call.kernel == PATCH_EMBED_TOKEN && token != call.index) {
        continue;
      }
      const int row = call.kernel == PATCH_EMBED ? token * g.out_c : 0;
      for (int c = 0; c < g.out_c; ++c) {
        const int at = patches ? row + c : y * g.out_row + x * g.out_c + c;
        out[static_cast<std::size_t>(at)] = pool ? pool_at(call, y, x, c) : convolution_at(call, y, x, c);
      }
    }
  }
}

void fully_connected(const kernel_case& call, Bytes& out) {
  const cs_geometry& g = call.geometry;
  for (int row = 0; row < call.rows; ++row) {
    for (int c = 0; c < g.out_c; ++c) {
      std::int64_t sum = 0;
      for (int i = 0; i < g.in_c; ++i) {
        sum += call.in[row * g.in_row + i] * weight_at(call.linear, c, i, g.in_c);
      }
      out[static_cast<std::size_t>(row * g.out_row + c)] = linear_result(call.linear, c, sum);
    }
  }
}

void scores(const kernel_case& call, Bytes& out) {
  for (int j = 0; j < call.rows; ++j) {
    std::int32_t sum = 0;
    for (int i = 0; i < call.geometry.in_c; ++i) {
      sum += call.other[i] * call.in[j * call.geometry.in_row + i];
    }
    std::memcpy(out.data() + j * 4, &sum, 4);
  }
}

void softmax(const kernel_case& call, Bytes& out) {
  std::vector<std::int32_t> score(static_cast<std::size_t>(call.rows));
  std::memcpy(score.data(), call.in, score.size() * 4);
  const std::int32_t largest = *std::max_element(score.begin(), score.end());
  std::fill(out.begin(), out.end(), std::int8_t{0});
  std::transform(score.begin(), score.end(), out.begin(), [&](std::int32_t s) {
    const std::int32_t exponent =
        quantize::requantized(largest - s, call.attention.softmax_multiplier, call.attention.softmax_shift);
    const std::int32_t exponential = exponent < quantize::kLargestExponent ? quantize::exponential(exponent) : 0;
    return static_cast<std::int8_t>(quantize::attention_weight(exponential) - 128);
  });
}

void context(const kernel_case& call, Bytes& out) {
  for (int e = 0; e < call.geometry.in_c; ++e) {
    std::int32_t sum = 0;
    std::uint32_t total = 0;
    for (int j = 0; j < call.rows; ++j) {
      sum += (call.other[j] + 128) * call.in[j * call.geometry.in_row + e];
      total += static_cast<std::uint32_t>(call.other[j] + 128);
    }
    const std::int32_t mean = quantize::weighted_mean(sum, quantize::mean_scale(total));
    out[static_cast<std::size_t>(e)] =
        stored(quantize::requantized(mean, call.attention.multiplier, call.attention.shift), call.attention.out);
  }
}

/// The experts of the largest logits, of equal ones the lower, in their order.
std::vector<int> picks_of(const std::vector<std::int64_t>& logits, int top_k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](int expert) { return logits[static_cast<std::size_t>(expert)]; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logit(a) > logit(b); });
  order.resize(static_cast<std::size_t>(top_k));
  std::sort(order.begin(), order.end());
  return order;
}

/// What one expert makes of a row, before its share.
std::vector<std::int64_t> expert_sums(const cs_mixture& m, int expert, int channels, const std::int8_t* x) {
  std::vector<std::int8_t> hidden;
  for (int h = expert * m.hidden; h < (expert + 1) * m.hidden; ++h) {
    std::int64_t sum = m.requantization1[2 * h];
    for (int c = 0; c < channels; ++c) {
      sum += x[c] * m.w1[h * channels + c];
    }
    hidden.push_back(stored(
        quantize::requantized(static_cast<std::int32_t>(sum), m.requantization1[2 * h + 1], m.shift1), m.hidden_out));
  }
  std::vector<std::int64_t> sums;
  for (int c = expert * channels; c < (expert + 1) * channels; ++c) {
    sums.push_back(std::inner_product(hidden.begin(), hidden.end(), m.w2 + c * m.hidden, std::int64_t{m.b2[c]}));
  }
  return sums;
}

void mixture_row(const cs_mixture& m, int channels, const std::int8_t* x, std::int8_t* out) {
  std::vector<std::int64_t> logits;
  for (int e = 0; e < m.experts; ++e) {
    logits.push_back(std::inner_product(x, x + channels, m.router + e * channels, std::int64_t{m.router_bias[e]}));
  }
  const std::int64_t largest = *std::max_element(logits.begin(), logits.end());
  std::vector<std::uint32_t> exponentials;
  for (const std::int64_t logit : logits) {
    const std::int32_t exponent =
        quantize::requantized(static_cast<std::int32_t>(largest - logit), m.softmax_multiplier, m.softmax_shift);
    exponentials.push_back(
        exponent < quantize::kLargestExponent ? static_cast<std::uint32_t>(quantize::exponential(exponent)) : 0);
  }
  const std::uint32_t total = std::accumulate(exponentials.begin(), exponentials.end(), 0U);
  std::vector<std::int64_t> sums(static_cast<std::size_t>(channels), 0);
  for (const int expert : picks_of(logits, m.top_k)) {
    const std::int64_t share = ((exponentials[static_cast<std::size_t>(expert)] << 15) + total / 2) / total;
    const std::vector<std::int64_t> own = expert_sums(m, expert, channels, x);
    for (std::size_t c = 0; c < sums.size(); ++c) {
      sums[c] += quantize::rounded_shift(share * own[c], 15);
    }
  }
  for (int c = 0; c < channels; ++c) {
    out[c] = stored(
        quantize::requantized(static_cast<std::int32_t>(sums[static_cast<std::size_t>(c)]), m.multiplier2[c], m.shift2),
        m.out);
  }
}

void mixture(const kernel_case& call, Bytes& out) {
  for (int row = 0; row < call.rows; ++row) {
    mixture_row(call.mixture, call.geometry.in_c, call.in + row * call.geometry.in_row,
                out.data() + row * call.geometry.out_row);
  }
}

void layer_norm_row(const cs_norm& norm, int channels, const std::int8_t* in, std::int8_t* out) {
  std::int64_t sum = 0;
  std::int64_t squares = 0;
  for (int c = 0; c < channels; ++c) {
    sum += in[c];
    squares += in[c] * in[c];
  }
  const std::int64_t variance = std::max<std::int64_t>(1, channels * squares - sum * sum + norm.epsilon);
  const quantize::ReciprocalRoot root = quantize::reciprocal_root(static_cast<std::uint64_t>(variance));
  for (int c = 0; c < channels; ++c) {
    const std::int64_t z =
        quantize::rounded_shift((channels * in[c] - sum) * root.reciprocal, root.shift - quantize::kNormBits);
    const std::int64_t scaled = z * norm.requantization[2 * c + 1] + norm.requantization[2 * c] * std::int64_t{4096};
    out[c] = stored(quantize::rounded_shift(scaled, norm.shift), norm.out);
  }
}

void norms(const kernel_case& call, Bytes& out) {
  const cs_geometry& g = call.geometry;
  for (int row = 0; row < call.rows; ++row) {
    const std::int8_t* in = call.in + row * g.in_row;
    std::int8_t* to = out.data() + row * g.out_row;
    if (call.kernel == LAYER_NORM) {
      layer_norm_row(call.norm, g.in_c, in, to);
      continue;
    }
    for (int c = 0; c < g.in_c; ++c) {
      const std::int32_t* requantization = call.norm.requantization + 2 * c;
      const std::int64_t sum = std::int64_t{in[c] - call.norm.in_zero_point} * requantization[1] + requantization[0];
      to[c] = stored(quantize::rounded_shift(sum, call.norm.shift), call.norm.out);
    }
  }
}

void elements(const kernel_case& call, Bytes& out) {
  const cs_addition& a = call.addition;
  for (int i = 0; i < call.rows * call.geometry.in_c; ++i) {
    const std::int64_t sum = std::int64_t{call.in[i] - a.zero_point[0]} * a.multiplier[0] +
                             std::int64_t{call.other[i] - a.zero_point[1]} * a.multiplier[1];
    cs_output alone = a.out;
    alone.zero_point = 0;
    out[static_cast<std::size_t>(i)] =
        call.kernel == ADD ? stored(quantize::rounded_shift(sum, a.shift), a.out) : stored(call.in[i], alone);
  }
}

void concat_input(const kernel_case& call, Bytes& out) {
  const cs_geometry& g = call.geometry;
  for (int row = 0; row < call.rows; ++row) {
    for (int c = 0; c < g.in_c; ++c) {
      const std::int64_t sum =
          std::int64_t{call.in[row * g.in_row + c] - call.rescaling.in_zero_point} * call.rescaling.multiplier;
      out[static_cast<std::size_t>(row * g.out_row + c)] =
          stored(quantize::rounded_shift(sum, call.rescaling.shift), call.rescaling.out);
    }
  }
}

void token_embed(const kernel_case& call, Bytes& out) {
  for (int t = 0; t < call.rows; ++t) {
    std::int32_t id = 0;
    std::memcpy(&id, call.in + 4 * t, 4);
    for (int e = 0; e < call.geometry.in_c; ++e) {
      out[static_cast<std::size_t>(t * call.geometry.in_c + e)] = call.other[id * call.geometry.in_c + e];
    }
  }
}

void upsample(const kernel_case& call, Bytes& out) {
  const cs_geometry& g = call.geometry;
  std::size_t at = 0;
  for (int y = 0; y < g.in_h * call.index; ++y) {
    for (int x = 0; x < g.in_w * call.index; ++x) {
      for (int c = 0; c < g.in_c; ++c, ++at) {
        out[at] = call.in[(y / call.index * g.in_w + x / call.index) * g.in_c + c];
      }
    }
  }
}

void global_average_pool(const kernel_case& call, Bytes& out) {
  const cs_geometry& g = call.geometry;
  for (int c = 0; c < g.in_c; ++c) {
    std::int32_t sum = 0;
    for (int n = 0; n < g.in_h * g.in_w; ++n) {
      sum += call.in[n * g.in_c + c] - call.rescaling.in_zero_point;
    }
    out[static_cast<std::size_t>(c)] =
        stored(quantize::requantized(sum, call.rescaling.multiplier, call.rescaling.shift), call.rescaling.out);
  }
}

}  // namespace

std::vector<std::int8_t> expected_output(const kernel_case& call) {
  Bytes out(call.out, call.out + CASE_BYTES);
  switch (call.kernel) {
    case FULLY_CONNECTED:
      fully_connected(call, out);
      break;
    case SCORES:
      scores(call, out);
      break;
    case SOFTMAX:
      softmax(call, out);
      break;
    case CONTEXT:
      context(call, out);
      break;
    case MIXTURE:
      mixture(call, out);
      break;
    case BATCH_NORM:
    case LAYER_NORM:
      norms(call, out);
      break;
    case ADD:
    case ACTIVATION:
      elements(call, out);
      break;
    case CONCAT_INPUT:
      concat_input(call, out);
      break;
    case TOKEN_EMBED:
      token_embed(call, out);
      break;
    case UPSAMPLE:
      upsample(call, out);
      break;
    case GLOBAL_AVERAGE_POOL:
      global_average_pool(call, out);
      break;
    default:
      image(call, out);
      break;
  }
  return out;
}

}  // namespace cosearch::testing_support
