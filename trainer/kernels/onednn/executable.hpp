#pragma once

#include <dnnl.hpp>

#include <array>
#include <cstdint>
#include <initializer_list>

namespace cosearch::kernels {

/// The calling thread's engine. oneDNN's own parallel loops (OpenMP) are switched off for the thread first: the trainer
/// is parallel outside, and OpenMP's threads would spin against ours.
[[nodiscard]] const dnnl::engine& thread_engine();

/// A primitive with its arguments' memory objects, made once and run many times with new addresses.
class Executable {
 public:
  struct Argument {
    int index = 0;  ///< DNNL_ARG_*
    dnnl::memory::desc layout;
  };
  Executable(const dnnl::primitive& primitive, std::initializer_list<Argument> arguments);

  /// Addresses in the order of the constructor's arguments; const ones are only read.
  void run(std::initializer_list<const void*> addresses) const;

 private:
  static constexpr std::size_t kMost = 6;
  dnnl::primitive primitive_;
  std::array<dnnl::memory, kMost> memories_;
  std::array<int, kMost> indices_{};
  std::size_t count_ = 0;
};

/// Floats that a layout takes.
[[nodiscard]] std::int64_t floats_of(const dnnl::memory::desc& layout);

/// Copies from one layout to another.
[[nodiscard]] Executable make_reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);

/// An implementation of oneDNN's that is only there for completeness.
[[nodiscard]] bool is_reference(const char* implementation);

}  // namespace cosearch::kernels
