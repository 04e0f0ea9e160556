#include "trainer/kernels/softmax/vector_kernels.hpp"

#include <cmath>

// Highway compiles this file once per instruction set. The build's own -march is the oldest one here, so that the AVX2
// version holds AVX2 alone, and the code outside the sets' namespaces runs everywhere.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/kernels/softmax/vector_kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

#include "trainer/kernels/softmax/exponential-inl.hpp"
#include "trainer/kernels/softmax/short_rows-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cosearch::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Elements that are summed in single precision before the sum goes to double precision; 16 KiB, so that the blocked
/// variant's second look at a block finds it in the first-level cache.
constexpr std::int64_t kBlock = 4096;

// --- reductions over a block -----------------------------------------------------------------------------------

/// Calls body.group(vectors) for each kUnroll vectors of x, and body.single(vector) for what is left. `distance`: see
/// `prefetch`.
template <std::int64_t distance = kPrefetchDistance, class Body>
HWY_INLINE void for_vectors(std::int64_t n, const float* x, Body& body) {
  const std::int64_t width = lanes();
  std::int64_t i = 0;
  for (; i + kUnroll * width <= n; i += kUnroll * width) {
    prefetch<distance>(x + i);
    body.group(hn::LoadU(Tag(), x + i), hn::LoadU(Tag(), x + i + width), hn::LoadU(Tag(), x + i + 2 * width),
               hn::LoadU(Tag(), x + i + 3 * width));
  }
  for (; i + width <= n; i += width) {
    body.single(hn::LoadU(Tag(), x + i));
  }
  if (i < n) {
    body.single(load_first(x + i, n - i));
  }
}

struct Maximum {
  Vector a = broadcast(kLowest), b = a, c = a, d = a;
  HWY_INLINE void group(Vector p, Vector q, Vector r, Vector s) {
    a = hn::Max(p, a);
    b = hn::Max(q, b);
    c = hn::Max(r, c);
    d = hn::Max(s, d);
  }
  HWY_INLINE void single(Vector p) { a = hn::Max(p, a); }
};

/// The largest element; NaN does not count.
HWY_INLINE float maximum(std::int64_t n, const float* x) {
  Maximum body{};
  for_vectors(n, x, body);
  const Vector all = hn::Max(hn::Max(body.a, body.b), hn::Max(body.c, body.d));
  return hn::GetLane(hn::MaxOfLanes(Tag(), all));
}

struct ExponentialSum {
  Vector maximum, scale;
  Vector a = hn::Zero(Tag()), b = a, c = a, d = a;
  HWY_INLINE Vector term(Vector p) const { return exponential(hn::Mul(scale, hn::Sub(p, maximum))); }
  HWY_INLINE void group(Vector p, Vector q, Vector r, Vector s) {
    a = hn::Add(a, term(p));
    b = hn::Add(b, term(q));
    c = hn::Add(c, term(r));
    d = hn::Add(d, term(s));
  }
  HWY_INLINE void single(Vector p) { a = hn::Add(a, term(p)); }
  HWY_INLINE double total() const {
    return static_cast<double>(hn::GetLane(hn::SumOfLanes(Tag(), hn::Add(hn::Add(a, b), hn::Add(c, d)))));
  }
};

template <std::int64_t distance = kPrefetchDistance>
HWY_INLINE double exponential_sum(std::int64_t n, float largest, float scale, const float* x) {
  ExponentialSum body{broadcast(largest), broadcast(scale)};
  for_vectors<distance>(n, x, body);
  return body.total();
}

