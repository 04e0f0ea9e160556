#include <fmt/format.h>
#include <dnnl.hpp>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <utility>

#include "spaces/base/check.hpp"
#include "trainer/kernels/onednn/executable.hpp"
#include "trainer/kernels/onednn/onednn_dense.hpp"
#include "trainer/kernels/onednn/rounding.hpp"
#include "trainer/kernels/onednn/shape_cache.hpp"

namespace cosearch::kernels {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

/// Layouts of packed weights are those that oneDNN likes at this number of rows, so that they serve all.
constexpr std::int64_t kPackingRows = 512;

/// y (rows, outputs) = x (rows, inputs) w, or with a bias; x, w in the shape's precision, y and the bias in fp32.
dnnl::matmul::primitive_desc describe(const memory::desc& x, const memory::desc& w, const memory::desc& y,
                                      bool biased) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (biased) {
    const memory::desc bias({1, y.dims()[1]}, Type::f32, Tag::ab);
    return {{x, w, bias, y}, attributes, thread_engine()};
  }
  return {{x, w, y}, attributes, thread_engine()};
}

/// A product whose second operand is packed weights; `transposed`: by w' instead of w.
struct ProductShape {
  LinearShape linear;
  Precision precision = Precision::fp32;
  bool transposed = false;
  bool biased = false;

  auto operator<=>(const ProductShape&) const = default;
  [[nodiscard]] std::int64_t inner() const { return transposed ? linear.outputs : linear.inputs; }
  [[nodiscard]] std::int64_t width() const { return transposed ? linear.inputs : linear.outputs; }
};

struct Packing {
  memory::desc layout;
  Executable pack;
  std::int64_t floats;
};

std::shared_ptr<const Packing> packing(ProductShape shape) {
  thread_local ShapeCache<ProductShape, Packing> cache;
  shape.linear.rows = kPackingRows;
  shape.linear.samples = 1;
  shape.biased = false;
  return cache.get(shape, [](const ProductShape& s) {
    const Type type = type_of(s.precision);
    const memory::dims dims{s.inner(), s.width()};
    const auto description = describe({{s.linear.rows, s.inner()}, type, Tag::ab}, {dims, type, Tag::any},
                                      {{s.linear.rows, s.width()}, Type::f32, Tag::ab}, false);
    const memory::desc packed = description.weights_desc();
    return std::make_shared<const Packing>(
        Packing{packed, make_reorder({dims, Type::f32, s.transposed ? Tag::ba : Tag::ab}, packed), floats_of(packed)});
  });
}

struct Layer {
  Executable run;
  std::int64_t scratch;
};
std::shared_ptr<const Layer> make_layer(const dnnl::matmul::primitive_desc& description,
                                        std::initializer_list<Executable::Argument> arguments) {
  return std::make_shared<const Layer>(
      Layer{Executable(dnnl::matmul(description), arguments), floats_of(description.scratchpad_desc())});
}

std::shared_ptr<const Layer> product(const ProductShape& shape) {
  thread_local ShapeCache<ProductShape, Layer> cache;
  return cache.get(shape, [](const ProductShape& s) {
    const memory::desc x({s.linear.rows, s.inner()}, type_of(s.precision), Tag::ab);
    const memory::desc w = packing(s)->layout;
    const memory::desc y({s.linear.rows, s.width()}, Type::f32, Tag::ab);
    const auto d = describe(x, w, y, s.biased);
    const Executable::Argument source{DNNL_ARG_SRC, x};
    const Executable::Argument weights{DNNL_ARG_WEIGHTS, w};
    const Executable::Argument target{DNNL_ARG_DST, y};
    const Executable::Argument scratch{DNNL_ARG_SCRATCHPAD, d.scratchpad_desc()};
    if (s.biased) {
      const memory::desc bias({1, s.width()}, Type::f32, Tag::ab);
      return make_layer(d, {source, weights, target, scratch, {DNNL_ARG_BIAS, bias}});
    }
    return make_layer(d, {source, weights, target, scratch});
  });
}

