#include "spaces/program/patches.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/program/arena.hpp"

namespace cosearch::program {
namespace {

/// Calls whose output pixels depend on a window of input pixels.
bool is_local(KernelKind kind) {
  switch (kind) {
    case KernelKind::conv2d:
    case KernelKind::pointwise_conv2d:
    case KernelKind::depthwise_conv2d:
    case KernelKind::max_pool:
    case KernelKind::average_pool:
    case KernelKind::add:
    case KernelKind::activation:
    case KernelKind::batch_norm:
    case KernelKind::concat:
    case KernelKind::upsample:
      return true;
    default:
      return false;
  }
}

/// Pixels along one axis: [low, low + size).
struct Span {
  std::int64_t low = 0, size = 0;
};

/// What `kernel` steps of `stride` need of an axis of `length` pixels behind `padding` zeros.
Span needed(Span out, std::int64_t kernel, std::int64_t stride, std::int64_t padding, std::int64_t length) {
  const std::int64_t low = std::clamp<std::int64_t>(out.low * stride - padding, 0, length - 1);
  const std::int64_t high =
      std::clamp<std::int64_t>((out.low + out.size - 1) * stride - padding + kernel, low + 1, length);
  return {low, high - low};
}

Span before_upsampling(Span out, std::int64_t factor) {
  const std::int64_t low = out.low / factor;
  return {low, (out.low + out.size - 1) / factor + 1 - low};
}

/// The part of its inputs that a call reads for `region` of its output.
Window input_window(const KernelCall& call, const Window& region) {
  const Geometry& g = call.geometry;
  const Span rows{region.y, region.h};
  const Span columns{region.x, region.w};
  const bool upsample = call.kind == KernelKind::upsample;
  const Span y =
      upsample ? before_upsampling(rows, g.out_h / g.in_h) : needed(rows, g.kernel_h, g.stride, g.padding.top, g.in_h);
  const Span x = upsample ? before_upsampling(columns, g.out_w / g.in_w)
                          : needed(columns, g.kernel_w, g.stride, g.padding.left, g.in_w);
  return {y.low, x.low, y.size, x.size};
}

Window hull(const Window& a, const Window& b) {
  const std::int64_t y = std::min(a.y, b.y);
  const std::int64_t x = std::min(a.x, b.x);
  return {y, x, std::max(a.y + a.h, b.y + b.h) - y, std::max(a.x + a.w, b.x + b.w) - x};
}

/// Call that reads each buffer last; the number of calls for the program's outputs, -1 where nobody reads it.
std::vector<int> last_readers(const Program& program) {
  std::vector<int> last(program.buffers.size(), -1);
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    for (const int input : program.calls[i].inputs) {
      last[static_cast<std::size_t>(input)] = static_cast<int>(i);
    }
  }
  for (const int output : program.outputs) {
    last[static_cast<std::size_t>(output)] = static_cast<int>(program.calls.size());
  }
  return last;
}

/// Rewrites the calls up to `end` patch by patch.
class Patcher {
 public:
  Patcher(const Program& program, const LoweringOptions& options, std::size_t end)
      : program_(program), options_(options), end_(end), last_reader_(last_readers(program)) {}

  Program run() && {
    patched_.name = program_.name;
    patched_.row_blocks = program_.row_blocks;
    whole_ = program_.calls[end_].output;
    if (!options_.streamed_input) {
      for (const int input : program_.inputs) {
        patched_.inputs.push_back(keep(input));
      }
    }
    keep(whole_);
    const Geometry& g = program_.calls[end_].geometry;
    const std::int64_t grid = options_.patches;
    for (std::int64_t row = 0; row < grid; ++row) {
      for (std::int64_t column = 0; column < grid; ++column) {
        const std::int64_t y = g.out_h * row / grid;
        const std::int64_t x = g.out_w * column / grid;
        add_patch(row * grid + column, {y, x, g.out_h * (row + 1) / grid - y, g.out_w * (column + 1) / grid - x});
      }
    }
    add_rest();
    return std::move(patched_);
  }

 private:
  using Windows = std::map<int, Window>;  ///< of buffers of the whole program

  const Buffer& buffer(int index) const { return program_.buffers[static_cast<std::size_t>(index)]; }
  bool is_input(int index) const { return buffer(index).role == BufferRole::input; }

  int add_buffer(Buffer added) {
    patched_.buffers.push_back(std::move(added));
    return static_cast<int>(patched_.buffers.size()) - 1;
  }

  /// The buffer as it is in the whole program; an alias of one that patches took apart has a place of its own.
  int keep(int index) {
    if (const auto found = kept_.find(index); found != kept_.end()) {
      return found->second;
    }
    Buffer copy = buffer(index);
    if (copy.alias_of) {
      const auto base = kept_.find(*copy.alias_of);
      copy.alias_of = base != kept_.end() ? std::optional(base->second) : std::nullopt;
    }
    return kept_[index] = add_buffer(std::move(copy));
  }

