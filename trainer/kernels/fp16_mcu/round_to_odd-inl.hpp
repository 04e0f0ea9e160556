/// The inner loops of `fp16_mcu` on fp16 numbers in fp32 vectors, once for every instruction set that has fused
/// multiply-adds and conversions to fp16. It is included by one source file per set, which defines before:
///
///   struct Simd: Vector (kWidth floats), kRows (rows of a tile), load, store, load_first and store_first (`count`
///   elements only; others are zeros), broadcast_pair (two floats, repeated), evens and odds (of the floats of two
///   vectors, in an order of their own that sequence brings to memory order), to_half (nearest fp16 number, ties to
///   even) and fused(a, b, c): a * b + c rounded to odd.
///
/// A sum rounded to odd is itself where fp32 holds it, else the one of its two neighbours in fp32 with an odd last bit.
/// Rounding that to fp16 gives the exact sum rounded once, because 24 bits are two more than 11 at least: an odd number
/// is never half way between two fp16 numbers and lies on the same side of it as the exact sum (Boldo and Melquiond,
/// "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE Transactions on
/// Computers 57(4), 2008). The two neighbours are the sums rounded down and up. No branch depends on the data.
///
/// No function here may be used by other files, nor any inline function of a library: see avx512_fp16.cpp.
namespace cosearch::kernels::fp16_mcu {
namespace {

using Vector = Simd::Vector;
inline constexpr int kWidth = Simd::kWidth;

/// a * b + c rounded once to fp16.
inline Vector multiply_add(Vector a, Vector b, Vector c) { return Simd::to_half(Simd::fused(a, b, c)); }

inline Vector add(Vector a, Vector b) {
  const float one = 1.0F;
  return multiply_add(a, Simd::broadcast(one), b);
}

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

inline void convert(std::int64_t count, const float* x, float* out) {
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    Simd::store(Simd::to_half(Simd::load(x + i)), out + i);
  }
  if (i < count) {
    Simd::store_first(Simd::to_half(Simd::load_first(x + i, count - i)), out + i, count - i);
  }
}

/// y[j] = sum[j], or y[j] + sum[j], for the first `count` columns of a vector.
inline void finish(Vector sum, bool adds, std::int64_t count, float* y) {
  if (count >= kWidth) {
    Simd::store(adds ? add(Simd::load(y), sum) : sum, y);
  } else {
    Simd::store_first(adds ? add(Simd::load_first(y, count), sum) : sum, y, count);
  }
}

/// Simd::kRows rows and kWidth columns, of which `valid` rows are stored; rows behind them repeat the last. Each sum
/// holds both lanes of half of the columns.
inline void tile(const Product<float>& p, std::int64_t row, std::int64_t valid, std::int64_t column) {
  constexpr int kRows = Simd::kRows;
  Vector sum[kRows][2];
  const float* a[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    a[r] = p.a + 2 * (row + smaller(r, valid - 1)) * p.row_stride;
    sum[r][0] = sum[r][1] = Simd::broadcast(0.0F);
  }
  const float* b = p.b + 2 * (column / kPanel * kPanel * p.pairs + column % kPanel);
  for (std::int64_t l = 0; l < p.pairs; ++l, b += 2 * kPanel) {
    const Vector first = Simd::load(b);
    const Vector second = Simd::load(b + kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vector pair = Simd::broadcast_pair(a[r] + 2 * l * p.pair_stride);
      sum[r][0] = multiply_add(pair, first, sum[r][0]);
      sum[r][1] = multiply_add(pair, second, sum[r][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    if (r >= valid) {
      break;
    }
    const Vector both = add(Simd::evens(sum[r][0], sum[r][1]), Simd::odds(sum[r][0], sum[r][1]));
    finish(Simd::sequence(both), p.adds, p.n - column, p.c + (row + r) * p.ldc + column);
  }
}

inline void product_loops(const Product<float>& p) {
  for (std::int64_t column = 0; column < p.n; column += kWidth) {
    for (std::int64_t row = 0; row < p.m; row += Simd::kRows) {
      tile(p, row, smaller(Simd::kRows, p.m - row), column);
    }
  }
}

/// `vectors` vectors of columns, of which the last ends after `count` columns of the block.
template <int vectors, class Load>
inline void column_block(const ColumnProducts<float>& p, std::int64_t first, std::int64_t count, const Load& load) {
  Vector even[vectors];
  Vector odd[vectors];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) {
    even[v] = odd[v] = Simd::broadcast(0.0F);
  }
  const float* b = p.b + first;
  for (std::int64_t l = 0; l < p.inner; l += 2, b += 2 * p.ldb) {
    const float* const a[2] = {p.a[l] + first, p.a[l + 1] + first};
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      const std::int64_t j = v * kWidth;
      even[v] = multiply_add(load(a[0] + j), load(b + j), even[v]);
      odd[v] = multiply_add(load(a[1] + j), load(b + p.ldb + j), odd[v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) {
    finish(add(even[v], odd[v]), p.adds, count - v * kWidth, p.y + first + v * kWidth);
  }
}

inline void column_products_loops(const ColumnProducts<float>& p) {
  constexpr int kVectors = 4;
  const auto whole = [](const float* x) { return Simd::load(x); };
  std::int64_t first = 0;
  for (; first + kVectors * kWidth <= p.columns; first += kVectors * kWidth) {
    column_block<kVectors>(p, first, kVectors * kWidth, whole);
  }
  for (; first + kWidth <= p.columns; first += kWidth) {
    column_block<1>(p, first, kWidth, whole);
  }
  if (first < p.columns) {
    const std::int64_t rest = p.columns - first;
    column_block<1>(p, first, rest, [rest](const float* x) { return Simd::load_first(x, rest); });
  }
}

}  // namespace
}  // namespace cosearch::kernels::fp16_mcu
