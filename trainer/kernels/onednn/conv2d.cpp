#include <algorithm>
#include <dnnl.hpp>
#include <memory>
#include <optional>

#include "trainer/kernels/onednn/executable.hpp"
#include "trainer/kernels/onednn/onednn_dense.hpp"
#include "trainer/kernels/onednn/rounding.hpp"
#include "trainer/kernels/onednn/shape_cache.hpp"

namespace cosearch::kernels {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

/// Layouts of packed weights are those that oneDNN likes at this batch, so that they serve every batch.
constexpr std::int64_t kPackingBatch = 8;

ConvShape packing_shape(ConvShape shape) {
  shape.batch = kPackingBatch;
  return shape;
}

memory::desc layout(const memory::dims& dims, Tag tag) { return {dims, memory::data_type::f32, tag}; }

/// The arguments of oneDNN's descriptors. Its logical order is NCHW and OIHW whatever the layout.
struct Problem {
  explicit Problem(const ConvShape& s)
      : x(layout({s.batch, s.channels, s.height, s.width}, Tag::nhwc)),
        y(layout({s.batch, s.out_channels, s.out_height, s.out_width}, Tag::nhwc)),
        w(layout({s.out_channels, s.channels, s.kernel_h, s.kernel_w}, Tag::hwio)),
        w_any(layout({s.out_channels, s.channels, s.kernel_h, s.kernel_w}, Tag::any)),
        strides{s.stride, s.stride},
        begin{s.pad_top, s.pad_left},
        end{(s.out_height - 1) * s.stride + s.kernel_h - s.height - s.pad_top,
            (s.out_width - 1) * s.stride + s.kernel_w - s.width - s.pad_left} {
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  }

  memory::desc x, y, w, w_any;
  memory::dims strides, begin, end;
  dnnl::primitive_attr attributes;
};

using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

Forward::primitive_desc describe_forward(const Problem& p, const memory::desc& w) {
  return {
      {dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, p.x, w, p.y, p.strides, p.begin, p.end},
      p.attributes,
      thread_engine()};
}
BackwardData::primitive_desc describe_backward_data(const Problem& p, const memory::desc& w) {
  return {{dnnl::algorithm::convolution_direct, p.x, w, p.y, p.strides, p.begin, p.end},
          p.attributes,
          thread_engine(),
          describe_forward(p, p.w_any)};
}
BackwardWeights::primitive_desc describe_backward_weights(const Problem& p) {
  return {{dnnl::algorithm::convolution_direct, p.x, p.w_any, p.y, p.strides, p.begin, p.end},
          p.attributes,
          thread_engine(),
          describe_forward(p, p.w_any)};
}

/// `make()`, or nothing where oneDNN has no primitive, or a slow one, for a shape.
template <class Make>
auto unless_reference(const Make& make) -> std::optional<decltype(make())> {
  try {
    auto description = make();
    if (is_reference(description.impl_info_str())) {
      return std::nullopt;
    }
    return description;
  } catch (const dnnl::error&) {
    return std::nullopt;
  }
}

/// Weights in a layout of oneDNN's choice.
struct Packing {
  memory::desc layout;
  Executable pack;
  std::int64_t floats;
};
std::shared_ptr<const Packing> make_packing(const memory::desc& plain, const memory::desc& packed) {
  return std::make_shared<const Packing>(Packing{packed, make_reorder(plain, packed), floats_of(packed)});
}

struct Layer {
  Executable run;
  std::int64_t scratch;
};

/// Null: Eigen's.
std::shared_ptr<const Packing> forward_packing(const ConvShape& shape) {
  thread_local ShapeCache<ConvShape, Packing> cache;
  return cache.get(packing_shape(shape), [](const ConvShape& s) {
    const Problem p(s);
    const auto description = s.groups == 1 ? unless_reference([&] { return describe_forward(p, p.w_any); })
                                           : std::optional<Forward::primitive_desc>{};
    return description ? make_packing(p.w, description->weights_desc()) : nullptr;
  });
}

std::shared_ptr<const Packing> backward_data_packing(const ConvShape& shape) {
  thread_local ShapeCache<ConvShape, Packing> cache;
  return cache.get(packing_shape(shape), [](const ConvShape& s) {
    const Problem p(s);
    const auto description = s.groups == 1 ? unless_reference([&] { return describe_backward_data(p, p.w_any); })
                                           : std::optional<BackwardData::primitive_desc>{};
    return description ? make_packing(p.w, description->weights_desc()) : nullptr;
  });
}

std::shared_ptr<const Layer> forward_layer(const ConvShape& shape, const Packing& packing) {
  thread_local ShapeCache<ConvShape, Layer> cache;
  return cache.get(shape, [&](const ConvShape& s) {
    const Problem p(s);
    const auto description = describe_forward(p, packing.layout);
    return std::make_shared<const Layer>(
        Layer{Executable(Forward(description), {{DNNL_ARG_SRC, p.x},
                                                {DNNL_ARG_WEIGHTS, packing.layout},
                                                {DNNL_ARG_DST, p.y},
                                                {DNNL_ARG_SCRATCHPAD, description.scratchpad_desc()}}),
              floats_of(description.scratchpad_desc())});
  });
}

std::shared_ptr<const Layer> backward_data_layer(const ConvShape& shape, const Packing& packing) {
  thread_local ShapeCache<ConvShape, Layer> cache;
  return cache.get(shape, [&](const ConvShape& s) {
    const Problem p(s);
    const auto description = describe_backward_data(p, packing.layout);
    return std::make_shared<const Layer>(
        Layer{Executable(BackwardData(description), {{DNNL_ARG_DIFF_DST, p.y},
                                                     {DNNL_ARG_WEIGHTS, packing.layout},
                                                     {DNNL_ARG_DIFF_SRC, p.x},
                                                     {DNNL_ARG_SCRATCHPAD, description.scratchpad_desc()}}),
              floats_of(description.scratchpad_desc())});
  });
}

struct WeightsLayer {
  Executable run;
  Executable unpack;  ///< the gradient from oneDNN's layout, at the beginning of the scratch, to ours
  std::int64_t packed;
  std::int64_t scratch;  ///< behind it
};

/// Null: Eigen's.
std::shared_ptr<const WeightsLayer> backward_weights_layer(const ConvShape& shape) {
  thread_local ShapeCache<ConvShape, WeightsLayer> cache;
  return cache.get(shape, [](const ConvShape& s) -> std::shared_ptr<const WeightsLayer> {
    const Problem p(s);
    const auto description = s.groups == 1 ? unless_reference([&] { return describe_backward_weights(p); })
                                           : std::optional<BackwardWeights::primitive_desc>{};
    if (!description) {
      return nullptr;
    }
    const memory::desc packed = description->diff_weights_desc();
    return std::make_shared<const WeightsLayer>(
        WeightsLayer{Executable(BackwardWeights(*description), {{DNNL_ARG_SRC, p.x},
                                                                {DNNL_ARG_DIFF_DST, p.y},
                                                                {DNNL_ARG_DIFF_WEIGHTS, packed},
                                                                {DNNL_ARG_SCRATCHPAD, description->scratchpad_desc()}}),
                     make_reorder(packed, p.w), aligned(floats_of(packed)), floats_of(description->scratchpad_desc())});
  });
}

}  // namespace