  /// What a patch needs of each tensor, from its window of the last one backwards.
  Windows windows_of(const Window& last) const {
    Windows windows{{whole_, last}};
    for (std::size_t i = end_ + 1; i-- > 0;) {
      const KernelCall& call = program_.calls[i];
      const auto region = windows.find(call.output);
      if (region == windows.end()) {
        continue;  // a tensor that nobody reads
      }
      const Window window = input_window(call, region->second);
      for (const int input : call.inputs) {
        const auto [found, fresh] = windows.emplace(input, window);
        if (!fresh) {
          found->second = hull(found->second, window);
        }
      }
    }
    return windows;
  }

  void add_patch(std::int64_t patch, const Window& last) {
    suffix_ = ".patch" + std::to_string(patch);
    windows_ = windows_of(last);
    parts_.clear();
    if (options_.streamed_input) {
      for (const int input : program_.inputs) {
        read_input(input);
      }
    }
    for (std::size_t i = 0; i <= end_; ++i) {
      if (windows_.contains(program_.calls[i].output)) {
        add_call(i);
      }
    }
  }

  /// The buffer of a patch's part of `index`, an image of so many pixels; in the place of `reuse` where given.
  int add_part(int index, std::int64_t pixels, std::optional<int> reuse) {
    const Window& window = windows_.at(index);
    Buffer part = buffer(index);
    part.name += suffix_;
    part.bytes = part.bytes / pixels * window.h * window.w;
    part.alias_of = reuse;
    part.window = window;
    return parts_[index] = add_buffer(std::move(part));
  }

  void read_input(int input) {
    const auto reader = std::find_if(program_.calls.begin(), program_.calls.end(), [input](const KernelCall& call) {
      return std::find(call.inputs.begin(), call.inputs.end(), input) != call.inputs.end();
    });
    const Geometry& image = reader->geometry;
    KernelCall call;
    call.name = buffer(input).name + suffix_;
    call.kind = KernelKind::read_input;
    call.nodes = {0};
    call.geometry.in_h = call.geometry.out_h = image.in_h;
    call.geometry.in_w = call.geometry.out_w = image.in_w;
    call.geometry.in_c = call.geometry.out_c = image.in_c;
    call.region = windows_.at(input);
    call.elementwise = call.outputs = call.region->h * call.region->w * image.in_c;
    call.output = add_part(input, image.in_h * image.in_w, std::nullopt);
    patched_.calls.push_back(std::move(call));
  }

  /// The input that the call's part may overwrite: one of this patch alone, that dies here.
  std::optional<int> overwritten(std::size_t index, const Window& region) const {
    const KernelCall& call = program_.calls[index];
    if (call.output == whole_) {
      return std::nullopt;
    }
    for (const int input : call.inputs) {
      if (parts_.contains(input) && last_reader_[static_cast<std::size_t>(input)] == static_cast<int>(index) &&
          may_overwrite(call, windows_.at(input), region)) {
        return input;
      }
    }
    return std::nullopt;
  }

  bool may_overwrite(const KernelCall& call, const Window& window, const Window& region) const {
    switch (call.kind) {
      case KernelKind::depthwise_conv2d: {
        // In place only where the whole call is. A row is read before it is overwritten, so the input may be larger;
        // the rows that our kernel keeps must be less than what it saves.
        const bool pays =
            options_.scratch != ScratchRule::cosearch || call.geometry.kernel_h * window.w < region.h * region.w;
        return buffer(call.output).alias_of && region.h <= window.h && region.w <= window.w && pays;
      }
      case KernelKind::activation:
      case KernelKind::batch_norm:
        return options_.in_place_rows && region == window;
      case KernelKind::add:
        return options_.in_place_add && region == window;
      default:
        return false;
    }
  }

  void add_call(std::size_t index) {
    KernelCall call = program_.calls[index];
    const Geometry& g = call.geometry;
    const Window region = windows_.at(call.output);
    const std::optional<int> reuse = overwritten(index, region);
    add_scratch(call, reuse);
    if (call.output == whole_) {
      call.output = keep(whole_);
    } else {
      const std::optional<int> place = reuse ? std::optional(parts_.at(*reuse)) : std::nullopt;
      call.output = add_part(call.output, g.out_h * g.out_w, place);
    }
    for (int& input : call.inputs) {
      const auto part = parts_.find(input);
      input = part != parts_.end() ? part->second : keep(input);
    }
    const auto share = [&](std::int64_t& count) { count = count / (g.out_h * g.out_w) * region.h * region.w; };
    share(call.macs);
    share(call.elementwise);
    share(call.outputs);
    call.name += suffix_;
    call.region = region;
    patched_.calls.push_back(std::move(call));
  }

