#include "experiments/export/c/kernel_files.hpp"

#include <fmt/format.h>

#include <set>

#include "experiments/export/c/model_text.hpp"

namespace cosearch::c_export {

using program::KernelKind;

std::vector<std::string> kernel_files(const Project& project) {
  const bool floats = is_float(project);
  std::set<std::string> families{"elementwise"};  // with the table of activations, which all look up
  for (const program::KernelCall& call : project.program.calls) {
    switch (call.kind) {
      case KernelKind::conv2d:
      case KernelKind::pointwise_conv2d:
      case KernelKind::patch_embed:
        families.insert({"conv", "linear"});
        break;
      case KernelKind::fully_connected:
        families.insert("linear");
        break;
      case KernelKind::depthwise_conv2d:
        families.insert("depthwise");
        break;
      case KernelKind::mixture:
        families.insert("moe");
        families.insert(floats ? "attention" : "linear");
        break;
      case KernelKind::attention_scores:
      case KernelKind::softmax:
      case KernelKind::attention_context:
        families.insert("attention");
        break;
      case KernelKind::max_pool:
      case KernelKind::average_pool:
      case KernelKind::global_average_pool:
        families.insert("pool");
        break;
      case KernelKind::layer_norm:
      case KernelKind::batch_norm:
        families.insert("norm");
        break;
      case KernelKind::add:
      case KernelKind::activation:
      case KernelKind::position_embed:
      case KernelKind::concat:
      case KernelKind::upsample:
      case KernelKind::token_embed:
      case KernelKind::read_input:
        break;
    }
  }
  std::vector<std::string> files;
  for (const std::string& family : families) {
    files.push_back(fmt::format("cs_{}{}.c", family, floats ? "_f32" : ""));
  }
  if (floats) {
    files.insert(files.begin(), "cs_elementwise.c");  // for what only moves values
  }
  return files;
}

}  // namespace cosearch::c_export
