#include "trainer/kernels/dense.hpp"

#include "spaces/base/config_error.hpp"

namespace cosearch::kernels {

#ifndef COSEARCH_ONEDNN
const Dense* onednn_dense(Precision /*precision*/) { return nullptr; }
#endif

const Dense& dense(Precision precision) {
  if (const Dense* onednn = onednn_dense(precision)) {
    return *onednn;
  }
  if (precision == Precision::bf16) {
    throw ConfigError("/precision", "bf16 needs a build with oneDNN and a CPU with AVX512-BF16 or AMX; allowed: fp32");
  }
  return eigen_dense();
}

}  // namespace cosearch::kernels
