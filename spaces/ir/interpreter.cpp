#include "spaces/ir/interpreter.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>
#include <utility>

#include "spaces/ir/validate.hpp"

namespace cosearch::ir {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double hard_swish_gradient(double a) {
  if (a < -3.0) {
    return 0.0;
  }
  return a <= 3.0 ? a / 3.0 + 0.5 : 1.0;
}

double normal_distribution(double a) { return 0.5 * (1.0 + std::erf(a / std::numbers::sqrt2)); }

double gelu_gradient(double a) {
  const double density = std::exp(-0.5 * a * a) / std::sqrt(2.0 * std::numbers::pi);
  return normal_distribution(a) + a * density;
}

double combine_values(Combine combine, std::span<const double> v) {
  const auto fold = [&](auto operation) {
    double value = v[0];
    for (std::size_t i = 1; i < v.size(); ++i) {
      value = operation(value, v[i]);
    }
    return value;
  };
  switch (combine) {
    case Combine::copy:
      return v[0];
    case Combine::add:
      return fold([](double a, double b) { return a + b; });
    case Combine::sub:
      return v[0] - v[1];
    case Combine::mul:
      return fold([](double a, double b) { return a * b; });
    case Combine::div:
      return v[0] / v[1];
    case Combine::max:
      return fold([](double a, double b) { return a < b ? b : a; });
    case Combine::min:
      return fold([](double a, double b) { return b < a ? b : a; });
    case Combine::exp:
      return std::exp(v[0]);
    case Combine::exp_sub:
      return std::exp(v[0] - v[1]);
    case Combine::sqrt:
      return std::sqrt(v[0]);
    case Combine::rsqrt:
      return 1.0 / std::sqrt(v[0]);
    case Combine::round:
      return std::nearbyint(v[0]);
    case Combine::relu:
      return std::max(v[0], 0.0);
    case Combine::relu6:
      return std::clamp(v[0], 0.0, 6.0);
    case Combine::hard_swish:
      return v[0] * std::clamp(v[0] + 3.0, 0.0, 6.0) / 6.0;
    case Combine::gelu:
      return v[0] * normal_distribution(v[0]);
    case Combine::sigmoid:
      return 1.0 / (1.0 + std::exp(-v[0]));
    case Combine::tanh:
      return std::tanh(v[0]);
    case Combine::relu_grad:
      return v[0] > 0.0 ? v[1] : 0.0;
    case Combine::relu6_grad:
      return v[0] > 0.0 && v[0] < 6.0 ? v[1] : 0.0;
    case Combine::hard_swish_grad:
      return v[1] * hard_swish_gradient(v[0]);
    case Combine::gelu_grad:
      return v[1] * gelu_gradient(v[0]);
    case Combine::equal_select:
      return v[0] == v[1] ? v[2] : 0.0;
    case Combine::opaque:
      break;
  }
  COSEARCH_CHECK(false, "opaque einsums are executed by kind");
}

double reduce_values(Reduce reduce, double so_far, double value) {
  switch (reduce) {
    case Reduce::none:
      return value;
    case Reduce::sum:
      return so_far + value;
    case Reduce::max:
      return so_far < value ? value : so_far;
    case Reduce::min:
      return value < so_far ? value : so_far;
  }
  return value;
}

double reduction_start(Reduce reduce) {
  switch (reduce) {
    case Reduce::max:
      return -kInfinity;
    case Reduce::min:
      return kInfinity;
    case Reduce::none:
    case Reduce::sum:
      break;
  }
  return 0.0;
}

/// A tensor during execution. `pass` tells in which pass over an einsum an element was last written: 0 never.
struct Store {
  std::vector<double> data;
  std::vector<std::int64_t> pass;
};

/// A range of values per loop; the last loop runs fastest.
class Nest {
 public:
  Nest(std::vector<std::int64_t> first, std::vector<std::int64_t> last)
      : first_(std::move(first)), last_(std::move(last)) {}

  /// Calls `visit(values)` until it returns false. `values` holds all loops; those outside `loops` stay as they are.
  template <class Visit>
  bool run(const std::vector<std::size_t>& loops, std::vector<std::int64_t>& values, Visit&& visit) const {
    for (const std::size_t loop : loops) {
      values[loop] = first_[loop];
    }
    while (true) {
      if (!visit()) {
        return false;
      }
      std::size_t i = loops.size();
      while (i > 0) {
        const std::size_t loop = loops[i - 1];
        if (++values[loop] <= last_[loop]) {
          break;
        }
        values[loop] = first_[loop];
        --i;
      }
      if (i == 0) {
        return true;
      }
    }
  }

