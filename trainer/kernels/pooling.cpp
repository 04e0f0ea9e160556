#include <algorithm>

#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"

namespace cosearch::kernels {
namespace {

/// The part of a window that lies inside the image.
struct Window {
  std::int64_t top, left, bottom, right;  // bottom and right exclusive
};
Window window_at(const PoolShape& s, std::int64_t oy, std::int64_t ox) {
  const std::int64_t iy = oy * s.stride - s.pad_top;
  const std::int64_t ix = ox * s.stride - s.pad_left;
  return {std::max<std::int64_t>(0, iy), std::max<std::int64_t>(0, ix), std::min(s.height, iy + s.kernel),
          std::min(s.width, ix + s.kernel)};
}

/// body(x offset of the image, y offset of the pixel, window)
template <class Body>
void for_windows(const PoolShape& s, const Body& body) {
  for (std::int64_t n = 0; n < s.batch; ++n) {
    for (std::int64_t oy = 0; oy < s.out_height; ++oy) {
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        body(n * s.height * s.width * s.channels, ((n * s.out_height + oy) * s.out_width + ox) * s.channels,
             window_at(s, oy, ox));
      }
    }
  }
}

}  // namespace

void max_pool(const PoolShape& shape, const float* x, float* y) {
  for_windows(shape, [&](std::int64_t image, std::int64_t pixel, const Window& window) {
    float* out = y + pixel;
    std::copy_n(x + image + (window.top * shape.width + window.left) * shape.channels, shape.channels, out);
    for (std::int64_t iy = window.top; iy < window.bottom; ++iy) {
      for (std::int64_t ix = window.left; ix < window.right; ++ix) {
        const float* in = x + image + (iy * shape.width + ix) * shape.channels;
        COSEARCH_INDEPENDENT_ITERATIONS
        for (std::int64_t c = 0; c < shape.channels; ++c) {
          out[c] = out[c] < in[c] ? in[c] : out[c];
        }
      }
    }
  });
}

void max_pool_backward(const PoolShape& shape, const float* x, const float* dy, float* dx) {
  std::fill_n(dx, shape.batch * shape.height * shape.width * shape.channels, 0.0F);
  for_windows(shape, [&](std::int64_t image, std::int64_t pixel, const Window& window) {
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      std::int64_t best = image + (window.top * shape.width + window.left) * shape.channels + c;
      for (std::int64_t iy = window.top; iy < window.bottom; ++iy) {
        for (std::int64_t ix = window.left; ix < window.right; ++ix) {
          const std::int64_t at = image + (iy * shape.width + ix) * shape.channels + c;
          best = x[best] < x[at] ? at : best;
        }
      }
      dx[best] += dy[pixel + c];
    }
  });
}

void average_pool(const PoolShape& shape, const float* x, float* y) {
  const float share = 1.0F / static_cast<float>(shape.kernel * shape.kernel);
  for_windows(shape, [&](std::int64_t image, std::int64_t pixel, const Window& window) {
    float* out = y + pixel;
    std::fill_n(out, shape.channels, 0.0F);
    for (std::int64_t iy = window.top; iy < window.bottom; ++iy) {
      for (std::int64_t ix = window.left; ix < window.right; ++ix) {
        const float* in = x + image + (iy * shape.width + ix) * shape.channels;
        COSEARCH_INDEPENDENT_ITERATIONS
        for (std::int64_t c = 0; c < shape.channels; ++c) {
          out[c] += in[c];
        }
      }
    }
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      out[c] *= share;
    }
  });
}

void average_pool_backward(const PoolShape& shape, const float* dy, float* dx) {
  const float share = 1.0F / static_cast<float>(shape.kernel * shape.kernel);
  std::fill_n(dx, shape.batch * shape.height * shape.width * shape.channels, 0.0F);
  for_windows(shape, [&](std::int64_t image, std::int64_t pixel, const Window& window) {
    for (std::int64_t iy = window.top; iy < window.bottom; ++iy) {
      for (std::int64_t ix = window.left; ix < window.right; ++ix) {
        float* out = dx + image + (iy * shape.width + ix) * shape.channels;
        COSEARCH_INDEPENDENT_ITERATIONS
        for (std::int64_t c = 0; c < shape.channels; ++c) {
          out[c] += share * dy[pixel + c];
        }
      }
    }
  });
}

void global_average_pool(std::int64_t batch, std::int64_t positions, std::int64_t channels, const float* x, float* y) {
  const float share = 1.0F / static_cast<float>(positions);
  for (std::int64_t n = 0; n < batch; ++n, y += channels) {
    std::fill_n(y, channels, 0.0F);
    for (std::int64_t p = 0; p < positions; ++p, x += channels) {
      COSEARCH_INDEPENDENT_ITERATIONS
      for (std::int64_t c = 0; c < channels; ++c) {
        y[c] += x[c];
      }
    }
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t c = 0; c < channels; ++c) {
      y[c] *= share;
    }
  }
}

void global_average_pool_backward(std::int64_t batch, std::int64_t positions, std::int64_t channels, const float* dy,
                                  float* dx) {
  const float share = 1.0F / static_cast<float>(positions);
  for (std::int64_t n = 0; n < batch; ++n, dy += channels) {
    for (std::int64_t p = 0; p < positions; ++p, dx += channels) {
      COSEARCH_INDEPENDENT_ITERATIONS
      for (std::int64_t c = 0; c < channels; ++c) {
        dx[c] = share * dy[c];
      }
    }
  }
}

}  // namespace cosearch::kernels