/// Sum of e^(scale * x) lane by lane as m * 2^n. Four terms are brought to one exponent and added before the
/// accumulator is: one rescaling of the accumulator for four vectors.
struct PairSum {
  Vector scale;
  Vector m = hn::Zero(Tag());
  Vector n = broadcast(kLowest);
  HWY_INLINE void group(Vector p, Vector q, Vector r, Vector s) {
    const Pair e = extended_exponential(hn::Mul(scale, p));
    const Pair f = extended_exponential(hn::Mul(scale, q));
    const Pair g = extended_exponential(hn::Mul(scale, r));
    const Pair h = extended_exponential(hn::Mul(scale, s));
    const Vector largest = hn::Max(hn::Max(hn::Max(e.n, f.n), hn::Max(g.n, h.n)), n);
    const Vector ef =
        hn::Add(times_power_of_two(e.m, hn::Sub(e.n, largest)), times_power_of_two(f.m, hn::Sub(f.n, largest)));
    const Vector gh =
        hn::Add(times_power_of_two(g.m, hn::Sub(g.n, largest)), times_power_of_two(h.m, hn::Sub(h.n, largest)));
    m = hn::Add(rescaled(m, hn::Sub(n, largest)), hn::Add(ef, gh));
    n = largest;
  }
  HWY_INLINE void single(Vector p) {
    const Pair e = extended_exponential(hn::Mul(scale, p));
    const Vector largest = hn::Max(e.n, n);
    m = hn::Add(rescaled(m, hn::Sub(n, largest)), times_power_of_two(e.m, hn::Sub(e.n, largest)));
    n = largest;
  }
};

/// m * 2^n.
struct ScalarPair {
  double m;
  float n;
};

double rescaled(double m, float delta) { return delta < -2000.0F ? m * 0.0 : std::ldexp(m, static_cast<int>(delta)); }

ScalarPair exponential_pair_sum(std::int64_t n, float scale, const float* x) {
  ScalarPair sum{0.0, kLowest};
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    PairSum body{broadcast(scale)};
    for_vectors(HWY_MIN(kBlock, n - begin), x + begin, body);
    const Vector largest = hn::MaxOfLanes(Tag(), body.n);
    const Vector m = hn::SumOfLanes(Tag(), rescaled(body.m, hn::Sub(body.n, largest)));
    const float block_n = hn::GetLane(largest);
    const float merged = HWY_MAX(sum.n, block_n);
    sum.m = rescaled(sum.m, sum.n - merged) + rescaled(static_cast<double>(hn::GetLane(m)), block_n - merged);
    sum.n = merged;
  }
  return sum;
}

/// Maximum and sum of e^(scale * (x - maximum)) in one pass over memory: block by block, merged like PairSum.
struct MaximumAndSum {
  float maximum;
  double sum;
};
MaximumAndSum online_sum(std::int64_t n, float scale, const float* x) {
  MaximumAndSum all{kLowest, 0.0};
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t count = HWY_MIN(kBlock, n - begin);
    const float block_maximum = maximum(count, x + begin);
    // The first look at a block waits for memory, the second for arithmetic: that one fetches the next block meanwhile.
    const double block_sum = exponential_sum<kBlock>(count, block_maximum, scale, x + begin);
    const float merged = HWY_MAX(all.maximum, block_maximum);
    const auto weight = [merged, scale](float part) {
      return std::exp(static_cast<double>(scale) * (static_cast<double>(part) - static_cast<double>(merged)));
    };
    all.sum = all.sum * weight(all.maximum) + block_sum * weight(block_maximum);
    all.maximum = merged;
  }
  return all;
}

// --- passes that write ------------------------------------------------------------------------------------------