 private:
  std::vector<std::int64_t> first_;
  std::vector<std::int64_t> last_;
};

class Interpreter {
 public:
  explicit Interpreter(const Workload& workload) : workload_(workload) {}

  Expected<std::map<std::string, Values>, std::string> run(const std::map<std::string, Values>& given) {
    if (const auto problems = validate(workload_); !problems.empty()) {
      return Unexpected{problems.front()};
    }
    take(given);
    for (std::size_t begin = 0; begin < workload_.einsums.size() && error_.empty();) {
      begin = run_block(begin);
    }
    if (!error_.empty()) {
      return Unexpected{error_};
    }
    return results();
  }

 private:
  [[nodiscard]] bool must_be_given(std::size_t tensor) const {
    const auto index = static_cast<int>(tensor);
    if (std::find(workload_.inputs.begin(), workload_.inputs.end(), index) != workload_.inputs.end()) {
      return true;
    }
    return may_be_given(tensor) && std::none_of(workload_.einsums.begin(), workload_.einsums.end(),
                                                [&](const Einsum& einsum) { return einsum.output.tensor == index; });
  }

  [[nodiscard]] bool may_be_given(std::size_t tensor) const {
    const TensorKind kind = workload_.tensors[tensor].kind;
    return kind == TensorKind::weight || kind == TensorKind::state ||
           std::find(workload_.inputs.begin(), workload_.inputs.end(), static_cast<int>(tensor)) !=
               workload_.inputs.end();
  }

  void take(const std::map<std::string, Values>& given) {
    std::size_t taken = 0;
    for (std::size_t i = 0; i < workload_.tensors.size(); ++i) {
      const Tensor& tensor = workload_.tensors[i];
      const auto size = static_cast<std::size_t>(tensor.elements());
      stores_.push_back(
          {std::vector<double>(size, std::numeric_limits<double>::quiet_NaN()), std::vector<std::int64_t>(size, 0)});
      const auto found = given.find(tensor.name);
      if (found == given.end()) {
        if (must_be_given(i)) {
          fail(fmt::format("tensor \"{}\" is missing", tensor.name));
        }
        continue;
      }
      ++taken;
      const Values& values = found->second;
      if (!may_be_given(i)) {
        fail(fmt::format("tensor \"{}\" is given, but is neither an input nor a weight or state", tensor.name));
      } else if (values.shape != tensor.shape || values.data.size() != size) {
        fail(fmt::format("tensor \"{}\" has shape [{}], given is [{}] with {} numbers", tensor.name,
                         fmt::join(tensor.shape, ","), fmt::join(values.shape, ","), values.data.size()));
      } else {
        stores_[i] = {values.data, std::vector<std::int64_t>(size, pass_)};
      }
    }
    if (taken != given.size() && error_.empty()) {
      const auto unknown = std::find_if(given.begin(), given.end(), [&](const auto& entry) {
        return std::none_of(workload_.tensors.begin(), workload_.tensors.end(),
                            [&](const Tensor& tensor) { return tensor.name == entry.first; });
      });
      fail(fmt::format("tensor \"{}\" is given, but the workload has none of that name", unknown->first));
    }
  }

  /// Runs the einsum at `begin`, or the whole block of its iteration. Returns the index after it.
  std::size_t run_block(std::size_t begin) {
    const int iteration = workload_.einsums[begin].iteration;
    if (iteration < 0) {
      run_einsum(workload_.einsums[begin], std::nullopt);
      return begin + 1;
    }
    std::size_t end = begin;
    while (end < workload_.einsums.size() && workload_.einsums[end].iteration == iteration) {
      ++end;
    }
    const std::int64_t steps = workload_.iterations[static_cast<std::size_t>(iteration)].extent;
    for (std::int64_t step = 0; step < steps; ++step) {
      for (std::size_t i = begin; i < end && error_.empty(); ++i) {
        run_einsum(workload_.einsums[i], step);
      }
    }
    return end;
  }

  void run_einsum(const Einsum& einsum, std::optional<std::int64_t> step) {
    ++pass_;
    std::vector<std::int64_t> first;
    std::vector<std::int64_t> last;
    for (const Loop& loop : einsum.loops) {
      const bool iterates = step && loop.name == workload_.iterations[static_cast<std::size_t>(einsum.iteration)].rank;
      first.push_back(iterates ? *step : 0);
      last.push_back(iterates ? *step : loop.extent - 1);
    }
    const Nest nest{std::move(first), std::move(last)};
    if (einsum.combine == Combine::opaque) {
      run_opaque(einsum, nest);
      return;
    }
    std::vector<std::size_t> loops(einsum.loops.size());
    for (std::size_t i = 0; i < loops.size(); ++i) {
      loops[i] = i;
    }
    std::vector<std::int64_t> values(loops.size(), 0);
    std::vector<double> operands(einsum.operands.size());
    nest.run(loops, values, [&] {
      for (std::size_t i = 0; i < operands.size(); ++i) {
        operands[i] = read(einsum, einsum.operands[i], values);
      }
      if (error_.empty()) {
        write(einsum, values, einsum.scale * combine_values(einsum.combine, operands));
      }
      return error_.empty();
    });
  }

