#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "hwmodels/asic/loop_nest.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/ir/text_words.hpp"

namespace cosearch::asic {
namespace {

std::string quoted(const std::string& name) {
  const bool plain = !name.empty() && ir::starts_name(name[0]) &&
                     std::all_of(name.begin(), name.end(), ir::continues_name) && name != "for";
  if (plain) {
    return name;
  }
  std::string text = "\"";
  for (const char c : name) {
    text += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  }
  return text + "\"";
}

struct Token {
  std::string text;
  bool quoted = false;
};

[[noreturn]] void fail(std::size_t line, const std::string& message) {
  throw ConfigError{fmt::format("line {}", line), message};
}

Token quoted_token(const std::string& line, std::size_t& at, std::size_t number) {
  Token token{"", true};
  for (++at; at < line.size() && line[at] != '"'; ++at) {
    at += line[at] == '\\' && at + 1 < line.size() ? 1U : 0U;
    token.text += line[at];
  }
  if (at == line.size()) {
    fail(number, "a quoted name has no end");
  }
  ++at;
  return token;
}

/// Words, numbers, quoted names and single signs.
std::vector<Token> tokens_of(const std::string& line, std::size_t number) {
  std::vector<Token> tokens;
  std::size_t at = 0;
  while (at < line.size() && line[at] != '#') {
    if (line[at] == ' ' || line[at] == '\t' || line[at] == '\r') {
      ++at;
    } else if (line[at] == '"') {
      tokens.push_back(quoted_token(line, at, number));
    } else if (ir::continues_name(line[at])) {
      const std::size_t begin = at;
      while (at < line.size() && ir::continues_name(line[at])) {
        ++at;
      }
      tokens.push_back({line.substr(begin, at - begin)});
    } else {
      tokens.push_back({line.substr(at, 1)});
      ++at;
    }
  }
  return tokens;
}

/// One line from left to right.
class LineTokens {
 public:
  LineTokens(const std::string& line, std::size_t number) : tokens_(tokens_of(line, number)), number_(number) {}

  [[nodiscard]] bool at_end() const noexcept { return at_ == tokens_.size(); }
  [[nodiscard]] bool take(const std::string& sign) {
    if (at_end() || tokens_[at_].quoted || tokens_[at_].text != sign) {
      return false;
    }
    ++at_;
    return true;
  }
  void require(const std::string& sign) {
    if (!take(sign)) {
      refuse(fmt::format("\"{}\"", sign));
    }
  }
  std::string name(const std::vector<std::string>& known, const std::string& what) {
    if (at_end()) {
      refuse(what);
    }
    if (std::find(known.begin(), known.end(), tokens_[at_].text) == known.end()) {
      fail(number_, fmt::format("{} {}", what, unknown_name(tokens_[at_].text, known)));
    }
    return tokens_[at_++].text;
  }
  std::int64_t count(const std::string& what) {
    std::int64_t value = 0;
    if (!at_end()) {
      const std::string& text = tokens_[at_].text;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error == std::errc{} && end == text.data() + text.size() && value > 0) {
        ++at_;
        return value;
      }
    }
    refuse(what + ", a positive number that fits in 64 bits");
  }
  [[noreturn]] void refuse(const std::string& allowed) const {
    fail(number_, fmt::format("read {}, allowed: {}",
                              at_end() ? "the end of the line" : fmt::format("\"{}\"", tokens_[at_].text), allowed));
  }
  [[nodiscard]] std::size_t number() const noexcept { return number_; }

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t number_;
};

struct ReadLoop {
  NestLoop loop;
  std::int64_t count = 1;
  std::int64_t covering = 0;  ///< 0: the steps divide
  std::size_t line = 0;
};

ReadLoop read_loop(LineTokens& line, const std::vector<std::string>& dims) {
  ReadLoop read;
  read.line = line.number();
  const std::string name = line.name(dims, "loop");
  read.loop.dim = static_cast<int>(std::find(dims.begin(), dims.end(), name) - dims.begin());
  for (const char* sign : {"in", "[", "0", ":"}) {
    line.require(sign);
  }
  read.count = line.count("the number of steps");
  line.require(")");
  if (line.take("covering")) {
    read.covering = line.count("the values covered");
  }
  if (line.take("(")) {
    line.require("spatial");
    read.loop.kind = line.take("x") ? LoopKind::spatial_x : LoopKind::spatial_y;
    if (read.loop.kind == LoopKind::spatial_y) {
      line.require("y");
    }
    line.require(")");
  }
  if (!line.at_end()) {
    line.refuse("the end of the line");
  }
  return read;
}

void read_kept(LineTokens& line, const std::vector<std::string>& names, LevelNest& level) {
  line.require("[");
  while (!line.take("]")) {
    const std::string name = line.name(names, "tensor");
    for (std::size_t tensor = 0; tensor < names.size(); ++tensor) {
      if (names[tensor] == name) {
        level.keep(static_cast<int>(tensor), true);
      }
    }
  }
  if (!line.at_end()) {
    line.refuse("the end of the line");
  }
}

/// Extents from the numbers of steps, from the innermost loop outwards.
void resolve(const std::array<std::vector<ReadLoop>, kMaxLevels>& read, std::size_t levels, LoopNest& nest) {
  std::array<std::int64_t, kMaxDims> covered{};
  covered.fill(1);
  for (std::size_t level = 0; level < levels; ++level) {
    std::vector<NestLoop> loops;
    for (auto loop = read[level].rbegin(); loop != read[level].rend(); ++loop) {
      std::int64_t& step = covered[static_cast<std::size_t>(loop->loop.dim)];
      std::int64_t extent = 0;
      if (__builtin_mul_overflow(step, loop->count, &extent)) {
        fail(loop->line, fmt::format("{} steps of {} do not fit in 64 bits", loop->count, step));
      }
      if (loop->covering > 0) {
        if (loop->covering > extent || loop->covering <= extent - step) {
          fail(loop->line, fmt::format("{} steps of {} cover {} to {} values, read {}", loop->count, step,
                                       extent - step + 1, extent, loop->covering));
        }
        extent = loop->covering;
      }
      step = extent;
      loops.push_back({loop->loop.dim, loop->loop.kind, extent});
    }
    for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop) {
      nest.levels[level].add(loop->dim, loop->kind, loop->extent);
    }
  }
}

