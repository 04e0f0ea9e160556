#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "spaces/base/check.hpp"

namespace cosearch {

/// Wraps the error of an `Expected`, as std::unexpected does in C++23.
template <class E>
struct Unexpected {
  E value;
};
template <class E>
Unexpected(E) -> Unexpected<E>;

/// Either a value or the reason why there is none; member names follow C++23's std::expected.
template <class T, class E>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  template <class G>
  requires std::is_convertible_v<G, E> Expected(Unexpected<G> error)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<1>, std::move(error.value)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& value() & { return checked<0>(state_, "no value"); }
  [[nodiscard]] const T& value() const& { return checked<0>(state_, "no value"); }
  [[nodiscard]] T&& value() && { return std::move(checked<0>(state_, "no value")); }
  [[nodiscard]] E& error() & { return checked<1>(state_, "no error"); }
  [[nodiscard]] const E& error() const& { return checked<1>(state_, "no error"); }
  [[nodiscard]] E&& error() && { return std::move(checked<1>(state_, "no error")); }

  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

 private:
  template <std::size_t I, class Variant>
  static auto& checked(Variant& state, const char* message) {
    COSEARCH_CHECK(state.index() == I, message);
    return *std::get_if<I>(&state);
  }
  std::variant<T, E> state_;
};

}  // namespace cosearch