  /// Flat position of the accessed element, or -1 outside of the tensor.
  [[nodiscard]] std::int64_t locate(const Access& access, const std::vector<std::int64_t>& values) const {
    const Tensor& tensor = workload_.tensors[static_cast<std::size_t>(access.tensor)];
    std::int64_t position = 0;
    for (std::size_t a = 0; a < access.axes.size(); ++a) {
      std::int64_t index = access.axes[a].offset;
      for (const Term& term : access.axes[a].terms) {
        index += term.coefficient * values[static_cast<std::size_t>(term.loop)];
      }
      if (index < 0 || index >= tensor.shape[a]) {
        return -1;
      }
      position = position * tensor.shape[a] + index;
    }
    return position;
  }

  double read(const Einsum& einsum, const Operand& operand, const std::vector<std::int64_t>& values) {
    if (const auto* literal = std::get_if<double>(&operand)) {
      return *literal;
    }
    const auto& access = std::get<Access>(operand);
    const std::int64_t position = locate(access, values);
    if (position < 0) {
      return einsum.padding;
    }
    const Store& store = stores_[static_cast<std::size_t>(access.tensor)];
    check_defined(einsum, access, store, position);
    return store.data[static_cast<std::size_t>(position)];
  }

  void check_defined(const Einsum& einsum, const Access& access, const Store& store, std::int64_t position) {
    if (store.pass[static_cast<std::size_t>(position)] != 0) {
      return;
    }
    const Tensor& tensor = workload_.tensors[static_cast<std::size_t>(access.tensor)];
    std::vector<std::int64_t> index(tensor.shape.size());
    for (std::size_t a = index.size(); a > 0; --a) {
      index[a - 1] = position % tensor.shape[a - 1];
      position /= tensor.shape[a - 1];
    }
    fail(fmt::format("einsum \"{}\" reads {}[{}] before it is written", einsum.name, tensor.name,
                     fmt::join(index, ",")));
  }

  void write(const Einsum& einsum, const std::vector<std::int64_t>& values, double value) {
    const std::int64_t position = locate(einsum.output, values);
    if (position < 0) {
      return;
    }
    Store& store = stores_[static_cast<std::size_t>(einsum.output.tensor)];
    const auto at = static_cast<std::size_t>(position);
    double so_far = reduction_start(einsum.reduce);
    if (einsum.accumulate) {
      check_defined(einsum, einsum.output, store, position);
      so_far = store.data[at];
    } else if (store.pass[at] == pass_) {
      so_far = store.data[at];
    }
    store.data[at] = reduce_values(einsum.reduce, so_far, value);
    store.pass[at] = pass_;
  }

  /// Loops that the output names are outer; the others are searched, their values counted in loop order.
  void run_opaque(const Einsum& einsum, const Nest& nest) {
    const std::string& kind = einsum.opaque->kind;
    if (kind != "argmax" && kind != "top_k" && kind != "gather" && kind != "scatter_add" && kind != "queue") {
      fail(fmt::format(
          "einsum \"{}\": opaque kind \"{}\" cannot be executed; known: argmax, gather, queue, scatter_add, top_k",
          einsum.name, kind));
      return;
    }
    std::vector<std::size_t> outer;
    std::vector<std::size_t> searched;
    for (std::size_t i = 0; i < einsum.loops.size(); ++i) {
      (names_loop(einsum.output, static_cast<int>(i)) ? outer : searched).push_back(i);
    }
    std::vector<std::int64_t> values(einsum.loops.size(), 0);
    nest.run(outer, values, [&] {
      double value = 0.0;
      if (kind == "gather") {
        value = gather(einsum, nest, searched, values);
      } else if (kind == "scatter_add") {
        value = scatter_add(einsum, nest, searched, values, own_position(einsum, 1, outer, values));
      } else if (kind == "queue") {
        value = queued(einsum, nest, searched, values, own_position(einsum, 0, outer, values));
      } else {
        const std::vector<double> found = search(einsum, nest, searched, values);
        const std::size_t rank = kind == "argmax" ? 0 : own_position(einsum, 0, outer, values);
        value = error_.empty() ? static_cast<double>(ranked(einsum, found, rank)) : 0.0;
      }
      if (error_.empty()) {
        write(einsum, values, value);
      }
      return error_.empty();
    });
  }

