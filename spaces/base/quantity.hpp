#pragma once

#include <compare>

namespace cosearch {

/// A number with a unit in its type, so that cycles cannot be added to nanoseconds. Values are doubles; `value` is
/// read only at the border, where the unit stands in the key (`latency_ms`, `energy_uj`).
template <class Unit>
struct Quantity {
  double value = 0.0;

  friend constexpr Quantity operator+(Quantity a, Quantity b) noexcept { return {a.value + b.value}; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) noexcept { return {a.value - b.value}; }
  friend constexpr Quantity operator*(Quantity a, double factor) noexcept { return {a.value * factor}; }
  friend constexpr Quantity operator*(double factor, Quantity a) noexcept { return {a.value * factor}; }
  friend constexpr Quantity operator/(Quantity a, double divisor) noexcept { return {a.value / divisor}; }
  friend constexpr double operator/(Quantity a, Quantity b) noexcept { return a.value / b.value; }
  friend constexpr auto operator<=>(Quantity, Quantity) noexcept = default;
  constexpr Quantity& operator+=(Quantity other) noexcept {
    value += other.value;
    return *this;
  }
};

using Cycles = Quantity<struct CyclesUnit>;
using Seconds = Quantity<struct SecondsUnit>;
using Hertz = Quantity<struct HertzUnit>;
using Joules = Quantity<struct JoulesUnit>;
using Watts = Quantity<struct WattsUnit>;
using SquareMillimetres = Quantity<struct SquareMillimetresUnit>;

/// The only way from cycles to time.
[[nodiscard]] constexpr Seconds duration(Cycles cycles, Hertz clock) noexcept { return {cycles.value / clock.value}; }
[[nodiscard]] constexpr Joules energy(Watts power, Seconds time) noexcept { return {power.value * time.value}; }

}  // namespace cosearch
