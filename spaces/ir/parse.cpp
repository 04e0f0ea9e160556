#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "spaces/base/config_error.hpp"
#include "spaces/ir/text_words.hpp"
#include "spaces/ir/validate.hpp"
#include "spaces/ir/workload.hpp"

// A recursive-descent parser of one line at a time.
namespace cosearch::ir {
namespace {

/// Reads one line from left to right. Every reading function skips blanks before it.
class LineReader {
 public:
  LineReader(std::string_view line, std::size_t number) : line_(line), number_(number) {}

  [[noreturn]] void fail(const std::string& message) const { throw ConfigError{place(number_), message}; }

  /// `read "x", allowed: ...` about what comes next.
  [[noreturn]] void expected(const std::string& allowed) {
    fail(fmt::format("read {}, allowed: {}", next_text(), allowed));
  }

  static std::string place(std::size_t number) { return fmt::format("line {}", number); }

  [[nodiscard]] bool at_end() {
    skip_blanks();
    return position_ >= line_.size();
  }

  /// The next character, or 0 at the end of the line.
  [[nodiscard]] char peek() { return at_end() ? '\0' : line_[position_]; }

  [[nodiscard]] bool take(std::string_view sign) {
    skip_blanks();
    if (line_.substr(position_, sign.size()) != sign) {
      return false;
    }
    position_ += sign.size();
    return true;
  }

  void require(std::string_view sign) {
    if (!take(sign)) {
      expected(fmt::format("\"{}\"", sign));
    }
  }

  [[nodiscard]] bool at_name() { return peek() == '"' || starts_name(peek()); }

  /// A plain or quoted name.
  std::string name(const std::string& what) {
    if (!at_name()) {
      expected(what);
    }
    return peek() == '"' ? quoted_name() : std::string(plain_name());
  }

  /// A plain word that a table knows.
  template <class Value, std::size_t N>
  Value word(const Words<Value, N>& words, const std::string& what) {
    if (!starts_name(peek())) {
      expected(fmt::format("{}: {}", what, fmt::join(all_words(words), ", ")));
    }
    const std::string_view read = plain_name();
    const auto value = value_of(words, read);
    if (!value) {
      fail(fmt::format("{}: {}", what, unknown_name(read, all_words(words))));
    }
    return *value;
  }

  /// Takes the plain word `keyword` if it is next.
  [[nodiscard]] bool take_keyword(std::string_view keyword) {
    skip_blanks();
    const std::size_t before = position_;
    if (starts_name(peek()) && plain_name() == keyword) {
      return true;
    }
    position_ = before;
    return false;
  }

  [[nodiscard]] bool at_digit() {
    const char c = peek();
    return c >= '0' && c <= '9';
  }

