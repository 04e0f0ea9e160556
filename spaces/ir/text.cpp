#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "spaces/ir/text_words.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::ir {
namespace {

std::string quoted(const std::string& name) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : name) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += {'\\', c};
    } else if (code < 0x20 || code == 0x7f) {
      text += {'\\', 'x', kDigits[code / 16], kDigits[code % 16]};
    } else {
      text += c;
    }
  }
  return text + "\"";
}

std::string name_text(const std::string& name) {
  const bool plain = !name.empty() && starts_name(name[0]) && std::all_of(name.begin(), name.end(), continues_name);
  return plain ? name : quoted(name);
}

/// The shortest decimal that reads back as the same double; `inf` and `-inf`.
std::string number_text(double value) {
  std::array<char, 32> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

std::string axis_text(const AxisIndex& axis, const Einsum& einsum) {
  std::string text;
  for (const Term& term : axis.terms) {
    if (!text.empty() && term.coefficient >= 0) {
      text += '+';
    }
    if (term.coefficient == -1) {
      text += '-';
    } else if (term.coefficient != 1) {
      text += std::to_string(term.coefficient) + "*";
    }
    text += name_text(einsum.loops[static_cast<std::size_t>(term.loop)].name);
  }
  if (text.empty()) {
    return std::to_string(axis.offset);
  }
  if (axis.offset != 0) {
    text += (axis.offset > 0 ? "+" : "") + std::to_string(axis.offset);
  }
  return text;
}

std::string access_text(const Access& access, const Einsum& einsum, const Workload& workload) {
  std::string text = name_text(workload.tensors[static_cast<std::size_t>(access.tensor)].name) + "[";
  for (std::size_t a = 0; a < access.axes.size(); ++a) {
    text += (a == 0 ? "" : ",") + axis_text(access.axes[a], einsum);
  }
  return text + "]";
}

std::string iteration_text(int index, const Workload& workload) {
  const std::string& rank = workload.iterations[static_cast<std::size_t>(index)].rank;
  const auto same = std::count_if(workload.iterations.begin(), workload.iterations.end(),
                                  [&](const Iteration& iteration) { return iteration.rank == rank; });
  return name_text(rank) + (same > 1 ? "@" + std::to_string(index) : "");
}

std::string head_text(const Einsum& einsum, const Workload& workload) {
  std::string text = "einsum " + name_text(einsum.name);
  if (!einsum.source.empty()) {
    text += " from " + name_text(einsum.source);
  }
  if (einsum.part != Part::body) {
    text += einsum.part == Part::initial ? " initial" : " final";
  }
  if (einsum.iteration >= 0) {
    text += " over " + iteration_text(einsum.iteration, workload);
  }
  for (const Loop& loop : einsum.loops) {
    text += " " + name_text(loop.name) + "<" + std::to_string(loop.extent);
  }
  return text;
}

std::string expression_text(const Einsum& einsum, const Workload& workload) {
  std::string text;
  if (einsum.scale != 1.0) {
    text += number_text(einsum.scale) + " * ";
  }
  text += word_of(kCombines, einsum.combine);
  if (einsum.opaque) {
    text += " " + name_text(einsum.opaque->kind);
  }
  text += "(";
  for (std::size_t i = 0; i < einsum.operands.size(); ++i) {
    text += i == 0 ? "" : ", ";
    if (const auto* literal = std::get_if<double>(&einsum.operands[i])) {
      text += number_text(*literal);
    } else {
      text += access_text(std::get<Access>(einsum.operands[i]), einsum, workload);
    }
  }
  text += ")";
  if (einsum.opaque) {
    text += " operations " + std::to_string(einsum.opaque->operations) + " reads " +
            std::to_string(einsum.opaque->read_elements) + " writes " + std::to_string(einsum.opaque->written_elements);
  }
  return text;
}

std::string einsum_text(const Einsum& einsum, const Workload& workload) {
  std::string text = head_text(einsum, workload) + " : " + access_text(einsum.output, einsum, workload) + " ";
  text += word_of(kReduces, einsum.reduce);
  text += " " + expression_text(einsum, workload);
  if (einsum.padding != 0.0 || std::signbit(einsum.padding)) {
    text += " padding " + number_text(einsum.padding);
  }
  return text + (einsum.accumulate ? " accumulate\n" : "\n");
}

bool contains(const std::vector<int>& tensors, int tensor) {
  return std::find(tensors.begin(), tensors.end(), tensor) != tensors.end();
}

/// Whether the keyword before each tensor tells all inputs and outputs and their order.
bool keywords_tell_roles(const Workload& workload) {
  return std::is_sorted(workload.inputs.begin(), workload.inputs.end()) &&
         std::is_sorted(workload.outputs.begin(), workload.outputs.end()) &&
         std::none_of(workload.inputs.begin(), workload.inputs.end(),
                      [&](int tensor) { return contains(workload.outputs, tensor); });
}

std::string tensors_text(const Workload& workload, bool by_keyword) {
  std::string text;
  for (std::size_t i = 0; i < workload.tensors.size(); ++i) {
    const Tensor& tensor = workload.tensors[i];
    TensorRole role = TensorRole::tensor;
    if (by_keyword && contains(workload.inputs, static_cast<int>(i))) {
      role = TensorRole::input;
    } else if (by_keyword && contains(workload.outputs, static_cast<int>(i))) {
      role = TensorRole::output;
    }
    text += word_of(kTensorRoles, role);
    text += " " + name_text(tensor.name) + " ";
    text += word_of(kTensorKinds, tensor.kind);
    text += " ";
    text += word_of(kElementTypes, tensor.type);
    text += " [";
    for (std::size_t a = 0; a < tensor.shape.size(); ++a) {
      text += (a == 0 ? "" : ",") + std::to_string(tensor.shape[a]);
    }
    text += "]\n";
  }
  return text;
}

std::string roles_text(const std::string& word, const std::vector<int>& tensors, const Workload& workload) {
  std::string text = word;
  for (const int tensor : tensors) {
    text += " " + name_text(workload.tensors[static_cast<std::size_t>(tensor)].name);
  }
  return text + "\n";
}

}  // namespace

std::string to_text(const Workload& workload) {
  const bool by_keyword = keywords_tell_roles(workload);
  std::string text = "workload " + name_text(workload.name) + "\n" + tensors_text(workload, by_keyword);
  if (!by_keyword) {
    text += roles_text("inputs", workload.inputs, workload) + roles_text("outputs", workload.outputs, workload);
  }
  for (const Iteration& iteration : workload.iterations) {
    text += "iteration " + name_text(iteration.rank) + "<" + std::to_string(iteration.extent) + "\n";
  }
  for (const Einsum& einsum : workload.einsums) {
    text += einsum_text(einsum, workload);
  }
  return text;
}

}  // namespace cosearch::ir
