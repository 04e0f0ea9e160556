#include "trainer/kernels/fp16_mcu/fp16_mcu_dense.hpp"

#ifdef COSEARCH_AVX512_FP16
#include <cpuid.h>
#endif

#include <array>
#include <type_traits>
#include <utility>
#include <vector>

#include "spaces/base/check.hpp"
#include "trainer/kernels/fp16_mcu/packing.hpp"
#include "trainer/kernels/fp16_mcu/round_to_half.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"

namespace cosearch::kernels {

using namespace fp16_mcu;  // NOLINT(google-build-using-namespace): this file's own folder

namespace {

template <class Element>
std::int64_t floats(std::int64_t elements) {
  constexpr std::int64_t kPerFloat = std::is_same_v<Element, Half> ? 2 : 1;
  return AlignedFloats::rounded_up((elements + kPerFloat - 1) / kPerFloat);
}

template <class Element>
std::int64_t linear_forward_panels(const LinearShape& s) {
  return floats<Element>(panel_elements(s.inputs, s.outputs));
}

}  // namespace

namespace fp16_mcu {

void* working_memory(Slot slot, std::int64_t bytes) {
  thread_local std::array<AlignedFloats, kSlots> slots;
  AlignedFloats& memory = slots.at(static_cast<std::size_t>(slot));
  const std::int64_t count =
      (bytes + static_cast<std::int64_t>(sizeof(float)) - 1) / static_cast<std::int64_t>(sizeof(float));
  if (memory.size() < count) {
    memory = AlignedFloats(AlignedFloats::rounded_up(count));
  }
  return memory.data();
}

}  // namespace fp16_mcu

template <class Element>
Fp16McuDense<Element>::Fp16McuDense(const Engine<Element>& engine, std::string arithmetic)
    : engine_(engine), name_(std::move(arithmetic) + " " + engine.name) {}

template <class Element>
void Fp16McuDense<Element>::gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                                 float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
                                 float beta, float* c, std::int64_t ldc) const {
  const std::int64_t pairs = pairs_of(k);
  auto* panels = working_memory<Element>(Slot::b, panel_elements(k, n));
  if (transpose_b) {
    pack_panels(
        engine_, k, n, [&](std::int64_t l, std::int64_t j) { return b[j * ldb + l]; }, panels);
  } else {
    pack_panels(
        engine_, k, n, [&](std::int64_t l, std::int64_t j) { return b[l * ldb + j]; }, panels);
  }
  auto* rows = working_memory<Element>(Slot::a, 2 * pairs * m);
  if (transpose_a) {
    interleave_rows(
        k, m,
        [&](std::int64_t l, Element* buffer) {
          engine_.convert(m, a + l * lda, buffer);
          return buffer;
        },
        rows);
  } else {
    convert_rows(engine_, m, k, a, lda, rows);
  }
  const bool direct = alpha == 1.0F && (beta == 0.0F || beta == 1.0F);
  float* result = direct ? c : working_memory<float>(Slot::product, m * n);
  engine_.product({.m = m,
                   .n = n,
                   .pairs = pairs,
                   .a = rows,
                   .row_stride = transpose_a ? 1 : pairs,
                   .pair_stride = transpose_a ? m : 1,
                   .b = panels,
                   .c = result,
                   .ldc = direct ? ldc : n,
                   .adds = direct && beta == 1.0F});
  for (std::int64_t i = 0; i < m && !direct; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      const float before = beta == 0.0F ? 0.0F : beta * c[i * ldc + j];
      c[i * ldc + j] = round_to_half(alpha * result[i * n + j] + before);
    }
  }
}

template <class Element>
std::int64_t Fp16McuDense<Element>::linear_packed(const LinearShape& shape, Use use) const {
  return linear_forward_panels<Element>(shape) +
         (use == Use::training ? floats<Element>(panel_elements(shape.outputs, shape.inputs)) : 0);
}

template <class Element>
void Fp16McuDense<Element>::linear_pack(const LinearShape& s, Use use, const float* w, float* packed) const {
  pack_panels(
      engine_, s.inputs, s.outputs, [&](std::int64_t l, std::int64_t j) { return w[l * s.outputs + j]; },
      reinterpret_cast<Element*>(packed));
  if (use == Use::training) {
    pack_panels(
        engine_, s.outputs, s.inputs, [&](std::int64_t l, std::int64_t j) { return w[j * s.outputs + l]; },
        reinterpret_cast<Element*>(packed + linear_forward_panels<Element>(s)));
  }
}

