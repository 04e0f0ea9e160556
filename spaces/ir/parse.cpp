#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "spaces/ir/checked.hpp"
#include "spaces/ir/line_reader.hpp"
#include "spaces/ir/sizes.hpp"
#include "spaces/ir/validate.hpp"
#include "spaces/ir/workload.hpp"

// A recursive-descent parser of one line at a time.
namespace cosearch::ir {
namespace {

class Parser {
 public:
  explicit Parser(const std::map<std::string, std::int64_t>& sizes) : sizes_(sizes) {}

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
    sizes_.check_overrides();
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
    if (line.take_keyword("size")) {
      sizes_.declare(line);
    } else if (line.take_keyword("inputs")) {
      parse_roles(line, "inputs", workload_.inputs);
    } else if (line.take_keyword("outputs")) {
      parse_roles(line, "outputs", workload_.outputs);
    } else if (line.take_keyword("iteration")) {
      Iteration iteration;
      iteration.rank = line.name("the rank's name");
      line.require("<");
      iteration.extent = sizes_.value(line, "an extent");
      workload_.iterations.push_back(std::move(iteration));
      iteration_lines_.push_back(number);
    } else if (line.take_keyword("einsum")) {
      einsum_lines_.push_back(number);
      parse_einsum(line);
    } else {
      line.expected("input, output, tensor, size, inputs, outputs, iteration, einsum");
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
      tensor.shape.push_back(sizes_.value(line, "an extent, or ]"));
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
      einsum.loops.push_back({word, sizes_.value(line, "an extent")});
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

  AxisIndex parse_axis(LineReader& line, const Einsum& einsum) const {
    AxisIndex axis;
    bool first = true;
    while (first || line.peek() == '+' || line.peek() == '-') {
      const bool negative = line.take("-");
      const bool has_sign = negative || line.take("+");
      parse_axis_item(line, einsum, negative, has_sign, axis);
      first = false;
    }
    return axis;
  }

  /// A product of numbers, sizes and at most one loop: a term of the axis, or a part of its offset.
  void parse_axis_item(LineReader& line, const Einsum& einsum, bool negative, bool has_sign, AxisIndex& axis) const {
    std::string allowed = has_sign ? "a number or a loop" : "a number, a loop, or NUMBER*LOOP";
    std::optional<std::int64_t> value = negative ? -1 : 1;
    std::optional<int> loop;
    do {
      std::int64_t factor = 1;
      if (line.at_digit()) {
        factor = line.integer("a number");
      } else if (!line.at_name()) {
        line.expected(allowed);
      } else if (const auto size = parse_loop_or_size(line, einsum, loop)) {
        factor = *size;
      }
      value = value ? multiply(*value, factor) : value;
      allowed = "a number or a loop";
    } while (line.take("*"));
    if (value && loop) {
      axis.terms.push_back({*loop, *value});
    } else if (value = value ? add(axis.offset, *value) : value; value) {
      axis.offset = *value;
    } else {
      line.fail("the offset does not fit in 64 bits");
    }
  }

  /// Sets `loop`, or returns the value of a size. A loop hides the size of its name; only loops stand in quotes.
  std::optional<std::int64_t> parse_loop_or_size(LineReader& line, const Einsum& einsum,
                                                 std::optional<int>& loop) const {
    const bool is_quoted = line.peek() == '"';
    const std::string name = line.name("a loop of the einsum");
    std::vector<std::string> names;
    for (std::size_t i = 0; i < einsum.loops.size(); ++i) {
      if (einsum.loops[i].name == name) {
        if (loop) {
          line.fail(fmt::format("loop \"{}\" multiplies another loop, allowed: numbers and sizes", name));
        }
        loop = static_cast<int>(i);
        return std::nullopt;
      }
      names.push_back(einsum.loops[i].name);
    }
    const auto size = is_quoted ? std::nullopt : sizes_.find(name);
    if (!size) {
      const std::vector<std::string> sizes = sizes_.names();
      names.insert(names.end(), sizes.begin(), sizes.end());
      line.fail((sizes.empty() ? "loop: " : "loop or size: ") + unknown_name(name, names));
    }
    return size;
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
    if (const auto size = sizes_.find(name)) {
      return static_cast<double>(*size);
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
  Sizes sizes_;
  std::map<std::string, int> tensor_index_;
  std::vector<std::size_t> tensor_lines_;
  std::vector<std::size_t> iteration_lines_;
  std::vector<std::size_t> einsum_lines_;
};

}  // namespace

Workload parse_workload(const std::string& text, const std::map<std::string, std::int64_t>& sizes) {
  return Parser{sizes}.parse(text);
}

}  // namespace cosearch::ir
