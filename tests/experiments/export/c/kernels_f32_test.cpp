#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cs_kernels_f32.h"
#include "kernel_cases.h"

namespace cosearch::testing_support {
namespace {

constexpr std::uint32_t kCases = 100 * KERNELS;
constexpr float kUntouched = 99.0F;

/// The shapes of a random int8 call on buffers of floats between -2 and 2, and its naive double-precision result.
class FloatCase {
 public:
  explicit FloatCase(std::uint32_t number) {
    make_case(number, &call_);
    const auto fill = [](const std::int8_t* bytes, float scale) {
      std::vector<float> values(CASE_BYTES);
      std::transform(bytes, bytes + CASE_BYTES, values.begin(), [&](std::int8_t b) { return b * scale; });
      return values;
    };
    in_ = fill(call_.in, 1.0F / 64);
    other_ = fill(call_.other, 1.0F / 64);
    weight_ = fill(call_.other, 1.0F / 256);
    const bool in_place = call_.kernel == DEPTHWISE_IN_PLACE || (call_.kernel == MIXTURE && call_.index != 0);
    out_ = in_place ? in_ : std::vector<float>(CASE_BYTES, kUntouched);
    scratch_.assign(CASE_BYTES, kUntouched);
    kind_ = static_cast<cs_activation_kind>(number / KERNELS % 5);
    expected_.assign(out_.begin(), out_.end());
  }

  void run() {
    const cs_geometry& g = call_.geometry;
    const cs_linear_f32 linear = {weight_.data(), other_.data() + 100, kind_};
    switch (call_.kernel) {
      case CONV2D:
        return cs_conv2d_f32(&g, &linear, in_.data(), out_.data(), scratch_.data());
      case POINTWISE:
        return cs_pointwise_conv2d_f32(&g, &linear, in_.data(), out_.data());
      case DEPTHWISE:
        return cs_depthwise_conv2d_f32(&g, &linear, in_.data(), out_.data());
      case DEPTHWISE_IN_PLACE:
        return cs_depthwise_conv2d_in_place_f32(&g, &linear, out_.data(), scratch_.data());
      case PATCH_EMBED:
        return cs_patch_embed_f32(&g, &linear, in_.data(), out_.data(), scratch_.data());
      case FULLY_CONNECTED:
        return cs_fully_connected_f32(&linear, call_.rows, g.in_c, g.out_c, in_.data(), g.in_row, out_.data(),
                                      g.out_row);
      case MAX_POOL:
        return cs_max_pool_f32(&g, in_.data(), out_.data());
      case AVERAGE_POOL:
        return cs_average_pool_f32(&g, in_.data(), out_.data());
      default:
        return run_without_image();
    }
  }