/// y = function(x); y may be x.
template <Stores stores, class Function>
HWY_INLINE void write(std::int64_t n, const float* x, float* y, const Function& function) {
  const std::int64_t width = lanes();
  std::int64_t i = 0;
  const auto store = [](Vector v, float* p) HWY_ATTR {
    if constexpr (stores == Stores::non_temporal) {
      hn::Stream(v, Tag(), p);
    } else {
      hn::StoreU(v, Tag(), p);
    }
  };
  if constexpr (stores == Stores::non_temporal) {
    // Non-temporal stores take whole aligned vectors only.
    const auto misaligned = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(y) / sizeof(float)) % width;
    i = misaligned == 0 ? 0 : HWY_MIN(n, width - misaligned);
    if (i > 0) {
      store_first(function(load_first(x, i)), y, i);
    }
  }
  for (; i + kUnroll * width <= n; i += kUnroll * width) {
    prefetch(x + i);
    if constexpr (stores == Stores::cached) {
      prefetch(y + i);
    }
    const Vector p = function(hn::LoadU(Tag(), x + i));
    const Vector q = function(hn::LoadU(Tag(), x + i + width));
    const Vector r = function(hn::LoadU(Tag(), x + i + 2 * width));
    const Vector s = function(hn::LoadU(Tag(), x + i + 3 * width));
    store(p, y + i);
    store(q, y + i + width);
    store(r, y + i + 2 * width);
    store(s, y + i + 3 * width);
  }
  for (; i + width <= n; i += width) {
    store(function(hn::LoadU(Tag(), x + i)), y + i);
  }
  if (i < n) {
    store_first(function(load_first(x + i, n - i)), y + i, n - i);
  }
  if constexpr (stores == Stores::non_temporal) {
    hwy::FlushStream();
  }
}

template <class Function>
HWY_INLINE void write(Stores stores, std::int64_t n, const float* x, float* y, const Function& function) {
  if (stores == Stores::non_temporal) {
    write<Stores::non_temporal>(n, x, y, function);
  } else {
    write<Stores::cached>(n, x, y, function);
  }
}

struct ScaledExponential {
  Vector maximum, scale, factor;
  HWY_INLINE Vector operator()(Vector x) const {
    return hn::Mul(factor, exponential(hn::Mul(scale, hn::Sub(x, maximum))));
  }
};

struct ScaledPair {
  Vector scale, factor, n;
  HWY_INLINE Vector operator()(Vector x) const {
    const Pair e = extended_exponential(hn::Mul(scale, x));
    return times_power_of_two(hn::Mul(factor, e.m), hn::Sub(e.n, n));
  }
};

struct Scaled {
  Vector factor;
  HWY_INLINE Vector operator()(Vector x) const { return hn::Mul(factor, x); }
};

HWY_INLINE Vector reciprocal(double sum) { return broadcast(static_cast<float>(1.0 / sum)); }

// --- algorithms ---------------------------------------------------------------------------------------------------

void three_pass_recompute(Stores stores, std::int64_t n, float scale, const float* x, float* y) {
  const float largest = maximum(n, x);
  double sum = 0.0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    sum += exponential_sum(HWY_MIN(kBlock, n - begin), largest, scale, x + begin);
  }
  write(stores, n, x, y, ScaledExponential{broadcast(largest), broadcast(scale), reciprocal(sum)});
}

/// y = e^(scale * (x - largest)); returns the sum.
HWY_INLINE double store_exponentials(std::int64_t n, float largest, float scale, const float* x, float* y) {
  ExponentialSum sum{broadcast(largest), broadcast(scale)};
  const std::int64_t width = lanes();
  std::int64_t i = 0;
  for (; i + kUnroll * width <= n; i += kUnroll * width) {
    prefetch(x + i);
    prefetch(y + i);
    const Vector p = sum.term(hn::LoadU(Tag(), x + i));
    const Vector q = sum.term(hn::LoadU(Tag(), x + i + width));
    const Vector r = sum.term(hn::LoadU(Tag(), x + i + 2 * width));
    const Vector s = sum.term(hn::LoadU(Tag(), x + i + 3 * width));
    sum.a = hn::Add(sum.a, p);
    sum.b = hn::Add(sum.b, q);
    sum.c = hn::Add(sum.c, r);
    sum.d = hn::Add(sum.d, s);
    hn::StoreU(p, Tag(), y + i);
    hn::StoreU(q, Tag(), y + i + width);
    hn::StoreU(r, Tag(), y + i + 2 * width);
    hn::StoreU(s, Tag(), y + i + 3 * width);
  }
  for (; i < n; i += width) {
    const std::int64_t count = HWY_MIN(width, n - i);
    const Vector p = sum.term(count == width ? hn::LoadU(Tag(), x + i) : load_first(x + i, count));
    sum.a = hn::Add(sum.a, p);
    if (count == width) {
      hn::StoreU(p, Tag(), y + i);
    } else {
      store_first(p, y + i, count);
    }
  }
  return sum.total();
}

