#include "spaces/program/streaming.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/program/arena.hpp"

namespace cosearch::program {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// Rows that a call works on one after the other, each from row t of its inputs to row t of its output; 0 for others.
std::int64_t rows_of(const KernelCall& call) {
  const Geometry& g = call.geometry;
  if (call.row_block >= 0 || call.region) {
    return 0;
  }
  switch (call.kind) {
    case KernelKind::fully_connected:
    case KernelKind::layer_norm:
    case KernelKind::batch_norm:
    case KernelKind::activation:
    case KernelKind::add:
    case KernelKind::position_embed:
    case KernelKind::mixture:
      return g.out_h * g.out_w;
    case KernelKind::pointwise_conv2d:
      return g.stride == 1 ? g.out_h * g.out_w : 0;
    default:
      return 0;
  }
}

bool names(const KernelCall& call, int buffer) {
  return call.output == buffer || std::find(call.inputs.begin(), call.inputs.end(), buffer) != call.inputs.end();
}

/// Where a buffer is written and read.
struct Uses {
  std::size_t first = 0, last = 0;  ///< calls
  bool outside = false;             ///< an input or output of the program
  bool shared = false;              ///< that, or in one place with another buffer
};

std::vector<Uses> uses_of(const Program& program) {
  std::vector<Uses> uses(program.buffers.size(), {program.calls.size(), 0, false, false});
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    for (std::size_t b = 0; b < uses.size(); ++b) {
      if (names(program.calls[i], static_cast<int>(b))) {
        uses[b].first = std::min(uses[b].first, i);
        uses[b].last = i;
      }
    }
  }
  for (std::size_t b = 0; b < uses.size(); ++b) {
    if (const std::optional<int> base = program.buffers[b].alias_of) {
      uses[b].shared = uses[at(*base)].shared = true;
    }
  }
  for (const std::vector<int>& list : {program.inputs, program.outputs}) {
    for (const int buffer : list) {
      uses[at(buffer)].outside = uses[at(buffer)].shared = true;
    }
  }
  return uses;
}

/// Whether the buffer lies between neighbouring calls on `rows` rows, and nothing else needs it.
bool is_between_rows(const Program& program, const Uses& uses, std::int64_t rows) {
  for (std::size_t call = uses.first; call <= uses.last; ++call) {
    if (rows_of(program.calls[call]) != rows) {
      return false;
    }
  }
  return uses.last > uses.first;
}

/// Whether one row of the buffer serves all: where that holds for all buffers in its place, each written by a call of
/// its own.
bool fits_in_rows(const Program& program, const std::vector<Uses>& uses, int buffer, std::int64_t rows) {
  const auto root_of = [&](std::size_t b) {
    while (program.buffers[b].alias_of) {
      b = at(*program.buffers[b].alias_of);
    }
    return b;
  };
  const std::size_t root = root_of(at(buffer));
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (root_of(b) == root && (uses[b].outside || !is_between_rows(program, uses[b], rows) ||
                               program.calls[uses[b].first].output != static_cast<int>(b))) {
      return false;
    }
  }
  return true;
}

/// `call` with other buffers, for one head: the output channels from `first`, `count` of them. Its constants are those
/// of these channels.
KernelCall part_of(const KernelCall& call, std::int64_t first, std::int64_t count, const std::string& suffix) {
  KernelCall part = call;
  part.name += suffix;
  const std::int64_t all = call.geometry.out_c;
  part.geometry.out_c = count;
  part.first_channel = call.first_channel + first;
  part.macs = call.macs / all * count;
  part.elementwise = call.elementwise / all * count;
  part.outputs = call.outputs / all * count;
  for (Constant& constant : part.constants) {
    if (constant.bytes % all == 0) {  // not the table of an activation
      constant.bytes = constant.bytes / all * count;
      constant.name += "[" + std::to_string(first) + ":" + std::to_string(first + count) + "]";
    }
  }
  return part;
}

/// The calls before an attention that lead to it: the last one gives queries, keys and values; each only writes what
/// the next one reads.
struct Projection {
  std::size_t first = 0, last = 0;  ///< calls, inclusive
};

