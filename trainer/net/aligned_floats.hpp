#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

namespace cosearch {

/// Zero-initialised floats at a 64-byte boundary. Places inside it that are multiples of `kAlignment` floats keep the
/// boundary, so that kernels give the same bits wherever the block lies.
class AlignedFloats {
 public:
  static constexpr std::int64_t kAlignment = 16;
  /// The next multiple of kAlignment.
  [[nodiscard]] static constexpr std::int64_t rounded_up(std::int64_t count) noexcept {
    return (count + kAlignment - 1) / kAlignment * kAlignment;
  }

  AlignedFloats() = default;
  explicit AlignedFloats(std::int64_t count)
      : memory_(static_cast<float*>(::operator new(static_cast<std::size_t>(count) * sizeof(float), kBytes))),
        count_(count) {
    std::fill_n(memory_.get(), count, 0.0F);
  }

  [[nodiscard]] float* data() noexcept { return memory_.get(); }
  [[nodiscard]] const float* data() const noexcept { return memory_.get(); }
  [[nodiscard]] std::int64_t size() const noexcept { return count_; }
  [[nodiscard]] std::span<float> span() noexcept { return {data(), static_cast<std::size_t>(count_)}; }
  [[nodiscard]] std::span<const float> span() const noexcept { return {data(), static_cast<std::size_t>(count_)}; }

 private:
  static constexpr std::align_val_t kBytes{64};
  struct Free {
    void operator()(float* memory) const noexcept { ::operator delete(memory, kBytes); }
  };
  std::unique_ptr<float, Free> memory_;
  std::int64_t count_ = 0;
};

}  // namespace cosearch
