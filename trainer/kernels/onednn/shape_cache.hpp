#pragma once

#include <cstddef>
#include <map>
#include <memory>

namespace cosearch::kernels {

/// What one thread has made for the shapes that it met. Making a primitive takes far longer than finding it, and a
/// search meets thousands of shapes: when the cache is full it starts again (oneDNN keeps the machine code of recent
/// primitives itself). References stay valid until the next call.
template <class Shape, class Value>
class ShapeCache {
 public:
  template <class Make>
  const Value& get(const Shape& shape, const Make& make) {
    constexpr std::size_t kMost = 512;
    const auto found = values_.find(shape);
    if (found != values_.end()) {
      return *found->second;
    }
    if (values_.size() >= kMost) {
      values_.clear();
    }
    return *values_.emplace(shape, std::make_unique<const Value>(make(shape))).first->second;
  }

 private:
  std::map<Shape, std::unique_ptr<const Value>> values_;
};

}  // namespace cosearch::kernels
