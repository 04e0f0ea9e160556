#pragma once

#include <cstddef>
#include <map>
#include <memory>

namespace cosearch::kernels {

/// What one thread has made for the shapes that it met. Making a primitive takes far longer than finding it, and a
/// search meets thousands of shapes: when the cache is full it starts again (oneDNN keeps the machine code of recent
/// primitives itself). What was returned outlives that.
template <class Shape, class Value>
class ShapeCache {
 public:
  /// make(shape) gives a shared pointer to const Value; null is a value like any other.
  template <class Make>
  std::shared_ptr<const Value> get(const Shape& shape, const Make& make) {
    constexpr std::size_t kMost = 512;
    const auto found = values_.find(shape);
    if (found != values_.end()) {
      return found->second;
    }
    std::shared_ptr<const Value> made = make(shape);
    if (values_.size() >= kMost) {
      values_.clear();
    }
    values_.emplace(shape, made);
    return made;
  }

 private:
  std::map<Shape, std::shared_ptr<const Value>> values_;
};

}  // namespace cosearch::kernels