std::optional<Projection> projection_of(const Program& program, const std::vector<Uses>& uses, std::size_t attention,
                                        std::size_t end, bool recompute) {
  const auto leads_to_next = [&](std::size_t call, std::size_t last_reader) {
    const Uses& output = uses[at(program.calls[call].output)];
    return rows_of(program.calls[call]) > 0 && output.first == call && output.last == last_reader && !output.shared;
  };
  const std::size_t last = attention - 1;
  if (attention == 0 || program.calls[last].kind != KernelKind::fully_connected || !leads_to_next(last, end - 1)) {
    return std::nullopt;
  }
  Projection projection{last, last};
  while (recompute && projection.first > 0 &&
         names(program.calls[projection.first], program.calls[projection.first - 1].output) &&
         leads_to_next(projection.first - 1, projection.first)) {
    --projection.first;
  }
  return projection;
}

/// Writes the calls of one attention anew.
class HeadStreaming {
 public:
  HeadStreaming(Program& program, const std::vector<KernelCall>& calls, const Projection& projection,
                std::size_t attention)
      : program_(program), calls_(calls), projection_(projection), attention_(attention) {
    const Geometry& geometry = calls[attention].geometry;
    tokens_ = geometry.in_h;
    width_ = geometry.out_c;
    head_dim_ = width_ / geometry.heads;
    element_bytes_ = program.buffers[at(calls[attention].inputs[0])].bytes / (3 * tokens_ * width_);
  }

  /// Calls of head `head` behind `out`.
  void append(std::int64_t head, std::vector<KernelCall>& out) {
    const std::string prefix = ".head" + std::to_string(head);
    const int keys = whole(prefix + ".keys");
    const int values = whole(prefix + ".values");
    const std::int64_t first = head * head_dim_;
    {
      // Without anything to compute again the two are calls on all rows.
      const int block = projection_.first < projection_.last ? program_.row_blocks++ : -1;
      const int row = append_chain(prefix + ".kv", block, out);
      append_projection(prefix + ".k", width_ + first, row, keys, block, out);
      append_projection(prefix + ".v", 2 * width_ + first, row, values, block, out);
    }
    const std::size_t stage = attention_ + static_cast<std::size_t>(3 * head);
    KernelCall scores = calls_[stage];
    KernelCall context = calls_[stage + 2];
    const int block = scores.row_block;
    const int row = append_chain(prefix + ".q", block, out);
    const int query = add({calls_[projection_.last].name + prefix + ".query", element_bytes_ * head_dim_,
                           BufferRole::activation, element_bytes_, std::nullopt, false, true});
    append_projection(prefix + ".q", first, row, query, block, out);
    scores.inputs = {query, keys};
    scores.operands = {{0, 0}, {0, head_dim_}, {0, 0}};
    context.inputs[1] = values;
    context.operands[1] = {0, head_dim_};
    out.push_back(std::move(scores));
    out.push_back(calls_[stage + 1]);
    out.push_back(std::move(context));
  }

 private:
  int add(Buffer buffer) {
    program_.buffers.push_back(std::move(buffer));
    return static_cast<int>(program_.buffers.size()) - 1;
  }
  int whole(const std::string& suffix) {
    return add({calls_[projection_.last].name + suffix, element_bytes_ * tokens_ * head_dim_, BufferRole::activation,
                element_bytes_});
  }

  /// The calls before the projection once more, on rows; returns the buffer that the projection reads.
  int append_chain(const std::string& suffix, int block, std::vector<KernelCall>& out) {
    int row = calls_[projection_.first].inputs[0];
    for (std::size_t i = projection_.first; i < projection_.last; ++i) {
      KernelCall call = calls_[i];
      const int whole_input = i > projection_.first ? calls_[i - 1].output : -1;
      std::replace(call.inputs.begin(), call.inputs.end(), whole_input, row);
      Buffer buffer = program_.buffers[at(call.output)];
      buffer.name += suffix;
      buffer.bytes /= tokens_;
      buffer.per_row = true;
      row = add(std::move(buffer));
      call.output = row;
      call.name += suffix;
      call.row_block = block;
      call.rows = tokens_;
      out.push_back(std::move(call));
    }
    return row;
  }

  void append_projection(const std::string& suffix, std::int64_t first, int input, int output, int block,
                         std::vector<KernelCall>& out) const {
    KernelCall call = part_of(calls_[projection_.last], first, head_dim_, suffix);
    call.inputs = {input};
    call.output = output;
    call.row_block = block;
    call.rows = block < 0 ? 1 : tokens_;
    out.push_back(std::move(call));
  }

  Program& program_;
  const std::vector<KernelCall>& calls_;
  Projection projection_;
  std::size_t attention_ = 0;
  std::int64_t tokens_ = 0, width_ = 0, head_dim_ = 0, element_bytes_ = 1;
};

