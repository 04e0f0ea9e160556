#include "trainer/kernels/onednn/executable.hpp"

#include <omp.h>

#include <string_view>

#include "spaces/base/check.hpp"

namespace cosearch::kernels {
namespace {

struct ThreadState {
  ThreadState() { omp_set_num_threads(1); }
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

const ThreadState& thread_state() {
  thread_local const ThreadState state;
  return state;
}

}  // namespace

const dnnl::engine& thread_engine() { return thread_state().engine; }

Executable::Executable(const dnnl::primitive& primitive, std::initializer_list<Argument> arguments)
    : primitive_(primitive) {
  COSEARCH_CHECK(arguments.size() <= kMost, "an executable has room for its arguments");
  for (const Argument& argument : arguments) {
    memories_.at(count_) = dnnl::memory(argument.layout, thread_engine(), nullptr);
    indices_.at(count_) = argument.index;
    ++count_;
  }
}

void Executable::run(std::initializer_list<const void*> addresses) const {
  COSEARCH_CHECK(addresses.size() == count_, "one address for each argument");
  std::array<dnnl_exec_arg_t, kMost> arguments{};
  std::size_t i = 0;
  for (const void* address : addresses) {
    const dnnl_memory_t memory = memories_[i].get();
    // oneDNN writes only to outputs; its handles are not const.
    dnnl_memory_set_data_handle(memory, const_cast<void*>(address));
    arguments[i] = {indices_[i], memory};
    ++i;
  }
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), thread_state().stream.get(), static_cast<int>(count_), arguments.data());
  COSEARCH_CHECK(status == dnnl_success, "oneDNN executes what it has accepted");
}

std::int64_t floats_of(const dnnl::memory::desc& layout) {
  return static_cast<std::int64_t>((layout.get_size() + sizeof(float) - 1) / sizeof(float));
}

Executable make_reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  const dnnl::engine& engine = thread_engine();
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::library);
  return {dnnl::reorder(dnnl::reorder::primitive_desc(engine, from, engine, to, attributes)),
          {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}};
}

bool is_reference(const char* implementation) {
  const std::string_view name = implementation;
  return name.find("ref") != std::string_view::npos || name.find("gemm") != std::string_view::npos;
}

}  // namespace cosearch::kernels