std::int64_t OnednnDense::conv2d_scratch(const ConvShape& shape, Use use) const {
  const std::shared_ptr<const Packing> forward = forward_packing(shape);
  std::int64_t scratch = forward != nullptr ? forward_layer(shape, *forward)->scratch : 0;
  if (use == Use::inference) {
    return forward != nullptr ? scratch : eigen_dense().conv2d_scratch(shape, use);
  }
  const std::shared_ptr<const Packing> data = backward_data_packing(shape);
  if (data != nullptr) {
    scratch = std::max(scratch, backward_data_layer(shape, *data)->scratch);
  }
  const std::shared_ptr<const WeightsLayer> weights = backward_weights_layer(shape);
  if (weights != nullptr) {
    scratch = std::max(scratch, weights->packed + weights->scratch);
  }
  const bool all = forward != nullptr && data != nullptr && weights != nullptr;
  return all ? scratch : std::max(scratch, eigen_dense().conv2d_scratch(shape, use));
}

std::int64_t OnednnDense::conv2d_packed(const ConvShape& shape, Use use) const {
  const std::shared_ptr<const Packing> forward = forward_packing(shape);
  const std::int64_t size = forward != nullptr ? aligned(forward->floats) : 0;
  if (use == Use::inference) {
    return size;
  }
  const std::shared_ptr<const Packing> data = backward_data_packing(shape);
  return size + (data != nullptr ? data->floats : eigen_dense().conv2d_packed(shape, use));
}

void OnednnDense::conv2d_pack(const ConvShape& shape, Use use, const float* w, float* packed) const {
  if (const std::shared_ptr<const Packing> forward = forward_packing(shape)) {
    forward->pack.run({w, packed});
    packed += aligned(forward->floats);
  }
  if (use == Use::inference) {
    return;
  }
  if (const std::shared_ptr<const Packing> data = backward_data_packing(shape)) {
    data->pack.run({w, packed});
  } else {
    eigen_dense().conv2d_pack(shape, use, w, packed);
  }
}

void OnednnDense::conv2d_forward(const ConvShape& shape, const float* x, const float* w, const float* packed, float* y,
                                 float* scratch) const {
  if (const std::shared_ptr<const Packing> packing = forward_packing(shape)) {
    forward_layer(shape, *packing)->run.run({x, packed, y, scratch});
  } else {
    eigen_dense().conv2d_forward(shape, x, w, packed, y, scratch);
  }
}

void OnednnDense::conv2d_backward_data(const ConvShape& shape, const float* dy, const float* w, const float* packed,
                                       float* dx, float* scratch) const {
  const std::shared_ptr<const Packing> forward = forward_packing(shape);
  packed += forward != nullptr ? aligned(forward->floats) : 0;
  if (const std::shared_ptr<const Packing> packing = backward_data_packing(shape)) {
    backward_data_layer(shape, *packing)->run.run({dy, packed, dx, scratch});
  } else {
    eigen_dense().conv2d_backward_data(shape, dy, w, packed, dx, scratch);
  }
}

void OnednnDense::conv2d_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw,
                                          float* scratch) const {
  if (const std::shared_ptr<const WeightsLayer> layer = backward_weights_layer(shape)) {
    layer->run.run({x, dy, scratch, scratch + layer->packed});
    layer->unpack.run({scratch, dw});
  } else {
    eigen_dense().conv2d_backward_weights(shape, x, dy, dw, scratch);
  }
}

}  // namespace cosearch::kernels