/// Most bytes alive during one of the calls [first, end).
std::int64_t peak(const Program& program, std::size_t first, std::size_t end) {
  const std::vector<LiveStep> steps = live_steps(program);
  std::int64_t bytes = 0;
  for (std::size_t i = first; i < end; ++i) {
    bytes = std::max(bytes, steps[i].bytes);
  }
  return bytes;
}

/// Last call (exclusive) of the attention that begins at `first`.
std::size_t attention_end(const Program& program, std::size_t first) {
  return first + static_cast<std::size_t>(3 * program.calls[first].geometry.heads);
}

}  // namespace

void stream_heads(Program& program, bool recompute) {
  const std::vector<Uses> uses = uses_of(program);
  const std::vector<KernelCall> calls = program.calls;
  std::vector<KernelCall> result;
  std::size_t copied = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (calls[i].kind != KernelKind::attention_scores) {
      continue;
    }
    const std::size_t end = attention_end(program, i);
    if (const std::optional<Projection> projection = projection_of(program, uses, i, end, recompute)) {
      result.insert(result.end(), calls.begin() + static_cast<std::ptrdiff_t>(copied),
                    calls.begin() + static_cast<std::ptrdiff_t>(projection->first));
      HeadStreaming heads(program, calls, *projection, i);
      for (std::int64_t head = 0; head < calls[i].geometry.heads; ++head) {
        heads.append(head, result);
      }
      copied = end;
    }
    i = end - 1;
  }
  result.insert(result.end(), calls.begin() + static_cast<std::ptrdiff_t>(copied), calls.end());
  program.calls = std::move(result);
  drop_unused_buffers(program);
}

void stream_rows(Program& program) {
  const std::vector<Uses> uses = uses_of(program);
  const std::vector<KernelCall> calls = program.calls;
  for (std::size_t first = 0; first < calls.size();) {
    const std::int64_t rows = rows_of(calls[first]);
    std::size_t end = first + 1;  // the block grows as long as a row crosses its end
    std::vector<int> row_buffers;
    for (std::size_t i = first; rows > 1 && i < end; ++i) {
      if (fits_in_rows(program, uses, calls[i].output, rows)) {
        row_buffers.push_back(calls[i].output);
        end = std::max(end, uses[at(calls[i].output)].last + 1);
      }
    }
    if (!row_buffers.empty()) {
      const std::int64_t before = peak(program, first, end);
      Program streamed = program;
      for (std::size_t i = first; i < end; ++i) {
        streamed.calls[i].row_block = program.row_blocks;
        streamed.calls[i].rows = rows;
      }
      for (const int row : row_buffers) {
        Buffer& buffer = streamed.buffers[at(row)];
        buffer.bytes /= rows;
        buffer.per_row = true;
      }
      ++streamed.row_blocks;
      // A small tensor between two large ones is better whole: these are not alive together then.
      if (peak(streamed, first, end) < before) {
        program = std::move(streamed);
      }
    }
    first = end;
  }
}

void stream_input(Program& program) {
  if (program.calls.empty() || program.inputs.size() != 1 || program.calls[0].kind != KernelKind::patch_embed) {
    return;
  }
  const int input = program.inputs[0];
  for (std::size_t i = 1; i < program.calls.size(); ++i) {
    if (names(program.calls[i], input)) {
      return;
    }
  }
  KernelCall& embed = program.calls[0];
  const Geometry& g = embed.geometry;
  COSEARCH_CHECK(embed.scratch.size() == 1, "our patch embedding gathers a patch");
  KernelCall read;
  read.name = "input";
  read.kind = KernelKind::read_input;
  read.nodes = {0};
  read.geometry = g;
  read.geometry.out_c = g.kernel_h * g.kernel_w * g.in_c;
  read.output = embed.scratch[0];
  read.row_block = embed.row_block = program.row_blocks++;
  read.rows = embed.rows = g.out_h * g.out_w;
  read.outputs = read.rows * read.geometry.out_c;
  read.elementwise = read.outputs;
  Buffer& patch = program.buffers[at(read.output)];
  patch.role = BufferRole::input;
  patch.per_row = true;
  embed.inputs = {read.output};
  embed.scratch.clear();
  program.inputs.clear();
  program.calls.insert(program.calls.begin(), std::move(read));
  drop_unused_buffers(program);
}

}  // namespace cosearch::program