  /// Operand 1 at all searched positions.
  std::vector<double> search(const Einsum& einsum, const Nest& nest, const std::vector<std::size_t>& searched,
                             std::vector<std::int64_t>& values) {
    std::vector<double> found;
    nest.run(searched, values, [&] {
      found.push_back(read(einsum, einsum.operands[0], values));
      return error_.empty();
    });
    return found;
  }

  /// The value of the loops that the output names and the operand does not: which of the sorted values, or which row,
  /// an iteration asks for.
  static std::size_t own_position(const Einsum& einsum, std::size_t operand, const std::vector<std::size_t>& outer,
                                  const std::vector<std::int64_t>& values) {
    const auto* access = std::get_if<Access>(&einsum.operands[operand]);
    std::int64_t position = 0;
    for (const std::size_t loop : outer) {
      if (access == nullptr || !names_loop(*access, static_cast<int>(loop))) {
        position = position * einsum.loops[loop].extent + values[loop];
      }
    }
    return static_cast<std::size_t>(position);
  }

  /// Position of the value that `rank` others precede: larger ones, and equal ones at smaller positions.
  std::size_t ranked(const Einsum& einsum, const std::vector<double>& found, std::size_t rank) {
    if (rank >= found.size()) {
      fail(fmt::format("einsum \"{}\" asks for value {} of {}", einsum.name, rank + 1, found.size()));
      return 0;
    }
    std::vector<std::size_t> order(found.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      order[i] = i;
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return found[a] > found[b]; });
    return order[rank];
  }

  /// Operand 2 at the searched position that operand 1 holds; padding where there is no such position.
  double gather(const Einsum& einsum, const Nest& nest, const std::vector<std::size_t>& searched,
                std::vector<std::int64_t>& values) {
    const double wanted = read(einsum, einsum.operands[0], values);
    double result = einsum.padding;
    double position = 0.0;
    nest.run(searched, values, [&] {
      if (position == wanted) {
        result = read(einsum, einsum.operands[1], values);
      }
      position += 1.0;
      return position <= wanted;
    });
    return result;
  }

  /// The sum of operand 2 over the searched positions at which operand 1 is `row`.
  double scatter_add(const Einsum& einsum, const Nest& nest, const std::vector<std::size_t>& searched,
                     std::vector<std::int64_t>& values, std::size_t row) {
    double sum = 0.0;
    nest.run(searched, values, [&] {
      if (read(einsum, einsum.operands[0], values) == static_cast<double>(row)) {
        sum += read(einsum, einsum.operands[1], values);
      }
      return error_.empty();
    });
    return sum;
  }

  /// The row of operand 1 that is the `rank`-th of those that hold operand 2; the last searched loop runs inside a row.
  double queued(const Einsum& einsum, const Nest& nest, const std::vector<std::size_t>& searched,
                std::vector<std::int64_t>& values, std::size_t rank) {
    const double wanted = read(einsum, einsum.operands[1], values);
    const std::int64_t width = searched.empty() ? 1 : einsum.loops[searched.back()].extent;
    std::int64_t entry = 0;
    std::int64_t last = -1;  // row that held it
    std::size_t rows = 0;
    double result = -1.0;
    nest.run(searched, values, [&] {
      const std::int64_t row = entry++ / width;
      if (row != last && read(einsum, einsum.operands[0], values) == wanted) {
        last = row;
        if (rows++ == rank) {
          result = static_cast<double>(row);
        }
      }
      return error_.empty() && result < 0.0;
    });
    return result;
  }

  std::map<std::string, Values> results() {
    std::map<std::string, Values> values;
    for (std::size_t i = 0; i < workload_.tensors.size(); ++i) {
      values[workload_.tensors[i].name] = {workload_.tensors[i].shape, std::move(stores_[i].data)};
    }
    return values;
  }

  /// Keeps the first error.
  void fail(std::string message) {
    if (error_.empty()) {
      error_ = std::move(message);
    }
  }

  const Workload& workload_;
  std::vector<Store> stores_;
  std::int64_t pass_ = 1;
  std::string error_;
};

}  // namespace

Expected<std::map<std::string, Values>, std::string> interpret(const Workload& workload,
                                                               const std::map<std::string, Values>& given) {
  return Interpreter{workload}.run(given);
}

}  // namespace cosearch::ir