  std::int64_t integer(const std::string& what) {
    skip_blanks();
    std::int64_t value = 0;
    const char* const begin = line_.data() + position_;
    const auto [end, error] = std::from_chars(begin, line_.data() + line_.size(), value);
    if (error == std::errc::result_out_of_range) {
      expected(what + " that fits in 64 bits");
    }
    if (error != std::errc{}) {
      expected(what);
    }
    position_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  double number(const std::string& what) {
    skip_blanks();
    double value = 0.0;
    const char* const begin = line_.data() + position_;
    const auto [end, error] = std::from_chars(begin, line_.data() + line_.size(), value);
    if (error != std::errc{} || std::isnan(value)) {
      expected(what);
    }
    position_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  void require_end() {
    if (!at_end()) {
      expected("the end of the line");
    }
  }

  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  void go_back(std::size_t position) noexcept { position_ = position; }

 private:
  void skip_blanks() {
    while (position_ < line_.size() && (line_[position_] == ' ' || line_[position_] == '\t')) {
      ++position_;
    }
    if (position_ < line_.size() && (line_[position_] == '#' || line_[position_] == '\r')) {
      position_ = line_.size();
    }
  }

  std::string_view plain_name() {
    const std::size_t begin = position_;
    while (position_ < line_.size() && continues_name(line_[position_])) {
      ++position_;
    }
    return line_.substr(begin, position_ - begin);
  }

  std::string quoted_name() {
    std::string name;
    for (std::size_t i = position_ + 1; i < line_.size(); ++i) {
      if (line_[i] == '"') {
        position_ = i + 1;
        return name;
      }
      if (line_[i] != '\\') {
        name += line_[i];
        continue;
      }
      ++i;
      const std::string_view escape = line_.substr(i, 3);
      unsigned code = 0;
      if (!escape.empty() && (escape[0] == '"' || escape[0] == '\\')) {
        name += escape[0];
      } else if (escape.size() == 3 && escape[0] == 'x' &&
                 std::from_chars(escape.data() + 1, escape.data() + 3, code, 16).ptr == escape.data() + 3) {
        name += static_cast<char>(code);
        i += 2;
      } else {
        fail("in quotes: allowed after \\ are \", \\ and x with two hexadecimal digits");
      }
    }
    fail("a quoted name has no closing \"");
  }

  std::string next_text() {
    if (at_end()) {
      return "the end of the line";
    }
    constexpr std::size_t kShown = 24;
    const std::string_view rest = line_.substr(position_);
    return fmt::format("\"{}{}\"", rest.substr(0, kShown), rest.size() > kShown ? "..." : "");
  }

  std::string_view line_;
  std::size_t number_;
  std::size_t position_ = 0;
};

class Parser {
 public:
  Workload parse(std::string_view text) {
    std::size_t number = 0;
    bool named = false;
    while (!text.empty()) {
      const std::size_t length = std::min(text.find('\n'), text.size());
      LineReader line{text.substr(0, length), ++number};
      text.remove_prefix(std::min(length + 1, text.size()));
      if (line.at_end()) {
        continue;
      }
      if (!named) {
        if (!line.take_keyword("workload")) {
          line.expected("workload NAME first");
        }
        workload_.name = line.name("the workload's name");
        named = true;
      } else {
        parse_line(line, number);
      }
      line.require_end();
    }
    if (!named) {
      throw ConfigError{LineReader::place(number + 1), "read the end of the text, allowed: workload NAME first"};
    }
    check();
    return std::move(workload_);
  }

 private:
  void parse_line(LineReader& line, std::size_t number) {
    for (const auto& [word, role] : kTensorRoles) {
      if (line.take_keyword(word)) {
        parse_tensor(line, role);
        tensor_lines_.push_back(number);
        return;
      }
    }
    if (line.take_keyword("inputs")) {
      parse_roles(line, "inputs", workload_.inputs);
    } else if (line.take_keyword("outputs")) {
      parse_roles(line, "outputs", workload_.outputs);
    } else if (line.take_keyword("iteration")) {
      Iteration iteration;
      iteration.rank = line.name("the rank's name");
      line.require("<");
      iteration.extent = line.integer("an extent");
      workload_.iterations.push_back(std::move(iteration));
      iteration_lines_.push_back(number);
    } else if (line.take_keyword("einsum")) {
      einsum_lines_.push_back(number);
      parse_einsum(line);
    } else {
      line.expected("input, output, tensor, inputs, outputs, iteration, einsum");
    }
  }

  void parse_tensor(LineReader& line, TensorRole role) {
    Tensor tensor;
    tensor.name = line.name("the tensor's name");
    tensor.kind = line.word(kTensorKinds, "kind of tensor");
    tensor.type = line.word(kElementTypes, "element type");
    line.require("[");
    while (!line.take("]")) {
      if (!tensor.shape.empty()) {
        line.require(",");
      }
      tensor.shape.push_back(line.integer("an extent, or ]"));
    }
    const auto index = static_cast<int>(workload_.tensors.size());
    if (!tensor_index_.emplace(tensor.name, index).second) {
      line.fail(fmt::format("tensor \"{}\" is already there, allowed: a new name", tensor.name));
    }
    if (role == TensorRole::input) {
      workload_.inputs.push_back(index);
    } else if (role == TensorRole::output) {
      workload_.outputs.push_back(index);
    }
    workload_.tensors.push_back(std::move(tensor));
  }

  void parse_roles(LineReader& line, std::string_view word, std::vector<int>& tensors) {
    if (!tensors.empty()) {
      line.fail(fmt::format("{} are already known, allowed: one line of {}, or keywords before tensors", word, word));
    }
    while (!line.at_end()) {
      tensors.push_back(known_tensor(line, line.name("a tensor's name")));
    }
  }

  int known_tensor(LineReader& line, const std::string& name) const {
    const auto found = tensor_index_.find(name);
    if (found != tensor_index_.end()) {
      return found->second;
    }
    std::vector<std::string> names;
    for (const Tensor& tensor : workload_.tensors) {
      names.push_back(tensor.name);
    }
    line.fail("tensor: " + unknown_name(name, names));
  }

  void parse_einsum(LineReader& line) {
    Einsum einsum;
    einsum.name = line.name("the einsum's name");
    while (!line.take(":")) {
      parse_head_item(line, einsum);
    }
    einsum.output = parse_access(line, line.name("the output, TENSOR[INDEX,...]"), einsum);
    parse_reduce(line, einsum);
    parse_expression(line, einsum);
    while (!line.at_end()) {
      if (line.take_keyword("padding")) {
        einsum.padding = line.number("a number, inf or -inf");
      } else if (line.take_keyword("accumulate")) {
        einsum.accumulate = true;
      } else {
        line.expected("padding NUMBER, accumulate, or the end of the line");
      }
    }
    workload_.einsums.push_back(std::move(einsum));
  }

  /// LOOP<EXTENT, from SOURCE, initial, final or over RANK. A word before `<` is always a loop's name.
  void parse_head_item(LineReader& line, Einsum& einsum) {
    const std::string allowed = "LOOP<EXTENT, from SOURCE, initial, final, over RANK, or \":\"";
    const std::size_t before = line.position();
    const bool is_quoted = line.peek() == '"';
    const std::string word = line.name(allowed);
    if (line.take("<")) {
      einsum.loops.push_back({word, line.integer("an extent")});
    } else if (!is_quoted && word == "from") {
      einsum.source = line.name("the source's name");
    } else if (!is_quoted && (word == "initial" || word == "final")) {
      einsum.part = word == "initial" ? Part::initial : Part::final;
    } else if (!is_quoted && word == "over") {
      einsum.iteration = parse_iteration(line);
    } else {
      line.go_back(before);
      line.expected(allowed);
    }
  }

  int parse_iteration(LineReader& line) const {
    const std::string rank = line.name("the rank of an iteration");
    std::vector<std::string> ranks;
    std::vector<int> matches;
    for (std::size_t i = 0; i < workload_.iterations.size(); ++i) {
      ranks.push_back(workload_.iterations[i].rank);
      if (workload_.iterations[i].rank == rank) {
        matches.push_back(static_cast<int>(i));
      }
    }
    if (matches.empty()) {
      line.fail("iteration: " + unknown_name(rank, ranks));
    }
    if (line.take("@")) {
      const std::int64_t index = line.integer("the index of an iteration");
      if (std::find(matches.begin(), matches.end(), index) == matches.end()) {
        line.fail(
            fmt::format("iteration {} is not of rank \"{}\", allowed: {}", index, rank, fmt::join(matches, ", ")));
      }
      return static_cast<int>(index);
    }
    if (matches.size() > 1) {
      line.fail(fmt::format("rank \"{}\" names {} iterations, allowed: {}@INDEX", rank, matches.size(), rank));
    }
    return matches[0];
  }

  Access parse_access(LineReader& line, const std::string& name, const Einsum& einsum) const {
    Access access;
    access.tensor = known_tensor(line, name);
    line.require("[");
    while (!line.take("]")) {
      if (!access.axes.empty() && !line.take(",")) {
        line.expected("+, -, \",\" or \"]\"");
      }
      access.axes.push_back(parse_axis(line, einsum));
    }
    const std::size_t rank = workload_.tensors[static_cast<std::size_t>(access.tensor)].shape.size();
    if (access.axes.size() != rank) {
      line.fail(fmt::format("read {} indices of tensor \"{}\", allowed: {}", access.axes.size(), name, rank));
    }
    return access;
  }

  static AxisIndex parse_axis(LineReader& line, const Einsum& einsum) {
    AxisIndex axis;
    bool first = true;
    while (first || line.peek() == '+' || line.peek() == '-') {
      first = false;
      const bool negative = line.take("-");
      const bool plus = !negative && line.take("+");
      if (line.at_digit()) {
        const std::int64_t value = (negative ? -1 : 1) * line.integer("a number");
        if (line.take("*")) {
          axis.terms.push_back({parse_loop(line, einsum), value});
        } else if (__builtin_add_overflow(axis.offset, value, &axis.offset)) {
          line.fail("the offset does not fit in 64 bits");
        }
      } else if (line.at_name()) {
        axis.terms.push_back({parse_loop(line, einsum), negative ? -1 : 1});
      } else {
        line.expected(negative || plus ? "a number or a loop" : "a number, a loop, or NUMBER*LOOP");
      }
    }
    return axis;
  }

  static int parse_loop(LineReader& line, const Einsum& einsum) {
    const std::string name = line.name("a loop of the einsum");
    std::vector<std::string> names;
    for (std::size_t i = 0; i < einsum.loops.size(); ++i) {
      if (einsum.loops[i].name == name) {
        return static_cast<int>(i);
      }
      names.push_back(einsum.loops[i].name);
    }
    line.fail("loop: " + unknown_name(name, names));
  }

  static void parse_reduce(LineReader& line, Einsum& einsum) {
    for (const auto& [sign, reduce] : kReduces) {
      if (line.take(sign)) {
        einsum.reduce = reduce;
        return;
      }
    }
    line.expected("=, +=, max=, min=");
  }

  void parse_expression(LineReader& line, Einsum& einsum) const {
    if (line.at_digit() || line.peek() == '-') {
      einsum.scale = line.number("a finite number");
      line.require("*");
    }
    einsum.combine = line.word(kCombines, "combination");
    if (einsum.combine == Combine::opaque) {
      einsum.opaque = Opaque{.kind = line.name("the kind of an opaque einsum")};
    }
    line.require("(");
    while (!line.take(")")) {
      if (!einsum.operands.empty()) {
        line.require(",");
      }
      einsum.operands.push_back(parse_operand(line, einsum));
    }
    if (einsum.opaque) {
      parse_costs(line, *einsum.opaque);
    }
  }

  Operand parse_operand(LineReader& line, const Einsum& einsum) const {
    if (!line.at_name()) {
      return line.number("TENSOR[INDEX,...], a number, inf or -inf");
    }
    const std::size_t before = line.position();
    const std::string name = line.name("an operand");
    if (line.peek() == '[') {
      return parse_access(line, name, einsum);
    }
    line.go_back(before);
    if (name != "inf") {
      known_tensor(line, name);
      line.expected("TENSOR[INDEX,...], a number, inf or -inf");
    }
    return line.number("inf");
  }

  static void parse_costs(LineReader& line, Opaque& opaque) {
    const std::array<std::pair<std::string_view, std::int64_t*>, 3> costs{
        {{"operations", &opaque.operations}, {"reads", &opaque.read_elements}, {"writes", &opaque.written_elements}}};
    for (const auto& [word, value] : costs) {
      if (!line.take_keyword(word)) {
        line.expected("operations NUMBER reads NUMBER writes NUMBER");
      }
      *value = line.integer("a number of " + std::string(word));
    }
  }

  /// What only the whole workload shows.
  void check() const {
    const auto problems = find_problems(workload_);
    if (problems.empty()) {
      return;
    }
    const Problem& problem = problems.front();
    std::size_t line = 1;
    switch (problem.place) {
      case ProblemPlace::tensor:
        line = tensor_lines_[problem.index];
        break;
      case ProblemPlace::iteration:
        line = iteration_lines_[problem.index];
        break;
      case ProblemPlace::einsum:
        line = einsum_lines_[problem.index];
        break;
      case ProblemPlace::workload:
        break;
    }
    throw ConfigError{LineReader::place(line), problem.message};
  }

  Workload workload_;
  std::map<std::string, int> tensor_index_;
  std::vector<std::size_t> tensor_lines_;
  std::vector<std::size_t> iteration_lines_;
  std::vector<std::size_t> einsum_lines_;
};

}  // namespace

Workload parse_workload(const std::string& text) { return Parser{}.parse(text); }

}  // namespace cosearch::ir
