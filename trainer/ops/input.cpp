#include "trainer/ops/ops.hpp"

namespace cosearch::ops {

Needs needs(const graph::Input& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) { return {}; }
void forward(const graph::Input& /*op*/, const Geometry& /*geometry*/, const Forward& /*call*/) {}
void backward(const graph::Input& /*op*/, const Geometry& /*geometry*/, const Backward& /*call*/) {}

}  // namespace cosearch::ops
