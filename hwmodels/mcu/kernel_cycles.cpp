#include "hwmodels/mcu/kernel_cycles.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include <fmt/format.h>

namespace cosearch::mcu {
namespace {

using program::Geometry;
using program::KernelCall;
using program::KernelKind;

constexpr std::array kQuantities{
    Quantity{"macs", &KernelWork::macs, &KernelCycles::per_mac},
    Quantity{"outputs", &KernelWork::outputs, &KernelCycles::per_output},
    Quantity{"elements", &KernelWork::elements, &KernelCycles::per_element},
    Quantity{"rows", &KernelWork::rows, &KernelCycles::per_row},
    Quantity{"window_rows", &KernelWork::window_rows, &KernelCycles::per_window_row},
    Quantity{"window_elements", &KernelWork::window_elements, &KernelCycles::per_window_element},
    Quantity{"slow_macs", &KernelWork::slow_macs, &KernelCycles::per_slow_mac},
    Quantity{"int4_macs", &KernelWork::int4_macs, &KernelCycles::per_int4_mac},
};

/// How many of the outputs [begin, begin + count) of one axis have their whole window in the image.
std::int64_t inside(std::int64_t begin, std::int64_t count, std::int64_t stride, std::int64_t kernel,
                    std::int64_t padding, std::int64_t size) {
  std::int64_t found = 0;
  for (std::int64_t i = begin; i < begin + count; ++i) {
    const std::int64_t first = i * stride - padding;
    found += first >= 0 && first + kernel <= size ? 1 : 0;
  }
  return found;
}

/// Share of a depthwise call's pixels that are not on the path of 3 x 3 kernels.
double slow_share(const KernelCall& call) {
  const Geometry& g = call.geometry;
  if (g.kernel_h != 3 || g.kernel_w != 3 || call.weight_bits != 8) {
    return 1.0;
  }
  const program::Window all = call.region.value_or(program::Window{0, 0, g.out_h, g.out_w});
  const std::int64_t quick = inside(all.y, all.h, g.stride, 3, g.padding.top, g.in_h) *
                             inside(all.x, all.w, g.stride, 3, g.padding.left, g.in_w);
  return 1.0 - static_cast<double>(quick) / static_cast<double>(all.h * all.w);
}

bool single_rows(const KernelCall& call) {
  return call.kind != KernelKind::patch_embed &&
         (call.row_block >= 0 || call.geometry.out_h * call.geometry.out_w == 1);
}

}  // namespace

KernelWork work_of(const KernelCall& call) {
  const Geometry& g = call.geometry;
  KernelWork work;
  work.macs = static_cast<double>(call.macs);
  work.outputs = static_cast<double>(call.outputs);
  work.elements = static_cast<double>(call.elementwise);
  const bool attention = call.kind == KernelKind::attention_scores || call.kind == KernelKind::softmax ||
                         call.kind == KernelKind::attention_context;
  work.rows = attention ? static_cast<double>(call.rows) : work.outputs / static_cast<double>(g.out_c);
  work.int4_macs = call.weight_bits == 4 ? work.macs : 0.0;
  switch (call.kind) {
    case KernelKind::conv2d:
      work.rows *= static_cast<double>(g.groups);
      [[fallthrough]];
    case KernelKind::patch_embed: {
      const std::int64_t channels = g.in_c / g.groups;
      work.window_rows = work.rows * static_cast<double>(g.kernel_h);
      work.window_elements = work.window_rows * static_cast<double>(g.kernel_w * channels);
      break;
    }
    case KernelKind::depthwise_conv2d: {
      const double share = slow_share(call);
      work.slow_macs = share * work.macs;
      work.window_rows = share * work.rows;
      work.window_elements = work.window_rows * static_cast<double>(g.kernel_h * g.kernel_w);
      break;
    }
    case KernelKind::pointwise_conv2d:
    case KernelKind::fully_connected:
      work.slow_macs = single_rows(call) ? work.macs : 0.0;
      break;
    default:
      break;
  }
  return work;
}

std::span<const Quantity> quantities() { return kQuantities; }

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const KernelKind kind : program::all_kernel_kinds()) {
    names.emplace_back(program::kind_name(kind));
  }
  return names;
}

KernelKind kind_of(const JsonReader& place, const std::string& name) {
  for (const KernelKind kind : program::all_kernel_kinds()) {
    if (program::kind_name(kind) == name) {
      return kind;
    }
  }
  place.fail(fmt::format("kernel kind \"{}\" is not known", name));
}

void add_feature(const JsonReader& place, const std::string& feature, double amount,
                 std::map<KernelKind, KernelCycles>& kinds) {
  const std::size_t dot = feature.find('.');
  const std::string quantity = dot == std::string::npos ? "" : feature.substr(dot + 1);
  KernelCycles& cycles = kinds[kind_of(place, feature.substr(0, dot))];
  const std::span<const Quantity> known(kQuantities);
  const auto found = std::find_if(known.begin(), known.end(), [&](const Quantity& q) { return q.name == quantity; });
  if (found == known.end()) {
    place.fail("\"" + feature + "\" is not a feature; allowed: <kernel kind>.macs, .outputs, .elements, ...");
  }
  cycles.*found->rate += amount;
}

void check_kinds(const JsonReader& place, const std::map<KernelKind, KernelCycles>& kinds) {
  for (const KernelKind kind : program::all_kernel_kinds()) {
    if (kinds.find(kind) == kinds.end()) {
      place.fail("says nothing about the kernel kind " + std::string(program::kind_name(kind)));
    }
  }
}

double cycles(const KernelCall& call, const KernelCycles& cycles) {
  const KernelWork work = work_of(call);
  double sum = 0.0;
  for (const Quantity& quantity : kQuantities) {
    sum += cycles.*quantity.rate * work.*quantity.amount;
  }
  return sum;
}

std::map<std::string, double> features(const program::Program& program) {
  std::map<std::string, double> sums;
  for (const KernelCall& call : program.calls) {
    const std::string kind(program::kind_name(call.kind));
    const KernelWork work = work_of(call);
    for (const Quantity& quantity : kQuantities) {
      sums[kind + "." + std::string(quantity.name)] += work.*quantity.amount;
    }
  }
  return sums;
}

}  // namespace cosearch::mcu
