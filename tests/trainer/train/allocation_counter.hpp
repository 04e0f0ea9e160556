#pragma once

#include <cstdint>

namespace cosearch {

/// Calls of operator new in this executable so far; allocation_counter.cpp replaces it.
[[nodiscard]] std::int64_t count_allocations() noexcept;

}  // namespace cosearch