std::vector<std::string> names_of(const std::vector<EinsumTensor>& tensors) {
  std::vector<std::string> names;
  for (const EinsumTensor& tensor : tensors) {
    names.push_back(tensor.name);
  }
  return names;
}

}  // namespace

std::string to_text(const LoopNest& nest, const ir::Workload& workload, const ir::Einsum& einsum, const Arch& arch) {
  const std::vector<EinsumTensor> tensors = einsum_tensors(workload, einsum);
  COSEARCH_CHECK(!structure_error(nest, einsum, arch, static_cast<int>(tensors.size())), "an ill-formed nest");
  std::array<std::int64_t, kMaxDims> covered{};
  covered.fill(1);
  std::vector<std::string> blocks;
  for (std::size_t level = 0; level < arch.levels.size(); ++level) {
    const LevelNest& loops = nest.levels[level];
    std::vector<std::string> lines;
    for (std::size_t i = loops.size; i-- > 0;) {
      const NestLoop& loop = loops.storage[i];
      std::int64_t& step = covered[static_cast<std::size_t>(loop.dim)];
      const std::int64_t count = (loop.extent - 1) / step + 1;
      std::string line = fmt::format("{:{}}for {} in [0:{})", "", 2 * (i + 1),
                                     quoted(einsum.loops[static_cast<std::size_t>(loop.dim)].name), count);
      line += loop.extent % step != 0 ? fmt::format(" covering {}", loop.extent) : "";
      line += loop.kind == LoopKind::temporal ? "" : loop.kind == LoopKind::spatial_x ? " (spatial x)" : " (spatial y)";
      lines.push_back(line);
      step = loop.extent;
    }
    std::string head = quoted(arch.levels[level].name) + " [";
    for (std::size_t tensor = 0; tensor < tensors.size(); ++tensor) {
      head += loops.keeps(static_cast<int>(tensor)) ? " " + quoted(tensors[tensor].name) : "";
    }
    lines.push_back(head + " ]");
    std::reverse(lines.begin(), lines.end());
    blocks.push_back(fmt::format("{}\n", fmt::join(lines, "\n")));
  }
  std::reverse(blocks.begin(), blocks.end());
  return fmt::format("{}", fmt::join(blocks, ""));
}

LoopNest parse_nest(const std::string& text, const ir::Workload& workload, const ir::Einsum& einsum, const Arch& arch) {
  const std::vector<std::string> names = names_of(einsum_tensors(workload, einsum));
  std::vector<std::string> dims;
  for (const ir::Loop& loop : einsum.loops) {
    dims.push_back(loop.name);
  }
  LoopNest nest;
  std::array<std::vector<ReadLoop>, kMaxLevels> read;
  std::size_t level = arch.levels.size();  // the one above the outermost, until that is named
  std::istringstream stream(text);
  std::string source;
  std::size_t number = 0;
  while (std::getline(stream, source)) {
    LineTokens line(source, ++number);
    if (line.at_end()) {
      continue;
    }
    if (level < arch.levels.size() && line.take("for")) {
      if (read[level].size() == kMaxNestLoops) {
        fail(number, fmt::format("{} has more than {} loops", arch.levels[level].name, kMaxNestLoops));
      }
      read[level].push_back(read_loop(line, dims));
      continue;
    }
    if (level == 0) {
      line.refuse("\"for\" or the end; every level is named");
    }
    --level;
    (void)line.name({arch.levels[level].name}, "level");
    read_kept(line, names, nest.levels[level]);
  }
  if (level > 0) {
    fail(number, fmt::format("the text ends, level {} is missing", arch.levels[level - 1].name));
  }
  resolve(read, arch.levels.size(), nest);
  if (const auto error = structure_error(nest, einsum, arch, static_cast<int>(names.size()))) {
    throw ConfigError{"", *error};
  }
  return nest;
}

}  // namespace cosearch::asic