void three_pass_reload(Stores stores, std::int64_t n, float scale, const float* x, float* y) {
  const float largest = maximum(n, x);
  double sum = 0.0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    sum += store_exponentials(HWY_MIN(kBlock, n - begin), largest, scale, x + begin, y + begin);
  }
  write(stores, n, y, y, Scaled{reciprocal(sum)});
}

void two_pass(Stores stores, std::int64_t n, float scale, const float* x, float* y) {
  const ScalarPair sum = exponential_pair_sum(n, scale, x);
  // 0 is a row of -inf alone, whose softmax is 0 / 0. As the exponent NaN reaches the small elements, too.
  const float exponent_of_sum = sum.m > 0.0 ? sum.n : __builtin_nanf("");
  write(stores, n, x, y, ScaledPair{broadcast(scale), reciprocal(sum.m), broadcast(exponent_of_sum)});
}

void blocked_online(Stores stores, std::int64_t n, float scale, const float* x, float* y) {
  const MaximumAndSum all = online_sum(n, scale, x);
  write(stores, n, x, y, ScaledExponential{broadcast(all.maximum), broadcast(scale), reciprocal(all.sum)});
}

void row(SoftmaxMethod method, std::int64_t n, float scale, const float* x, float* y) {
  switch (method.algorithm) {
    case SoftmaxAlgorithm::three_pass_recompute:
      return three_pass_recompute(method.stores, n, scale, x, y);
    case SoftmaxAlgorithm::three_pass_reload:
      return three_pass_reload(method.stores, n, scale, x, y);
    case SoftmaxAlgorithm::two_pass:
      return two_pass(method.stores, n, scale, x, y);
    case SoftmaxAlgorithm::blocked_online:
      return blocked_online(method.stores, n, scale, x, y);
  }
}

void short_rows(std::int64_t rows, std::int64_t columns, float scale, const float* x, float* y) {
  switch ((columns + lanes() - 1) / lanes()) {
    case 1:
      return short_rows_of<1>(rows, columns, scale, x, y);
    case 2:
      return short_rows_of<2>(rows, columns, scale, x, y);
    case 3:
      return short_rows_of<3>(rows, columns, scale, x, y);
    case 4:
      return short_rows_of<4>(rows, columns, scale, x, y);
    case 5:
      return short_rows_of<5>(rows, columns, scale, x, y);
    case 6:
      return short_rows_of<6>(rows, columns, scale, x, y);
    case 7:
      return short_rows_of<7>(rows, columns, scale, x, y);
    case 8:
      return short_rows_of<8>(rows, columns, scale, x, y);
    default:
      for (std::int64_t r = 0; r < rows; ++r) {
        three_pass_reload(Stores::cached, columns, scale, x + r * columns, y + r * columns);
      }
  }
}

}  // namespace

SoftmaxKernels compiled_kernels() { return {&row, &short_rows, &rows_backward}; }

}  // namespace HWY_NAMESPACE
}  // namespace cosearch::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cosearch::kernels {

SoftmaxKernels softmax_kernels(InstructionSet set) {
  const auto supported = hwy::SupportedTargets();
  switch (set) {
    case InstructionSet::portable:
      return HWY_STATIC_DISPATCH(compiled_kernels)();
    case InstructionSet::avx2:
#if HWY_TARGETS & HWY_AVX2
      return (supported & HWY_AVX2) != 0 ? N_AVX2::compiled_kernels() : SoftmaxKernels{};
#else
      return {};
#endif
    case InstructionSet::avx512:
#if HWY_TARGETS & HWY_AVX3
      return (supported & HWY_AVX3) != 0 ? N_AVX3::compiled_kernels() : SoftmaxKernels{};
#else
      return {};
#endif
  }
  return {};
}

}  // namespace cosearch::kernels
#endif  // HWY_ONCE
