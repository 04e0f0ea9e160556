#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {

Inferred infer(const Input& op, const Shapes& /*inputs*/) {
  if (op.shape.empty() || op.shape.size() > 3) {
    return Unexpected{"shape " + to_string(op.shape) +
                      " is not allowed; allowed: (height, width, channels), (tokens, features) or (features)"};
  }
  return op.shape;
}

Specs weights(const Input& /*op*/, const Site& /*site*/) { return {}; }

Arithmetic count(const Input& /*op*/, const Site& /*site*/) { return {}; }

void lower(const Input& /*op*/, Scope& /*scope*/) {}

void lower_gradient(const Input& /*op*/, Scope& /*scope*/) {}

}  // namespace cosearch::graph::ops
