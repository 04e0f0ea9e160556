#include "trainer/kernels/dense.hpp"

namespace cosearch::kernels {

#ifndef COSEARCH_ONEDNN
const Dense* onednn_dense() { return nullptr; }
#endif

const Dense& dense() { return onednn_dense() != nullptr ? *onednn_dense() : eigen_dense(); }

}  // namespace cosearch::kernels
