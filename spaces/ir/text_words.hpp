#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spaces/ir/workload.hpp"

/// Inside of spaces/ir: the words of the text form, for the printer and the parser alike.
namespace cosearch::ir {

template <class Value, std::size_t N>
using Words = std::array<std::pair<std::string_view, Value>, N>;

inline constexpr Words<ElementType, 6> kElementTypes{{{"fp32", ElementType::fp32},
                                                      {"fp16", ElementType::fp16},
                                                      {"bf16", ElementType::bf16},
                                                      {"int32", ElementType::int32},
                                                      {"int16", ElementType::int16},
                                                      {"int8", ElementType::int8}}};

inline constexpr Words<TensorKind, 5> kTensorKinds{{{"activation", TensorKind::activation},
                                                    {"weight", TensorKind::weight},
                                                    {"accumulator", TensorKind::accumulator},
                                                    {"gradient", TensorKind::gradient},
                                                    {"state", TensorKind::state}}};

inline constexpr Words<Combine, 24> kCombines{{{"copy", Combine::copy},
                                               {"add", Combine::add},
                                               {"sub", Combine::sub},
                                               {"mul", Combine::mul},
                                               {"div", Combine::div},
                                               {"max", Combine::max},
                                               {"min", Combine::min},
                                               {"exp", Combine::exp},
                                               {"exp_sub", Combine::exp_sub},
                                               {"sqrt", Combine::sqrt},
                                               {"rsqrt", Combine::rsqrt},
                                               {"round", Combine::round},
                                               {"relu", Combine::relu},
                                               {"relu6", Combine::relu6},
                                               {"hard_swish", Combine::hard_swish},
                                               {"gelu", Combine::gelu},
                                               {"sigmoid", Combine::sigmoid},
                                               {"tanh", Combine::tanh},
                                               {"relu_grad", Combine::relu_grad},
                                               {"relu6_grad", Combine::relu6_grad},
                                               {"hard_swish_grad", Combine::hard_swish_grad},
                                               {"gelu_grad", Combine::gelu_grad},
                                               {"equal_select", Combine::equal_select},
                                               {"opaque", Combine::opaque}}};

/// The assignment signs.
inline constexpr Words<Reduce, 4> kReduces{
    {{"=", Reduce::none}, {"+=", Reduce::sum}, {"max=", Reduce::max}, {"min=", Reduce::min}}};

/// The keyword before a tensor's name.
enum class TensorRole { input, output, tensor };
inline constexpr Words<TensorRole, 3> kTensorRoles{
    {{"input", TensorRole::input}, {"output", TensorRole::output}, {"tensor", TensorRole::tensor}}};

template <class Value, std::size_t N>
[[nodiscard]] std::optional<Value> value_of(const Words<Value, N>& words, std::string_view word) {
  for (const auto& [name, value] : words) {
    if (name == word) {
      return value;
    }
  }
  return std::nullopt;
}

template <class Value, std::size_t N>
[[nodiscard]] std::string_view word_of(const Words<Value, N>& words, Value value) {
  for (const auto& [name, other] : words) {
    if (other == value) {
      return name;
    }
  }
  return {};
}

template <class Value, std::size_t N>
[[nodiscard]] std::vector<std::string> all_words(const Words<Value, N>& words) {
  std::vector<std::string> names;
  for (const auto& [name, value] : words) {
    names.emplace_back(name);
  }
  return names;
}

/// Characters of names that need no quotes: a letter or `_` first, then letters, digits and `_ . /`.
[[nodiscard]] constexpr bool starts_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
[[nodiscard]] constexpr bool continues_name(char c) noexcept {
  return starts_name(c) || (c >= '0' && c <= '9') || c == '.' || c == '/';
}

}  // namespace cosearch::ir
