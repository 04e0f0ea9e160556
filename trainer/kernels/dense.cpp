#include "trainer/kernels/dense.hpp"

#include "spaces/base/config_error.hpp"

namespace cosearch::kernels {

#ifndef COSEARCH_ONEDNN
const Dense* onednn_dense(Precision /*precision*/) { return nullptr; }
#endif

const Dense& dense(Precision precision) {
  if (precision == Precision::fp16_mcu || precision == Precision::fp16_mcu_fp32_accumulate) {
    return fp16_mcu_dense(precision);
  }
  if (const Dense* onednn = onednn_dense(precision)) {
    return *onednn;
  }
  if (precision == Precision::bf16) {
    throw ConfigError("/precision",
                      "bf16 needs a build with oneDNN and a CPU with AVX512-BF16 or AMX; allowed: fp32, fp16_mcu, "
                      "fp16_mcu_fp32_accumulate");
  }
  return eigen_dense();
}

}  // namespace cosearch::kernels