/// dw (inputs, outputs) = x' dy: a product with a transposed source.
std::shared_ptr<const Layer> weights_product(const LinearShape& linear, Precision precision) {
  thread_local ShapeCache<std::pair<LinearShape, Precision>, Layer> cache;
  return cache.get({linear, precision}, [](const std::pair<LinearShape, Precision>& key) {
    const LinearShape& s = key.first;
    const Type type = type_of(key.second);
    const memory::desc x({s.inputs, s.rows}, type, Tag::ba);
    const memory::desc dy({s.rows, s.outputs}, type, Tag::ab);
    const memory::desc dw({s.inputs, s.outputs}, Type::f32, Tag::ab);
    const auto d = describe(x, dy, dw, false);
    return make_layer(
        d, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, dy}, {DNNL_ARG_DST, dw}, {DNNL_ARG_SCRATCHPAD, d.scratchpad_desc()}});
  });
}

}  // namespace

void OnednnDense::gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                       const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
                       std::int64_t ldc) const {
  static_cast<void>(thread_engine());
  const dnnl_status_t status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  COSEARCH_CHECK(status == dnnl_success, "the arguments of a matrix product are consistent");
}

std::int64_t OnednnDense::linear_scratch(const LinearShape& shape, Use use) const {
  std::int64_t scratch =
      std::max(product({shape, precision_, false, false})->scratch, product({shape, precision_, false, true})->scratch);
  std::int64_t rounded = rounded_floats(precision_, shape.rows * shape.inputs);
  if (use == Use::training) {
    scratch = std::max(
        {scratch, product({shape, precision_, true, false})->scratch, weights_product(shape, precision_)->scratch});
    rounded += rounded_floats(precision_, shape.rows * shape.outputs);
  }
  return rounded + scratch;
}

std::int64_t OnednnDense::linear_packed(const LinearShape& shape, Use use) const {
  const std::int64_t forward = packing({shape, precision_, false, false})->floats;
  return use == Use::training ? aligned(forward) + packing({shape, precision_, true, false})->floats : forward;
}

void OnednnDense::linear_pack(const LinearShape& shape, Use use, const float* w, float* packed) const {
  const std::shared_ptr<const Packing> forward = packing({shape, precision_, false, false});
  forward->pack.run({w, packed});
  if (use == Use::training) {
    packed += aligned(forward->floats);
    packing({shape, precision_, true, false})->pack.run({w, packed});
  }
}

void OnednnDense::linear_forward(const LinearShape& shape, const float* x, const float* /*w*/, const float* packed,
                                 const float* bias, float* y, float* scratch) const {
  const void* source = rounded(precision_, shape.rows * shape.inputs, x, scratch);
  if (bias == nullptr) {
    product({shape, precision_, false, false})->run.run({source, packed, y, scratch});
  } else {
    product({shape, precision_, false, true})->run.run({source, packed, y, scratch, bias});
  }
}

void OnednnDense::linear_backward(const LinearShape& shape, const float* x, const float* dy, const float* /*w*/,
                                  const float* packed, float* dx, float* dw, float* scratch) const {
  const void* source = rounded(precision_, shape.rows * shape.inputs, x, scratch);
  const void* gradient = rounded(precision_, shape.rows * shape.outputs, dy, scratch);
  weights_product(shape, precision_)->run.run({source, gradient, dw, scratch});
  if (dx != nullptr) {
    packed += aligned(packing({shape, precision_, false, false})->floats);
    product({shape, precision_, true, false})->run.run({gradient, packed, dx, scratch});
  }
}

std::string OnednnDense::name() const {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("onednn {}.{}.{} {} isa {:x}, {}", version->major, version->minor, version->patch,
                     precision_ == Precision::bf16 ? "bf16" : "fp32",
                     static_cast<unsigned>(dnnl::get_effective_cpu_isa()), eigen_dense().name());
}

const Dense* onednn_dense(Precision precision) {
  static const OnednnDense fp32(Precision::fp32);
  static const OnednnDense bf16(Precision::bf16);
  if (precision == Precision::fp32) {
    return &fp32;
  }
  // oneDNN's instruction sets are bit sets: each has the bits of those below it.
  constexpr auto kWanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kWanted) == kWanted ? &bf16 : nullptr;
}

}  // namespace cosearch::kernels