  void expect() {
    const cs_geometry& g = call_.geometry;
    for (int y = 0; y < g.out_h; ++y) {
      for (int x = 0; x < g.out_w; ++x) {
        for (int c = 0; c < g.out_c; ++c) {
          const int at =
              call_.kernel == PATCH_EMBED ? (y * g.out_w + x) * g.out_c + c : y * g.out_row + x * g.out_c + c;
          expected_[static_cast<std::size_t>(at)] = window_result(y, x, c);
        }
      }
    }
  }
  void expect_rows() {
    const cs_geometry& g = call_.geometry;
    const int tokens = call_.rows;
    for (int row = 0; call_.kernel == FULLY_CONNECTED && row < tokens; ++row) {
      for (int c = 0; c < g.out_c; ++c) {
        expected_[at(row * g.out_row + c)] =
            activated(other_[at(100 + c)] + dot(g.in_c, &in_[at(row * g.in_row)], &weight_[at(c * g.in_c)]));
      }
    }
    for (int j = 0; call_.kernel == SCORES && j < tokens; ++j) {
      expected_[at(j)] = dot(g.in_c, other_.data(), &in_[at(j * g.in_row)]) / std::sqrt(g.in_c);
    }
    double sum = 0.0;
    for (int j = 0; j < tokens; ++j) {
      sum += std::exp(double{in_[at(j)]});
    }
    for (int j = 0; call_.kernel == SOFTMAX && j < tokens; ++j) {
      expected_[at(j)] = std::exp(double{in_[at(j)]}) / sum;
    }
    for (int e = 0; call_.kernel == CONTEXT && e < g.in_c; ++e) {
      expected_[at(e)] = 0.0;
      for (int j = 0; j < tokens; ++j) {
        expected_[at(e)] += double{other_[at(j)]} * in_[at(j * g.in_row + e)];
      }
    }
  }
  void expect_mixture() {
    const cs_geometry& g = call_.geometry;
    const cs_mixture_f32 m = mixture();
    for (int row = 0; row < call_.rows; ++row) {
      const float* x = &in_[at(row * g.in_row)];
      std::vector<double> logits;
      double total = 0.0;
      for (int e = 0; e < m.experts; ++e) {
        logits.push_back(m.router_bias[e] + dot(g.in_c, x, m.router + e * g.in_c));
        total += std::exp(logits.back());
      }
      double* y = &expected_[at(row * g.out_row)];
      std::fill(y, y + g.in_c, 0.0);
      for (int e = 0; e < m.experts; ++e) {
        const auto own = logits.begin() + e;
        const auto before = std::count_if(logits.begin(), own, [&](double l) { return l >= *own; }) +
                            std::count_if(own, logits.end(), [&](double l) { return l > *own; });
        for (int c = 0; before < m.top_k && c < g.in_c; ++c) {
          double sum = m.b2[e * g.in_c + c];
          for (int h = 0; h < m.hidden; ++h) {
            const int unit = e * m.hidden + h;
            sum += activated(m.b1[unit] + dot(g.in_c, x, m.w1 + unit * g.in_c)) * m.w2[(e * g.in_c + c) * m.hidden + h];
          }
          y[c] += std::exp(*own) / total * sum;
        }
      }
    }
  }
  void expect_elements() {
    const cs_geometry& g = call_.geometry;
    for (int row = 0; row < call_.rows; ++row) {
      const float* x = &in_[at(row * g.in_row)];
      double mean = 0.0, variance = 0.0;
      for (int c = 0; c < g.in_c; ++c) {
        mean += x[c] / double(g.in_c);
      }
      for (int c = 0; c < g.in_c; ++c) {
        variance += (x[c] - mean) * (x[c] - mean) / g.in_c;
      }
      for (int c = 0; c < g.in_c; ++c) {
        const int dense = row * g.in_c + c;
        switch (call_.kernel) {
          case LAYER_NORM:
            expected_[at(row * g.out_row + c)] =
                (x[c] - mean) / std::sqrt(variance + kEpsilon) * weight_[at(c)] + other_[at(c)];
            break;
          case BATCH_NORM:
            expected_[at(dense)] = activated(double{in_[at(dense)]} * weight_[at(c)] + other_[at(c)]);
            break;
          case ADD:
            expected_[at(dense)] = activated(double{in_[at(dense)]} + other_[at(dense)]);
            break;
          case ACTIVATION:
            expected_[at(dense)] = activated(in_[at(dense)]);
            break;
          case CONCAT_INPUT:
            expected_[at(row * g.out_row + c)] = x[c];
            break;
          default:
            break;
        }
      }
    }
  }
  void expect_moves() {
    const cs_geometry& g = call_.geometry;
    const int factor = call_.index;
    for (int i = 0; call_.kernel == UPSAMPLE && i < g.in_h * g.in_w * factor * factor * g.in_c; ++i) {
      const int pixel = i / g.in_c;
      const int y = pixel / (g.in_w * factor) / factor;
      const int x = pixel % (g.in_w * factor) / factor;
      expected_[at(i)] = in_[at((y * g.in_w + x) * g.in_c + i % g.in_c)];
    }
    const auto* ids = reinterpret_cast<const std::int32_t*>(call_.in);
    for (int i = 0; call_.kernel == TOKEN_EMBED && i < call_.rows * g.in_c; ++i) {
      expected_[at(i)] = other_[at(ids[i / g.in_c] * g.in_c + i % g.in_c)];
    }
    for (int c = 0; call_.kernel == GLOBAL_AVERAGE_POOL && c < g.in_c; ++c) {
      expected_[at(c)] = 0.0;
      for (int n = 0; n < g.in_h * g.in_w; ++n) {
        expected_[at(c)] += in_[at(n * g.in_c + c)] / double(g.in_h * g.in_w);
      }
    }
  }

  [[nodiscard]] kernel kind() const { return call_.kernel; }
  [[nodiscard]] const std::vector<float>& out() const { return out_; }
  [[nodiscard]] const std::vector<double>& expected() const { return expected_; }
  [[nodiscard]] std::int32_t scratch_elements() const {
    const cs_mixture& m = call_.mixture;
    return call_.kernel == MIXTURE ? m.experts + m.hidden + call_.geometry.in_c : call_.scratch_bytes;
  }
  [[nodiscard]] const std::vector<float>& scratch() const { return scratch_; }

 private:
  static constexpr float kEpsilon = 1e-5F;

  static std::size_t at(int index) { return static_cast<std::size_t>(index); }

  static double dot(int count, const float* a, const float* b) {
    double sum = 0.0;
    for (int i = 0; i < count; ++i) {
      sum += double{a[i]} * b[i];
    }
    return sum;
  }

  /// Experts of an int8 call; those that tie there do not here.
  [[nodiscard]] cs_mixture_f32 mixture() const {
    const cs_mixture& m = call_.mixture;
    const float* const biases = other_.data() + 100;
    return {m.experts,           m.top_k,     m.hidden, weight_.data(), biases, weight_.data() + 10, biases + 20,
            weight_.data() + 30, biases + 40, kind_};
  }

