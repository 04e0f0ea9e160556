#include "trainer/supernet/subnet.hpp"

#include <map>
#include <string_view>
#include <utility>

#include "spaces/base/check.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

template <class Float>
std::span<Float> stretch(std::span<Float> values, std::int64_t offset, std::int64_t size) {
  return values.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
}

}  // namespace

Subnet::Subnet(graph::NetworkGraph graph, const Parameters& shared)
    : graph_(std::move(graph)), shared_(shared), parameters_(graph_, shared.precision()) {
  std::map<std::string_view, const Parameters::Entry*> by_name;
  for (const Parameters::Entry& entry : shared.entries()) {
    by_name.emplace(entry.spec.name, &entry);
  }
  slices_.reserve(parameters_.entries().size());
  for (const Parameters::Entry& entry : parameters_.entries()) {
    const auto found = by_name.find(entry.spec.name);
    COSEARCH_CHECK(found != by_name.end(), "a subnet's weights are among the shared ones");
    const Parameters::Entry& source = *found->second;
    slices_.push_back({entry.offset, source.offset, entry.spec.trainable, SliceMap(source.spec, entry.spec)});
  }
}

void Subnet::gather() {
  for_each_parallel(static_cast<std::int64_t>(slices_.size()), [&](std::int64_t i) {
    const Slice& slice = slices_[static_cast<std::size_t>(i)];
    slice.map.gather(stretch(shared_.values(), slice.shared_offset, slice.map.shared_elements()),
                     stretch(parameters_.values(), slice.offset, slice.map.subnet_elements()));
  });
}

void Subnet::scatter_add(std::span<const float> gradients, std::span<float> shared_gradients) const {
  for_each_parallel(static_cast<std::int64_t>(slices_.size()), [&](std::int64_t i) {
    const Slice& slice = slices_[static_cast<std::size_t>(i)];
    if (slice.trainable) {
      slice.map.scatter_add(stretch(gradients, slice.offset, slice.map.subnet_elements()),
                            stretch(shared_gradients, slice.shared_offset, slice.map.shared_elements()));
    }
  });
}

}  // namespace cosearch