template <class Element>
void Fp16McuDense<Element>::linear_forward(const LinearShape& s, const float* x, const float* /*w*/,
                                           const float* packed, const float* bias, float* y, float* /*scratch*/) const {
  const std::int64_t pairs = pairs_of(s.inputs);
  auto* rows = working_memory<Element>(Slot::a, 2 * pairs * s.rows);
  convert_rows(engine_, s.rows, s.inputs, x, s.inputs, rows);
  engine_.product({.m = s.rows,
                   .n = s.outputs,
                   .pairs = pairs,
                   .a = rows,
                   .row_stride = pairs,
                   .pair_stride = 1,
                   .b = reinterpret_cast<const Element*>(packed),
                   .c = y,
                   .ldc = s.outputs,
                   .adds = false});
  if (bias != nullptr) {
    add_bias(s.rows, s.outputs, bias, y);
    round_to_storage(s.rows * s.outputs, y);
  }
}

template <class Element>
void Fp16McuDense<Element>::linear_backward(const LinearShape& s, const float* x, const float* dy, const float* w,
                                            const float* packed, float* dx, float* dw, float* scratch) const {
  const std::int64_t rows = s.rows / s.samples;
  for (std::int64_t n = 0; n < s.samples; ++n) {
    gemm(true, false, s.inputs, s.outputs, rows, 1.0F, x + n * rows * s.inputs, s.inputs, dy + n * rows * s.outputs,
         s.outputs, n == 0 ? 0.0F : 1.0F, dw, s.outputs);
  }
  if (dx != nullptr) {
    const LinearShape transposed{.rows = s.rows, .inputs = s.outputs, .outputs = s.inputs};
    linear_forward(transposed, dy, w, packed + linear_forward_panels<Element>(s), nullptr, dx, scratch);
  }
}

template <class Element>
void Fp16McuDense<Element>::round_to_storage(std::int64_t count, float* x) const {
  COSEARCH_INDEPENDENT_ITERATIONS
  for (std::int64_t i = 0; i < count; ++i) {
    x[i] = round_to_half(x[i]);
  }
}

template class Fp16McuDense<Half>;
template class Fp16McuDense<float>;

namespace {

#ifdef COSEARCH_AVX512_FP16
/// By CPUID leaf 7, EDX bit 23: not every compiler knows the feature by name. The registers' state is AVX-512's.
bool has_avx512_fp16() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __builtin_cpu_supports("avx512f") != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 23U & 1U) != 0;
}
#endif

#ifdef COSEARCH_X86_64
/// Of the levels of the x86-64 ABI, for which the engines are compiled. What is not asked for, every CPU with AVX2 has.
bool has_x86_64_v3() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
}
bool has_x86_64_v4() {
  return has_x86_64_v3() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512cd") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0;
}
#endif

}  // namespace

std::vector<const Dense*> fp16_mcu_engines() {
  std::vector<const Dense*> engines;
#ifdef COSEARCH_AVX512_FP16
  if (has_avx512_fp16()) {
    static const Fp16McuDense<Half> backend(avx512_fp16_engine(), "fp16_mcu");
    engines.push_back(&backend);
  }
#endif
#ifdef COSEARCH_X86_64
  if (has_x86_64_v4()) {
    static const Fp16McuDense<float> backend(avx512_engine(), "fp16_mcu");
    engines.push_back(&backend);
  }
  if (has_x86_64_v3()) {
    static const Fp16McuDense<float> backend(avx2_engine(), "fp16_mcu");
    engines.push_back(&backend);
  }
#endif
  static const Fp16McuDense<float> portable(portable_engine(), "fp16_mcu");
  engines.push_back(&portable);
  return engines;
}

const Dense& fp16_mcu_dense(Precision precision) {
  if (precision == Precision::fp16_mcu) {
    static const Dense& fastest = *fp16_mcu_engines().front();
    return fastest;
  }
  COSEARCH_CHECK(precision == Precision::fp16_mcu_fp32_accumulate, "a precision of this backend");
  static const Fp16McuDense<float> backend(fp32_accumulating_engine(), "fp16_mcu_fp32_accumulate");
  return backend;
}

}  // namespace cosearch::kernels