  void run_without_image() {
    const cs_geometry& g = call_.geometry;
    const int rows = call_.rows;
    const cs_norm_f32 norm = {weight_.data(), other_.data(), kEpsilon, kind_};
    switch (call_.kernel) {
      case SCORES:
        return cs_attention_scores_f32(rows, g.in_c, other_.data(), in_.data(), g.in_row, out_.data());
      case SOFTMAX:
        std::copy_n(in_.begin(), rows, out_.begin());
        return cs_softmax_f32(rows, out_.data(), out_.data());
      case CONTEXT:
        return cs_attention_context_f32(rows, g.in_c, other_.data(), in_.data(), g.in_row, out_.data());
      case MIXTURE: {
        const cs_mixture_f32 experts = mixture();
        float* const in = call_.index != 0 ? out_.data() : in_.data();
        return cs_moe_f32(&experts, rows, g.in_c, in, g.in_row, out_.data(), g.out_row, scratch_.data());
      }
      case BATCH_NORM:
        return cs_batch_norm_f32(&norm, rows, g.in_c, in_.data(), out_.data());
      case LAYER_NORM:
        return cs_layer_norm_f32(&norm, rows, g.in_c, in_.data(), g.in_row, out_.data(), g.out_row);
      case ADD:
        return cs_add_f32(kind_, rows * g.in_c, in_.data(), other_.data(), out_.data());
      case ACTIVATION:
        return cs_activation_f32(kind_, rows * g.in_c, in_.data(), out_.data());
      case CONCAT_INPUT:
        return cs_concat_input_f32(rows, g.in_c, in_.data(), g.in_row, out_.data(), g.out_row);
      case TOKEN_EMBED:
        return cs_token_embed_f32(rows, g.in_c, other_.data(), reinterpret_cast<const std::int32_t*>(call_.in),
                                  out_.data());
      case UPSAMPLE:
        return cs_upsample_f32(g.in_h, g.in_w, g.in_c, call_.index, in_.data(), out_.data());
      default:
        return cs_global_average_pool_f32(g.in_h * g.in_w, g.in_c, in_.data(), out_.data());
    }
  }

  [[nodiscard]] double activated(double x) const {
    switch (kind_) {
      case CS_RELU:
        return std::max(x, 0.0);
      case CS_RELU6:
        return std::clamp(x, 0.0, 6.0);
      case CS_HARD_SWISH:
        return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
      case CS_GELU:
        return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
      default:
        return x;
    }
  }

  [[nodiscard]] double window_result(int out_y, int out_x, int channel) const {
    const cs_geometry& g = call_.geometry;
    const bool pool = call_.kernel == MAX_POOL || call_.kernel == AVERAGE_POOL;
    const int channels = pool ? 1 : g.in_c / g.groups;
    const int first = pool ? channel : channel / (g.out_c / g.groups) * channels;
    double sum = pool ? 0.0 : other_[at(100 + channel)];
    double largest = -1e9;
    int index = channel * g.kernel_h * g.kernel_w * channels;
    for (int ky = 0; ky < g.kernel_h; ++ky) {
      for (int kx = 0; kx < g.kernel_w; ++kx) {
        for (int c = 0; c < channels; ++c, ++index) {
          const int y = out_y * g.stride - g.pad_top + ky;
          const int x = out_x * g.stride - g.pad_left + kx;
          if (y >= 0 && y < g.in_h && x >= 0 && x < g.in_w) {
            const double value = in_[at(y * g.in_row + x * g.in_c + first + c)];
            largest = std::max(largest, value);
            sum += value * (pool ? 1.0 : double{weight_[at(index)]});
          }
        }
      }
    }
    return call_.kernel == MAX_POOL ? largest : pool ? sum / (g.kernel_h * g.kernel_w) : activated(sum);
  }

  kernel_case call_{};
  std::vector<float> in_, other_, weight_, out_, scratch_;
  std::vector<double> expected_;
  cs_activation_kind kind_ = CS_NO_ACTIVATION;
};

bool has_window(kernel kind) { return kind <= PATCH_EMBED || kind == MAX_POOL || kind == AVERAGE_POOL; }

TEST(ExportedFloatKernels, EqualDoublePrecision) {
  for (std::uint32_t number = 0; number < kCases; ++number) {
    FloatCase call(number);
    if (call.kind() == PATCH_EMBED_TOKEN) {
      continue;  // each is one of the tokens of PATCH_EMBED
    }
    if (has_window(call.kind())) {
      call.expect();
    } else {
      if (call.kind() == MIXTURE) {
        call.expect_mixture();
      }
      call.expect_rows();
      call.expect_elements();
      call.expect_moves();
    }
    call.run();
    for (std::size_t i = 0; i < CASE_BYTES; ++i) {
      ASSERT_NEAR(call.out()[i], call.expected()[i], 2e-4)
          << "case " << number << ", kernel " << call.kind() << ", " << i;
    }
    for (std::size_t i = 0; i < CASE_BYTES; ++i) {
      ASSERT_EQ(call.scratch()[i] != kUntouched, i < static_cast<std::size_t>(call.scratch_elements()))
          << "case " << number << ", kernel " << call.kind() << ", " << i;
    }
  }
}

}  // namespace
}  // namespace cosearch::testing_support