  /// Scratch of the same sizes, but for the rows of its input that our depthwise kernel keeps in place.
  void add_scratch(KernelCall& call, std::optional<int> reuse) {
    std::vector<int> scratch;
    for (const int index : call.scratch) {
      if (buffer(index).persistent) {
        scratch.push_back(keep(index));
        continue;
      }
      Buffer part = buffer(index);
      part.name += suffix_;
      if (call.kind == KernelKind::depthwise_conv2d && options_.scratch == ScratchRule::cosearch) {
        if (!reuse) {
          continue;
        }
        part.bytes = part.bytes / call.geometry.in_w * windows_.at(*reuse).w;
      }
      scratch.push_back(add_buffer(std::move(part)));
    }
    call.scratch = std::move(scratch);
  }

  void add_rest() {
    const auto first = program_.calls.begin() + static_cast<std::ptrdiff_t>(end_) + 1;
    std::vector<int> named = program_.outputs;
    for (auto call = first; call != program_.calls.end(); ++call) {
      named.insert(named.end(), call->inputs.begin(), call->inputs.end());
      named.insert(named.end(), call->scratch.begin(), call->scratch.end());
      named.push_back(call->output);
    }
    std::sort(named.begin(), named.end());  // a buffer before its aliases
    std::for_each(named.begin(), named.end(), [this](int index) { keep(index); });
    const auto rename = [this](std::vector<int>& indices) {
      std::transform(indices.begin(), indices.end(), indices.begin(), [this](int index) { return keep(index); });
    };
    for (auto whole = first; whole != program_.calls.end(); ++whole) {
      KernelCall call = *whole;
      rename(call.inputs);
      rename(call.scratch);
      call.output = keep(call.output);
      patched_.calls.push_back(std::move(call));
    }
    patched_.outputs = program_.outputs;
    rename(patched_.outputs);
  }

  const Program& program_;
  const LoweringOptions& options_;
  std::size_t end_;
  std::vector<int> last_reader_;
  int whole_ = 0;             ///< the tensor behind the patches
  std::map<int, int> kept_;   ///< new index of buffers that stay whole
  std::map<int, int> parts_;  ///< new index of this patch's buffers
  Windows windows_;           ///< of this patch
  std::string suffix_;
  Program patched_;
};

std::int64_t total_macs(const Program& program) {
  std::int64_t macs = 0;
  for (const KernelCall& call : program.calls) {
    macs += call.macs;
  }
  return macs;
}

}  // namespace

std::vector<std::size_t> patch_ends(const Program& program, std::int64_t patches) {
  const std::vector<int> last = last_readers(program);
  std::vector<std::size_t> ends;
  std::vector<int> tensors = program.inputs;
  for (std::size_t i = 0; i < program.calls.size() && is_local(program.calls[i].kind); ++i) {
    const KernelCall& call = program.calls[i];
    const auto dead = [&](int tensor) { return last[static_cast<std::size_t>(tensor)] <= static_cast<int>(i); };
    tensors.erase(std::remove_if(tensors.begin(), tensors.end(), dead), tensors.end());
    const bool read_later = last[static_cast<std::size_t>(call.output)] > static_cast<int>(i);
    if (tensors.empty() && read_later && call.geometry.out_h >= patches && call.geometry.out_w >= patches) {
      ends.push_back(i);
    }
    tensors.push_back(call.output);
  }
  return ends;
}

Program in_patches_until(const Program& program, const LoweringOptions& options, std::size_t end) {
  COSEARCH_CHECK(end < program.calls.size(), "patches end behind the last call");
  return Patcher(program, options, end).run();
}

Program in_patches(const Program& program, const LoweringOptions& options) {
  if (options.patches <= 1) {
    return program;
  }
  // What is alive bounds the plan from below, so that few of the ends need one.
  std::vector<std::tuple<std::int64_t, std::int64_t, std::size_t>> ends;
  for (const std::size_t end : patch_ends(program, options.patches)) {
    const Program patched = in_patches_until(program, options, end);
    ends.emplace_back(peak_live_bytes(patched), total_macs(patched), end);
  }
  std::sort(ends.begin(), ends.end());
  auto best = std::tuple(plan_arena(program).bytes, total_macs(program), program.calls.size());
  for (const auto& [bound, macs, end] : ends) {
    if (bound > std::get<0>(best)) {
      break;
    }
    best = std::min(best, std::tuple(plan_arena(in_patches_until(program, options, end)).bytes, macs, end));
  }
  const std::size_t end = std::get<2>(best);
  return end < program.calls.size() ? in_patches_until(program, options, end) : program;
}

}  // namespace cosearch::program
