#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "spaces/program/streaming.hpp"

namespace cosearch::program {
namespace {

constexpr std::int64_t kWordBytes = 4;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

void copy_weights(Program& program) {
  for (KernelCall& call : program.calls) {
    if (call.kind == KernelKind::concat) {  // a few numbers that kernels take as arguments
      continue;
    }
    std::int64_t bytes = 0;
    for (const Constant& constant : call.constants) {
      bytes += (constant.bytes + kWordBytes - 1) / kWordBytes * kWordBytes;
    }
    if (bytes > 0) {
      call.scratch.push_back(static_cast<int>(program.buffers.size()));
      program.buffers.push_back({call.name + ".constants", bytes, BufferRole::scratch, kWordBytes});
    }
  }
}

void drop_unused_buffers(Program& program) {
  std::vector<bool> used(program.buffers.size(), false);
  const auto use = [&used](const std::vector<int>& buffers) {
    for (const int buffer : buffers) {
      used[at(buffer)] = true;
    }
  };
  for (const KernelCall& call : program.calls) {
    use(call.inputs);
    use(call.scratch);
    used[at(call.output)] = true;
  }
  use(program.inputs);
  use(program.outputs);
  for (std::size_t i = used.size(); i-- > 0;) {  // an alias stands behind its base
    if (used[i] && program.buffers[i].alias_of) {
      used[at(*program.buffers[i].alias_of)] = true;
    }
  }
  std::vector<int> place(program.buffers.size(), -1);
  std::vector<Buffer> kept;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) {
      place[i] = static_cast<int>(kept.size());
      kept.push_back(std::move(program.buffers[i]));
    }
  }
  const auto move = [&place](std::vector<int>& buffers) {
    for (int& buffer : buffers) {
      buffer = place[at(buffer)];
    }
  };
  for (Buffer& buffer : kept) {
    if (buffer.alias_of) {
      buffer.alias_of = place[at(*buffer.alias_of)];
    }
  }
  for (KernelCall& call : program.calls) {
    move(call.inputs);
    move(call.scratch);
    call.output = place[at(call.output)];
  }
  move(program.inputs);
  move(program.outputs);
  program.buffers = std::move(kept);
}

}  // namespace cosearch::program
