// Forward and backward of a mixture of experts beside the dense feed-forward layer of the same active arithmetic
// (hidden features = top_k * those of an expert), on one chunk of samples as the trainer runs it, packing of the dense
// layer's weights included. CPU time of one thread, the two in turn, medians.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "spaces/base/rng.hpp"
#include "trainer/net/aligned_floats.hpp"
#include "trainer/ops/ops.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace): a program, not a header

constexpr int kRepetitions = 15;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

AlignedFloats random_floats(std::int64_t count, std::uint64_t stream, double deviation) {
  RngStream rng(1, Purpose::test, stream);
  AlignedFloats values(count);
  for (float& value : values.span()) {
    value = static_cast<float>(deviation * rng.normal());
  }
  return values;
}

/// One operator with all that it needs, on a chunk.
template <class Op>
class Layer {
 public:
  Layer(const Op& op, std::int64_t samples, const graph::Shape& input, const graph::Shape& output) : op_(op) {
    geometry_.inputs = {input};
    geometry_.output = output;
    geometry_.dense = &kernels::dense(kernels::Precision::fp32);
    const ops::Needs needs = ops::needs(op, geometry_, samples);
    saved_ = AlignedFloats(needs.saved * samples);
    scratch_ = AlignedFloats(needs.scratch);
    packed_ = AlignedFloats(needs.packed);
    y_ = AlignedFloats(samples * graph::elements(output));
    dx_ = AlignedFloats(samples * graph::elements(input));
    graph::Builder builder("layer", input);
    builder.then("op", op);
    for (const graph::WeightSpec& spec : graph::weights(std::move(builder).finish())) {
      weights_.push_back(random_floats(spec.elements(), weights_.size(), 0.1));
      gradients_.emplace_back(spec.elements());
    }
    samples_ = samples;
  }

  const float* forward(const float* x) {
    ops::Forward call{.samples = samples_, .y = y_.data(), .saved = saved_.data(), .scratch = scratch_.data()};
    call.x[0] = x_ = x;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      call.weights.at(i) = weights_[i].data();
    }
    if (packed_.size() > 0) {
      ops::pack(op_, geometry_, weights_[0].data(), packed_.data());
      call.packed = packed_.data();
    }
    ops::forward(op_, geometry_, call);
    return y_.data();
  }

  const float* backward(const float* dy) {
    ops::Backward call{.samples = samples_,
                       .dy = dy,
                       .saved = saved_.data(),
                       .packed = packed_.data(),
                       .scratch = scratch_.data(),
                       .loss_share = 1.0};
    call.x[0] = x_;
    call.dx[0] = dx_.data();
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      call.weights.at(i) = weights_[i].data();
      call.dweights.at(i) = gradients_[i].data();
    }
    ops::backward(op_, geometry_, call);
    return dx_.data();
  }

 private:
  Op op_;
  ops::Geometry geometry_;
  std::int64_t samples_ = 0;
  AlignedFloats saved_, scratch_, packed_, y_, dx_;
  std::vector<AlignedFloats> weights_, gradients_;
  const float* x_ = nullptr;
};

struct Case {
  const char* name;
  std::int64_t samples, tokens, features, experts, top_k, hidden;
};

void run(const Case& c) {
  const graph::Shape narrow{c.tokens, c.features};
  const graph::Shape wide{c.tokens, c.top_k * c.hidden};
  Layer<graph::Linear> first({.out_factors = {wide[1]}}, c.samples, narrow, wide);
  Layer<graph::Activation> gelu({graph::ActivationKind::gelu}, c.samples, wide, wide);
  Layer<graph::Linear> second({.out_factors = {c.features}}, c.samples, wide, narrow);
  Layer<graph::MoeFfn> mixture({.experts = c.experts, .top_k = c.top_k, .hidden = c.hidden}, c.samples, narrow, narrow);
  const AlignedFloats x = random_floats(c.samples * graph::elements(narrow), 50, 1.0);
  const AlignedFloats dy = random_floats(c.samples * graph::elements(narrow), 51, 1.0);
  const std::array<std::function<void()>, 2> layers = {[&] {
                                                         second.forward(gelu.forward(first.forward(x.data())));
                                                         first.backward(gelu.backward(second.backward(dy.data())));
                                                       },
                                                       [&] {
                                                         mixture.forward(x.data());
                                                         mixture.backward(dy.data());
                                                       }};
  std::array<std::vector<double>, 2> times;
  for (int repetition = -1; repetition < kRepetitions; ++repetition) {  // the first is not counted
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const double begin = thread_seconds();
      layers.at(i)();
      if (repetition >= 0) {
        times.at(i).push_back(thread_seconds() - begin);
      }
    }
  }
  const double dense = median(times[0]);
  const double moe = median(times[1]);
  const double flops = 12.0 * static_cast<double>(c.samples * c.tokens * c.features * wide[1]);
  fmt::print("{:<22} dense {:8.3f} ms ({:6.1f} GFLOP/s)  mixture {:8.3f} ms ({:6.1f} GFLOP/s)  throughput {:.2f}\n",
             c.name, 1e3 * dense, 1e-9 * flops / dense, 1e3 * moe, 1e-9 * flops / moe, dense / moe);
}

}  // namespace

int main() {
  run({"28x28, patch 4", 8, 49, 96, 8, 2, 192});
  run({"32x32, patch 4", 8, 64, 192, 16, 4, 192});
  run({"128x128, patch 16", 8, 64, 384, 16, 4, 384});
  run({"224x224, patch 16", 8, 196, 384, 16, 4, 384});
  run({"M3ViT, NYUD", 4, 1200, 384, 16, 4, 384});
  return 0;
}
